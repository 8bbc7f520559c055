"""What the operator lives through: the API server, etcd or the CRD gone and back, and its own end."""

import signal
import time
import unittest

import harness
from harness import asking, revision_of, wait_for

SECONDS = 90
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gobuildenvs.gobuildenv.dev"
LEASE = (f"/apis/coordination.k8s.io/v1/namespaces/{harness.SYSTEM_NAMESPACE}"
         "/leases/gobuildenv-manager")
DRAIN = 10  # seconds; long enough for all that is looked at meanwhile on a busy machine
LOST_LEASE = 75


class Base(harness.Case):
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(harness.Cluster("restarts", full=False))
        cls.operator = cls.enterClassContext(harness.OffCluster(
            cls.cluster, "https://goproxy.example", ["--drain-seconds", DRAIN, *cls.flags]))
        cls.operators = (cls.operator,)
        cls.api = cls.cluster.api
        cls.cluster.namespace("ci")
        cls.api.apply_environment("ci", "old")
        cls.api.ready("ci", "old")

    def works(self, name):
        """The operator reconciles what is new, and serves it."""
        self.api.apply_environment("ci", name)
        self.api.ready("ci", name, 60)
        self.assertTrue(revision_of(self.api.admitted("ci", asking("p", name))))


class Outages(Base):
    """Without an election, so that no outage is a reason to exit: all is to be survived inside."""

    flags = ("--leader-elect=false",)

    def still_works(self, name):
        self.assertIsNone(self.operator.process.poll(), self.operator.tail())
        self.works(name)
        self.assertIsNone(self.operator.process.poll(), self.operator.tail())

    def test_api_server_killed(self):
        self.cluster.kill("kube-apiserver")
        time.sleep(2)
        self.cluster.restart("kube-apiserver")
        self.still_works("after-api-server")

    def test_etcd_killed(self):
        self.cluster.kill("etcd")
        time.sleep(2)
        self.cluster.restart("etcd")
        wait_for("the API server to have its store back", 60,
                 lambda: self.api.environment("ci", "old"))
        self.still_works("after-etcd")

    def test_both_killed(self):
        self.cluster.kill("kube-apiserver")
        self.cluster.kill("etcd")
        time.sleep(1)
        self.cluster.restart("etcd")
        self.cluster.restart("kube-apiserver")
        self.still_works("after-both")

    def test_crd_deleted_and_made_again(self):
        self.api.must("DELETE", CRD)
        wait_for("the CRD to be gone", 30, lambda: self.api.get(CRD) is None)
        # Longer than the first retries of a watch take.
        time.sleep(3)
        self.assertIsNone(self.operator.process.poll(), self.operator.tail())
        self.cluster.apply((harness.ROOT / "crds" / "gobuildenvs.yaml").read_text(),
                           "--server-side")
        harness.wait_for_crd(self.cluster)
        self.still_works("after-crd")
        self.api.apply_environment("ci", "old")
        self.api.ready("ci", "old")


class Election(Base):
    """With the election: an outage longer than the lease ends the process, as its caches may be old
    and another may lead; whoever runs it (a kubelet) starts it again."""

    def test_outage_longer_than_the_lease(self):
        wait_for("the operator to lead", 60, self.operator.holds_lease)
        self.cluster.kill("kube-apiserver")
        try:
            code = self.operator.process.wait(60)
        finally:
            self.cluster.restart("kube-apiserver")
        self.assertEqual(code, LOST_LEASE, self.operator.tail())
        self.operator.start()
        self.works("after-outage")

    def test_sigterm(self):
        """Unready but serving for the drain time; then exit 0, with the lease given back."""
        wait_for("the operator to lead", 60, self.operator.holds_lease)
        started = time.monotonic()
        self.operator.signal(signal.SIGTERM)
        wait_for("readiness to say no", DRAIN / 2, lambda: not self.operator.ready())
        self.assertTrue(revision_of(self.api.admitted("ci", asking("p", "old"))),
                        "a pod created while draining was not changed")
        wait_for("the lease to be given back while the webhook drains", DRAIN, lambda: not
                 self.api.get(LEASE)["spec"].get("holderIdentity"))
        self.assertIsNone(self.operator.process.poll(), "it ended before the drain time")
        self.assertEqual(self.operator.process.wait(DRAIN + 20), 0, self.operator.tail())
        self.assertGreaterEqual(time.monotonic() - started, DRAIN)
        self.operator.start()
        wait_for("the next process to lead", 30, self.operator.holds_lease)
        self.works("after-sigterm")


if __name__ == "__main__":
    unittest.main()
