"""The node agent killed by SIGKILL on a real kubelet, while one pod's volumes are mounted and
another's are being published."""

import json
import pathlib
import re
import unittest

import harness
from clusterlib import versions
from harness import wait_for

SECONDS = 240
NEW, OLD = "1.22.3", "1.21.6"
KINDS = ("toolchain", "modules", "build")
# Builds again and again, and says when that fails once.
SCRIPT = """
mkdir /tmp/m; cd /tmp/m
printf 'module example.test/m\\n\\ngo 1.21\\n' > go.mod
printf 'package main\\n\\nfunc main() { println("it runs") }\\n' > main.go
i=0
while :; do
  i=$((i+1)); printf '// %s\\n' "$i" >> main.go
  go version && go build -o program . && ./program 2>&1 || { echo "BROKEN in turn $i"; exit 1; }
  echo "turn $i"
  sleep 1
done
"""


class AgentKilled(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("agent-killed"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        proxy = cls.cluster.proxy(versions.toolchain_module(OLD))
        cls.cluster.load_image("conda-go")
        cls.agent = harness.Agent(cls.cluster)
        cls.root = cls.agent.root
        cls.operator = harness.InCluster(cls.cluster, proxy, values=(
            *cls.agent.values, "manager.replicas=1", "agent.log.format=text"))
        cls.operators = (cls.operator, cls.agent)
        cls.agent.wait_ready()
        cls.cluster.namespace("ci", **{"pod-security.kubernetes.io/enforce": "restricted"})
        cls.pods = harness.BuildPods(cls.cluster, cls.root)

    def create(self, pod, environment, version):
        # The agent keeps records of shared caches' volumes as of toolchains'.
        shared = {"scope": "Environment"}
        self.api.apply_environment(
            "ci", environment, toolchain={"version": version, "delivery": "Volume"},
            conda={"prefix": "/opt/conda"}, cache={"modules": shared, "build": shared})
        self.api.ready("ci", environment, 60)
        self.pods.create("ci", pod, SCRIPT, environment=environment, account="default")

    def turns(self, pod):
        """How often the pod has built; fails when it could not once."""
        said = self.cluster.kubectl("-n", "ci", "logs", pod, check=False).stdout
        self.assertNotIn("BROKEN", said)
        return len(re.findall(r"^turn \d+$", said, re.MULTILINE))

    def build_on(self, *pods):
        for pod in pods:
            wanted = self.turns(pod) + 2  # the last one has begun after this
            wait_for(f"pod {pod} to build", 180, lambda p=pod, n=wanted: self.turns(p) >= n)

    def counts_are_those_of(self, *pods):
        """A record, a mount and a count of each volume of these pods, and nothing of any other."""
        records = [json.loads(one.read_text()) for one in (self.root / "volumes").glob("*.json")]
        self.assertEqual(sorted((one["pod"]["name"], one["kind"]) for one in records),
                         sorted((pod, kind) for pod in pods for kind in KINDS))
        mountinfo = pathlib.Path(f"/proc/{self.agent.process()}/mountinfo").read_text()
        mounted = re.findall(r"/pods/(\S+/volumes/kubernetes\.io~csi/\S+/mount) ", mountinfo)
        self.assertEqual(sorted(mounted), sorted(one["target"] for one in records))
        for kind in KINDS:
            self.assertEqual(self.agent.metric(f'gobuildenv_csi_volumes{{kind="{kind}"}}'),
                             len(pods))
        private = {one["source"].split("/")[1] for one in records if one["kind"] != "toolchain"}
        self.assertEqual({one.name for one in (self.root / "pods").iterdir()}, private)

    def test_killed_while_a_volume_is_published(self):
        self.create("patient", "go122", NEW)
        self.build_on("patient")
        before = self.pods.records("patient")
        self.counts_are_those_of("patient")

        # The other toolchain does not come: its volume's publication cannot end.
        self.cluster.kill("module-proxy", "STOP")
        self.addCleanup(self.cluster.kill, "module-proxy", "CONT")
        self.create("next", "go121", OLD)
        wait_for("its volume to wait", 90,
                 lambda: "next" in self.api.events("ci", "ToolchainPending"))
        self.agent.kill()
        self.assertEqual(self.pods.records("patient"), before)
        self.assertNotIn("toolchain", self.pods.records("next"))
        self.build_on("patient")
        self.cluster.kill("module-proxy", "CONT")
        self.build_on("next", "patient")
        self.counts_are_those_of("patient", "next")
        self.assertEqual(self.pods.records("patient"), before)

        # Once more, with everything mounted.
        self.agent.kill()
        self.build_on("next", "patient")
        self.counts_are_those_of("patient", "next")

        for pod in ("patient", "next"):
            self.pods.delete("ci", pod)
        self.counts_are_those_of()


if __name__ == "__main__":
    unittest.main()
