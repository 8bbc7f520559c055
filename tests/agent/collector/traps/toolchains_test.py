#!/usr/bin/env python3
"""Traps of toolchains: a part of one removed, and one that is in use.

Usage: toolchains_test.py PATH/collector_tool
"""

import os
import pathlib
import shutil
import subprocess

import trap


class Toolchains(trap.Trap):
    def setUp(self):
        super().setUp()
        version, self.source = self.go("env", "GOVERSION", "GOROOT").stdout.split()
        self.unit = f"toolchains/{version}.linux-amd64/h1-test"
        self.store = self.node / self.unit
        self.trash = self.node / "trash"
        self.publish()
        self.own = {"go": str(self.store / "goroot/bin/go"), "GOROOT": str(self.store / "goroot")}

    def publish(self):
        self.store.parent.mkdir(exist_ok=True)
        trap.copy_toolchain(self.source, self.node / "incoming/work/goroot")
        (self.node / "incoming/work").rename(self.store)

    def compile_all(self):
        self.drop_builds()
        return self.compile(**self.own)

    def in_the_trash(self):
        return sum(len(files) for _, _, files in os.walk(self.trash))


class Parts(Toolchains):
    def test_naive_removal_that_is_interrupted_breaks_it_for_ever(self):
        (compiler,) = pathlib.Path(self.own["GOROOT"]).glob("pkg/tool/*/compile")
        compiler.unlink()
        for _ in range(2):
            self.assertEqual(self.compile_all(), 'go: no such tool "compile"\n')

    def test_ours_interrupted_is_gone_and_can_come_back(self):
        self.assertEqual(self.compile_all(), self.good)
        self.assertEqual(self.tool("remove-folder", self.node, self.unit)["outcome"], "done")
        whole = self.in_the_trash()
        with subprocess.Popen([trap.TOOL, "empty", self.node, "200"]) as emptying:
            trap.until("the trash to become less", lambda: self.in_the_trash() < whole)
            emptying.kill()
        self.assertGreater(self.in_the_trash(), 0)
        self.assertFalse(self.store.exists())
        self.publish()
        self.assertEqual(self.compile_all(), self.good)
        self.assertEqual(self.tool("empty", self.node, 0)["failed"], 0)
        self.assertEqual(list(self.trash.iterdir()), [])
        self.assertEqual(self.compile_all(), self.good)


class InUse(Toolchains):
    def test_naive_removal_fails_the_build(self):
        with self.build_paused_at("link-id", **self.own) as finish:
            shutil.rmtree(self.store)
            code, said = finish()
        self.assertEqual(code, 1)
        self.assertIn("go: error obtaining buildID for go tool link: ", said)

    def test_ours_takes_what_no_volume_uses(self):
        record = self.volume(source=f"{self.unit}/goroot")
        with self.collecting() as report:
            with self.build_paused_at("link-id", **self.own) as finish:
                self.collect_two_unused_toolchains()
                code, said = finish()
            self.assertEqual(code, 0, said)
            self.assertEqual(self.binary(), self.good)
            record.unlink()
            trap.until("the toolchain to go", lambda: not self.store.exists())
        self.assertEqual(report["gone"], {"toolchain": 3})
        self.assertEqual(report["errors"], [])


if __name__ == "__main__":
    trap.main()
