#!/usr/bin/env python3
"""Tests of the development cluster itself. Run: python3 e2e/cluster/test_cluster.py

They use the real programs and build what the cache does not have. Where the machine cannot run
containers, the tests of a whole cluster are skipped with the reason.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.error
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from clusterlib import (  # noqa: E402
    cgroups, goinstall, images, machine, namespaces, network, procs, proxy_server, proxy_tree,
    versions)
from clusterlib.errors import (  # noqa: E402
    EXIT_FAILED, EXIT_NO_CONTAINERS, CannotRunContainers, ClusterError)
from clusterlib.paths import check_name  # noqa: E402

CLUSTER = Path(__file__).resolve().parent / "cluster"


def remains(state):
    """What clusters of the folder `state` have on this machine, by the mark that each thing bears.

    Other clusters may come and go meanwhile, so nothing is compared with an earlier look.
    """
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    owned, hashes = [], []
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if f"GOBUILDENV_CLUSTER={state}/".encode() in environ:
            owned.append(f"process {entry.name}")
    for alias in Path("/sys/class/net").glob("*/ifalias"):
        if alias.read_text().startswith(f"{state}/"):
            owned.append(f"link {alias.parent.name}")
    for name in ("dev", "one", "two"):
        digest = hashlib.sha256(f"{state}/{name}".encode()).hexdigest()[:6]
        hashes.append(f"gobuildenv-{name}-{digest}")
    return [
        *owned,
        *(f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob("**/gobuildenv-*")
          if path.name in hashes),
        *(f"mount {line.split()[4]}" for line in mounts if f" {state}/" in line),
        *(f"state {entry}" for entry in os.listdir(state) if not entry.startswith(".")),
    ]


class Clusters(unittest.TestCase):
    """A state folder of its own for each test; whatever it started is taken down after it."""

    maxDiff = None

    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="gobuildenv-test-")
        self.environment = {**os.environ, "GOBUILDENV_STATE": self.state}
        self.addCleanup(shutil.rmtree, self.state)
        self.addCleanup(self.run_cluster, "down", "--all")

    def run_cluster(self, *words, code=0):
        result = subprocess.run([sys.executable, CLUSTER, *words], env=self.environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, code, f"{words}: {result.stdout}{result.stderr}")
        self.errors = result.stderr
        return result.stdout

    def kubectl(self, *words, name="dev", code=0):
        return self.run_cluster("kubectl", "--name", name, "--", *words, code=code)

    def status(self, name="dev"):
        return json.loads(self.run_cluster("status", "--name", name, "-o", "json"))

    def assert_nothing_left(self):
        self.assertEqual(remains(self.state), [])


class ApiOnly(Clusters):
    def test_serves_and_leaves_nothing(self):
        self.run_cluster("up", "--api-only")
        self.assertIn("namespace/kube-system", self.kubectl("get", "namespaces", "-o", "name"))
        self.assertIn("already up", self.failing_up())
        token = self.run_cluster("kubeconfig", "--token").strip()
        who = self.kubectl(f"--kubeconfig={token}", "auth", "whoami", "-o", "json")
        self.assertIn("gobuildenv-token-admin", who)
        self.run_cluster("down")
        self.assert_nothing_left()

    def failing_up(self):
        self.run_cluster("up", "--api-only", code=EXIT_FAILED)
        return self.errors

    def test_two_at_once_know_nothing_of_each_other(self):
        names = ("one", "two")
        starts = [threading.Thread(target=self.start, args=(name,)) for name in names]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        self.kubectl("create", "namespace", "only-here", name="one")
        self.kubectl("get", "namespace", "only-here", name="two", code=1)
        self.run_cluster("down", "--name", "one")
        self.kubectl("get", "namespace", "default", name="two")
        self.run_cluster("down", "--all")
        self.assert_nothing_left()

    def start(self, name):
        subprocess.run([sys.executable, CLUSTER, "up", "--api-only", "--name", name],
                       env=self.environment, capture_output=True, check=False)

    def test_killed_programs_are_restarted_with_their_data(self):
        self.run_cluster("up", "--api-only")
        self.kubectl("create", "namespace", "kept")
        for program in ("kube-apiserver", "etcd"):
            self.run_cluster("kill", program)
            self.assertFalse(self.status()["processes"][program]["running"])
            self.run_cluster("restart", program)
            self.kubectl("get", "namespace", "kept")
        self.run_cluster("kill", "kubelet", code=EXIT_FAILED)
        self.assertIn("it has: etcd, kube-apiserver", self.errors)

    def test_up_and_down_clean_what_a_crash_left(self):
        self.run_cluster("up", "--api-only")
        first = self.status()["processes"]
        # A crash between a start and its record: processes run, and the record is cut short.
        os.kill(first["kube-apiserver"]["pid"], signal.SIGKILL)
        (Path(self.state) / "dev" / "state.json").write_text("{")
        self.run_cluster("up", "--api-only")
        self.assertNotEqual(self.status()["processes"]["etcd"]["pid"], first["etcd"]["pid"])
        self.assertIsNone(procs.start_time(first["etcd"]["pid"]))
        (Path(self.state) / "dev" / "state.json").unlink()
        self.run_cluster("down")
        self.assert_nothing_left()

    def test_audit_log_and_flags_reach_the_server(self):
        self.run_cluster("up", "--api-only", "--audit", "--apiserver-flag=--v=2")
        self.kubectl("create", "namespace", "audited")
        log = Path(self.run_cluster("logs", "audit").strip()).read_text()
        self.assertIn('"name":"audited"', log)

    def test_a_flag_that_stops_the_server_is_reported_and_cleaned(self):
        self.run_cluster("up", "--api-only", "--apiserver-flag=--no-such-flag", code=EXIT_FAILED)
        self.assertIn("unknown flag: --no-such-flag", self.errors)
        self.assertIn("next step:", self.errors)
        self.assert_nothing_left()


class WholeCluster(Clusters):
    def setUp(self):
        try:
            machine.check_containers()
        except CannotRunContainers as reason:
            self.skipTest(str(reason))
        super().setUp()

    def assert_nothing_left(self):
        super().assert_nothing_left()
        # Whoever made them: a whole cluster that goes down takes those of a crashed one along. One
        # that serves its API only neither makes nor removes any.
        self.assertEqual(namespaces.unused_folders(), [])

    def test_a_pod_switches_toolchains_and_nothing_is_left(self):
        self.run_cluster("up", "--proxy")
        self.run_cluster("load-image", "conda-go")
        proxy = self.run_cluster("proxy", "url").strip()
        wanted = versions.SWITCH_GO[0]
        activated = ". /opt/conda/etc/profile.d/conda.sh && conda activate"
        show = 'echo "activated: $GOTOOLCHAIN $CGO_ENABLED $GOFLAGS"'
        script = f"go version && go env CC && {activated} && {show}"
        self.apply_pod("switch", ["sh", "-c", script], {
            "GOROOT": "", "GOPROXY": proxy, "GOTOOLCHAIN": f"go{wanted}",
        })
        # The spoilt environment of the image itself must fail: GOROOT is of another version.
        self.apply_pod("spoilt", ["go", "version"], {})
        self.wait_for_phase("switch", "Succeeded")
        log = self.kubectl("logs", "switch")
        self.assertIn(f"go version go{wanted} linux/amd64", log)
        self.assertIn("x86_64-conda-linux-gnu-cc", log)
        self.assertIn("activated: local 1 -modcacherw -buildmode=pie -trimpath", log)
        self.wait_for_phase("spoilt", "Failed")
        self.assertIn("cannot find GOROOT directory", self.kubectl("logs", "spoilt"))
        self.services_are_reached_from_everywhere()
        self.run_cluster("down")
        self.assert_nothing_left()

    def services_are_reached_from_everywhere(self):
        """A program in the cluster's network is reached through a Service."""
        server = [sys.executable, "-m", "http.server", "--directory", self.state, "9443"]
        self.run_cluster("spawn", "web", "--", *server)
        node = self.status()["net"]["node"]
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                    "spec": {"ports": [{"port": 80, "targetPort": 9443}]}})
        self.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                    "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
                    "addressType": "IPv4",
                    "endpoints": [{"addresses": [node], "conditions": {"ready": True}}],
                    "ports": [{"name": "", "port": 9443, "protocol": "TCP"}]})
        address = self.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
        self.until(lambda: self.answers(address), "this machine reaches the Service")
        probe = f"exec 3<>/dev/tcp/{address}/80 && echo reached"
        self.assertIn("reached", self.run_cluster("exec", "--", "bash", "-c", probe))
        self.apply_pod("client", ["bash", "-c", probe], {})
        self.wait_for_phase("client", "Succeeded")
        # Sealed: there is no way to anything but this machine.
        self.run_cluster("exec", "--", "bash", "-c", "echo >/dev/tcp/192.0.2.1/80", code=1)
        self.run_cluster("kill", "web")

    @staticmethod
    def answers(address):
        try:
            socket.create_connection((address, 80), timeout=1).close()
            return True
        except OSError:
            return False

    def test_two_at_once_and_a_crash(self):
        self.run_cluster("up", "--name", "one")
        self.run_cluster("up", "--name", "two")
        one, two = self.status("one"), self.status("two")
        self.assertNotEqual(one["net"]["block"], two["net"]["block"])
        kinds = {thing.split()[0] for thing in remains(self.state)}
        self.assertEqual(kinds, {"process", "link", "cgroup", "state"})
        os.kill(one["keeper"]["pid"], signal.SIGKILL)
        self.until(lambda: not any(process["running"]
                                   for process in self.status("one")["processes"].values()),
                   "all programs die with their keeper")
        self.assertIn("two-node", self.kubectl("get", "nodes", "-o", "name", name="two"))
        self.run_cluster("down", "--name", "one")
        # What the first made for both must not be pulled from under the second.
        self.run_cluster("load-image", "pause", "--name", "two")
        (Path(self.state) / "two" / "state.json").write_text("{")
        self.run_cluster("down", "--name", "two")
        self.assert_nothing_left()

    def apply(self, manifest):
        path = Path(self.state) / ".manifest.json"
        path.write_text(json.dumps(manifest))
        self.kubectl("apply", "-f", str(path))

    def apply_pod(self, name, command, variables):
        self.apply({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": "main", "image": "gobuildenv.test/conda-go:1", "imagePullPolicy": "Never",
                "command": command,
                "env": [{"name": key, "value": value} for key, value in variables.items()],
            }]},
        })

    def wait_for_phase(self, pod, phase):
        def reached():
            found = json.loads(self.kubectl("get", "pod", pod, "-o", "json"))["status"]
            self.last = found
            if found["phase"] in {"Succeeded", "Failed"} - {phase}:
                self.fail(f"{pod} is {found['phase']}: {self.kubectl('logs', pod)}")
            return found["phase"] == phase
        self.until(reached, f"{pod} is {phase}")

    def until(self, condition, what, seconds=300):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"waited {seconds} s in vain until {what}")
            time.sleep(0.3)


