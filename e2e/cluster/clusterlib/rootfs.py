"""Debian roots for images, made with debootstrap and kept as tar files in the cache."""

import dataclasses
import hashlib
import os
import re
import tempfile
from pathlib import Path

from .errors import ClusterError
from .locks import locked
from .paths import cache_dir
from .progress import step
from .run import run

SUITE = "bookworm"


@dataclasses.dataclass(frozen=True)
class Root:
    """A Debian root: its name and what is installed beyond debootstrap's smallest variant."""

    name: str
    packages: tuple

    def key(self):
        text = " ".join([SUITE, *sorted(self.packages)])
        return f"{self.name}-{SUITE}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


BUILD = Root("debian-build", ("ca-certificates", "gcc", "git", "libc6-dev", "make"))
RUNTIME = Root("debian-runtime", ("ca-certificates",))


def ensure(root):
    """The tar file of `root`, built unless the cache has it."""
    target = cache_dir() / "rootfs" / f"{root.key()}.tar"
    if target.exists():
        return target
    if os.geteuid() != 0:
        raise ClusterError("a Debian root can only be made by root (debootstrap)",
                           "run the same command with sudo")
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache_dir() / "locks" / "rootfs.lock", "making a Debian root"):
        if not target.exists():
            with step(f"making a Debian root with {', '.join(root.packages)}"):
                _bootstrap(root, target)
    return target


def always_has(library):
    """True for libraries of packages that no Debian root can be without (glibc, GCC's runtime)."""
    return re.match(r"(ld-linux|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+)\.so)", library)


def _bootstrap(root, target):
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch) / "root"
        run(["debootstrap", "--variant=minbase", f"--include={','.join(root.packages)}",
             SUITE, folder, _mirror()],
            env={"DEBIAN_FRONTEND": "noninteractive"},
            failure="debootstrap failed",
            next_step="check that apt-get update works on this machine, then run again")
        for waste in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc",
                      "usr/share/man", "usr/share/locale"):
            run(["find", folder / waste, "-mindepth", "1", "-delete"])
        # Devices are the container runtime's business, and unpacking them needs privileges.
        run(["find", folder / "dev", "-mindepth", "1", "-delete"])
        temporary = Path(scratch) / "root.tar"
        run(["tar", "--create", "--file", temporary, "--numeric-owner", "--sort=name",
             "--xattrs", "--directory", folder, "."])
        temporary.rename(target)


def _mirror():
    """The mirror that this machine's apt uses for the suite."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)",
                  "Identifier: Packages"])
    for line in listed.splitlines():
        address, codename, component = line.split()
        if codename == SUITE and component == "main":
            return address
    raise ClusterError(f"apt knows no mirror of Debian's {SUITE}",
                       "run `apt-get update` on a Debian 12 machine")
