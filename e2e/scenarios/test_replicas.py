"""The operator as the chart installs it, two replicas, while pods are created without a pause:
a replica killed, the Deployment rolled, certificates rotated."""

import base64
import concurrent.futures
import contextlib
import ssl
import time
import unittest

import harness
from harness import RATE, Load, asking, config_maps, revision_of, wait_for

SECONDS = 135
ALONE = True
DEPLOYMENT = f"/apis/apps/v1/namespaces/{harness.SYSTEM_NAMESPACE}/deployments/gobuildenv"
LEASE = (f"/apis/coordination.k8s.io/v1/namespaces/{harness.SYSTEM_NAMESPACE}"
         "/leases/gobuildenv-manager")
PODS = f"/api/v1/namespaces/{harness.SYSTEM_NAMESPACE}/pods"
SECRET = f"/api/v1/namespaces/{harness.SYSTEM_NAMESPACE}/secrets/gobuildenv-webhook-cert"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/gobuildenv"
PORT = 9443  # of each replica
SETTLE = 8  # seconds between the steps of a CA's rotation


class Replicas(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("replicas"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        cls.operator = harness.InCluster(cls.cluster, values=[
            f"manager.extraArgs[0]=--cert-settle-seconds={SETTLE}"])
        cls.operators = (cls.operator,)
        cls.cluster.namespace("ci")
        cls.api.apply_environment("ci", "build")
        cls.api.ready("ci", "build", 60)

    def setUp(self):
        wait_for("two ready replicas", 90, self.both_ready)
        # A Service has its route a moment after its first endpoint is ready.
        wait_for("admission to reach the operator", 60, lambda: revision_of(
            self.api.admitted("ci", asking("probe", "build"))))

    def both_ready(self):
        status = self.api.get(DEPLOYMENT)["status"]
        return (status.get("readyReplicas") == status.get("replicas") == 2
                and not status.get("unavailableReplicas"))

    def leader(self):
        """The name of the pod that leads: what stands before _ in the Lease's holder."""
        return self.api.get(LEASE)["spec"].get("holderIdentity", "").rsplit("_", 1)[0]

    def replicas(self):
        """The pods of the Deployment that are here to stay."""
        return [p for p in self.api.list(PODS) if "deletionTimestamp" not in p["metadata"]]

    def replicas_stopped(self):
        return harness.managers_stopped([p["metadata"]["name"] for p in self.replicas()])

    def all_patched(self, load):
        self.assertGreater(load.created, 3 * RATE, "too few pods to say anything")
        self.assertEqual(load.failed, [], "pod creations that failed")
        self.assertEqual(load.unpatched, [],
                         f"of {load.created} pods these missed their environment, with the "
                         f"warnings {load.warnings}; the API server says {self.failed_open()}")

    def failed_open(self):
        """What the API server has logged of webhooks that did not answer."""
        log = (self.cluster.folder / "logs" / "kube-apiserver.log").read_text()
        return [line for line in log.splitlines() if "ailed calling webhook" in line][-10:]

    def test_deletion_takes_the_generated_objects_along(self):
        self.api.apply_environment("ci", "short")
        made = self.api.ready("ci", "short")["status"]["revisions"]["current"]
        self.assertTrue(self.api.get(f"{config_maps('ci')}/short-{made}"))
        self.cluster.kubectl("-n", "ci", "delete", "gobuildenv", "short", "--timeout=20s")
        wait_for("its ConfigMap to be collected", 60,
                 lambda: self.api.get(f"{config_maps('ci')}/short-{made}") is None)

    def is_ready(self, name):
        return harness.condition(self.api.environment("ci", name), "Ready")["status"] == "True"

    def test_pod_right_after_ready(self):
        """Also by the replica that does not lead and hears of the new environment last."""
        missed = []
        for i in range(30):
            name = f"fresh{i}"
            self.api.apply_environment("ci", name)
            end = time.monotonic() + 60
            while not self.is_ready(name):  # without a pause, as nobody's watch can be faster
                self.assertLess(time.monotonic(), end, f"{name} does not become Ready")
            for pod in ("a", "b"):
                _, answer, warnings = self.api.create_pod("ci", asking(pod, name))
                if not revision_of(answer):
                    missed.append((name, pod, warnings))
        self.assertEqual(missed, [], "pods that missed an environment which was Ready before")

    def test_replicas_killed_under_load(self):
        """No creation fails, and every pod that missed its environment is reported."""
        with Load(self.cluster, "ci", dry_run=False) as load:
            time.sleep(2)
            leader = self.leader()
            harness.kill_manager(leader)
            time.sleep(8)
            wait_for("the killed replica to be back", 60, self.both_ready)
            other = next(p["metadata"]["name"] for p in self.api.list(PODS)
                         if p["metadata"]["name"] != leader)
            self.cluster.kubectl("-n", harness.SYSTEM_NAMESPACE, "delete", "pod", other,
                                 "--grace-period=0", "--force")
            time.sleep(8)
            wait_for("the deleted replica's successor", 60, self.both_ready)
            with self.replicas_stopped():
                time.sleep(3)  # the API server waits for 2 s
            time.sleep(5)
        print(f"{load.created} pods created, {len(load.unpatched)} of them unchanged", flush=True)
        self.assertGreater(load.created, 10 * RATE)
        self.assertEqual(load.failed, [], "pod creations that failed")
        self.assertTrue(load.unpatched, "no replica answered, and yet no pod missed")

        def reported():
            counted = self.api.environment("ci", "build")["status"].get("pods", {})
            told = self.api.events("ci", "EnvironmentMissed")
            silent = [name for name in load.unpatched if name not in told]
            if (counted.get("missed", 0) == len(load.unpatched) and not silent
                    and counted.get("injected") == load.created - len(load.unpatched)):
                return True
            raise harness.Failure(f"status.pods {counted}, {len(load.unpatched)} of "
                                  f"{load.created} missed, without an Event: {silent}")
        wait_for("all missed pods to be reported", 90, reported)

    def test_rolling_update_under_load(self):
        with Load(self.cluster, "ci", dry_run=True) as load:
            time.sleep(1)
            self.cluster.kubectl("-n", harness.SYSTEM_NAMESPACE, "rollout", "restart",
                                 "deployment/gobuildenv")
            self.operator.wait_ready()
            wait_for("the old replicas to be gone", 60,
                     lambda: len(self.api.list(PODS)) == 2)
            time.sleep(1)
        self.all_patched(load)

    def secret(self):
        data = self.api.get(SECRET)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def spoil(self, *keys):
        """What cannot be used is made anew: a person's way to force a rotation."""
        spoilt = base64.b64encode(b"to be made anew\n").decode()
        self.api.merge(SECRET, {"data": {key: spoilt for key in keys}})

    def served_leaves(self):
        """The certificate that each replica shows whoever connects now."""
        return [ssl.get_server_certificate((p["status"]["podIP"], PORT), timeout=5)
                for p in self.replicas()]

    def serve_new_leaf(self, old):
        leaf = self.secret()["tls.crt"]
        if not leaf.startswith("-----BEGIN CERTIFICATE") or leaf == old:
            return False
        return [first_certificate(pem) for pem in self.served_leaves()] == (
            2 * [first_certificate(leaf)])

    def webhook_connections(self):
        service = self.api.get(WEBHOOK)["webhooks"][0]["clientConfig"]["service"]
        found = self.api.get(f"/api/v1/namespaces/{service['namespace']}/services/{service['name']}")
        return harness.connections(self.cluster, found["spec"]["clusterIP"], service["port"])

    def admitted_at_once(self, count):
        """The pods of that many creations whose reviews all wait at the same time: each takes a
        connection of its own."""
        def create(i):
            with contextlib.closing(harness.Api(self.cluster)) as api:
                return api.admitted("ci", asking(f"burst-{i}", "build"))
        with concurrent.futures.ThreadPoolExecutor(count) as pool, self.replicas_stopped():
            answers = pool.map(create, range(count))
            time.sleep(0.5)
        return list(answers)

    def test_leaf_rotated_under_load(self):
        before = self.secret()
        with Load(self.cluster, "ci", dry_run=True) as load:
            time.sleep(1)
            self.spoil("tls.crt", "tls.key")
            wait_for("both replicas to serve a new leaf", 60,
                     lambda: self.serve_new_leaf(before["tls.crt"]))
            # The API server keeps its connections, and would not meet the new leaf for long.
            kept = self.webhook_connections()
            self.assertTrue(kept, "the API server's connections are not found")
            burst = self.admitted_at_once(len(kept) + 4)
            time.sleep(2)
            new = self.webhook_connections() - kept
        self.assertTrue(new, f"no new connection beside {kept}: the new leaf was not met")
        self.assertEqual([p for p in burst if not revision_of(p)], [])
        self.all_patched(load)
        self.assertEqual(self.secret()["ca.crt"], before["ca.crt"])

    def test_ca_rotated_under_load(self):
        before = self.secret()
        with Load(self.cluster, "ci", dry_run=True) as load:
            time.sleep(1)
            self.spoil("next-ca.crt", "next-ca.key")

            def rotated():
                now = self.secret()
                hooks = self.api.get(WEBHOOK)["webhooks"]
                bundles = {base64.b64decode(h["clientConfig"]["caBundle"]).decode() for h in hooks}
                if (now["ca.crt"] != before["ca.crt"] and now["tls.crt"] != before["tls.crt"]
                        and bundles == {now["ca.crt"]}):
                    return True
                raise harness.Failure(f"Secret has {sorted(now)}, the CA is "
                                      f"{'old' if now['ca.crt'] == before['ca.crt'] else 'new'}, "
                                      f"caBundles hold {[b.count('BEGIN') for b in bundles]}")
            wait_for("the new CA to be the only one", 6 * SETTLE + 20, rotated)
            time.sleep(3)
        self.all_patched(load)


def first_certificate(pem):
    """The first certificate of a file, as bytes."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(pem[:pem.index(end)] + end)


if __name__ == "__main__":
    unittest.main()
