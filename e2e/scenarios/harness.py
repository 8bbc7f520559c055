"""What scenarios share: a cluster, kubectl, and the operator deployed as users deploy it.

A scenario asks for a `Cluster`, deploys the operator (in the cluster by the Helm chart, or beside
an API server alone), and asserts on what kubectl shows.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "e2e" / "cluster" / "cluster"
MANIFESTS = pathlib.Path(__file__).resolve().parent / "manifests"
SYSTEM_NAMESPACE = "gobuildenv-system"
CANNOT_RUN_CONTAINERS = 3

sys.path.insert(0, str(ROOT / "e2e" / "cluster"))
from clusterlib import binaries, images  # noqa: E402


class Failure(Exception):
    """A scenario's step failed; the text says what was seen."""


def binary():
    """The operator under test: $GOBUILDENV_BINARY, else the release build."""
    path = pathlib.Path(os.environ.get("GOBUILDENV_BINARY")
                        or ROOT / "build" / "release" / "operator" / "gobuildenv")
    if not os.access(path, os.X_OK):
        raise Failure(f"there is no operator at {path}; build it with: "
                      "cmake --preset release && cmake --build build/release")
    return path


def run(*argv, check=True, stdin=None, timeout=300, env=None):
    """Runs a command and gives its completed process; a failure shows the output."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True,
                          timeout=timeout, env=env)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(str(a) for a in argv)}: exit {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
    return done


def wait_for(what, seconds, probe):
    """Calls `probe` until it gives something true, and gives that; fails naming `what`."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            found = probe()
            if found:
                return found
        except (Failure, OSError, ValueError) as error:
            last = error
        time.sleep(0.2)
    raise Failure(f"waited {seconds} s for {what}" + (f"; last seen: {last}" if last else ""))


def manifest(name, **values):
    """The text of a manifest with ${NAME} filled in."""
    return string.Template((MANIFESTS / name).read_text()).safe_substitute(values)


class Cluster:
    """A cluster of e2e/cluster, taken down on exit. `full` is False where only an API server runs."""

    def __init__(self, name, full=True, flags=()):
        self.name, self.full, self.flags = name, full, flags
        self.kubeconfig = None

    def __enter__(self):
        argv = [CLUSTER, "up", "--name", self.name, *self.flags]
        if not self.full:
            argv.append("--api-only")
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, text=True)
        if done.returncode == CANNOT_RUN_CONTAINERS and self.full:
            raise CannotRunContainers()
        if done.returncode != 0:
            raise Failure(f"the cluster did not start (exit {done.returncode})")
        self.kubeconfig = run(CLUSTER, "kubeconfig", "--name", self.name).stdout.strip()
        return self

    def __exit__(self, *_):
        subprocess.run([str(CLUSTER), "down", "--name", self.name], stdout=subprocess.DEVNULL)

    def kubectl(self, *argv, check=True, stdin=None, timeout=120):
        return run(binaries.path("kubectl"), f"--kubeconfig={self.kubeconfig}", *argv,
                   check=check, stdin=stdin, timeout=timeout)

    def get(self, *argv):
        return json.loads(self.kubectl("get", *argv, "-o", "json").stdout)

    def apply(self, text, *argv):
        return self.kubectl("apply", "-f", "-", *argv, stdin=text).stdout

    def namespace(self, name, **labels):
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace",
                               "metadata": {"name": name, "labels": labels}}))
        if self.full:
            wait_for(f"the default service account of {name}", 30,
                     lambda: self.get("serviceaccount", "default", "-n", name))

    def proxy(self, *modules):
        """Serves Go toolchains (and modules) to pods and this machine; gives the GOPROXY."""
        argv = [CLUSTER, "proxy", "up", "--name", self.name]
        for module in modules:
            argv += ["--module", module]
        return run(*argv, timeout=900).stdout.strip().splitlines()[-1]

    def load_image(self, archive):
        run(CLUSTER, "load-image", "--name", self.name, archive, timeout=900)


class CannotRunContainers(Exception):
    """This machine cannot run pods; an API server alone still can run."""


