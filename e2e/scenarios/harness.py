"""What scenarios share: a cluster, kubectl, and the operator deployed as users deploy it.

A scenario asks for a `Cluster`, deploys the operator (in the cluster by the Helm chart, or beside
an API server alone), and asserts on what kubectl shows.
"""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "e2e" / "cluster" / "cluster"
MANIFESTS = pathlib.Path(__file__).resolve().parent / "manifests"
SYSTEM_NAMESPACE = "gobuildenv-system"
CANNOT_RUN_CONTAINERS = 3

sys.path.insert(0, str(ROOT / "e2e" / "cluster"))
from clusterlib import binaries, certs, images, kubeconfig  # noqa: E402


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
        self.folder = pathlib.Path(self.kubeconfig).parent
        self.api = Api(self)
        return self

    def __exit__(self, *_):
        if self.kubeconfig:
            self.api.close()
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

    def kill(self, program):
        run(CLUSTER, "kill", "--name", self.name, program)

    def restart(self, program):
        run(CLUSTER, "restart", "--name", self.name, program)

    def user(self, name):
        """The kubeconfig of another administrator, who is told apart in the audit log."""
        pki, path = self.folder / "pki", self.folder / f"{name}.kubeconfig"
        server = json.loads(pathlib.Path(self.kubeconfig).read_text())["clusters"][0]["cluster"]
        certs.make_client(pki, name, name, ["system:masters"])
        kubeconfig.with_certificate(path, server["server"], pki, name)
        return path

    def requests(self, user, since="", resource=None):
        """Requests by `user` received after `since` (a time of the audit log), a line each."""
        found = []
        for line in (self.folder / "logs" / "audit.log").read_text().splitlines():
            event = json.loads(line)
            target = event.get("objectRef", {})
            if (event["user"]["username"] == user and event["requestReceivedTimestamp"] > since
                    and resource in (None, target.get("resource"))):
                found.append(f"{event['requestReceivedTimestamp']} {event['verb']} "
                             f"{target.get('resource')}/{target.get('subresource', '')} "
                             f"{target.get('namespace')}/{target.get('name')} -> "
                             f"{event.get('responseStatus', {}).get('code')}")
        return found

    def writes(self, user, since=""):
        """Those of requests() that write anything but Leases."""
        return [line for line in self.requests(user, since)
                if line.split()[1] not in ("get", "list", "watch") and " leases/" not in line]


