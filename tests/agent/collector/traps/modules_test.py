#!/usr/bin/env python3
"""Traps of the module cache: single files, ziphashes, the checksum database, read-only mounts.

Usage: modules_test.py PATH/collector_tool
"""

import os
import pathlib
import shutil
import subprocess

import trap
from trap import GO, UNIT, VERSION

STRANGER = 12345  # a pod's user, who owns nothing of the node


class Damaged(trap.Trap):
    def lose_a_file(self):
        lost = self.mod / UNIT / "more.go"
        lost.parent.chmod(0o755)
        lost.unlink()
        self.drop_builds()
        return lost

    def is_wrong(self, binary):
        self.assertRegex(binary, r"^[0-9a-f]{64}$")
        self.assertNotEqual(binary, self.good)


class SingleFiles(Damaged):
    def test_naive_gives_a_wrong_binary_and_exit_0(self):
        self.lose_a_file()
        self.is_wrong(self.compile())

    def test_ours_goes_whole_and_comes_back_whole(self):
        self.assertEqual(self.remove_module(), "done")
        self.assertFalse((self.mod / UNIT).exists())
        self.drop_builds()
        self.assertEqual(self.compile(), self.good)


class Ziphash(Damaged):
    def test_naive_removal_of_it_repairs_nothing(self):
        lost = self.lose_a_file()
        ziphash = self.stem.with_name(VERSION + ".ziphash")
        ziphash.unlink()
        self.is_wrong(self.compile())
        self.assertTrue(ziphash.exists(), "go made it again")
        self.assertFalse(lost.exists(), "and extracted nothing")

    def test_ours_repairs_by_taking_it_all(self):
        lost = self.lose_a_file()
        self.assertEqual(self.remove_module(), "done")
        self.assertEqual(self.compile(), self.good)
        self.assertTrue(lost.exists())

    def test_what_ours_leaves_when_it_is_killed_makes_go_extract_again(self):
        lost = self.lose_a_file()
        self.stem.with_name(VERSION + ".partial").touch()
        self.assertEqual(self.compile(), self.good)
        self.assertTrue(lost.exists())


class ChecksumDatabase(trap.Trap):
    """A toolchain in the module cache, and no network: go verifies it at every switch all the same,
    from the part of the checksum database that is in the cache."""

    NAME = "go1.21.6"

    def setUp(self):
        super().setUp()
        # Where it is not there yet, this fetches it, as any go command of this machine would.
        asked = subprocess.run([GO, "env", "GOROOT", "GOMODCACHE", "GOPATH"], cwd="/", text=True,
                               env={**os.environ, "GOTOOLCHAIN": self.NAME, "GOFLAGS": ""},
                               capture_output=True, timeout=300)
        if asked.returncode:
            self.skipTest(f"needs {self.NAME}: {asked.stderr}")
        goroot, mod, gopath = map(pathlib.Path, asked.stdout.splitlines())
        if not goroot.is_relative_to(mod):
            self.skipTest(f"{self.NAME} is not in the module cache but at {goroot}")
        self.unit = str(goroot.relative_to(mod))
        trap.copy_toolchain(goroot, self.mod / self.unit)
        name, version = self.unit.split("@")
        there, here = (cache / "cache/download" for cache in (mod, self.mod))
        (here / name / "@v").mkdir(parents=True)
        for suffix in (".ziphash", ".lock"):
            shutil.copy(there / name / "@v" / (version + suffix), here / name / "@v")
        (here / name / "@v" / (version + ".zip")).write_text("go does not look into it")
        self.database = here / "sumdb"
        shutil.copytree(there / "sumdb", self.database)
        shutil.copytree(gopath / "pkg/sumdb", self.root / "go/pkg/sumdb")
        self.assertEqual(self.switch(), (0, f"go version {self.NAME}", ""))

    def switch(self):
        done = self.go("version", GOTOOLCHAIN=self.NAME, GOSUMDB="", GONOSUMDB="",
                       GOPROXY="http://127.0.0.1:1")
        return done.returncode, done.stdout.rsplit(" ", 1)[0], done.stderr

    def test_naive_removal_of_it_makes_a_cached_toolchain_useless(self):
        shutil.rmtree(self.database)
        code, _, said = self.switch()
        self.assertEqual(code, 1)
        self.assertRegex(said, f"go: {self.unit}: verifying module: .*"
                               r"Get \S+/sumdb/\S+: dial tcp 127\.0\.0\.1:1: .*refused")

    def test_ours_leaves_it(self):
        before = sorted(self.database.rglob("*"))
        units = self.tool("modules", self.mod)
        self.assertEqual(set(units), {UNIT, self.unit}, "the database is no unit")
        self.assertEqual(self.tool("remove-zip", self.mod, self.unit)["outcome"], "done")
        self.assertEqual(self.remove_module(), "done")
        self.assertEqual(self.switch(), (0, f"go version {self.NAME}", ""))
        self.assertEqual(self.remove_module(self.unit), "done")
        self.assertEqual(sorted(self.database.rglob("*")), before)


