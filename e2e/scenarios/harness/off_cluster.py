"""The operator as a process of this machine."""

import base64
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from .chart import rendered
from .registration import wait_for_crd
from .tools import ROOT, SYSTEM_NAMESPACE, Failure, binary, run, wait_for


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
        for crd in ("gobuildenvs", "gonodecaches"):
            self.cluster.apply((ROOT / "crds" / f"{crd}.yaml").read_text(), "--server-side")
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
            wait_for("the manager to be ready", 60, self.ready)
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
        bundle = base64.b64encode((self.folder / "tls.crt").read_bytes()).decode()
        for yaml in re.split(r"^---\s*$", rendered(), flags=re.M):
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
