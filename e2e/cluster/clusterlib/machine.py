"""Whether this machine can run containers, said before anything is built or started."""

import os
import shutil
import subprocess
from pathlib import Path

from . import cgroups
from .errors import CannotRunContainers
from .run import install_hint

CNI_FOLDER = Path("/usr/lib/cni")
_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "nft", "nsenter",
             "setpriv", "unshare", "mount")


def check_containers():
    """Raise CannotRunContainers with the reason when a full cluster cannot work here."""
    if os.geteuid() != 0:
        raise CannotRunContainers(
            "a full cluster needs root: it makes namespaces, mounts and cgroups",
            "run the same command with sudo, or use --api-only",
        )
    absent = [name for name in _PROGRAMS if not shutil.which(name)]
    absent += [f"{CNI_FOLDER}/{name}" for name in ("ptp", "host-local", "portmap", "loopback")
               if not (CNI_FOLDER / name).exists()]
    if absent:
        raise CannotRunContainers(f"missing: {', '.join(absent)}",
                                  f"{install_hint()}, or use --api-only")
    cgroups.check()
    attempt = subprocess.run(
        ["unshare", "--fork", "--pid", "--mount-proc", "--mount", "--net",
         "sh", "-c", "mount -t tmpfs none /mnt && ip link set lo up && nft list tables"],
        capture_output=True, text=True, check=False,
    )
    if attempt.returncode != 0:
        raise CannotRunContainers(
            f"namespaces, mounts or nftables are not allowed here: {attempt.stderr.strip()}",
            "run outside an unprivileged container, or use --api-only",
        )


def snapshotter(folder):
    """The containerd snapshotter that works on the file system of `folder`."""
    answer = subprocess.run(["stat", "--file-system", "--format=%T", folder],
                            capture_output=True, text=True, check=False).stdout.strip()
    # An overlay cannot be the upper layer of another.
    return "native" if answer == "overlayfs" else "overlayfs"
