"""The cluster's own programs: built once per version from Go modules, then reused.

They live in <cache>/bin/<product>-<version>/<program>. A program appears there by rename, so a
file that exists is complete, and an interrupted build is repeated program by program.
"""

import os

from . import versions
from .errors import ClusterError, ProgramsMissing
from .goinstall import ensure_go, go_environment
from .locks import locked
from .paths import CLUSTER_DIR, cache_dir
from .progress import step
from .run import run

API_ONLY = ("etcd", "kube-apiserver", "kubectl")
NODE = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")


def _source(program):
    """Product, its version and the package path of `program`."""
    if program == "etcd":
        return "etcd", versions.etcd(), "go.etcd.io/etcd/server/v3"
    return "kubernetes", versions.kubernetes(), f"k8s.io/kubernetes/cmd/{program}"


def path(program):
    """Where `program` is, or will be once it is built."""
    product, version, _ = _source(program)
    return cache_dir() / "bin" / f"{product}-{version}" / program


def missing(programs):
    return [program for program in programs if not os.access(path(program), os.X_OK)]


def ensure(programs):
    """Build those of `programs` that the cache does not have yet."""
    if not missing(programs):
        return
    with locked(cache_dir() / "locks" / "binaries.lock", "building the cluster's programs"):
        wanted = missing(programs)
        if not wanted:
            return
        go = ensure_go()
        for number, program in enumerate(wanted, start=1):
            product, version, _ = _source(program)
            of = f"{number} of {len(wanted)}"
            with step(f"building {program} {version} ({of}; minutes when cold)", every=20):
                _build(go, program)


def _build(go, program):
    product, version, package = _source(program)
    target = path(program)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{program}.{os.getpid()}.tmp")
    flags = ["-s", "-w"]
    if product == "kubernetes":
        major, minor, _ = version.lstrip("v").split(".", 2)
        stamp = "k8s.io/component-base/version"
        for name, value in (("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)):
            flags += ["-X", f"{stamp}.{name}={value}"]
    try:
        run(
            [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
             "-ldflags", " ".join(flags), "-o", temporary, package],
            env=go_environment(go),
            cwd=CLUSTER_DIR / "binaries" / product,
        )
        temporary.rename(target)
    except ClusterError as error:
        raise ProgramsMissing(
            f"building {program} failed: {error}",
            "check that GOPROXY (see `go env GOPROXY`) can be reached and that the disk has 8 GiB "
            "free, then run `e2e/cluster/cluster build` again: what was built is kept",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
