"""Builds what is measured: the release operator, the peer, the loader, the API server."""
import os
import subprocess
import sys
from pathlib import Path

from . import paths
from .broken import Broken


def _run(argv: list, **kw) -> str:
    print("+", " ".join(map(str, argv)), file=sys.stderr, flush=True)
    done = subprocess.run([str(a) for a in argv], check=False, text=True, **kw)
    if done.returncode:
        raise Broken(f"{argv[0]} ended with {done.returncode}")
    return done.stdout or ""


def go_tool(name: str) -> Path:
    """A Go program of bench/, with the versions of its go.sum."""
    go = _run([paths.CLUSTER, "ensure-go"], stdout=subprocess.PIPE).strip()
    target = paths.work() / "bin" / name
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    _run([go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", target, "."],
         cwd=paths.BENCH / name, env=env)
    return target


def operator() -> Path:
    """gobuildenv as it ships."""
    _run(["cmake", "--preset", "release"], cwd=paths.ROOT, stdout=sys.stderr)
    _run(["cmake", "--build", "--preset", "release", "--target", "gobuildenv"], cwd=paths.ROOT,
         stdout=sys.stderr)
    found = [p for p in (paths.ROOT / "build" / "release").rglob("gobuildenv")
             if p.is_file() and os.access(p, os.X_OK)]
    if not found:
        raise Broken("the release build made no executable gobuildenv")
    return found[0]


def kubectl() -> Path:
    """kubectl of the development cluster, which is built when it is absent."""
    _run([paths.CLUSTER, "build", "--api-only"], stdout=sys.stderr)
    found = sorted((paths.cache() / "bin").glob("kubernetes-*/kubectl"))
    if not found:
        raise Broken(f"no kubectl below {paths.cache() / 'bin'} after the cluster's build")
    return found[-1]


def certificates() -> Path:
    """A folder with tls.crt and tls.key for 127.0.0.1, ECDSA as cert-manager issues them."""
    folder = paths.work() / "certs"
    folder.mkdir(exist_ok=True)
    _run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
          "-nodes", "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-days", "30",
          "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
         stderr=subprocess.DEVNULL)
    return folder
