"""Builds that fail in a conda image, and succeed in the same pod once it carries the label.

Every scenario runs one pod twice on a real kubelet: without the label, where it must fail with the
message people know (a scenario whose "before" does not fail proves nothing), and with it.
"""

import textwrap
import unittest

import harness
from clusterlib import images
from harness import wait_for

CONDA_CC = "x86_64-conda-linux-gnu-cc"
# The image's GOROOT is of a version that is not there, which is a scenario of its own.
BEGIN = "set -eu; unset GOROOT; mkdir -p /tmp/m; cd /tmp/m\n"
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


class Builds(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("builds"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        cls.proxy = cls.cluster.proxy()
        cls.cluster.load_image("conda-go")
        cls.operator = harness.InCluster(cls.cluster, cls.proxy)
        cls.operators = (cls.operator,)
        cls.cluster.namespace("ci")

    def environment(self, name, version="1.22.3", **spec):
        proxies = {"proxies": [{"url": self.proxy}]}
        self.api.apply_environment("ci", name, version, modules=proxies,
                                   conda={"prefix": "/opt/conda"}, **spec)
        self.api.ready("ci", name, 60)

    def both(self, name, script, env=None, **security):
        """Runs the script in a pod without and in one with the label; gives (exit code, log) of
        each."""
        variables = {"GOPROXY": self.proxy, **(env or {})}
        names = [f"{name}-before", f"{name}-after"]
        for pod_name, labels in zip(names, ({}, {"gobuildenv.dev/env": name})):
            status, answer, _ = self.api.create_pod("ci", {
                "metadata": {"name": pod_name, "labels": labels},
                "spec": {"restartPolicy": "Never", "securityContext": security,
                         "terminationGracePeriodSeconds": 1, "containers": [{
                             "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                             "command": ["bash", "-c", BEGIN + script],
                             "env": [{"name": k, "value": v} for k, v in variables.items()]}]},
            }, dry_run=False)
            self.assertEqual(status, 201, answer)
        return [self.ended(pod_name) for pod_name in names]

    def ended(self, pod_name):
        def is_over():
            status = self.api.get(f"/api/v1/namespaces/ci/pods/{pod_name}")["status"]
            if status["phase"] in ("Succeeded", "Failed"):
                return status
            raise harness.Failure(f"{status}")
        status = wait_for(f"pod {pod_name} to end", 180, is_over)
        log = self.cluster.kubectl("-n", "ci", "logs", pod_name).stdout
        state = status["containerStatuses"][0]["state"]
        return state["terminated"]["exitCode"], textwrap.dedent(log)

    def fails_with(self, before, message):
        code, log = before
        self.assertNotEqual(code, 0, f"it did not fail without the label:\n{log}")
        self.assertIn(message, log)

    def is_green(self, after, *parts):
        code, log = after
        self.assertEqual(code, 0, log)
        for part in parts:
            self.assertIn(part, log)

    def test_1_compiler_of_conda_is_absent(self):
        self.environment("absent-compiler")
        program = GENERIC.replace('"fmt"', '"fmt"\n\t_ "net"')
        before, after = self.both(
            "absent-compiler", "printf 'module example.test/m\\n\\ngo 1.21\\n' > go.mod\n" + program)
        self.fails_with(before, f'C compiler "{CONDA_CC}" not found')
        self.is_green(after, "built by go1.22.3 42")

    def test_2_activation_turns_cgo_on(self):
        self.environment("activation", cgo={"policy": "Disabled"})
        before, after = self.both("activation", ACTIVATE + "echo cgo=$(go env CGO_ENABLED) cc=$CC")
        self.is_green(before, f"cgo=1 cc={CONDA_CC}")
        self.is_green(after, f"cgo=0 cc={CONDA_CC}")

    def test_3_activation_clobbers_flags(self):
        """go 1.13 in go.mod: only -mod=vendor lets go look into vendor."""
        self.environment("vendored", flags=["-mod=vendor"])
        before, after = self.both("vendored", ACTIVATE + """\
echo "flags=$(go env GOFLAGS)"
cat > go.mod <<'MOD'
module example.test/m

go 1.13

require example.test/dep v1.0.0
MOD
mkdir -p vendor/example.test/dep
echo '# example.test/dep v1.0.0
example.test/dep' > vendor/modules.txt
printf 'package dep\\n\\nconst Answer = 42\\n' > vendor/example.test/dep/dep.go
cat > main.go <<'GO'
package main

import "example.test/dep"

func main() { println("vendored", dep.Answer) }
GO
go build -o program . && ./program 2>&1
""", {"GOFLAGS": "-mod=vendor"})
        self.fails_with(before, "flags=-modcacherw -buildmode=pie -trimpath\n")
        self.assertIn("example.test/dep", before[1])
        self.is_green(after, "flags=-mod=vendor\n", "vendored 42")

    def test_8_language_version_is_not_a_release_of_the_proxy(self):
        """go.mod says "go 1.22": go asks for a release of its own guess, which the proxy has not."""
        self.environment("range", "1.22")
        before, after = self.both(
            "range", "printf 'module example.test/m\\n\\ngo 1.22\\n' > go.mod\n" + GENERIC)
        self.fails_with(before, "go: download go1.22.0 for linux/amd64: toolchain not available")
        self.is_green(after, "built by go1.22.3 42")

    def test_11_user_without_a_home(self):
        self.environment("homeless")
        before, after = self.both(
            "homeless", "printf 'module example.test/m\\n\\ngo 1.22.3\\n' > go.mod\n" + GENERIC,
            {"HOME": "/"}, runAsUser=12345, runAsGroup=12345)
        self.fails_with(before, "could not create module cache")
        self.is_green(after, "built by go1.22.3 42")


if __name__ == "__main__":
    unittest.main()
