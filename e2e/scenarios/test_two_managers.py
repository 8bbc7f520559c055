"""Two replicas with an election; the leader is stopped for longer than its lease and continued.

Each has a client certificate of its own, so the API server's audit log tells whose writes are whose.
"""

import calendar
import signal
import time
import unittest

import harness
from harness import config_maps, wait_for

SECONDS = 35
LEASE_SECONDS = 15
LOST_LEASE = 75
LEASE = (f"/apis/coordination.k8s.io/v1/namespaces/{harness.SYSTEM_NAMESPACE}"
         "/leases/gobuildenv-manager")


def seconds(audit_time):
    """A time of the audit log or of a Lease, as seconds of the epoch."""
    text, fraction = audit_time.removesuffix("Z").split(".")
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")


class TwoManagers(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(
            harness.Cluster("two-managers", full=False, flags=["--audit"]))
        cls.api = cls.cluster.api
        cls.cluster.namespace("ci")
        cls.old = cls.manager("manager-one")
        # A process is ready before it leads: the second could be first otherwise.
        wait_for("the first to lead", 60, cls.old.holds_lease)
        cls.new = cls.manager("manager-two")
        cls.operators = (cls.old, cls.new)

    @classmethod
    def manager(cls, name):
        return cls.enterClassContext(harness.OffCluster(
            cls.cluster, "https://goproxy.example", ["--drain-seconds", "1"], user=name))

    def contents(self):
        """Specs, statuses and generated objects, as the test compares them."""
        found = {e["metadata"]["name"]: e for e in self.api.list(harness.environments("ci"))}
        maps = {m["metadata"]["name"]: m["data"] for m in self.api.list(config_maps("ci"))}
        return found, maps

    def test_leader_stopped_past_its_lease(self):
        for i in range(10):
            self.api.apply_environment("ci", f"e{i}")
        for i in range(10):
            self.api.ready("ci", f"e{i}")
        self.assertTrue(self.cluster.writes("manager-one"))
        self.assertEqual(self.cluster.writes("manager-two"), [])

        self.old.signal(signal.SIGSTOP)
        # What it sent before may still be on its way to the audit log.
        time.sleep(1)
        stopped = harness.now()
        try:
            last_renewal = self.api.get(LEASE)["spec"]["renewTime"]
            # What the stopped one will find in its sockets when it goes on: work of its own.
            for i in range(10):
                self.api.apply_environment("ci", f"e{i}", flags=["-trimpath"])
                self.api.apply_environment("ci", f"n{i}")
            wait_for("the second to take over", 2 * LEASE_SECONDS + 30, self.new.holds_lease)
            acquired = self.api.get(LEASE)["spec"]["acquireTime"]
            for i in range(10):
                self.api.ready("ci", f"e{i}")
                self.api.ready("ci", f"n{i}")
            # And more, which the new leader has made of another generation than the old one knows.
            for i in range(10):
                self.api.apply_environment("ci", f"n{i}", cgo={"policy": "Auto"})
            for i in range(10):
                self.api.ready("ci", f"n{i}")
            expected = self.contents()
        finally:
            self.old.signal(signal.SIGCONT)
        self.assertGreaterEqual(seconds(acquired) - seconds(last_renewal), LEASE_SECONDS)

        self.assertEqual(self.old.process.wait(60), LOST_LEASE, self.old.tail())
        self.assertEqual(self.cluster.writes("manager-one", stopped), [],
                         "writes by a leader whose lease had expired")
        leases = self.cluster.requests("manager-one", stopped, "leases")
        self.assertEqual([line for line in leases if " get " not in line], [],
                         "the old leader wrote the Lease again")
        self.assertTrue(self.new.holds_lease())
        environments, maps = self.contents()
        self.assertEqual(environments, expected[0], "an environment was overwritten")
        self.assertEqual(maps, expected[1], "generated objects were lost or changed")
        self.assertTrue(all(e["status"]["observedGeneration"] == e["metadata"]["generation"]
                            for e in environments.values()), environments)
        # Every edit made one ConfigMap, by whoever led then, and nothing was made twice.
        made = [line for user in ("manager-one", "manager-two")
                for line in self.cluster.writes(user) if " create configmaps/" in line]
        self.assertEqual(len(made), 40, made)

        # As a kubelet would start it again: it follows, and takes over when the other goes.
        self.old.start()
        self.assertEqual(self.new.stop(), 0, self.new.tail())
        wait_for("the first to lead again", 30, self.old.holds_lease)
        self.api.apply_environment("ci", "last")
        self.api.ready("ci", "last")


if __name__ == "__main__":
    unittest.main()
