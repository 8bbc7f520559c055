"""The cgroup below which a full cluster's pods run, on cgroup v1 and v2."""

import hashlib
import os
import signal
import time
from pathlib import Path

from .errors import CannotRunContainers

_ROOT = Path("/sys/fs/cgroup")
# What kubelet insists on when it is given a cgroup root of its own.
_NEEDED = ("cpu", "cpuset", "memory", "pids")


def name_of(state):
    """Unique on this machine: two state folders may hold clusters of one name."""
    return f"gobuildenv-{state.name}-{hashlib.sha256(str(state.dir).encode()).hexdigest()[:6]}"


def _roots():
    """All mounted hierarchies, systemd's own and, beside v1, the unified one included."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    real = {entry.resolve() for entry in _ROOT.iterdir()} if _ROOT.is_dir() else set()
    return sorted(entry for entry in real if (entry / "cgroup.procs").exists())


def check():
    """Raise CannotRunContainers where no hierarchy has the controllers that kubelet needs."""
    roots = _roots()
    if roots == [_ROOT]:
        offered = (_ROOT / "cgroup.controllers").read_text().split()
    else:
        offered = [name for root in roots for name in root.name.split(",")]
    absent = [name for name in _NEEDED if name not in offered]
    if absent:
        raise CannotRunContainers(
            f"{_ROOT} has no cgroup controller {', '.join(absent)}",
            "mount the cgroup file systems, as a machine that boots with systemd does, "
            "or use --api-only",
        )


def create(name):
    """Make the cgroup in every hierarchy (kubelet looks for it in each), with its controllers."""
    try:
        if _roots() == [_ROOT]:
            wanted = [*_NEEDED, "io", "hugetlb"]
            offered = (_ROOT / "cgroup.controllers").read_text().split()
            enable = " ".join(f"+{one}" for one in wanted if one in offered)
            (_ROOT / "cgroup.subtree_control").write_text(enable)
            (_ROOT / name).mkdir(exist_ok=True)
            (_ROOT / name / "cgroup.subtree_control").write_text(enable)
            return
        for root in _roots():
            folder = root / name
            folder.mkdir(exist_ok=True)
            if root.name.startswith("cpuset"):
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    (folder / setting).write_text((root / setting).read_text())
    except OSError as error:
        raise CannotRunContainers(
            f"cgroups cannot be made here: {error}",
            "run as root outside an unprivileged container, or use --api-only",
        ) from error


def remove(name):
    """Kill what still runs below the cgroup and remove it, deepest first."""
    for root in _roots():
        top = root / name
        if not top.is_dir():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            _remove_one(Path(folder))


def _remove_one(folder):
    for _ in range(100):
        try:
            for pid in (folder / "cgroup.procs").read_text().split():
                if int(pid) > 1:  # 0 stands for a process of a foreign namespace
                    os.kill(int(pid), signal.SIGKILL)
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except ProcessLookupError:
            pass
        except OSError:
            pass  # busy until the killed processes are gone
        time.sleep(0.05)
