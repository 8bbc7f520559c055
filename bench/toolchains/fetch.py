#!/usr/bin/env python3
"""Time of fetching, verifying and extracting a toolchain: the agent's way against the go command's.

Both read the same files below a file:// proxy, so that no network is in it, and both verify against
the checksum database's signed tree. The go command's is `go mod download` into a new GOMODCACHE; the
agent's ends with everything synced to disk, the go command's does not. Pairs run one after the
other, their order alternating; the table shows medians and the median of the ratios.

    bench/toolchains/fetch.py --tool BUILD/tests/agent/toolchains/fetch_toolchain
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def go_env(name, **settings):
    return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True,
                          env={**os.environ, **settings}).stdout.strip()


def remove(folder):
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def timed(command, env):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def prepare(folder, version):
    """A file:// proxy with one toolchain and what proves its sum, filled by the go command."""
    cache = folder / "filled"
    module = f"golang.org/toolchain@v0.0.1-go{version}.linux-amd64"
    # A new GOPATH, so that both begin without a memory of the database's heads.
    env = {**os.environ, "GOMODCACHE": str(cache), "GOTOOLCHAIN": "local",
           "GOFLAGS": "-modcacherw", "GOPATH": str(folder / "gopath")}
    subprocess.run(["go", "mod", "download", module], check=True, env=env, cwd=folder)
    proxy = cache / "cache" / "download"
    for database in (proxy / "sumdb").iterdir():
        (database / "supported").touch()
    return proxy, module


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True, type=pathlib.Path, help="the built fetch_toolchain")
    parser.add_argument("--version", default="1.22.3", help="the Go release to fetch")
    parser.add_argument("--pairs", default=7, type=int, help="how many pairs of runs")
    options = parser.parse_args()
    tool = options.tool.resolve(strict=True)
    database = go_env("GOSUMDB")

    with tempfile.TemporaryDirectory(prefix="gbe-bench-") as name:
        folder = pathlib.Path(name)
        proxy, module = prepare(folder, options.version)
        rows = []
        for pair in range(options.pairs + 1):
            cache, root = folder / "modcache", folder / "root"
            gopath = folder / "gopath"
            remove(gopath)
            go = {**os.environ, "GOMODCACHE": str(cache), "GOTOOLCHAIN": "local",
                  "GOPROXY": f"file://{proxy}", "GOPATH": str(gopath)}
            runs = {
                "go": lambda: timed(["go", "mod", "download", "-C", str(folder), module], go),
                "agent": lambda: timed([str(tool), str(root), f"file://{proxy}", database,
                                        options.version], os.environ),
            }
            order = list(runs)[::1 if pair % 2 else -1]
            row = {side: runs[side]() for side in order}
            for made in (cache, root):
                remove(made)
            if pair > 0:  # the first fills the page cache
                rows.append(row)
        print(f"{'':8}{'wall s':>10}{'CPU s':>10}")
        for side in ("go", "agent"):
            wall, cpu = (statistics.median(row[side][i] for row in rows) for i in (0, 1))
            print(f"{side:8}{wall:10.2f}{cpu:10.2f}")
        wall, cpu = (statistics.median(row["agent"][i] / row["go"][i] for row in rows)
                     for i in (0, 1))
        print(f"{'ratio':8}{wall:10.2f}{cpu:10.2f}   (target: at most 1)")
        remove(folder / "filled")


if __name__ == "__main__":
    main()
