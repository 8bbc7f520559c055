"""The modules that the test proxy serves: downloaded once, by go itself, into the cache."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from . import versions
from .errors import ProgramsMissing
from .goinstall import ensure_go, go_environment
from .locks import locked
from .paths import cache_dir
from .progress import step
from .run import run


def path():
    """The tree to serve."""
    return cache_dir() / "proxy" / "mod" / "cache" / "download"


def ensure(queries=()):
    """Download the toolchains that tests switch to, and `queries` ("module@version")."""
    wanted = [*(versions.toolchain_module(one) for one in versions.SWITCH_GO), *queries]
    if not any(not _marker(query).exists() for query in wanted):
        return path()
    with locked(cache_dir() / "locks" / "proxy.lock", "filling the test proxy"):
        for query in wanted:
            if not _marker(query).exists():
                with step(f"downloading {query} for the test proxy"):
                    _download(query)
    return path()


def _marker(query):
    return cache_dir() / "proxy" / "complete" / query.replace("/", "!")


def _download(query):
    """Download one module with a fresh memory of the checksum database.

    go then reads every tile that proves the module to a client that knows nothing yet, and keeps
    it in the tree.
    """
    go = ensure_go()
    folder = cache_dir() / "proxy"
    (folder / "mod").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        env = go_environment(go)
        env["GOPATH"] = scratch
        env["GOMODCACHE"] = str(folder / "mod")
        env["GONOSUMDB"] = env["GOPRIVATE"] = ""
        try:
            run([go, "mod", "download", query], env=env, cwd=scratch)
        except Exception as error:
            raise ProgramsMissing(f"{query} could not be downloaded: {error}",
                                  "check GOPROXY (see `go env GOPROXY`)") from error
        for latest in Path(scratch).glob("pkg/sumdb/*/latest"):
            kept = path() / "sumdb" / latest.parent.name
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(latest, kept / "latest")
    # Only the download cache is served; the unpacked modules are large.
    for entry in (folder / "mod").iterdir():
        if entry.name != "cache":
            subprocess.run(["chmod", "-R", "u+w", entry], check=False)
            shutil.rmtree(entry)
    _marker(query).parent.mkdir(parents=True, exist_ok=True)
    _marker(query).touch()