class Api:
    """The administrator's own requests, on one kept connection: cheaper than a kubectl each."""

    def __init__(self, cluster):
        address = json.loads(pathlib.Path(cluster.kubeconfig).read_text())
        self.host = address["clusters"][0]["cluster"]["server"].removeprefix("https://")
        pki = cluster.folder / "pki"
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.connection = None

    def request(self, method, path, body=None, content_type="application/json"):
        """Gives (status, answer, warnings). A kept connection that is gone is opened again."""
        for fresh in (False, True):
            if fresh or self.connection is None:
                self.connection = http.client.HTTPSConnection(self.host, timeout=30,
                                                              context=self.context)
            try:
                self.connection.request(method, path, None if body is None else json.dumps(body),
                                        {"Content-Type": content_type})
                answer = self.connection.getresponse()
                text = answer.read()
                if "json" in answer.headers.get("Content-Type", ""):
                    text = json.loads(text)
                return answer.status, text, answer.headers.get_all("Warning") or []
            except (http.client.HTTPException, OSError):
                self.close()
                if fresh:
                    raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def get(self, path):
        """The object, or None where there is none."""
        status, answer, _ = self.request("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise Failure(f"GET {path}: {status} {answer}")
        return answer

    def list(self, path):
        return self.get(path)["items"]

    def must(self, method, path, body=None, content_type="application/json"):
        status, answer, _ = self.request(method, path, body, content_type)
        if status >= 300:
            raise Failure(f"{method} {path}: {status} {answer}")
        return answer

    def merge(self, path, patch):
        return self.must("PATCH", path, patch, "application/merge-patch+json")

    # --- what scenarios ask for again and again ---

    def environment(self, ns, name):
        return self.get(f"{environments(ns)}/{name}")

    def apply_environment(self, ns, name, version="1.22.3", **spec):
        """Creates or changes a GoBuildEnv (server-side apply); gives it."""
        body = environment(ns, name, version, **spec)
        return self.must("PATCH", f"{environments(ns)}/{name}?fieldManager=scenario&force=true",
                         body, "application/apply-patch+yaml")

    def ready(self, ns, name, seconds=20):
        """Waits until the newest spec is served; gives the environment."""
        def is_ready():
            found = self.environment(ns, name)
            ready = condition(found, "Ready")
            if (ready.get("status") == "True"
                    and ready.get("observedGeneration") == found["metadata"]["generation"]):
                return found
            raise Failure(f"status {json.dumps((found or {}).get('status'))}")
        return wait_for(f"GoBuildEnv {ns}/{name} to be Ready", seconds, is_ready)

    def create_pod(self, ns, pod, dry_run=True):
        """Gives (status, answer, warnings) of a pod's creation."""
        query = "?dryRun=All" if dry_run else ""
        return self.request("POST", f"/api/v1/namespaces/{ns}/pods{query}", pod)

    def admitted(self, ns, pod):
        """The pod as admission would have it."""
        status, answer, _ = self.create_pod(ns, pod)
        if status != 201:
            raise Failure(f"the pod was refused: {status} {answer}")
        return answer

    def events(self, ns, reason):
        """Notes of the Events with this reason, by the name of the object they regard."""
        found = self.list(f"/apis/events.k8s.io/v1/namespaces/{ns}/events")
        return {e["regarding"]["name"]: e["note"] for e in found if e["reason"] == reason}


def environments(ns):
    return f"/apis/gobuildenv.dev/v1alpha1/namespaces/{ns}/gobuildenvs"


def config_maps(ns):
    return f"/api/v1/namespaces/{ns}/configmaps"


def environment(ns, name, version="1.22.3", **spec):
    """A GoBuildEnv; by default the toolchain is downloaded and cgo is off."""
    return {"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv",
            "metadata": {"name": name, "namespace": ns},
            "spec": {"toolchain": {"version": version, "delivery": "Download"}, **spec}}


def pod(name, labels=None, **spec):
    """A pod that no node runs; asks for what its labels ask for."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [
                {"name": "main", "image": "builds.example/go:1", "command": ["go", "build"]}],
                **spec}}


def asking(name, env, **labels):
    """A pod that asks for the environment `env`."""
    return pod(name, {"gobuildenv.dev/env": env, **labels})


def revision_of(pod_object):
    """The revision that a pod carries, or None where admission left it alone."""
    return pod_object["metadata"].get("labels", {}).get("gobuildenv.dev/revision")


def variables_of(pod_object, container=0):
    found = pod_object["spec"]["containers"][container].get("env", [])
    return {entry["name"]: entry.get("value") for entry in found}


def condition(found, kind):
    """The condition of that type, or an empty one."""
    entries = (found or {}).get("status", {}).get("conditions") or []
    return next((entry for entry in entries if entry["type"] == kind), {})


def now():
    """The time as the audit log writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9 // 1000:06}Z"


class Case(unittest.TestCase):
    """A test case that, when it fails, shows what the operator under test said."""

    operators = ()
    maxDiff = None

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for operator in self.operators:
                print(f"--- {operator.name}:\n{operator.tail()}", file=sys.stderr)


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
        wait_for_crd(cluster)
        cluster.apply(rest, "--server-side", "-n", SYSTEM_NAMESPACE)
        self.wait_ready()

    name = "deployment/gobuildenv"

    def tail(self):
        return self.state()

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


def wait_for_crd(cluster):
    """kubectl wait fails where the API server has not written any condition yet."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gobuildenvs.gobuildenv.dev"
    wait_for("the CRD to be established", 60, lambda: condition(
        cluster.api.get(path), "Established").get("status") == "True")


def wait_for_ca_bundle(cluster):
    def published():
        found = cluster.get("mutatingwebhookconfigurations")["items"]
        hooks = [h for c in found for h in c["webhooks"] if "gobuildenv" in h["name"]]
        return hooks and all(h["clientConfig"].get("caBundle") for h in hooks)
    wait_for("the caBundle of the webhooks", 60, published)


class OffCluster:
    """The operator as a process of this machine beside an API server: `manager --kubeconfig`."""

    def __init__(self, cluster, proxy="", flags=(), user=""):
        self.cluster = cluster
        self.name = user or "manager"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gobuildenv-manager-"))
        self.log = self.folder / "manager.log"
        self.process = None
        try:
            self.prepare(proxy, flags, user)
            self.start()
            self.register()
        except BaseException:
            self.close()
            raise

    def prepare(self, proxy, flags, user):
        self.certificates()
        self.cluster.apply((ROOT / "crds" / "gobuildenvs.yaml").read_text(), "--server-side")
        wait_for_crd(self.cluster)
        self.cluster.namespace(SYSTEM_NAMESPACE)
        self.port, self.metrics_port, self.health_port = free_ports(3)
        self.argv = [binary(), "manager",
                     "--kubeconfig", self.cluster.user(user) if user else self.cluster.kubeconfig,
                     "--webhook-port", self.port, "--cert-dir", self.folder,
                     "--lease-namespace", SYSTEM_NAMESPACE,
                     "--metrics-bind", f"127.0.0.1:{self.metrics_port}",
                     "--health-bind", f"127.0.0.1:{self.health_port}",
                     *(["--module-proxy", proxy] if proxy else []), *flags]

    def certificates(self):
        """A serving certificate for loopback, as a person would make one for development."""
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", self.folder / "tls.key", "-out", self.folder / "tls.crt",
            "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in self.argv], stdout=log,
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

    def signal(self, sig):
        self.process.send_signal(sig)

    def tail(self, size=6000):
        return self.log.read_text()[-size:]

    def holds_lease(self):
        """Whether a process of this identity holds the Lease: its name is the log's first line."""
        lease = self.cluster.api.get("/apis/coordination.k8s.io/v1/namespaces/"
                                     f"{SYSTEM_NAMESPACE}/leases/gobuildenv-manager")
        started = re.findall(r"manager starts identity=(\S+)", self.log.read_text())
        return bool(lease and started and lease["spec"].get("holderIdentity") == started[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

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
