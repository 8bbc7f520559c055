"""Where things are: the tree is only read, everything made goes below the cache folder."""
import os
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
DATA = BENCH / "data"
CLUSTER = ROOT / "e2e" / "cluster" / "cluster"
CRDS = (ROOT / "crds" / "gobuildenvs.yaml", ROOT / "crds" / "gonodecaches.yaml")


def cache() -> Path:
    """The project's cache folder; GOBUILDENV_CACHE overrides it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("GOBUILDENV_CACHE") or os.path.join(home, "gobuildenv"))


def work() -> Path:
    """Programs, logs and results of the benchmarks."""
    d = cache() / "bench"
    d.mkdir(parents=True, exist_ok=True)
    return d
