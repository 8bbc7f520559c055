"""An API server of its own for a measurement, by the development cluster's command."""
import json
import os
import subprocess
import time
import urllib.parse
from pathlib import Path

from . import paths
from .broken import Broken
from .proc import find

# The comparison with MutatingAdmissionPolicy needs it switched on; it is beta in 1.34.
_FLAGS = ["--feature-gates=MutatingAdmissionPolicy=true",
          "--runtime-config=admissionregistration.k8s.io/v1beta1=true"]


class ControlPlane:
    """etcd and kube-apiserver on loopback with the CRDs and namespace `bench`."""

    def __init__(self, name: str, kubectl: str):
        self.name, self._kubectl = name, kubectl

    def __enter__(self):
        self._cluster("down", "--name", self.name)
        try:
            self._cluster("up", "--api-only", "--name", self.name,
                          *(f"--apiserver-flag={f}" for f in _FLAGS))
            self.kubeconfig = Path(self._cluster("kubeconfig", "--name", self.name).strip())
            self.env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
            self._find_processes()
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._cluster("down", "--name", self.name)

    def _find_processes(self) -> None:
        config = json.loads(self.kubectl("config", "view", "-o", "json"))
        port = urllib.parse.urlparse(config["clusters"][0]["cluster"]["server"]).port
        self.apiserver = find("kube-apiserver", f"--secure-port={port}")
        words = Path(f"/proc/{self.apiserver}/cmdline").read_text().split("\0")
        url = next(w for w in words if w.startswith("--etcd-servers=")).partition("=")[2]
        self.etcd = find("etcd", f"--listen-client-urls={url}")

    def _prepare(self) -> None:
        self.kubectl("create", "namespace", "bench")
        for crd in paths.CRDS:
            self.kubectl("apply", "-f", crd)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.raw("/apis/gobuildenv.dev/v1alpha1/namespaces/bench/gobuildenvs")
                return
            except Broken:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def kubectl(self, *args, **kw) -> str:
        """Output of kubectl against this API server; Broken with its message when it fails."""
        done = subprocess.run([self._kubectl, *map(str, args)], env=self.__dict__.get("env"),
                              capture_output=True, text=True, check=False, **kw)
        if done.returncode:
            raise Broken(f"kubectl {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifest: dict) -> None:
        """kubectl apply of one object, or of several in a List."""
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def delete(self, manifest: dict) -> None:
        """The reverse of apply."""
        self.kubectl("delete", "--ignore-not-found", "-f", "-", input=json.dumps(manifest))

    def raw(self, path: str) -> dict:
        """GET of an absolute path."""
        return json.loads(self.kubectl("get", "--raw", path))

    def resource_versions(self) -> dict:
        """resourceVersion of every object an operator may write in `bench`."""
        out = {}
        for path in ("/apis/gobuildenv.dev/v1alpha1/namespaces/bench/gobuildenvs",
                     "/api/v1/namespaces/bench/configmaps"):
            for item in self.raw(path)["items"]:
                meta = item["metadata"]
                out[path, meta["name"]] = meta["resourceVersion"]
        return out

    @staticmethod
    def _cluster(*args) -> str:
        try:
            done = subprocess.run([str(paths.CLUSTER), *args], stdout=subprocess.PIPE, text=True,
                                  check=False)
        except OSError as e:
            raise Broken(f"{paths.CLUSTER}: {e.strerror}") from None
        if done.returncode:
            raise Broken(f"{paths.CLUSTER.name} {' '.join(args)} ended with {done.returncode}")
        return done.stdout
