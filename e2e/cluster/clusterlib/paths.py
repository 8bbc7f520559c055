"""Where things are: the cache (kept, keyed by version) and the state (gone after `down`)."""

import os
import re
from pathlib import Path

from .errors import ClusterError

CLUSTER_DIR = Path(__file__).resolve().parent.parent
E2E_DIR = CLUSTER_DIR.parent
DEFAULT_NAME = "dev"


def cache_dir():
    """The cache folder: GOBUILDENV_CACHE, else gobuildenv below the user's cache folder."""
    chosen = os.environ.get("GOBUILDENV_CACHE")
    if not chosen:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        chosen = os.path.join(base, "gobuildenv")
    folder = Path(chosen).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def state_root():
    """The folder of all clusters of this user; it holds private keys, so it is closed to others."""
    chosen = os.environ.get("GOBUILDENV_STATE")
    if not chosen:
        chosen = os.path.join(os.environ.get("TMPDIR") or "/tmp", "gobuildenv-clusters")
    folder = Path(chosen).absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise ClusterError(
            f"the state folder {folder} belongs to user id {owner}, not to yours",
            "set GOBUILDENV_STATE to a folder of your own",
        )
    return folder


def check_name(name):
    """A cluster's name becomes part of file, cgroup and node names: keep it short and plain."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?", name):
        raise ClusterError(
            f"--name {name!r} is not usable",
            "use 1 to 24 lower-case letters, digits and hyphens, a letter or digit at both ends",
        )
    return name