class ReadOnlyMounts(trap.Trap):
    """A layer of a shared cache, as a pod that does not own it sees it."""

    LOWER = "caches/ns/env/mod/lower/1"
    MOD = "node/" + LOWER

    def setUp(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
            self.skipTest("needs root and mount namespaces")
        super().setUp()
        self.root.chmod(0o755)
        self.shown = self.root / "shown"
        self.shown.mkdir()
        self.assertEqual(self.build_in_a_pod(), self.good)

    def build_in_a_pod(self):
        self.drop_builds()
        own = [self.build, *self.build.rglob("*"), self.main, *self.main.iterdir()]
        for path in own:
            os.chown(path, STRANGER, STRANGER)
        script = (f"mount --bind {self.mod} {self.shown} && "
                  f"mount -o remount,bind,ro {self.shown} && "
                  f"exec setpriv --reuid={STRANGER} --regid={STRANGER} --clear-groups "
                  f"{GO} build -o out .")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=self.main, text=True,
                              capture_output=True, env=self.env(GOMODCACHE=str(self.shown)),
                              timeout=300)
        return done.stderr if done.returncode else self.binary()

    def test_naive_removal_behind_the_mount_fails_the_next_build(self):
        (self.mod / UNIT).rename(self.root / "away")
        self.assertRegex(self.build_in_a_pod(),
                         rf"open {self.shown}/cache/download/\S+\.lock: permission denied")

    def test_ours_keeps_what_a_volume_shows(self):
        record = self.volume(source="pods/csi-1/upper", lower=self.LOWER)
        other = self.node / "caches/ns/other/mod/lower/1"
        done = self.go("mod", "download", UNIT, GOMODCACHE=str(other))
        self.assertEqual(done.returncode, 0, done.stderr)
        with self.collecting() as report:
            trap.until("the other cache's module to go", lambda: not (other / UNIT).exists())
            self.collect_two_unused_toolchains()
            self.assertTrue((self.mod / UNIT).exists())
            self.assertEqual(self.build_in_a_pod(), self.good)
            record.unlink()
            trap.until("the module to go", lambda: not (self.mod / UNIT).exists())
        self.assertEqual(report["gone"], {"module": 2, "toolchain": 2})
        self.assertEqual(report["errors"], [])


class WhatStays(trap.Trap):
    def test_the_zip_alone_is_not_missed(self):
        self.assertEqual(self.tool("remove-zip", self.mod, UNIT)["outcome"], "done")
        self.assertFalse(self.stem.with_name(VERSION + ".zip").exists())
        self.drop_builds()
        shutil.rmtree(self.proxy)  # nothing can be fetched again
        self.assertEqual(self.compile(), self.good)

    def test_the_probe_sees_a_cached_build(self):
        armed = self.tool("arm", self.mod)[UNIT]["used"]
        self.assertEqual(self.tool("modules", self.mod)[UNIT]["used"], armed)
        self.assertEqual(self.compile(), self.good)
        used = self.tool("modules", self.mod)[UNIT]["used"]
        if used == armed and "noatime" in pathlib.Path("/proc/mounts").read_text():
            self.skipTest("no access times here")
        self.assertGreater(used, armed)


if __name__ == "__main__":
    trap.main()
