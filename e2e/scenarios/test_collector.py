"""Toolchains leave the node when nobody needs them any more, and never before: the collector runs
every second beside pods that use them, on a real kubelet."""

import json
import re
import subprocess
import time
import unittest

import harness
from clusterlib import images, versions
from harness import wait_for

SECONDS = 260
NEW, OLD = "1.22.3", "1.21.6"
AGE = 8  # seconds
# Starts the toolchain's programs again and again, and says when one cannot be had.
SCRIPT = """
set -eu
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


def table(text):
    """What kubectl prints, as a dict for each line; columns begin where their titles do."""
    header, *lines = text.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", header)]
    spans = list(zip(header.split(), starts, [*starts[1:], None]))
    return [{title: line[begin:end].strip() for title, begin, end in spans} for line in lines]


class Collector(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("collector"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        proxy = cls.cluster.proxy(versions.toolchain_module(OLD))
        cls.cluster.load_image("conda-go")
        cls.agent = harness.Agent(cls.cluster)
        cls.root = cls.agent.root
        cls.operator = harness.InCluster(cls.cluster, proxy, values=(
            *cls.agent.values, "agent.log.format=text", "agent.collector.interval=1s",
            f"agent.collector.unusedFor={AGE}s", "agent.collector.minIdle=1s",
            "agent.collector.deleteRate=0"))
        cls.operators = (cls.operator, cls.agent)
        cls.agent.wait_ready()
        cls.cluster.namespace("ci")

    def declare(self, name, version):
        self.api.apply_environment("ci", name, toolchain={"version": version, "delivery": "Volume"},
                                   conda={"prefix": "/opt/conda"})
        self.api.ready("ci", name, 60)

    def create(self, name, environment):
        status, answer, _ = self.api.create_pod("ci", {
            "metadata": {"name": name, "labels": {"gobuildenv.dev/env": environment}},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "main", "image": images.CONDA_GO,
                                     "imagePullPolicy": "Never",
                                     "command": ["bash", "-c", SCRIPT]}]}}, dry_run=False)
        self.assertEqual(status, 201, answer)

    def delete(self, kind, *names):
        self.cluster.kubectl("-n", "ci", "delete", kind, *names, "--wait=false")

    def turns(self, pod):
        """How often the pod has built; fails when it could not once."""
        said = self.cluster.kubectl("-n", "ci", "logs", pod).stdout
        self.assertNotIn("BROKEN", said)
        return len(re.findall(r"^turn \d+$", said, re.MULTILINE))

    def wait_for_turns(self, pod, more):
        before = self.turns(pod)
        wait_for(f"pod {pod} to build {more} times", 180, lambda: self.turns(pod) >= before + more)

    def there(self, version):
        return [p for p in self.root.glob(f"toolchains/go{version}.*/*/goroot/bin/go")]

    def shown(self, wanted):
        """Waits until `kubectl get gonodecaches` shows these toolchains and no other, each ready
        and in use by that many volumes; gives the row. Use alone is told within minutes."""
        def told():
            (row,) = table(self.cluster.kubectl("get", "gonodecaches").stdout)
            (cache,) = self.cluster.get("gonodecaches")["items"]
            toolchains = cache["status"].get("toolchains", [])
            if ({t["version"]: t.get("volumes", 0) for t in toolchains} == wanted
                    and all(t["state"] == "Ready" for t in toolchains)
                    and row["TOOLCHAINS"] == ", ".join(sorted(wanted))):
                return row
            raise harness.Failure(f"{row} {toolchains}")
        row = wait_for(f"kubectl get gonodecaches to show {wanted}", 180, told)
        print(f"kubectl get gonodecaches: {row}", flush=True)
        return row

    def explain(self):
        """What `gobuildenv gc --dry-run` says on the node, by version."""
        done = subprocess.run([harness.binary(), "gc", "--dry-run", "--root", self.root, "-o",
                               "json"], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        out = json.loads(done.stdout)
        self.assertTrue(out["agent"]["running"])
        units = [(u, "goes") for u in out["goes"]] + [(u, "stays") for u in out["stays"]]
        return {re.search(r"go([\d.]+)\.linux", u["unit"]).group(1): (fate, u["why"])
                for u, fate in units if u["kind"] == "toolchain"}

    def test_collected_after_use_and_age_and_never_before(self):
        for environment, version in (("go122", NEW), ("go121", OLD)):
            self.declare(environment, version)
        # Declared and not used: the environments alone keep them, beyond their age.
        wait_for("both toolchains", 120, lambda: self.there(NEW) and self.there(OLD))
        self.shown({OLD: 0, NEW: 0})
        time.sleep(AGE + 4)
        self.assertTrue(self.there(NEW) and self.there(OLD))
        said = self.explain()
        self.assertEqual(said[NEW], ("stays", "in use: GoBuildEnv ci/go122 may ask for it"))
        self.assertEqual(said[OLD], ("stays", "in use: GoBuildEnv ci/go121 may ask for it"))

        for pod, environment in (("new", "go122"), ("old", "go121")):
            self.create(pod, environment)
        for pod in ("new", "old"):
            wait_for(f"pod {pod} to build", 120, lambda p=pod: self.turns(p) > 0)
        self.shown({OLD: 1, NEW: 1})
        runs = self.agent.metric("gobuildenv_collector_runs_total")
        self.delete("gobuildenv", "go122", "go121")
        time.sleep(2 * AGE + 4)
        for pod in ("new", "old"):
            self.wait_for_turns(pod, 3)
        self.assertTrue(self.there(NEW) and self.there(OLD))
        self.shown({OLD: 1, NEW: 1})
        self.assertGreater(self.agent.metric("gobuildenv_collector_runs_total"), runs + AGE)
        self.assertNotIn("unit collected kind=toolchain", self.agent.log())
        for version, pod in ((NEW, "new"), (OLD, "old")):
            fate, why = self.explain()[version]
            self.assertEqual(fate, "stays")
            self.assertRegex(why, f"in use: volume csi-[0-9a-f]+ of pod ci/{pod}$")

        self.delete("pod", "old")
        wait_for("1.21.6 to be collected", 90, lambda: not self.there(OLD))
        self.wait_for_turns("new", 3)
        self.assertTrue(self.there(NEW))
        row = self.shown({NEW: 1})
        self.assertRegex(row["COLLECTED"], r"^\d")
        self.delete("pod", "new")
        wait_for("1.22.3 to be collected", 90, lambda: not self.there(NEW))
        wait_for("the trash to be emptied", 90, lambda: not list((self.root / "trash").iterdir()))

        row = self.shown({})
        self.assertRegex(row["RECLAIMED"], r"^\d+Mi$")

        log = self.agent.log()
        for version in (NEW, OLD):
            self.assertRegex(log, rf'unit collected kind=toolchain bytes=\d{{9}} '
                                  rf'unit="toolchains/go{version}\.linux-[^"]*" '
                                  rf'why="unused for \d+s, kept for {AGE}s"')
        self.assertEqual(
            self.agent.metric('gobuildenv_collector_collected_units_total{kind="toolchain"}'), 2)
        self.assertEqual(self.agent.metric("gobuildenv_collector_failures_total"), 0)
        self.assertGreater(
            self.agent.metric('gobuildenv_collector_reclaimed_bytes_total{kind="toolchain"}'), 300e6)

        # Whoever wants one again gets it again.
        self.declare("go121", OLD)
        self.create("again", "go121")
        wait_for("the pod to build", 120, lambda: self.turns("again") > 0)
        self.shown({OLD: 1})


if __name__ == "__main__":
    unittest.main()
