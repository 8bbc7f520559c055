#!/usr/bin/env python3
"""Tests of what the harness computes; nothing is started."""
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import policy, proc, table, targets  # noqa: E402  (the path above comes first)
from harness.bench import more  # noqa: E402
from harness.broken import Broken  # noqa: E402
from harness.sizes import FULL, QUICK  # noqa: E402


def record(what, side, run=0, **values):
    """As Bench.emit makes them."""
    return {"what": what, "side": side, "run": run, **values}


def row(records, name):
    """The row whose name starts so."""
    return next(r for r in targets.rows(records) if r.name.startswith(name))


class Targets(unittest.TestCase):
    def test_ratio_is_the_median_of_pairs(self):
        # Unpaired medians would give 30/600; the pairs give 1/10, 1/20, 1/30.
        records = [record("reviews", "ours", k, op_cpu_us_per_review=v) for k, v in enumerate((30, 30, 30))]
        records += [record("reviews", "peer", k, op_cpu_us_per_review=v)
                    for k, v in enumerate((300, 600, 900))]
        r = row([x | {"n": 1, "errors": 0} for x in records], "CPU per review")
        self.assertTrue(r.figure.startswith("0.050 (1/20.0)"), r.figure)
        self.assertTrue(r.met)

    def test_missed(self):
        records = [record("idle", "ours", rss_mib=20.1), record("idle", "peer", rss_mib=40)]
        r = row(records, "manager idle")
        self.assertIs(False, r.met)
        self.assertIn("NO", table.render([r], FULL))

    def test_nothing_measured(self):
        for r in targets.rows([]):
            self.assertEqual(("not measured", None), (r.figure, r.met), r.name)

    def test_writes(self):
        good = {"APPLY configmaps 201": 10, "PATCH gobuildenvs/status 200": 10, "POST gobuildenvs 201": 10}
        for writes, met in ((good, True), ({**good, "PATCH gobuildenvs/status 200": 11}, False),
                            ({**good, "PATCH gobuildenvs/status 409": 1}, False)):
            r = row([record("scale", "ours", writes=writes, objects=10, rss_mib=1, all_ready_s=1,
                            op_cpu_s=1)], "writes per object")
            self.assertEqual(met, r.met, writes)

    def test_restart_without_a_write(self):
        quiet = {"rss_mib": 1, "quiet_s": 1, "objects": 10}
        for writes, changed, met in (({}, 0, True), ({"POST events 201": 1}, 0, False), ({}, 1, False)):
            r = row([record("restart", "ours", writes=writes, changed_objects=changed, **quiet)],
                    "writes of a restart")
            self.assertEqual(met, r.met)

    def test_the_faster_policy_is_compared(self):
        records = [record("dryrun", side, c=1, p50_ms=ms) for side, ms in
                   (("ours", 9), ("none", 6), ("map-apply", 10), ("map-jsonpatch", 12))]
        r = row(records, "dry-run pod create, p50, against Mut")
        self.assertEqual(("0.900", True), (r.figure, r.met))
        self.assertIn("map-apply", r.peer)

    def test_reviews_count_only_at_full_size(self):
        one = record("reviews", "ours", n=50_000, errors=0, op_cpu_us_per_review=1)
        self.assertFalse(row([one], "reviews answered").met)
        self.assertTrue(row([one, one], "reviews answered").met)

    def test_quick_says_so(self):
        self.assertIn("QUICK", table.render(targets.rows([]), QUICK))

    def test_more(self):
        self.assertEqual({"a": 2, "b": 1}, more({"a": 1, "c": 5}, {"a": 3, "b": 1, "c": 5}))


class Policy(unittest.TestCase):
    PLAIN = {"metadata": {"name": "p", "labels": {"l": "1"}},
             "spec": {"volumes": [{"name": "w", "emptyDir": {}}],
                      "containers": [{"name": "a", "env": [{"name": "E", "value": "v"}]}, {"name": "b"}]}}
    MUTATED = {"metadata": {"name": "p", "labels": {"l": "1", "r": "x"}, "annotations": {"k/s": "a\"b"}},
               "spec": {"volumes": [{"name": "w", "emptyDir": {}},
                                    {"name": "g", "configMap": {"name": "c", "defaultMode": 365}}],
                        "containers": [
                            {"name": "a", "env": [{"name": "E", "value": "v"}, {"name": "GOROOT"}],
                             "volumeMounts": [{"name": "g", "mountPath": "/g", "readOnly": True}]},
                            {"name": "b", "env": [{"name": "GOROOT"}]}]}}

    def test_apply(self):
        text = policy.apply_mutation(policy.difference(self.PLAIN, self.MUTATED))
        text = text["applyConfiguration"]["expression"]
        for wanted in ('annotations: {"k/s": "a\\"b"}', 'labels: {"r": "x"}',
                       'Object.spec.volumes.configMap{name: "c", defaultMode: 365}', "readOnly: true",
                       'Object.spec.containers.env{name: "GOROOT"}'):
            self.assertIn(wanted, text)
        self.assertNotIn('"E"', text)

    def test_jsonpatch_makes_only_absent_lists(self):
        text = policy.jsonpatch_mutation(policy.difference(self.PLAIN, self.MUTATED))
        text = text["jsonPatch"]["expression"]
        self.assertIn('path: "/spec/containers/1/env", value: []', text)
        self.assertNotIn('path: "/spec/containers/0/env", value: []', text)
        self.assertIn('"/metadata/annotations/" + jsonpatch.escapeKey("k/s")', text)

    def test_same(self):
        shuffled = {**self.MUTATED, "metadata": {**self.MUTATED["metadata"], "uid": "u"},
                    "spec": {**self.MUTATED["spec"], "volumes": self.MUTATED["spec"]["volumes"][::-1]}}
        policy.check_same(self.MUTATED, shuffled)
        with self.assertRaises(Broken):
            policy.check_same(self.MUTATED, self.PLAIN)


class Processes(unittest.TestCase):
    def test_own_figures(self):
        before, end = proc.cpu(os.getpid()), time.process_time() + 0.1
        while time.process_time() < end:
            pass
        self.assertGreaterEqual(proc.cpu(os.getpid()) - before, 0.05)
        self.assertGreater(proc.memory(os.getpid())["rss_mib"], 1)

    def test_a_dead_program_is_named_with_its_last_words(self):
        with tempfile.TemporaryDirectory() as folder:
            program = proc.Program(["sh", "-c", "echo last words; exit 3"], Path(folder) / "sh.log",
                                   dict(os.environ))
            with self.assertRaisesRegex(Broken, "sh ended with 3; .*last words"):
                program.wait_quiet(hold=60)

    def test_help_runs(self):
        done = subprocess.run([Path(__file__).parent / "run", "--help"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(0, done.returncode)
        self.assertIn("--quick", done.stdout)


if __name__ == "__main__":
    unittest.main()
