"""Caches that pods share: what a trusted pod fetched and built, others read; what others write,
nobody else does. On a real kubelet, under Pod Security `restricted`, as different users."""

import hashlib
import unittest

import harness
from harness import wait_for, write_files

SECONDS = 105
GO = "1.22.3"
MODULES, BUILD = "/var/cache/gobuildenv/mod", "/var/cache/gobuildenv/build"
MAIN = """\
package main

import (
	"fmt"

	"rsc.io/quote"
)

func main() { fmt.Println(quote.Hello()) }
"""
OTHER_MAIN = MAIN.replace("quote.Hello()", "quote.Glass()")
# `go build -v` names what it compiles: nothing, when all of it is in the cache.
BUILD_IT = """\
began=$(date +%s%N)
go build -v -o program . 2>&1 | sed 's/^/compiled /'
echo "built in $(( ($(date +%s%N) - began) / 1000000 )) ms"
./program
sha256sum program
"""
OFFLINE = "export GOBUILDENV_KEEP=GOPROXY,GOFLAGS GOPROXY=off GOFLAGS=-mod=mod\n"
# All that a pod can do to what it is given. Nothing here may fail the script.
ATTACK = f"""\
set +e
cd {MODULES}
go env GOMODCACHE GOCACHE
grep -rl 'Hello' --include=*.go . | while read -r f; do
  chmod u+w "$f" "$(dirname "$f")"; echo 'package evil' > "$f"; rm -f "$f"; ln -s /etc/passwd "$f"
done
for f in $(find cache/download -name '*.zip' -o -name '*.ziphash' -o -name '*.mod' -o -name '*.info')
do
  echo evil > "$f" && echo "wrote $(basename "$f")"
done
mv rsc.io rsc.gone; mkdir -p "rsc.io/quote@v1.5.2"; echo 'package evil' > rsc.io/quote@v1.5.2/a.go
ln -s / cache/download/root; mkfifo cache/download/pipe
cd {BUILD}
for f in */*-d; do printf evil > "$f"; done
first=$(ls -d ?? | head -1)
rm -rf "$first" && echo "removed shard $first"
ln -s /etc "$first"
ln -sf /etc/passwd "$(ls */*-a | head -1)"
mknod wh c 0 0
echo attacked
"""