class InCluster:
    """The operator installed by its Helm chart, as users install it."""

    def __init__(self, cluster, proxy="", values=()):
        self.cluster = cluster
        self.cluster.load_image(images.operator(binary()))
        repository, tag = images.OPERATOR.rsplit(":", 1)
        settings = [f"image.repository={repository}", f"image.tag={tag}", "image.pullPolicy=Never",
                    *values]
        if proxy:
            # Helm splits at commas, which a GOPROXY may hold.
            settings.append("manager.moduleProxy=" + proxy.replace(",", "\\,"))
        sets = [a for s in settings for a in ("--set", s)]
        text = run(ROOT / "charts" / "render-manifest", "--namespace", SYSTEM_NAMESPACE, *sets,
                   timeout=900).stdout
        cluster.namespace(SYSTEM_NAMESPACE)
        crds, rest = split_crds(text)
        cluster.apply(crds, "--server-side")
        cluster.kubectl("wait", "--for=condition=Established", "crd/gobuildenvs.gobuildenv.dev",
                        "--timeout=60s")
        cluster.apply(rest, "--server-side", "-n", SYSTEM_NAMESPACE)
        self.wait_ready()

    def wait_ready(self):
        rollout = self.cluster.kubectl("-n", SYSTEM_NAMESPACE, "rollout", "status", "deployment",
                                       "--timeout=120s", timeout=150, check=False)
        if rollout.returncode != 0:
            raise Failure(f"{rollout.stdout}{rollout.stderr}\n{self.state()}")
        wait_for_ca_bundle(self.cluster)


    def state(self):
        """What an operator that does not become ready says about itself."""
        show = ("-n", SYSTEM_NAMESPACE)
        return "\n".join(self.cluster.kubectl(*show, *argv, check=False).stdout for argv in (
            ("get", "pods", "-o", "wide"), ("get", "events"),
            ("logs", "deployment/gobuildenv", "--all-containers", "--tail=40")))


def split_crds(text):
    """The CRDs of a manifest, and the rest: custom resources need the former first."""
    documents = re.split(r"^---\s*$", text, flags=re.M)
    crds = [d for d in documents if re.search(r"^kind: CustomResourceDefinition\s*$", d, re.M)]
    return "---\n".join(crds), "---\n".join(d for d in documents if d not in crds and d.strip())


def wait_for_ca_bundle(cluster):
    def published():
        found = cluster.get("mutatingwebhookconfigurations")["items"]
        hooks = [h for c in found for h in c["webhooks"] if "gobuildenv" in h["name"]]
        return hooks and all(h["clientConfig"].get("caBundle") for h in hooks)
    wait_for("the caBundle of the webhooks", 60, published)


class OffCluster:
    """The operator as a process of this machine beside an API server: `manager --kubeconfig`."""

    def __init__(self, cluster, proxy="", flags=()):
        self.cluster = cluster
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gobuildenv-manager-"))
        self.log = self.folder / "manager.log"
        self.certificates()
        cluster.apply((ROOT / "crds" / "gobuildenvs.yaml").read_text(), "--server-side")
        cluster.kubectl("wait", "--for=condition=Established", "crd/gobuildenvs.gobuildenv.dev",
                        "--timeout=60s")
        cluster.namespace(SYSTEM_NAMESPACE)
        self.port, self.metrics_port, self.health_port = free_ports(3)
        self.argv = [binary(), "manager", "--kubeconfig", cluster.kubeconfig,
                     "--webhook-port", self.port, "--cert-dir", self.folder,
                     "--lease-namespace", SYSTEM_NAMESPACE,
                     "--metrics-bind", f"127.0.0.1:{self.metrics_port}",
                     "--health-bind", f"127.0.0.1:{self.health_port}",
                     *(["--module-proxy", proxy] if proxy else []), *flags]
        self.process = None
        self.start()
        self.register()

    def certificates(self):
        """A serving certificate for loopback, as a person would make one for development."""
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", self.folder / "tls.key", "-out", self.folder / "tls.crt",
            "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1")

    def start(self):
        self.process = subprocess.Popen([str(a) for a in self.argv], stdout=open(self.log, "ab"),
                                        stderr=subprocess.STDOUT)
        try:
            wait_for("the manager to be ready", 30, self.ready)
        except Failure as error:
            raise Failure(f"{error}\n{self.log.read_text()[-4000:]}") from None

    def ready(self):
        if self.process.poll() is not None:
            raise Failure(f"the manager ended with {self.process.returncode}")
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.health_port), 1)) as s:
            s.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b" 200 " in s.recv(64)

    def register(self):
        """The chart's webhook configurations, pointed at this process."""
        text = run(ROOT / "charts" / "render-manifest", "--namespace", SYSTEM_NAMESPACE,
                   timeout=900).stdout
        bundle = base64.b64encode((self.folder / "tls.crt").read_bytes()).decode()
        for yaml in re.split(r"^---\s*$", text, flags=re.M):
            if not re.search(r"^kind: \w+WebhookConfiguration\s*$", yaml, re.M):
                continue
            document = json.loads(self.cluster.kubectl(
                "create", "-f", "-", "--dry-run=client", "-o", "json", stdin=yaml).stdout)
            for hook in document["webhooks"]:
                path = hook["clientConfig"].pop("service")["path"]
                hook["clientConfig"] = {"url": f"https://127.0.0.1:{self.port}{path}",
                                        "caBundle": bundle}
            self.cluster.apply(json.dumps(document), "--server-side")

    def stop(self, sig=signal.SIGTERM, seconds=40):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(seconds)
        return self.process.returncode

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
