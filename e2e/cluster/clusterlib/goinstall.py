"""A Go new enough to build the cluster's programs, on a machine that may have none.

Go has been a module since 1.21 (golang.org/toolchain), and any Go since 1.19 can download it with
the checksum database's blessing. So the go of Debian 12, which is too old to build Kubernetes, is
enough to fetch one that can; where not even that is installed, its two packages are unpacked for
the purpose without touching the system.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import versions
from .errors import ClusterError, ProgramsMissing
from .locks import locked
from .paths import cache_dir
from .progress import step
from .run import run

_BOOTSTRAP_PACKAGES = ("golang-1.19-go", "golang-1.19-src")
_OLDEST_BOOTSTRAP = (1, 19, 0)


def ensure_go():
    """Return the path of a go command that is new enough, downloading one if there is none."""
    for candidate, version in _installed():
        if version >= versions.OLDEST_BUILD_GO:
            return candidate
    return toolchain(versions.BUILD_GO) / "bin" / "go"


def go_environment(go):
    """Variables under which `go` behaves the same whatever the caller exported."""
    return {
        "GOTOOLCHAIN": "local",
        "GOROOT": "",
        "GOFLAGS": "-modcacherw",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "PATH": f"{Path(go).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
    }


def toolchain(go_version):
    """Return the GOROOT of exactly this Go, kept in the cache as toolchains/go<version>."""
    target = cache_dir() / "toolchains" / f"go{go_version}"
    if (target / "bin" / "go").exists():
        return target
    with locked(cache_dir() / "locks" / "toolchains.lock", "downloading a Go toolchain"):
        if not (target / "bin" / "go").exists():
            with _bootstrap() as go:
                with step(f"downloading go{go_version} through the module proxy"):
                    _download(go, go_version, target)
    return target


def _version_of(go):
    try:
        said = subprocess.run(
            [go, "version"],
            env={**os.environ, "GOTOOLCHAIN": "local", "GOROOT": ""},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return None
    found = re.search(r"go version go(\d+)\.(\d+)(?:\.(\d+))?(?= )", said)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _installed():
    """Every usable go on this machine with its version, in order of preference."""
    places = [shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"]
    places += sorted(map(str, cache_dir().glob("toolchains/go*/bin/go")), reverse=True)
    for place in dict.fromkeys(filter(None, places)):
        version = _version_of(place)
        if version:
            yield Path(place), version


@contextlib.contextmanager
def _bootstrap():
    """A go that can download modules; where there is none, Debian's for as long as it takes."""
    for candidate, version in _installed():
        if version >= _OLDEST_BOOTSTRAP:
            yield candidate
            return
    folder = cache_dir() / "toolchains"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        with step("unpacking Debian's go 1.19, to fetch a newer one with it"):
            _unpack_debian_go(Path(scratch))
        yield Path(scratch) / "usr" / "lib" / "go-1.19" / "bin" / "go"


def _unpack_debian_go(folder):
    try:
        run(["apt-get", "download", *_BOOTSTRAP_PACKAGES], cwd=folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", package, folder])
    except ClusterError as error:
        raise ProgramsMissing(
            f"no Go is installed and Debian's could not be downloaded: {error}",
            "run `apt-get update && apt-get install golang-go`, or put any Go "
            f"{versions.OLDEST_BUILD_GO[0]}.{versions.OLDEST_BUILD_GO[1]} or newer on PATH",
        ) from error


def _download(go, go_version, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        module = versions.toolchain_module(go_version)
        env = go_environment(go)
        env["GOPATH"] = scratch
        env["GOMODCACHE"] = f"{scratch}/mod"
        try:
            answer = run([go, "mod", "download", "-json", module], env=env, cwd=scratch)
        except ClusterError as error:
            raise ProgramsMissing(
                f"go{go_version} could not be downloaded: {error}",
                "check that GOPROXY (see `go env GOPROXY`) can be reached from this machine",
            ) from error
        goroot = Path(json.loads(answer)["Dir"])
        _make_usable(goroot)
        goroot.rename(target)


def _make_usable(goroot):
    """Do what go does after it downloaded a toolchain: modules carry no exec bits and no go.mod."""
    for renamed in goroot.glob("**/_go.mod"):
        renamed.rename(renamed.with_name("go.mod"))
    for pattern in ("bin/*", "pkg/tool/*/*", "lib/**/*_exec"):
        for program in goroot.glob(pattern):
            if program.is_file():
                program.chmod(0o755)
