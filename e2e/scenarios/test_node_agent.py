"""Toolchains out of the node agent's store, through the CSI driver, on a real kubelet."""

import json
import re
import time
import unittest

import harness
from clusterlib import images, versions
from harness import wait_for

SECONDS = 120
NEW, OLD, ABSENT = "1.22.3", "1.21.6", "1.21.5"
TOOLCHAIN, CACHE = "/opt/gobuildenv/toolchain", "/var/cache/gobuildenv"
# Says what it is built by, tries to change its toolchain, and stays.
SCRIPT = f"""
set -eu
mkdir /tmp/m; cd /tmp/m
printf 'module example.test/m\\n\\ngo 1.21\\n' > go.mod
cat > main.go <<'GO'
package main

import (
	"fmt"
	"runtime"
)

func last[T any](list []T) T {{ return list[len(list)-1] }}

func main() {{ fmt.Println("built by", runtime.Version(), last([]int{{41, 42}})) }}
GO
go version
go env GOROOT GOCACHE GOMODCACHE | while read -r folder; do
  mkdir -p "$folder"
  stat -Lc 'folder %n %d:%i' "$folder"
done
go build -o program .
./program
touch {TOOLCHAIN}/new 2>&1 || echo "the toolchain is read-only"
echo done
sleep 3600 & wait
"""
RESTRICTED = {"runAsNonRoot": True, "runAsUser": 12345, "runAsGroup": 12345,
              "seccompProfile": {"type": "RuntimeDefault"}}


def identity(path):
    """As `folder` lines of the pods' script."""
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}"


