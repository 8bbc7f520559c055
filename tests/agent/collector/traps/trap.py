"""What the tests of traps share: a program with one dependency, its caches, and the collector.

Each trap is a pair: a naive deleter first, so that the test would notice if go changed; then the
collector in the same place. Modules come from a module proxy made of files; no network.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

TOOL = "collector_tool"
GO = shutil.which("go")
MODULE, VERSION = "dep.example/greet", "v1.0.0"
UNIT = f"{MODULE}@{VERSION}"
# Runs a tool of go's, but waits before one of them; "link-id" is go's question which link this is.
PAUSE = """#!/bin/sh
tool=${{1##*/}}
case " $* " in *" -V=full "*) tool=$tool-id ;; esac
if [ "$tool" = {step} ]; then
  : > {folder}/reached
  while [ ! -e {folder}/go-on ]; do sleep 0.05; done
fi
exec "$@"
"""


def until(what, probe, seconds=60):
    end = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def settings(home, mod, build, **more):
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GOMODCACHE": str(mod),
            "GOCACHE": str(build), "GOSUMDB": "off", "GONOSUMDB": "*", "GOPROXY": "off",
            "GOFLAGS": "-mod=mod -trimpath", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
            "GOENV": "off", **more}


@functools.cache
def standard_library():
    """A build cache with the standard library alone: compiled once, copied for each test."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gbe-traps-std-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "main.go").write_text("package main\n\nfunc main() { println() }\n")
    subprocess.run([GO, "build", "-o", "out", "main.go"], cwd=folder, check=True, timeout=300,
                   env=settings(folder, folder / "mod", folder / "build"))
    return folder / "build"


def link_or_copy(source, target):
    """A quarter of a gigabyte is not copied where it can be linked."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def copy_toolchain(goroot, target):
    shutil.copytree(goroot, target, symlinks=True, copy_function=link_or_copy,
                    ignore=shutil.ignore_patterns("test", "api", "doc", "misc", "testdata",
                                                  "*_test.go"))


def add_to_proxy(proxy, module, version, files):
    folder = proxy / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.info").write_text(json.dumps({"Version": version}))
    (folder / f"{version}.mod").write_text(files["go.mod"])
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{module}@{version}/{name}", text)
    with (folder / "list").open("a") as out:
        out.write(version + "\n")


class Trap(unittest.TestCase):
    """A program that prints what two files of one dependency say; `node` is an agent's root."""

    MOD = "mod"  # the module cache, below the test's folder

    def setUp(self):
        if not GO:
            self.skipTest("needs go")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="gbe-traps-"))
        self.addCleanup(self.clean)
        self.mod, self.build = self.root / self.MOD, self.root / "build"
        self.node, self.proxy = self.root / "node", self.root / "proxy"
        for folder in ("toolchains", "volumes", "incoming", "caches"):
            (self.node / folder).mkdir(parents=True)
        add_to_proxy(self.proxy, MODULE, VERSION, {
            "go.mod": f"module {MODULE}\n\ngo 1.18\n",
            "greet.go": "package greet\n\nvar words = []string{\"hello\"}\n\n"
                        "func Words() []string { return words }\n",
            "more.go": "package greet\n\nfunc init() { words = append(words, \"world\") }\n",
        })
        self.main = self.root / "main"
        self.main.mkdir()
        (self.main / "go.mod").write_text(
            f"module example.com/main\n\ngo 1.18\n\nrequire {MODULE} {VERSION}\n")
        (self.main / "main.go").write_text(
            f"package main\n\nimport \"{MODULE}\"\n\n"
            "func main() {\n\tfor _, w := range greet.Words() {\n\t\tprintln(w)\n\t}\n}\n")
        self.drop_builds()
        self.good = self.compile()
        self.assertRegex(self.good, r"^[0-9a-f]{64}$")
        self.stem = self.mod / "cache/download" / MODULE / "@v" / VERSION

    def clean(self):
        # Folders only: files may be links to those of a toolchain that is not ours.
        subprocess.run(["find", self.root, "-type", "d", "-exec", "chmod", "u+rwx", "{}", "+"],
                       check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    # --- go ---

    def env(self, **more):
        return settings(self.root, self.mod, self.build,
                        **{"GOPROXY": f"file://{self.proxy}", **more})

    def go(self, *args, go=GO, **more):
        return subprocess.run([go, *args], cwd=self.main, env=self.env(**more),
                              capture_output=True, text=True, timeout=300)

    def compile(self, **more):
        """The hash of the binary, or what go said."""
        done = self.go("build", "-o", "out", ".", **more)
        return done.stderr if done.returncode else self.binary()

    def binary(self):
        return hashlib.sha256((self.main / "out").read_bytes()).hexdigest()

    def drop_builds(self):
        """Nothing of the program and its dependency is compiled any more."""
        shutil.rmtree(self.build, ignore_errors=True)
        shutil.copytree(standard_library(), self.build)

    @contextlib.contextmanager
    def build_paused_at(self, step, go=GO, **more):
        """A `go build` that waits before `step`; gives a function that lets it go on, and gives its
        exit code and what it said."""
        script, reached, go_on = (self.root / name for name in ("pause", "reached", "go-on"))
        script.write_text(PAUSE.format(step=step, folder=self.root))
        script.chmod(0o755)
        (self.main / "out").unlink()  # what is there is not linked again
        with subprocess.Popen([go, "build", "-toolexec", script, "-o", "out", "."], cwd=self.main,
                              env=self.env(**more), stderr=subprocess.PIPE, text=True,
                              start_new_session=True) as process:
            def finish():
                go_on.touch()
                said = process.communicate(timeout=300)[1]
                return process.returncode, said
            try:
                until(f"go to come to {step}",
                      lambda: reached.exists() or process.poll() is not None, 120)
                self.assertTrue(reached.exists(), "it ended before")
                yield finish
            finally:
                go_on.touch()
                with contextlib.suppress(ProcessLookupError):  # they have all ended
                    os.killpg(process.pid, signal.SIGKILL)

    # --- the collector ---

    def tool(self, *args):
        done = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def remove_module(self, unit=UNIT):
        return self.tool("remove-module", self.mod, self.root, unit)["outcome"]

    @contextlib.contextmanager
    def collecting(self):
        """The collector works on `node` without a pause; gives what its report will be in."""
        report = {}
        with subprocess.Popen([TOOL, "collect", self.node], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as process:
            try:
                yield report
                report.update(json.loads(process.communicate(timeout=60)[0]))
            finally:
                process.kill()

    def volume(self, **what):
        """The record of a volume that is mounted in a pod."""
        record = self.node / "volumes/csi-1.json"
        record.write_text(json.dumps({"pod": {"namespace": "ci", "name": "build-1"}, **what}))
        return record

    def collect_two_unused_toolchains(self):
        """One after the other: between them the collector has looked at everything else once."""
        for version in ("1.0.1", "1.0.2"):
            unused = self.node / f"toolchains/go{version}.linux-amd64/h1-unused"
            work = self.node / "incoming" / version
            (work / "goroot/bin").mkdir(parents=True)
            (work / "goroot/bin/go").write_text("go")
            unused.parent.mkdir()
            work.rename(unused)
            until(f"go{version} to be collected", lambda path=unused: not path.exists())


def main():
    global TOOL
    TOOL = os.path.abspath(sys.argv.pop())
    unittest.main(verbosity=1)
