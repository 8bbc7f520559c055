"""What a node's agent tells of its node, and what environments make of it, on a real cluster."""

import json
import unittest

import harness
from clusterlib import images
from harness import wait_for
from harness.objects import condition

SECONDS = 200
NEW, ABSENT = "1.22.3", "1.21.5"
TAINT = "gobuildenv.dev/agent-not-ready"
GNC = "/apis/gobuildenv.dev/v1alpha1/gonodecaches"


class NodeCache(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("node-cache"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        cls.node = cls.api.list("/api/v1/nodes")[0]["metadata"]["name"]
        proxy = cls.cluster.proxy()
        cls.cluster.load_image("conda-go")
        # As a node that is registered with it: nothing but the agent comes before it is taken away.
        cls.cluster.kubectl("taint", "node", cls.node, f"{TAINT}:NoSchedule")
        cls.agent = harness.Agent(cls.cluster, ("get", "gonodecaches", "-o", "yaml"),
                                  ("-n", "ci", "get", "gbe", "-o", "yaml"))
        cls.operator = harness.InCluster(cls.cluster, proxy, values=(
            *cls.agent.values, "manager.replicas=1",
            f"agent.startupTaint={TAINT}:NoSchedule"))
        cls.operators = (cls.operator, cls.agent)
        cls.cluster.namespace("ci")

    def cache(self):
        return self.api.get(f"{GNC}/{self.node}")

    def shown(self, want, seconds=60):
        """Waits until the toolchains' column says that, and gives the row."""
        def row():
            rows = self.cluster.kubectl("get", "gonodecaches").stdout.splitlines()
            if len(rows) == 2 and want in rows[1]:
                return rows[1].split()
            raise harness.Failure("\n".join(rows))
        return wait_for(f"kubectl get gonodecaches to show {want!r}", seconds, row)

    def said(self, name, status, reason, seconds=75):
        """Waits until the environment's ToolchainReady is so, and gives its status."""
        def found():
            seen = self.api.environment("ci", name)
            now = condition(seen, "ToolchainReady")
            if (now.get("status"), now.get("reason")) == (status, reason):
                return seen["status"]
            raise harness.Failure(json.dumps((seen or {}).get("status")))
        return wait_for(f"{name} to be {status}/{reason}", seconds, found)

    def declare(self, name, version, **toolchain):
        self.api.apply_environment("ci", name, toolchain={
            "version": version, "delivery": "Volume", **toolchain}, conda={"prefix": "/opt/conda"})
        self.addCleanup(self.cluster.kubectl, "-n", "ci", "delete", "gbe", name,
                        "--ignore-not-found")

    def test_a_toolchains_life(self):
        """Declared, fetched, used, and told of by the node and by the environment."""
        taints = self.api.get(f"/api/v1/nodes/{self.node}")["spec"].get("taints", [])
        self.assertEqual([t for t in taints if t["key"] == TAINT], [], "the startup taint is gone")
        self.declare("go122", NEW)
        row = self.shown(NEW + " ")
        self.assertEqual(row[:3], [self.node, "True", NEW])
        status = self.said("go122", "True", "Ready")
        self.assertEqual(status["nodes"], {"ready": 1, "desired": 1})
        found = self.cache()
        node = self.api.get(f"/api/v1/nodes/{self.node}")
        (owner,) = found["metadata"]["ownerReferences"]
        self.assertEqual((owner["kind"], owner["uid"]), ("Node", node["metadata"]["uid"]))
        (toolchain,) = found["status"]["toolchains"]
        self.assertTrue(toolchain["sum"].startswith("h1:"), toolchain)
        self.assertEqual(status["toolchain"]["sums"],
                         [{key: toolchain[key] for key in ("os", "arch", "sum")}])
        self.assertEqual(condition(found, "ToolchainsReady")["status"], "True")
        self.assertGreater(found["status"]["disk"]["usedPercent"], 0)
        wait_for("the Event", 30, lambda: NEW in self.api.events(
            "default", "ToolchainReady").get(self.node, ""))
        self.use()

    def use(self):
        status, answer, _ = self.api.create_pod("ci", {
            "metadata": {"name": "user", "labels": {"gobuildenv.dev/env": "go122"}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                "command": ["sleep", "3600"]}]}}, dry_run=False)
        self.assertEqual(status, 201, answer)
        # Use alone is no urgent news: a minute at least lies between two writes of it.
        wait_for("the volume to be counted", 180, lambda: [
            t for t in self.cache()["status"]["toolchains"] if t.get("volumes") == 1])
        self.cluster.kubectl("-n", "ci", "delete", "pod", "user", "--wait=false")

    def test_what_cannot_be_fetched(self):
        self.declare("nowhere", ABSENT)
        self.shown(f"{ABSENT} (Failed)")
        self.assertEqual(condition(self.cache(), "ToolchainsReady")["reason"], "Failed")
        status = self.said("nowhere", "False", "NotFound")
        self.assertEqual(status["nodes"], {"ready": 0, "desired": 1})
        wait_for("the Event", 30, lambda: ABSENT in self.api.events(
            "default", "ToolchainFailed").get(self.node, ""))
        # Nobody wants it any more: it is no failure any more.
        self.cluster.kubectl("-n", "ci", "delete", "gbe", "nowhere")
        wait_for("it to be forgotten", 120,
                 lambda: ABSENT not in json.dumps(self.cache()["status"]["toolchains"]))

    def test_downloads_say_nothing_of_nodes(self):
        self.declare("download", NEW, delivery="Download")
        status = self.api.ready("ci", "download")["status"]
        self.assertNotIn("nodes", status)
        self.assertNotIn("sums", status["toolchain"])
        self.assertEqual(condition({"status": status}, "ToolchainReady"), {})

    def test_it_is_made_again_and_then_quiet(self):
        self.declare("steady", NEW)
        self.said("steady", "True", "Ready")
        uid = self.cache()["metadata"]["uid"]
        self.cluster.kubectl("delete", "gonodecache", self.node)
        again = wait_for("it to be made again", 150, self.cache)
        self.assertNotEqual(again["metadata"]["uid"], uid)
        self.said("steady", "True", "Ready")


if __name__ == "__main__":
    unittest.main()
