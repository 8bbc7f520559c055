#!/usr/bin/env python3
"""Traps of the build cache: outputs whose actions stay.

Usage: build_cache_test.py PATH/collector_tool
"""

import os
import subprocess
import time

import trap

HOUR = 3600
THRESHOLD = 2 * HOUR
STALE = 20


class OutputsWithoutTheirActions(trap.Trap):
    def make_old(self, entries):
        old = time.time() - 3 * HOUR
        for entry in entries:
            os.utime(entry, (old, old))

    def add_stale_entries(self):
        """Actions with an output each that nothing has used for three hours; their files."""
        stamp, entries = int((time.time() - 3 * HOUR) * 1e9), []
        for _ in range(STALE):
            action, output = os.urandom(32).hex(), os.urandom(32).hex()
            texts = {f"{output}-d": "x" * 100,
                     f"{action}-a": f"v1 {action} {output} {100:20} {stamp:20}\n"}
            for name, text in texts.items():
                entries.append(self.build / name[:2] / name)
                entries[-1].parent.mkdir(exist_ok=True)
                entries[-1].write_text(text)
        self.make_old(entries)
        return entries

    def remove(self):
        report = self.tool("remove-builds", self.build, self.root, THRESHOLD)
        self.assertEqual((report["failed"], report["error"]), (0, ""))
        return report["actions"]

    def test_naive_removal_of_outputs_fails_a_running_build(self):
        self.make_old(self.build.glob("??/*-[ad]"))
        with self.build_paused_at("link") as finish:
            for output in self.build.glob("??/*-d"):
                output.unlink()
            code, said = finish()
        self.assertNotEqual(code, 0)
        self.assertRegex(said, r"cannot open file (\S+-d): open \1: no such file or directory")

    def test_ours_takes_what_a_running_build_does_not_use(self):
        """All of the cache is three hours old when the build begins."""
        self.make_old(self.build.glob("??/*-[ad]"))
        stale = self.add_stale_entries()
        with self.build_paused_at("link") as finish:
            actions = self.remove()
            code, said = finish()
        self.assertEqual(code, 0, said)
        self.assertEqual(self.binary(), self.good)
        self.assertGreaterEqual(actions, STALE)
        self.assertEqual([entry for entry in stale if entry.exists()], [])

    def test_ours_never_resting_beside_a_build_of_everything(self):
        stale, actions = [], 0
        with subprocess.Popen([trap.GO, "build", "-a", "-o", "out", "."], cwd=self.main,
                              env=self.env(), stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                stale += self.add_stale_entries()
                actions += self.remove()
            self.assertEqual(process.returncode, 0, process.stderr.read())
        self.assertEqual(self.binary(), self.good)
        self.assertGreater(actions, 0)
        self.assertEqual(actions, len(stale) / 2)
        self.assertEqual([entry for entry in stale if entry.exists()], [])

    def test_ours_leaves_no_action_without_its_output(self):
        self.make_old(entry for number, entry in enumerate(sorted(self.build.glob("??/*-[ad]")))
                      if number % 3)
        self.assertGreater(self.remove(), 0)
        outputs = {p.name[:64] for p in self.build.glob("??/*-d")}
        for action in self.build.glob("??/*-a"):
            self.assertIn(action.read_text().split()[2], outputs)
        self.assertEqual(self.compile(), self.good)


if __name__ == "__main__":
    trap.main()