class SharedCaches(harness.Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.cluster = cls.enterClassContext(harness.Cluster("shared-caches"))
        except harness.CannotRunContainers:
            raise unittest.SkipTest("this machine cannot run containers") from None
        cls.api = cls.cluster.api
        quote = "rsc.io/quote@v1.5.2"
        cls.module = harness.go_module({"main.go": MAIN}, quote)
        cls.proxy = cls.cluster.proxy(quote)
        cls.cluster.load_image("conda-go")
        cls.agent = harness.Agent(cls.cluster)
        cls.root = cls.agent.root
        cls.pods = harness.BuildPods(cls.cluster, cls.root)
        cls.operator = harness.InCluster(cls.cluster, cls.proxy, values=(
            *cls.agent.values, "agent.volumeWaitSeconds=60", "agent.log.format=text"))
        cls.operators = (cls.operator, cls.agent)
        cls.agent.wait_ready()
        for ns in ("ci", "other"):
            cls.cluster.namespace(ns, **{"pod-security.kubernetes.io/enforce": "restricted"})
            for account in ("releaser", "stranger"):
                cls.cluster.kubectl("-n", ns, "create", "serviceaccount", account)
            cls.declare(ns, "app", "Environment")
        cls.declare("ci", "second", "Environment")
        cls.declare("ci", "own", "Pod")
        # Everything else is about what this pod leaves.
        cls.first_log = cls.trusted("release")

    @classmethod
    def declare(cls, ns, name, scope):
        cls.api.apply_environment(
            ns, name, toolchain={"version": GO, "delivery": "Volume"},
            conda={"prefix": "/opt/conda"}, modules={"proxies": [{"url": cls.proxy}]},
            cache={"modules": {"scope": scope}, "build": {"scope": scope},
                   "trustedServiceAccounts": ["releaser"]})
        cls.api.ready(ns, name, 60)

    @staticmethod
    def builds(files, before="", after=""):
        return "mkdir /tmp/m; cd /tmp/m\n" + write_files(files) + before + BUILD_IT + after

    @classmethod
    def trusted(cls, name):
        """A pod that others may learn from; waits until they do."""
        log = cls.pods.run("ci", name, cls.builds(cls.module), account="releaser", uid=10001)
        cls.pods.promoted()
        return log

    def layers(self):
        return self.pods.newest("ci", "app")

    def content(self):
        """A sum of each file of all layers there are."""
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (self.root / "caches").rglob("*") if path.is_file()}

    def from_cache(self, log):
        """The log of a build that compiled nothing and gave the same program."""
        self.assertNotIn("compiled", log)
        self.assertIn("world", log)
        self.assertEqual(log.splitlines()[-1], self.first_log.splitlines()[-1])
        print(next(line for line in log.splitlines() if line.startswith("built in")))

    def test_an_untrusted_pod_reads_what_a_trusted_one_built(self):
        """Another user, without a proxy; nothing is compiled."""
        self.assertIn("compiled rsc.io/quote", self.first_log)
        print("first:", [line for line in self.first_log.splitlines() if "built in" in line])
        self.from_cache(self.pods.run("ci", "reader", self.builds(
            self.module, OFFLINE, "go mod verify\ngo mod download\n" + BUILD_IT)))

    def test_nothing_of_an_attacker_is_read_by_others(self):
        """While it attacks, and after it has gone."""
        before, layers = self.content(), self.layers()
        self.pods.create("ci", "victim", self.builds(
            self.module, OFFLINE, "echo ready; while ! [ -e /tmp/go ]; do sleep 1; done\n"
            "rm program\n" + BUILD_IT), uid=20002)
        wait_for("the victim to be ready", 120, lambda: "ready" in self.pods.log("ci", "victim"))
        attack = self.pods.run("ci", "attacker", ATTACK, uid=20003)
        for sign in ("wrote v1.5.2.zip\n", "wrote v1.5.2.ziphash\n", "removed shard", "attacked"):
            self.assertIn(sign, attack)
        self.cluster.kubectl("-n", "ci", "exec", "victim", "--", "touch", "/tmp/go")
        code, log = self.pods.ended("ci", "victim")
        self.pods.delete("ci", "victim")
        self.assertEqual(code, 0, log)
        self.from_cache(log)
        self.from_cache(self.pods.run("ci", "after", self.builds(self.module, OFFLINE)))
        self.assertEqual(self.layers(), layers)
        self.assertEqual(self.content(), before)

    def test_a_trusted_pod_cannot_be_lied_through(self):
        """What fails its checks is left out even where the account is trusted."""
        layers = self.layers()
        self.pods.run("ci", "hijacked", ATTACK, account="releaser", uid=10003)
        self.pods.promoted()
        self.assertEqual(self.layers(), layers)
        self.from_cache(self.pods.run("ci", "unharmed", self.builds(self.module, OFFLINE)))

    def test_other_environments_and_namespaces_see_none_of_it(self):
        look = f"ls -A {MODULES} | wc -l; ls -A {BUILD} | wc -l\n"
        alone = "mkdir /tmp/m; cd /tmp/m\n" + write_files(self.module) + look + OFFLINE
        for ns, name, environment in (("ci", "second", "second"), ("other", "same-name", "app")):
            with self.subTest(ns=ns, environment=environment):
                log = self.pods.run(ns, name, alone + "! go build .\n", environment=environment,
                                    account="releaser")
                self.assertEqual(log.splitlines()[:2], ["0", "0"])

    def test_attributes_that_a_pod_makes_up_reach_no_further(self):
        """Inline volumes of the pod's own: at most what its namespace shares, and read only by it."""
        def volume(name, **attributes):
            return {"name": name, "csi": {"driver": "gobuildenv.dev", "volumeAttributes": {
                "kind": "modules", **attributes}}}
        cases = {"wide": {"environment": "app", "scope": "Namespace"},
                 "own": {"environment": "own", "scope": "Environment"},
                 "none": {"environment": "absent", "scope": "Environment"}}
        look = "".join(f"echo {name}: $(ls -A /v/{name})\n" for name in cases)
        log = self.pods.run("ci", "forger", look, volumes=[
            volume(name, **attributes) for name, attributes in cases.items()], mounts=[
                {"name": name, "mountPath": f"/v/{name}"} for name in cases])
        self.assertEqual(log.splitlines(), ["wide: cache golang.org rsc.io", "own:", "none:"])

    def test_the_agent_is_killed_as_a_trusted_pod_ends(self):
        """Its cache is taken over by the next agent, and running pods keep theirs."""
        layers = self.layers()
        self.pods.create("ci", "patient", "sleep 3600 & wait", uid=20004)
        wait_for("its volumes", 120, lambda: len(self.pods.records("patient")) == 3)
        held = self.pods.records("patient")
        other = {**self.module, "main.go": OTHER_MAIN}
        self.pods.create("ci", "late", self.builds(other), account="releaser", uid=10002)
        code, log = self.pods.ended("ci", "late")
        self.assertEqual(code, 0, log)
        self.cluster.kubectl("-n", "ci", "delete", "pod", "late", "--wait=false")
        self.agent.kill()
        self.agent.wait_ready()
        wait_for("its volumes to go", 120, lambda: not self.pods.records("late"))
        wait_for("the next layer", 120, lambda: self.layers()["build"] > layers["build"])
        self.assertEqual(self.pods.records("patient"), held)
        said = self.cluster.kubectl("-n", "ci", "exec", "patient", "--", "ls", MODULES).stdout
        self.assertIn("rsc.io", said)
        self.pods.delete("ci", "patient")
        after = self.pods.run("ci", "later", self.builds(other, OFFLINE))
        self.assertNotIn("compiled", after)
        self.assertEqual(after.splitlines()[-1], log.splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
