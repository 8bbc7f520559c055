"""The release goes away: in order, or in the wrong one and put right."""

import time
import unittest

import harness
from clusterlib import images
from harness import wait_for

SECONDS = 120
SYSTEM = harness.SYSTEM_NAMESPACE
DRIVER = "gobuildenv.dev"


class Uninstall(harness.Case):
    def setUp(self):
        try:
            self.cluster = self.enterContext(harness.Cluster("uninstall"))
        except harness.CannotRunContainers:
            self.skipTest("this machine cannot run containers")
        self.api = self.cluster.api
        proxy = self.cluster.proxy()
        self.cluster.load_image("conda-go")
        self.agent = harness.Agent(self.cluster)
        self.release = harness.ByHelm(self.cluster, proxy, values=(
            *self.agent.values, "agent.log.format=text", "uninstall.waitSeconds=1"))
        self.operators = (self.release, self.agent)
        self.agent.wait_ready()
        self.cluster.namespace("ci")
        self.api.apply_environment("ci", "go122", toolchain={"version": "1.22.3", "delivery": "Volume"},
                                   conda={"prefix": "/opt/conda"})
        self.api.ready("ci", "go122", 60)

    def create(self, name):
        """A pod that stays; the names of its volumes' drivers."""
        status, answer, _ = self.api.create_pod("ci", {
            "metadata": {"name": name, "labels": {"gobuildenv.dev/env": "go122"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                "command": ["bash", "-c", "trap 'exit 1' TERM; sleep 3600 & wait"]}]}}, dry_run=False)
        self.assertEqual(status, 201, answer)
        self.addCleanup(self.delete, name)
        wait_for(f"pod {name} to run", 120, lambda: self.pod(name)["status"]["phase"] == "Running")
        return {v["csi"]["driver"] for v in answer["spec"]["volumes"] if "csi" in v}

    def pod(self, name):
        found = [p for p in self.api.list("/api/v1/namespaces/ci/pods") if p["metadata"]["name"] == name]
        return found[0] if found else None

    def delete(self, name):
        self.cluster.kubectl("-n", "ci", "delete", "pod", name, "--ignore-not-found", "--wait=false")

    def go_version(self, pod):
        return self.cluster.kubectl("-n", "ci", "exec", pod, "--", "go", "version").stdout

    def there(self, *what):
        return self.cluster.kubectl("get", *what, "--ignore-not-found", "-o", "name").stdout.split()

    def webhooks(self):
        return self.there("mutatingwebhookconfigurations,validatingwebhookconfigurations")

    def objects(self):
        """What is left of the release, but for what it says it leaves."""
        found = self.there("-n", SYSTEM, "all,serviceaccounts,roles,rolebindings")
        found += self.there("clusterroles,clusterrolebindings,csidrivers")
        return [name for name in found if "gobuildenv" in name]

    def records(self):
        return list((self.agent.root / "volumes").glob("*.json"))

    def test_in_order(self):
        """Refused while a pod holds a volume, with injection stopped; done once it has ended."""
        self.assertEqual(self.create("build"), {DRIVER})
        refused = self.release.helm("uninstall", check=False)
        self.assertNotEqual(refused.returncode, 0)
        said = refused.stdout + refused.stderr
        self.assertIn("1 pod holds a volume of the node agent", said)
        self.assertIn("  ci/build, on node ", said)
        self.assertEqual(self.webhooks(), [])
        self.assertEqual(len(self.there("-n", SYSTEM, self.agent.name, "deployment/gobuildenv")), 2)
        self.assertEqual(self.create("later"), set(), "nothing more is injected")
        self.assertIn("go1.22.3 ", self.go_version("build"))

        self.delete("build")
        wait_for("the pod to end", 60, lambda: not self.pod("build"))
        self.release.helm("uninstall")
        self.assertEqual(self.webhooks(), [])
        wait_for("all objects to go", 60, lambda: not self.objects())
        self.assertEqual(self.records(), [])
        self.assertTrue(self.there("gobuildenv", "-n", "ci"), "declarations stay")

    def test_by_force(self):
        """Without the agent a pod runs on and cannot end; the release comes back, and it does."""
        self.create("build")
        self.release.helm("uninstall", "--no-hooks")
        wait_for("the agent to end", 90, lambda: not self.there("-n", SYSTEM, self.agent.name) and not any(
            "agent" in name for name in self.there("-n", SYSTEM, "pods")))
        self.cluster.kubectl("-n", "ci", "exec", "build", "--", "bash", "-c", "kill 1")

        def restarted():
            main = self.pod("build")["status"]["containerStatuses"][0]
            return main["restartCount"] == 1 and "running" in main["state"]
        wait_for("its container to run again", 60, restarted)
        self.assertIn("go1.22.3 ", self.go_version("build"))
        self.delete("build")

        def stopped():
            containers = self.pod("build")["status"]["containerStatuses"]
            return all("terminated" in c["state"] for c in containers)
        wait_for("its container to stop", 60, stopped)
        time.sleep(10)
        self.assertTrue(self.pod("build"), "its volume cannot be taken down")
        self.assertEqual(len(self.records()), 1)

        self.release.install()
        self.agent.wait_ready()
        wait_for("the pod to end", 180, lambda: not self.pod("build"))
        wait_for("its use to be released", 30, lambda: not self.records())


if __name__ == "__main__":
    unittest.main()
