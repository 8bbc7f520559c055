#!/usr/bin/env python3
"""What breaks a go build when caches are deleted from, and that the collector's removals do not.

Usage: traps_test.py PATH/collector_tool

Each trap is first shown with a naive deleter, so that the test would notice if go changed. Modules
come from a module proxy made of files; no network. Skips where there is no go.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import shutil
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
    """A program that prints what two files of one dependency say."""

    def setUp(self):
        if not GO:
            self.skipTest("needs go")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="gbe-traps-"))
        self.addCleanup(self.clean)
        self.mod, self.build = self.root / "mod", self.root / "build"
        self.proxy = self.root / "proxy"
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
        self.good = self.compile()
        self.stem = self.mod / "cache/download" / MODULE / "@v" / VERSION

    def clean(self):
        subprocess.run(["chmod", "-R", "u+rwX", self.root], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def env(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.root), "GOMODCACHE": str(self.mod),
                "GOCACHE": str(self.build), "GOPROXY": f"file://{self.proxy}", "GOSUMDB": "off",
                "GONOSUMDB": "*", "GOFLAGS": "-mod=mod -trimpath", "GOTOOLCHAIN": "local",
                "CGO_ENABLED": "0", "GOENV": "off", **more}

    def go(self, *args, go=GO, **more):
        return subprocess.run([go, *args], cwd=self.main, env=self.env(**more),
                              capture_output=True, text=True, timeout=300)

    def compile(self, fresh=False):
        """The hash of the binary, or what go said."""
        done = self.go("build", *(["-a"] if fresh else []), "-o", "out", ".")
        if done.returncode:
            return done.stderr
        return hashlib.sha256((self.main / "out").read_bytes()).hexdigest()

    def drop_builds(self):
        shutil.rmtree(self.build)

    def tool(self, *args):
        done = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def remove_module(self):
        return self.tool("remove-module", self.mod, self.root, UNIT)["outcome"]

    def naive_unlink(self, path):
        parent = path.parent
        parent.chmod(0o755)
        path.unlink()


class SingleFilesOfAModule(Trap):
    def test_naive_gives_a_wrong_binary_and_exit_0(self):
        self.naive_unlink(self.mod / UNIT / "more.go")
        self.drop_builds()
        wrong = self.compile()
        self.assertRegex(wrong, r"^[0-9a-f]{64}$")
        self.assertNotEqual(wrong, self.good)

    def test_ours_goes_whole_and_comes_back_whole(self):
        self.assertEqual(self.remove_module(), "done")
        self.assertFalse((self.mod / UNIT).exists())
        self.drop_builds()
        self.assertEqual(self.compile(), self.good)


class ZiphashAndPartial(Trap):
    def test_naive_removal_of_the_ziphash_repairs_nothing(self):
        self.naive_unlink(self.mod / UNIT / "more.go")
        self.stem.with_name(VERSION + ".ziphash").unlink()
        self.drop_builds()
        self.compile()
        repaired = (self.mod / UNIT / "more.go").exists()
        if repaired:
            self.skipTest("this go extracts again when the ziphash is missing")

    def test_partial_makes_go_extract_again(self):
        """What a removal that was killed after its first step leaves."""
        self.naive_unlink(self.mod / UNIT / "more.go")
        self.stem.with_name(VERSION + ".partial").touch()
        self.drop_builds()
        self.assertEqual(self.compile(), self.good)


class Locks(Trap):
    def test_naive_removal_of_the_lock_lets_in_two_owners(self):
        lock = self.stem.with_name(VERSION + ".lock")
        with lock.open("r+") as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            lock.unlink()
            with lock.open("w") as second:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)  # must not have worked

    def test_ours_waits_for_nobody_and_leaves_the_lock(self):
        lock = self.stem.with_name(VERSION + ".lock")
        inode = lock.stat().st_ino
        with lock.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            self.assertEqual(self.remove_module(), "busy")
        self.assertEqual(self.remove_module(), "done")
        self.assertEqual(lock.stat().st_ino, inode)


class OutputsWithoutTheirActions(Trap):
    def build_beside(self, disturb):
        """The exit code of a build of everything, and what it said, while `disturb` runs again and
        again."""
        process = subprocess.Popen([GO, "build", "-a", "-o", "out", "."], cwd=self.main,
                                   env=self.env(), stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            disturb()
        said = process.stderr.read()
        process.stderr.close()
        return process.returncode, said

    def test_ours_beside_a_running_build_changes_nothing(self):
        code, said = self.build_beside(
            lambda: self.tool("remove-builds", self.build, self.root, 7200))
        self.assertEqual(code, 0, said)
        self.assertEqual(hashlib.sha256((self.main / "out").read_bytes()).hexdigest(), self.good)

    def test_ours_leaves_no_action_without_its_output(self):
        old = time.time() - 3 * 3600
        for number, entry in enumerate(sorted(self.build.glob("??/*-[ad]"))):
            if number % 3:
                os.utime(entry, (old, old))
        report = self.tool("remove-builds", self.build, self.root, 7200)
        self.assertGreater(report["actions"], 0)
        self.assertEqual(report["failed"], 0)
        outputs = {p.name[:64] for p in self.build.glob("??/*-d")}
        for action in self.build.glob("??/*-a"):
            self.assertIn(action.read_text().split()[2], outputs)
        self.assertEqual(self.compile(), self.good)


class Toolchains(Trap):
    def setUp(self):
        super().setUp()
        goroot = self.go("env", "GOROOT").stdout.strip()
        self.store = self.root / "toolchains/go/h1"
        self.store.mkdir(parents=True)
        # Hard links: a quarter of a gigabyte is not copied.
        copied = subprocess.run(["cp", "-al", goroot, self.store / "goroot"], capture_output=True)
        if copied.returncode:
            subprocess.run(["cp", "-a", goroot, self.store / "goroot"], check=True)
        self.gobin = str(self.store / "goroot/bin/go")

    def test_naive_removal_of_a_part_breaks_it_for_ever(self):
        tools = next((self.store / "goroot/pkg/tool").iterdir())
        (tools / "compile").unlink()
        for _ in range(2):
            done = self.go("build", "-a", "-o", "out", ".", go=self.gobin)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("compile", done.stderr)

    def test_naive_removal_in_use_fails_the_build(self):
        process = subprocess.Popen([self.gobin, "build", "-a", "-o", "out", "."], cwd=self.main,
                                   env=self.env(), stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        shutil.rmtree(self.store / "goroot/pkg")
        self.assertNotEqual(process.wait(), 0)
        process.stderr.close()

    def test_ours_is_whole_or_gone(self):
        self.assertEqual(
            self.tool("remove-folder", self.root, "toolchains/go/h1")["outcome"], "done")
        self.assertFalse(self.store.exists())
        self.assertEqual(self.tool("empty", self.root, 0)["failed"], 0)


class ReadOnlyMounts(Trap):
    def test_naive_removal_behind_a_read_only_mount_fails_the_next_build(self):
        """Which is why a published cache is a root: nothing in it is ever collected."""
        shown = self.root / "shown"
        shown.mkdir()
        script = (f"mount --bind {self.mod} {shown} && mount -o remount,bind,ro {shown} && "
                  f"mv {self.mod}/{MODULE}@{VERSION} {self.root}/away && "
                  f"cd {self.main} && {GO} build -a -o out .")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              env=self.env(GOMODCACHE=str(shown)), timeout=300)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            self.skipTest("needs root to mount")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("read-only file system", done.stderr)


class WhatStays(Trap):
    def test_the_zip_alone_is_not_missed(self):
        self.assertEqual(self.tool("remove-zip", self.mod, UNIT)["outcome"], "done")
        self.assertFalse(self.stem.with_name(VERSION + ".zip").exists())
        self.drop_builds()
        shutil.rmtree(self.proxy)  # nothing can be fetched again
        self.assertEqual(self.compile(), self.good)

    def test_the_checksum_database_is_never_a_unit(self):
        tile = self.mod / "cache/download/sumdb/sum.example/tile/8/0/000"
        tile.parent.mkdir(parents=True)
        tile.write_text("tile")
        for unit in self.tool("modules", self.mod):
            self.assertEqual(self.tool("remove-module", self.mod, self.root, unit)["outcome"],
                             "done")
        self.assertEqual(tile.read_text(), "tile")

    def test_the_probe_sees_a_cached_build(self):
        armed = self.tool("arm", self.mod)[UNIT]["used"]
        self.assertEqual(self.tool("modules", self.mod)[UNIT]["used"], armed)
        self.assertEqual(self.compile(), self.good)
        used = self.tool("modules", self.mod)[UNIT]["used"]
        if used == armed and "noatime" in pathlib.Path("/proc/mounts").read_text():
            self.skipTest("no access times here")
        self.assertGreater(used, armed)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop())
    unittest.main(verbosity=1)
