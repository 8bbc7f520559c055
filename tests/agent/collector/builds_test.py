#!/usr/bin/env python3
"""50 builds with three Go versions while the collector runs without a pause.

Usage: builds_test.py PATH/collector_tool

Each build is what a pod is to the node: its volumes' records are written before it begins and
removed after it has ended, and between the two its toolchain and caches are in use. A toolchain that
the collector has taken is published again, as the agent fetches it again. Between builds, entries of
the build caches are made to look old. After each wave of builds nothing is in use until the collector
has taken all it may, however slow the machine. Skips where three versions of go cannot be had.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

TOOL = "collector_tool"
VERSIONS = ("1.22.3", "1.21.6")  # beside the go of this machine
BUILDS, AT_ONCE, MODULES = 50, 4, 8
WAVE = 17  # builds, after which the collector may take everything
LEFT_OUT = ("test", "api", "doc", "misc", "testdata")


def goroots():
    """GOROOTs of three versions by name; fewer where the module proxy cannot be asked."""
    go = shutil.which("go")
    if not go:
        return {}
    found = {}
    for version in (None, *VERSIONS):
        env = {**os.environ, "GOTOOLCHAIN": f"go{version}" if version else "local", "GOROOT": "",
               "GOFLAGS": ""}
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run([go, "env", "GOVERSION", "GOROOT"], env=env, cwd="/", text=True,
                                  capture_output=True, timeout=180)
            if done.returncode == 0:
                name, goroot = done.stdout.split()
                found[name] = goroot
    return found


def left_out(folder, names):
    return [n for n in names if n in LEFT_OUT or n.endswith("_test.go")
            or n == "cmd" and folder.endswith("/src")]


class Node:
    """An agent's root, and what the agent does around the collector."""

    def __init__(self, base, sources):
        self.root, self.staged = base / "root", base / "staged"
        for folder in ("toolchains", "volumes", "incoming", "caches"):
            (self.root / folder).mkdir(parents=True)
        for name, goroot in sources.items():
            shutil.copytree(goroot, self.staged / name, ignore=left_out, symlinks=True)
        self.publishing = threading.Lock()
        self.published = 0
        self.running = {name: 0 for name in sources}
        self.counting = threading.Lock()

    def toolchain(self, name):
        return self.root / f"toolchains/{name}.linux-amd64/h1-test"

    def caches(self, name):
        return [self.root / f"caches/ns/{name}/{kind}/lower/1" for kind in ("mod", "build")]

    @contextlib.contextmanager
    def volumes(self, number, name):
        sources = [self.toolchain(name) / "goroot", *self.caches(name)]
        records = []
        # As the agent's registry: no unit is taken away while a record is being written.
        with (self.root / "volumes.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for index, source in enumerate(sources):
                record = self.root / f"volumes/csi-{number}-{index}.json"
                text = json.dumps({"source": str(source.relative_to(self.root)),
                                   "pod": {"namespace": "ci", "name": f"build-{number}"}})
                record.with_suffix(".new").write_text(text)
                record.with_suffix(".new").rename(record)
                records.append(record)
        try:
            yield
        finally:
            for record in records:
                record.unlink()

    def ensure(self, name):
        with self.publishing:
            if not self.toolchain(name).exists():
                work = self.root / "incoming" / name
                # Hard links: a quarter of a gigabyte is not copied each time.
                work.mkdir()
                subprocess.run(["cp", "-al", self.staged / name, work / "goroot"], check=True)
                self.toolchain(name).parent.mkdir(exist_ok=True)
                work.rename(self.toolchain(name))
                self.published += 1
            for cache in self.caches(name):
                cache.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def counted(self, name):
        with self.counting:
            self.running[name] += 1
        try:
            yield
        finally:
            with self.counting:
                self.running[name] -= 1
                if self.running[name] == 0:
                    self.make_old(name)

    def left(self):
        """What the collector may take while no build runs."""
        return [*self.root.glob("toolchains/*/h1-*"),
                *self.root.glob("caches/ns/*/mod/lower/*/dep*.example/m@*")]

    def make_old(self, name):
        """Three hours pass for a part of the build cache."""
        old = time.time() - 3 * 3600
        for entry in self.caches(name)[1].glob("??/*-[ad]"):
            if random.random() < 0.4:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(entry, (old, old))


class BuildsBesideTheCollector(unittest.TestCase):
    def setUp(self):
        sources = goroots()
        if len(sources) < 3:
            self.skipTest(f"needs three versions of go, has {sorted(sources)}")
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="gbe-builds-"))
        self.addCleanup(self.clean)
        self.node = Node(self.base, sources)
        self.proxy = self.base / "proxy"
        imports, requires, calls = [], [], []
        for number in range(MODULES):
            module = f"dep{number}.example/m"
            self.add_to_proxy(module, number)
            imports.append(f'\tm{number} "{module}"')
            requires.append(f"require {module} v1.0.0")
            calls.append(f"\tprintln(m{number}.Word())")
        self.main = self.base / "main"
        self.main.mkdir()
        (self.main / "go.mod").write_text("module example.com/main\n\ngo 1.18\n\n"
                                          + "\n".join(requires) + "\n")
        (self.main / "main.go").write_text("package main\n\nimport (\n" + "\n".join(imports)
                                           + "\n)\n\nfunc main() {\n" + "\n".join(calls) + "\n}\n")

    def clean(self):
        subprocess.run(["chmod", "-R", "u+rwX", self.base], check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    def add_to_proxy(self, module, number):
        folder = self.proxy / module / "@v"
        folder.mkdir(parents=True)
        (folder / "list").write_text("v1.0.0\n")
        (folder / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
        (folder / "v1.0.0.mod").write_text(f"module {module}\n\ngo 1.18\n")
        with zipfile.ZipFile(folder / "v1.0.0.zip", "w") as archive:
            prefix = f"{module}@v1.0.0/"
            archive.writestr(prefix + "go.mod", f"module {module}\n\ngo 1.18\n")
            archive.writestr(prefix + "word.go", "package m\n\nvar word = \"none\"\n\n"
                             "func Word() string { return word }\n")
            # Without this file the build would succeed, and be wrong.
            archive.writestr(prefix + "more.go",
                             f'package m\n\nfunc init() {{ word = "word {number}" }}\n')

    def go_build(self, goroot, mod, build, out):
        """The hash of the binary, or what go said."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.base), "GOROOT": str(goroot),
               "GOMODCACHE": str(mod), "GOCACHE": str(build), "GOPROXY": f"file://{self.proxy}",
               "GOSUMDB": "off", "GOFLAGS": "-mod=mod -trimpath -buildvcs=false", "GOENV": "off",
               "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        work = self.base / f"work-{out}"
        shutil.copytree(self.main, work)
        done = subprocess.run([goroot / "bin/go", "build", "-o", "out", "."], cwd=work, env=env,
                              capture_output=True, text=True, timeout=300)
        if done.returncode:
            return f"exit {done.returncode}: {done.stderr}"
        return hashlib.sha256((work / "out").read_bytes()).hexdigest()

    def build(self, number, name):
        with self.node.counted(name), self.node.volumes(number, name):
            self.node.ensure(name)
            return self.go_build(self.node.toolchain(name) / "goroot", *self.node.caches(name),
                                 f"{number}")

    def test_no_build_fails_and_every_binary_is_the_same(self):
        names = sorted(self.node.running)
        wanted = {name: self.go_build(self.node.staged / name, self.base / f"mod-{name}",
                                      self.base / f"build-{name}", f"alone-{name}")
                  for name in names}
        for name, result in wanted.items():
            self.assertRegex(result, r"^[0-9a-f]{64}$", name)
        self.assertEqual(len(set(wanted.values())), 3)

        collector = subprocess.Popen([TOOL, "collect", self.node.root], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(collector.kill)
        built, waves = [], range(0, BUILDS, WAVE)
        for first in waves:
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                built += pool.map(lambda n: (names[n % 3], self.build(n, names[n % 3])),
                                  range(first, min(first + WAVE, BUILDS)))
            deadline = time.monotonic() + 300
            while self.node.left():
                self.assertLess(time.monotonic(), deadline, "the collector leaves what nobody uses")
                time.sleep(0.05)
        said, _ = collector.communicate(timeout=60)
        self.assertEqual(collector.returncode, 0)
        for number, (name, result) in enumerate(built):
            self.assertEqual(result, wanted[name], f"build {number} with {name}")

        report = json.loads(said)
        print(f"\n{BUILDS} builds: {said.strip()}, {self.node.published} times published")
        # It has really been at work between them.
        self.assertEqual(report["errors"], [])
        self.assertGreater(report["inUse"], 0)
        self.assertGreaterEqual(self.node.published, 3 * len(waves))
        self.assertGreaterEqual(report["gone"].get("toolchain", 0), 3 * len(waves))
        self.assertGreaterEqual(report["gone"].get("module", 0), 3 * MODULES * len(waves))
        self.assertGreater(report["gone"].get("builds", 0), 0)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop())
    unittest.main(verbosity=1)