class NodeAgent(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("node-agent"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        proxy = cls.cluster.proxy(versions.toolchain_module(OLD))
        cls.cluster.load_image("conda-go")
        cls.agent = harness.Agent(cls.cluster)
        cls.root = cls.agent.root
        cls.operator = harness.InCluster(cls.cluster, proxy, values=(
            *cls.agent.values, "agent.volumeWaitSeconds=60", "agent.log.format=text"))
        cls.operators = (cls.operator, cls.agent)
        cls.agent.wait_ready()
        cls.cluster.namespace("ci", **{"pod-security.kubernetes.io/enforce": "restricted"})

    def declare(self, name, version):
        self.api.apply_environment("ci", name, toolchain={"version": version, "delivery": "Volume"},
                                   conda={"prefix": "/opt/conda"})
        self.api.ready("ci", name, 60)

    def create(self, name, environment, script=SCRIPT):
        """A pod as strict as pods can be: any uid, nothing writable but its volumes."""
        status, answer, _ = self.api.create_pod("ci", {
            "metadata": {"name": name, "labels": {"gobuildenv.dev/env": environment}},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
                     "securityContext": RESTRICTED, "volumes": [{"name": "tmp", "emptyDir": {}}],
                     "containers": [{
                         "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                         "command": ["bash", "-c", script],
                         "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                         "securityContext": {"allowPrivilegeEscalation": False,
                                             "readOnlyRootFilesystem": True,
                                             "capabilities": {"drop": ["ALL"]}}}]},
        }, dry_run=False)
        self.assertEqual(status, 201, answer)
        self.addCleanup(self.delete, name)
        return answer["metadata"]["uid"]

    def delete(self, name):
        self.cluster.kubectl("-n", "ci", "delete", "pod", name, "--ignore-not-found", "--wait=false")

    def log(self, name, until="done\n", seconds=120):
        def said():
            text = self.cluster.kubectl("-n", "ci", "logs", name).stdout
            if until in text:
                return text
            raise harness.Failure(text)
        return wait_for(f"pod {name} to say {until!r}", seconds, said)

    def ended(self, name):
        def is_over():
            status = self.api.get(f"/api/v1/namespaces/ci/pods/{name}")["status"]
            if status["phase"] in ("Succeeded", "Failed"):
                return [status["containerStatuses"][0]["state"]["terminated"]["exitCode"]]
            raise harness.Failure(str(status))
        return wait_for(f"pod {name} to end", 120, is_over)[0]

    def phase(self, name):
        return self.api.get(f"/api/v1/namespaces/ci/pods/{name}")["status"]["phase"]

    def records(self):
        """The agent's records of published volumes, by the name of their pod."""
        found = [json.loads(path.read_text()) for path in (self.root / "volumes").glob("*.json")]
        return {record["pod"]["name"]: record for record in found}

    def folders(self, log):
        """What the pod said of its folders: which one on which disk each is, by path."""
        return dict(re.findall(r"^folder (\S+) (\d+:\d+)$", log, re.MULTILINE))

    def test_two_toolchains_at_once(self):
        """1.22.3 and 1.21.6 on one node at the same time, under Pod Security `restricted`."""
        self.declare("go122", NEW)
        self.declare("go121", OLD)
        for name, environment in (("new", "go122"), ("old", "go121")):
            self.create(name, environment)
        logs = {name: self.log(name) for name in ("new", "old")}
        self.assertEqual([self.phase("new"), self.phase("old")], ["Running", "Running"])
        for name, version in (("new", NEW), ("old", OLD)):
            with self.subTest(name):
                self.assertIn(f"go version go{version} linux/amd64\n", logs[name])
                self.assertIn(f"built by go{version} 42\n", logs[name])
                self.assertIn("the toolchain is read-only\n", logs[name])
        records = self.records()
        self.assertEqual({name: records[name]["toolchain"] for name in ("new", "old")},
                         {"new": NEW, "old": OLD})
        self.assertNotEqual(records["new"]["source"], records["old"]["source"])
        folders = {name: self.folders(logs[name]) for name in ("new", "old")}
        for name, found in folders.items():
            print(f"{name}: GOROOT, GOCACHE, GOMODCACHE are {found}", flush=True)
            self.assertEqual(list(found), [TOOLCHAIN, f"{CACHE}/build", f"{CACHE}/mod"])
            self.assertEqual(found[TOOLCHAIN], identity(self.root / records[name]["source"]),
                             "the toolchain is that of the store")
        for path in folders["new"]:
            self.assertNotEqual(folders["new"][path], folders["old"][path], path)
        for name in ("new", "old"):
            self.delete(name)
        wait_for("the records to go", 60, lambda: not {"new", "old"} & set(self.records()))

    def test_a_newer_one_beside_the_declared_one(self):
        """AllowNewer: go.mod wants more than is declared, and the node has it."""
        self.declare("go122", NEW)
        self.create("fetch", "go122", "go version")
        self.assertEqual(self.ended("fetch"), 0)
        for name, switching in (("older", "AllowNewer"), ("pinned", "Pinned")):
            self.api.apply_environment("ci", name, conda={"prefix": "/opt/conda"}, toolchain={
                "version": OLD, "delivery": "Volume", "switching": switching})
            self.api.ready("ci", name, 60)
        script = "set -e; mkdir /tmp/m; cd /tmp/m; printf 'module m\\n\\ngo %s\\n' > go.mod; go version"
        self.create("allowed", "older", script % "1.22.0" + "; echo done; sleep 3600 & wait")
        self.assertIn(f"go version go{NEW} ", self.log("allowed"))
        self.create("content", "older", script % "1.21")
        self.assertEqual(self.ended("content"), 0)
        self.assertIn(f"go version go{OLD} ", self.log("content", until="go version"))
        self.create("refused", "pinned", script % "1.22.0" + "; go list")
        self.assertEqual(self.ended("refused"), 1)
        record = self.records()["allowed"]
        self.assertEqual([path.split("/")[1] for path in record["newer"]], [f"go{NEW}.linux-amd64"])
        self.delete("allowed")
        wait_for("the record to go", 60, lambda: "allowed" not in self.records())

    def test_the_agents_pod_is_deleted_and_another_comes(self):
        """A pod keeps its toolchain; its use is counted before and after, and released once."""
        self.declare("go122", NEW)
        self.create("patient", "go122")
        self.log("patient")
        before = self.records()["patient"]
        gone = self.agent.delete()
        wait_for("another agent", 60, lambda: set(self.agent.pods()) - {gone})
        self.agent.wait_ready()
        self.assertEqual(self.records()["patient"], before)
        said = self.cluster.kubectl("-n", "ci", "exec", "patient", "--", "go", "version").stdout
        self.assertIn(f"go{NEW} ", said)
        # The new agent serves new pods and releases old ones.
        self.create("next", "go122")
        self.log("next")
        for name in ("patient", "next"):
            self.delete(name)
        wait_for("the records to go", 60, lambda: not {"patient", "next"} & set(self.records()))
        self.assertEqual(list((self.root / "pods").iterdir()), [])

    def test_the_kubelet_is_restarted(self):
        """It finds the driver again, leaves the pod alone, and gives its volume back at the end."""
        self.declare("go121", OLD)
        self.create("steady", "go121")
        self.log("steady")
        before = self.records()["steady"]
        self.cluster.restart("kubelet")
        self.create("after", "go121")
        self.log("after")
        self.assertEqual(self.records()["steady"], before)
        said = self.cluster.kubectl("-n", "ci", "exec", "steady", "--", "go", "version").stdout
        self.assertIn(f"go{OLD} ", said)
        for name in ("steady", "after"):
            self.delete(name)
        wait_for("the records to go", 60, lambda: not {"steady", "after"} & set(self.records()))

    def test_a_toolchain_that_is_nowhere(self):
        """The pod starts all the same; go says why there is none, and an Event does too."""
        self.declare("nowhere", ABSENT)
        self.create("without", "nowhere", "go version")
        self.assertEqual(self.ended("without"), 78)
        log = self.log("without", until="GBE040")
        self.assertIn(f"go{ABSENT} is not available on this node", log)
        self.assertIn("NotFound", log)
        wait_for("the Event", 30, lambda: f"go{ABSENT} is not available" in self.api.events(
            "ci", "ToolchainUnavailable").get("without", ""))

    def test_a_second_pod_waits_for_nothing(self):
        """Seconds from creation to the end of `go version`, toolchain on the node."""
        self.declare("go122", NEW)
        self.create("warm-up", "go122", "go version")
        self.assertEqual(self.ended("warm-up"), 0)
        began = time.monotonic()
        self.create("quick", "go122", "go version")
        self.assertEqual(self.ended("quick"), 0)
        print(f"creation to the end of go version: {time.monotonic() - began:.2f} s")
        self.assertIn(f"go{NEW} ", self.log("quick", until="go version"))


if __name__ == "__main__":
    unittest.main()
