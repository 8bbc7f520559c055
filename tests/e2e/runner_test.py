#!/usr/bin/env python3
"""What runs test files side by side: order, how many at a time, failures, an interrupt."""

import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
SCENARIOS = pathlib.Path(__file__).resolve().parents[2] / "e2e" / "scenarios"
sys.path.insert(0, str(SCENARIOS))

from runner import Runner, Scenario, in_order  # noqa: E402

# Each file notes who runs beside it: it leaves a mark and looks at the marks of others.
BODY = """\
import pathlib, time, unittest
marks = pathlib.Path("marks")

class T(unittest.TestCase):
    def test_it(self):
        mine = marks / __name__
        mine.touch()
        try:
            {before}
            most = 0
            for _ in range({turns}):
                most = max(most, len(list(marks.iterdir())))
                time.sleep(0.02)
            pathlib.Path(__name__ + ".beside").write_text(str(most))
            {after}
        finally:
            mine.unlink()
"""


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "marks").mkdir()

    def file(self, name, head="", before="pass", after="pass", turns=30):
        path = self.folder / f"test_{name}.py"
        path.write_text(f'"""A file."""\n{head}\n' + BODY.format(before=before, after=after,
                                                                  turns=turns))
        return path

    def go(self, *paths, jobs=2, patterns=()):
        """Gives (whether all passed, what was said)."""
        out = io.StringIO()
        passed = Runner([Scenario.of(p) for p in paths], jobs, self.folder / "logs", patterns,
                        out).run()
        return passed, out.getvalue()

    def beside(self, name):
        return int((self.folder / f"test_{name}.beside").read_text())


class Order(Base):
    def test_longest_first_unknown_before_and_alone_at_the_end(self):
        paths = [self.file("short", "SECONDS = 5"), self.file("alone", "SECONDS = 90\nALONE = True"),
                 self.file("long", "SECONDS = 60"), self.file("new")]
        self.assertEqual([one.path.stem for one in in_order(map(Scenario.of, paths))],
                         ["test_new", "test_long", "test_short", "test_alone"])

    def test_what_scenarios_say_is_understood(self):
        for path in SCENARIOS.glob("test_*.py"):
            if re.search("^SECONDS =", path.read_text(), re.MULTILINE):
                self.assertLess(Scenario.of(path).seconds, 1000, path.name)


class Skips(Base):
    def test_are_named(self):
        path = self.folder / "test_left_out.py"
        path.write_text('"""A file."""\nimport unittest\n\n\nclass T(unittest.TestCase):\n'
                        '    def test_it(self):\n        """What it is."""\n'
                        '        self.skipTest("no such thing here")\n\n\n'
                        'class Whole(unittest.TestCase):\n    @classmethod\n'
                        '    def setUpClass(cls):\n        raise unittest.SkipTest("nor this")\n\n'
                        '    def test_it(self):\n        pass\n')
        passed, said = self.go(path)
        self.assertTrue(passed)
        self.assertRegex(said, "skipped test_left_out: What it is.*no such thing here")
        self.assertRegex(said, "skipped test_left_out: setUpClass .*nor this")
        self.assertTrue(said.endswith("2 tests skipped\n"), said)


class SideBySide(Base):
    def test_as_many_as_asked_for_and_no_more(self):
        # A file waits for another to run beside it, so the machine's speed does not matter.
        meet = "while len(list(marks.iterdir())) < 2: time.sleep(0.02)"
        paths = [self.file(name, before=meet) for name in ("a", "b")]
        passed, _ = self.go(*paths, *(self.file(name) for name in ("c", "d")))
        self.assertTrue(passed)
        self.assertEqual(max(self.beside(name) for name in "abcd"), 2)

    def test_one_at_a_time(self):
        self.assertTrue(self.go(*(self.file(name, turns=5) for name in ("a", "b", "c")), jobs=1)[0])
        self.assertEqual([self.beside(name) for name in "abc"], [1, 1, 1])

    def test_alone_is_alone(self):
        alone = [self.file(name, "ALONE = True") for name in ("x", "y")]
        passed, _ = self.go(*alone, self.file("a"), self.file("b"), jobs=4)
        self.assertTrue(passed)
        self.assertEqual([self.beside(name) for name in "xy"], [1, 1])


class Failures(Base):
    def test_failures_are_shown_and_listed_and_the_rest_still_runs(self):
        passed, said = self.go(
            self.file("wrong", "SECONDS = 9", after="self.assertEqual(6, 7, 'not the answer')"),
            self.file("dies", "import os", before="os._exit(7)"), self.file("fine"), jobs=1)
        self.assertFalse(passed)
        self.assertIn("test_wrong | AssertionError: 6 != 7 : not the answer\n", said)
        self.assertRegex(said, r"passed  test_fine: 1 tests, OK, \d+ s\n")
        self.assertRegex(said, r"FAILED  test_wrong: 1 tests, FAILED \(failures=1\), \d+ s\n")
        self.assertRegex(said, r"FAILED  test_dies: ended without a result \(exit 7\), \d+ s\n")
        end = said[said.rindex("test_dies failed"):]
        self.assertIn("    FAIL: test_it (test_wrong.T.test_it)\n", end)
        log = re.search(r"test_wrong failed; its log is (\S+)\n", said).group(1)
        self.assertIn("not the answer", pathlib.Path(log).read_text())
        self.assertTrue(end.endswith("1 files passed, 2 failed, 0 tests skipped\n"), end)

    def test_only_what_matches(self):
        path = self.file("two", after="self.fail()")
        self.assertTrue(self.go(path, patterns=["no_such_test"])[0])
        self.assertFalse(self.go(path, patterns=["it"])[0])

    def test_sigterm_ends_all_and_lets_them_clean_up(self):
        """Also where interrupts are ignored, as a shell has it for what runs in the background."""
        for name in ("a", "b"):
            self.file(name, turns=10**6)
        program = (f"import sys; sys.path.insert(0, {str(SCENARIOS)!r})\n"
                   "import pathlib\nfrom runner import Runner, Scenario\n"
                   "Runner([Scenario.of(p) for p in pathlib.Path.cwd().glob('test_*.py')], 2,"
                   "pathlib.Path.cwd() / 'logs').run()")
        with subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-B", "-c",
                               program], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            marks = self.folder / "marks"
            while len(list(marks.iterdir())) < 2 and process.poll() is None:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGTERM)
            _, error = process.communicate(timeout=60)
        self.assertIn("KeyboardInterrupt", error)
        self.assertEqual(list(marks.iterdir()), [], "a file was ended without its cleanup")


class CommandLine(unittest.TestCase):
    def run_it(self, *argv, **env):
        return subprocess.run([SCENARIOS / "run", *argv], capture_output=True, text=True,
                              timeout=60, env={**os.environ, **env})

    def test_wrong_usage_names_what_there_is(self):
        done = self.run_it("test_nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no scenario file 'test_nothing'; there are test_", done.stderr)
        for argv, env in ((["--jobs", "0"], {}), ([], {"GBE_JOBS": "many"})):
            done = self.run_it(*argv, **env)
            self.assertEqual(done.returncode, 2)
            self.assertIn("give a number from 1", done.stderr)

    def test_help(self):
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--jobs N", done.stdout)


if __name__ == "__main__":
    unittest.main()
