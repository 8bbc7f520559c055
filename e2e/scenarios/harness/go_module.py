"""Go modules for pods to build, with all that they depend on in the test proxy."""

import tempfile
from pathlib import Path

from clusterlib import proxy_tree
from clusterlib.goinstall import ensure_go, go_environment
from clusterlib.locks import locked
from clusterlib.paths import cache_dir

from .tools import run


def go_module(files, *requires, go="1.21", get=()):
    """The files of a module as {name: text}, with a go.mod and a complete go.sum, so that whoever
    builds it asks no checksum database. `get`: further "module@version" queries that it is to
    require though no file imports them. What it needs is in the tree that Cluster.proxy() serves."""
    program = ensure_go()
    env = go_environment(program)
    env["GOMODCACHE"] = str(proxy_tree.path().parent.parent)
    env["GOFLAGS"] = "-mod=mod"
    # The tree's share of the checksum database is kept consistent by proxy_tree alone.
    env["GOSUMDB"] = "off"
    with (locked(cache_dir() / "locks" / "proxy.lock", "filling the test proxy"),
          tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as gopath):
        env["GOPATH"] = gopath
        lines = ["module example.test/m", "", f"go {go}", ""]
        lines += [f"require {one.replace('@', ' ')}" for one in requires]
        for name, text in {**files, "go.mod": "\n".join(lines) + "\n"}.items():
            (Path(folder) / name).write_text(text)
        for query in get:
            run("env", "-C", folder, program, "get", query, env=env, timeout=1800)
        if not get:
            run("env", "-C", folder, program, "mod", "tidy", f"-compat={go}", env=env, timeout=1800)
        run("env", "-C", folder, program, "mod", "download", env=env, timeout=1800)
        return {name: (Path(folder) / name).read_text() for name in (*files, "go.mod", "go.sum")}


def write_files(files):
    """Shell that writes the files into the working directory."""
    return "".join(f"cat > {name} <<'END-OF-FILE'\n{text}END-OF-FILE\n"
                   for name, text in files.items())