class WithoutPrivileges(Clusters):
    def test_the_exit_code_says_that_containers_cannot_run(self):
        if os.geteuid() != 0:
            self.run_cluster("up", code=EXIT_NO_CONTAINERS)
            return
        # Packages that are missing look the same to a caller as privileges that are.
        folder = tempfile.mkdtemp(prefix="gobuildenv-test-path-")
        self.addCleanup(shutil.rmtree, folder)
        self.environment["PATH"] = folder
        self.run_cluster("up", code=EXIT_NO_CONTAINERS)
        self.assertIn("containerd", self.errors)
        self.assertIn("--api-only", self.errors)


class Cgroups(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).parent.mkdir(exist_ok=True)
                (Path(folder) / name).write_text(text)
            with unittest.mock.patch.object(cgroups, "_ROOT", Path(folder)):
                cgroups.check()

    def test_needed_controllers_of_both_versions(self):
        first = ("cpu,cpuacct", "cpuset", "memory", "pids", "systemd")
        self.check({f"{name}/cgroup.procs": "" for name in first})
        self.check({"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.procs": ""})

    def test_what_is_missing_is_named(self):
        for files, said in (({}, "cpu, cpuset, memory, pids"),
                            ({"cpu/cgroup.procs": "", "memory/other": ""}, "cpuset, memory, pids"),
                            ({"cgroup.controllers": "cpu memory\n"}, "cpuset, pids")):
            with self.assertRaisesRegex(CannotRunContainers, f"no cgroup controller {said}"):
                self.check(files)


class ModuleProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = proxy_tree.ensure()
        handler = type("Handler", (proxy_server.Handler,),
                       {"tree": cls.tree, "log_message": lambda *_: None})
        cls.server = proxy_server.http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        cls.url = f"http://127.0.0.1:{cls.server.server_address[1]}"
        cls.thread = threading.Thread(target=cls.server.serve_forever)
        cls.thread.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.thread.join()
        cls.server.server_close()

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def test_go_verifies_a_toolchain_with_nothing_but_this_proxy(self):
        with tempfile.TemporaryDirectory() as scratch:
            go = goinstall.ensure_go()
            wanted = versions.SWITCH_GO[0]
            env = {**goinstall.go_environment(go), "HOME": scratch, "GOPATH": scratch,
                   "GOMODCACHE": f"{scratch}/mod", "GOPROXY": self.url, "GONOSUMDB": "",
                   "GOPRIVATE": "", "GOENV": "off"}
            result = subprocess.run(
                [go, "mod", "download", "-json", versions.toolchain_module(wanted)], env=env,
                cwd=scratch, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertTrue(json.loads(result.stdout)["Sum"].startswith("h1:"))
            self.assertTrue(list(Path(scratch).glob("mod/cache/download/sumdb/*/lookup/**/*")))

    def test_two_modules_are_proved_in_either_order(self):
        extra = "rsc.io/quote@v1.5.2"
        proxy_tree.ensure([extra])
        queries = [versions.toolchain_module(versions.SWITCH_GO[0]), extra]
        go = goinstall.ensure_go()
        for order in (queries, queries[::-1]):
            with tempfile.TemporaryDirectory() as scratch:
                env = {**goinstall.go_environment(go), "HOME": scratch, "GOPATH": scratch,
                       "GOMODCACHE": f"{scratch}/mod", "GOPROXY": self.url, "GONOSUMDB": "",
                       "GOPRIVATE": "", "GOENV": "off"}
                for query in order:
                    result = subprocess.run([go, "list", "-m", "-json", query], env=env,
                                            cwd=scratch, capture_output=True, text=True,
                                            check=False)
                    self.assertEqual(result.returncode, 0, f"{order}: {result.stderr}")

    def test_list_names_the_versions_that_can_be_had(self):
        status, body = self.get("/golang.org/toolchain/@v/list")
        self.assertEqual(status, 200)
        self.assertIn(f"v0.0.1-go{versions.SWITCH_GO[0]}.linux-amd64", body.decode().split())

    def test_nothing_outside_the_tree_is_served(self):
        for path in ("/../complete", "/%2e%2e/%2e%2e/complete", "/sumdb/other.example/supported",
                     "/absent.example/@v/list", "/golang.org"):
            self.assertEqual(self.get(path)[0], 404, path)


class Plain(unittest.TestCase):
    def test_names_are_checked(self):
        for name in ("a", "dev", "a-1", "a" * 24):
            self.assertEqual(check_name(name), name)
        for name in ("", "-a", "a-", "A", "a_b", "a/b", "..", "a" * 25):
            with self.assertRaises(ClusterError):
                check_name(name)

    def test_a_narrower_tile_is_cut_from_a_wider_one(self):
        hashes = bytes(range(256)) * 32
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            tiles = tree / "sumdb" / "db.example" / "tile" / "8" / "1"
            (tiles / "001.p").mkdir(parents=True)
            (tiles / "001.p" / "5").write_bytes(hashes[:5 * 32])
            (tiles / "000").write_bytes(hashes)
            base = "/sumdb/db.example/tile/8/1"
            self.assertEqual(proxy_server.lookup(tree, f"{base}/001.p/5"), hashes[:5 * 32])
            self.assertEqual(proxy_server.lookup(tree, f"{base}/001.p/4"), hashes[:4 * 32])
            self.assertIsNone(proxy_server.lookup(tree, f"{base}/001.p/6"))
            self.assertEqual(proxy_server.lookup(tree, f"{base}/000.p/200"), hashes[:200 * 32])
            self.assertIsNone(proxy_server.lookup(tree, f"{base}/002.p/1"))

    def test_only_libraries_that_debian_roots_lack_are_copied(self):
        names = {path.name for path in images._libraries(Path(shutil.which("openssl")))}
        self.assertIn("libcrypto.so.3", names)
        self.assertNotIn("libc.so.6", names)

    def test_a_cable_that_vanishes_by_itself_is_no_error(self):
        shown = iter(['[{"ifname": "gbe9", "ifalias": "/s/dev"}]', "[]"])

        def fake_run(words):
            if "delete" in words:
                raise ClusterError("Cannot find device")
            return next(shown)

        with unittest.mock.patch.object(network, "run", fake_run):
            network.disconnect("/s/dev")
        self.assertEqual(list(shown), [])

    def test_address_blocks_are_distinct(self):
        if not shutil.which("ip"):
            self.skipTest("iproute2 is not installed")
        first = network.choose([])
        second = network.choose([first["block"]])
        self.assertNotEqual(first["block"], second["block"])
        self.assertNotEqual(first["cable"], second["cable"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
