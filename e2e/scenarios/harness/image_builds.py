"""One build twice on a real kubelet, in the same conda image: without the label it must fail with the
message people know (a scenario whose "before" does not fail proves nothing), with it, it is green.
"""

import textwrap
import unittest

from clusterlib import images

from .case import Case
from .cluster import CannotRunContainers, Cluster
from .tools import Failure, wait_for

CONDA_CC = "x86_64-conda-linux-gnu-cc"
# The image's GOROOT is of a version that is not there, which is a scenario of its own.
WITHOUT_GOROOT = "unset GOROOT\n"
BEGIN = "set -eu; mkdir -p /tmp/m; cd /tmp/m\n"
ACTIVATE = ". /opt/conda/etc/profile.d/conda.sh; conda activate base\n"
GENERIC = """\
cat > main.go <<'GO'
package main

import (
	"fmt"
	"runtime"
)

func first[T any](list []T) T { return list[0] }

func main() { fmt.Println("built by", runtime.Version(), first([]int{42})) }
GO
go build -o program . && ./program
"""


def module(go, *lines):
    """Shell that writes a go.mod for this Go."""
    return "printf '%s\\n' " + " ".join(
        f"'{line}'" for line in ("module example.test/m", "", f"go {go}", *lines)) + " > go.mod\n"


class ImageBuilds(Case):
    """Its class starts the cluster and installs the release there."""

    @classmethod
    def start(cls, name, *modules):
        """A cluster of that name with the image and a namespace ci, whose proxy has `modules`."""
        try:
            cls.cluster = cls.enterClassContext(Cluster(name))
        except CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        cls.proxy = cls.cluster.proxy(*modules)
        cls.cluster.load_image("conda-go")
        cls.cluster.namespace("ci")

    def environment(self, name, version="1.22.3", **spec):
        """Declares it and waits until it is served."""
        proxies = {"proxies": [{"url": self.proxy}]}
        self.api.apply_environment("ci", name, version, modules=proxies,
                                   conda={"prefix": "/opt/conda"}, **spec)
        self.api.ready("ci", name, 60)

    def both(self, name, script, env=None, begin=BEGIN + WITHOUT_GOROOT, **security):
        """Runs the script in a pod without and in one with the label; gives (exit code, log) of
        each."""
        names = [f"{name}-before", f"{name}-after"]
        for pod_name, labels in zip(names, ({}, {"gobuildenv.dev/env": name})):
            self.create(pod_name, labels, begin + script, env or {}, security)
        return [self.ended(pod_name) for pod_name in names]

    def after(self, name, script, begin=BEGIN + WITHOUT_GOROOT):
        """Runs the script in a pod with the label; gives (exit code, log)."""
        self.create(f"{name}-after", {"gobuildenv.dev/env": name}, begin + script, {}, {})
        return self.ended(f"{name}-after")

    def create(self, pod_name, labels, script, env, security):
        variables = {"GOPROXY": self.proxy, **env}
        status, answer, _ = self.api.create_pod("ci", {
            "metadata": {"name": pod_name, "labels": labels},
            "spec": {"restartPolicy": "Never", "securityContext": security,
                     "terminationGracePeriodSeconds": 1, "containers": [{
                         "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                         "command": ["bash", "-c", script],
                         "env": [{"name": k, "value": v} for k, v in variables.items()]}]},
        }, dry_run=False)
        self.assertEqual(status, 201, answer)

    def ended(self, pod_name):
        def is_over():
            status = self.api.get(f"/api/v1/namespaces/ci/pods/{pod_name}")["status"]
            if status["phase"] in ("Succeeded", "Failed"):
                return status
            raise Failure(f"{status}")
        status = wait_for(f"pod {pod_name} to end", 300, is_over)
        log = self.cluster.kubectl("-n", "ci", "logs", pod_name).stdout
        state = status["containerStatuses"][0]["state"]
        return state["terminated"]["exitCode"], textwrap.dedent(log)

    def fails_with(self, ended, *messages):
        code, log = ended
        self.assertNotEqual(code, 0, f"it did not fail:\n{log}")
        for message in messages:
            self.assertIn(message, log)

    def is_green(self, after, *parts):
        code, log = after
        self.assertEqual(code, 0, log)
        for part in parts:
            self.assertIn(part, log)
