"""The modules that the test proxy serves: downloaded once, by go itself, into the cache."""

import shutil
import tempfile
from pathlib import Path

from . import versions
from .errors import ClusterError, ProgramsMissing
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
    """Download one module, and whatever proves it to go clients that know nothing yet.

    A client reads tiles of the checksum database that depend on what it looked up before: a record
    is proved in the newest tree that the client has seen. So after the module itself, each pair
    of it and another one is looked up in both orders, which leaves those tiles in the tree, too.
    """
    go = ensure_go()
    _go(go, "mod", "download", query, modules=path().parent.parent)
    _remove_unpacked()
    others = [one.name.replace("!", "/") for one in _marker(query).parent.glob("*")]
    for other in others:
        for pair in ((query, other), (other, query)):
            _look_up_in_order(go, pair)
    _marker(query).parent.mkdir(parents=True, exist_ok=True)
    _marker(query).touch()


def _go(go, *words, modules, gopath=None):
    """Run go with this module cache, and a fresh memory of the checksum database by default."""
    modules.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir() / "proxy") as scratch:
        env = go_environment(go)
        env["GOPATH"] = str(gopath or scratch)
        env["GOMODCACHE"] = str(modules)
        env["GONOSUMDB"] = env["GOPRIVATE"] = ""
        try:
            run([go, *words], env=env, cwd=scratch)
        except ClusterError as error:
            raise ProgramsMissing(f"{words[-1]} could not be downloaded: {error}",
                                  "check GOPROXY (see `go env GOPROXY`)") from error
        for latest in Path(env["GOPATH"]).glob("pkg/sumdb/*/latest"):
            _keep_newest(latest, path() / "sumdb" / latest.parent.name / "latest")


def _look_up_in_order(go, queries):
    """Let one client look these modules up one after the other; keep the tiles that it read.

    Only go.mod files are fetched for it. It sees the lookups that are served, not newer ones.
    """
    with tempfile.TemporaryDirectory(dir=cache_dir() / "proxy") as scratch:
        modules = Path(scratch) / "mod"
        database = modules / "cache" / "download" / "sumdb"
        shutil.copytree(path() / "sumdb", database)
        for query in queries:
            _go(go, "list", "-m", "-json", query, modules=modules, gopath=Path(scratch) / "go")
        for tile in database.glob("*/tile/**/*"):
            kept = path() / "sumdb" / tile.relative_to(database)
            if tile.is_file() and not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tile, kept)


def _keep_newest(latest, kept):
    """A signed tree head names the tree's size in its second line; the larger tree is newer."""

    def size(head):
        return int(head.read_text().split("\n")[1])

    if latest.stat().st_size and (not kept.exists() or size(latest) > size(kept)):
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(latest, kept)


def _remove_unpacked():
    """Only the download cache is served; the unpacked modules beside it are large."""
    for entry in path().parent.parent.iterdir():
        if entry.name != "cache":
            shutil.rmtree(entry)
