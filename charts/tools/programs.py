"""Programs that render and test the chart, built from charts/tools/go.mod into the cache folder."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent.parent
CLUSTER = ROOT / "e2e" / "cluster" / "cluster"


def cache() -> Path:
    """The project's cache folder; GOBUILDENV_CACHE overrides it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("GOBUILDENV_CACHE") or os.path.join(home, "gobuildenv"))


def _required(module: str) -> str:
    """The version go.mod pins, e.g. "v3.19.2"."""
    text = (TOOLS / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise SystemExit(f"charts/tools/go.mod does not require {module}; add it")
    return found.group(1)


def _build(package: str, target: Path, ldflags: str) -> Path:
    go = subprocess.run([CLUSTER, "ensure-go"], check=True, text=True,
                        stdout=subprocess.PIPE).stdout.strip()
    target.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / target.name
        subprocess.run([go, "build", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {ldflags}",
                        "-o", made, package], check=True, cwd=TOOLS, env=env)
        made.rename(target)  # a program that exists is whole
    return target


def helm() -> Path:
    """Helm 3, kept by version."""
    version = _required("helm.sh/helm/v3")
    target = cache() / "bin" / f"helm-{version}" / "helm"
    if os.access(target, os.X_OK):
        return target
    print(f"building helm {version} (minutes when cold) …", file=sys.stderr, flush=True)
    # What `helm template` takes a cluster to be, as helm's own build sets it.
    minor = _required("k8s.io/client-go").split(".")[1]
    flags = " ".join(f"-X helm.sh/helm/v3/{v}" for v in (
        f"internal/version.version={version}", "pkg/chartutil.k8sVersionMajor=1",
        f"pkg/chartutil.k8sVersionMinor={minor}", "pkg/lint/rules.k8sVersionMajor=1",
        f"pkg/lint/rules.k8sVersionMinor={minor}"))
    return _build("helm.sh/helm/v3/cmd/helm", target, flags)


def healthcheck() -> Path:
    """The runner of the GitOps health checks; built anew each time, which Go's cache makes cheap."""
    return _build("./healthcheck", cache() / "bin" / "charts" / "healthcheck", "")


def run_helm(*args: str) -> str:
    """Output of helm. The CRD is a link to its source in crds/, which helm remarks on each time:
    that remark is left out of what it says on errors."""
    done = subprocess.run([str(helm()), *map(str, args)], text=True, capture_output=True, check=False)
    if done.returncode:
        said = "\n".join(line for line in (done.stdout + done.stderr).splitlines()
                         if "found symbolic link" not in line)
        raise RuntimeError(f"helm {args[0]}: {said}")
    return done.stdout
