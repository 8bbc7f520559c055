"""Runs test files side by side: each in a process of its own, its output in a log of its own.

Test files mostly wait, for clusters to start and for intervals to pass, so several at a time take
little longer than one. What a file says of itself decides when it runs:

    SECONDS = 200   about how long it takes alone; the longest begin first. Default: before all
    ALONE = True    it asserts what holds on a machine that has nothing else to do
"""

import ast
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

REPEAT = 30  # seconds between two lines about what still runs
FAREWELL = 60  # seconds for an interrupted file to take its cluster down


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A test file, and what it says of itself."""

    path: pathlib.Path
    seconds: float = float("inf")
    alone: bool = False

    @staticmethod
    def of(path):
        said = {}
        for statement in ast.parse(path.read_text()).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                said |= {t.id: statement.value.value for t in statement.targets
                         if isinstance(t, ast.Name)}
        return Scenario(path, said.get("SECONDS", float("inf")), said.get("ALONE", False))


def in_order(scenarios):
    """Longest first, so that none begins late and is waited for; those that run alone at the end."""
    return sorted(scenarios, key=lambda one: (one.alone, -one.seconds, one.path.name))


class Run:
    """One file's process and log."""

    def __init__(self, scenario, logs, patterns):
        self.scenario, self.name = scenario, scenario.path.stem
        self.log = logs / f"{self.name}.log"
        self.began = time.monotonic()
        argv = [sys.executable, "-B", "-u", "-m", "unittest", "-v",
                *(word for pattern in patterns for word in ("-k", pattern)), self.name]

        def heed_interrupts():
            # Whoever starts this in the background may have had them ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        with open(self.log, "wb") as log:
            # A group of its own: an interrupt reaches it once, from here.
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=scenario.path.parent,
                                            start_new_session=True, preexec_fn=heed_interrupts)

    def seconds(self):
        return time.monotonic() - self.began

    def text(self):
        return self.log.read_text(errors="replace")

    def at(self):
        """The test that it began last."""
        begun = re.findall(r"^(test\w*) \(", self.text(), re.MULTILINE)
        return begun[-1] if begun else "starting"

    def verdict(self):
        """What unittest said last: how many tests, and how they ended."""
        text = self.text()
        counted = re.findall(r"^Ran (\d+) tests? in", text, re.MULTILINE)
        last = re.findall(r"^(?:OK|FAILED|NO TESTS RAN)\b.*$", text, re.MULTILINE)
        if not counted or not last:
            return f"ended without a result (exit {self.process.returncode})"
        return f"{counted[-1]} tests, {last[-1]}"

    def failed_tests(self):
        return re.findall(r"^(?:FAIL|ERROR): .*$", self.text(), re.MULTILINE)

    def skipped_tests(self):
        return re.findall(r"^.*\.\.\. skipped .*$", self.text(), re.MULTILINE)

    def interrupt(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)

    def end(self, deadline):
        try:
            self.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Runner:
    """Runs `scenarios`, `jobs` at a time; logs go to the folder `logs`, progress to `out`."""

    def __init__(self, scenarios, jobs, logs, patterns=(), out=sys.stdout):
        self.waiting, self.jobs, self.logs = in_order(scenarios), jobs, logs
        self.patterns, self.out = patterns, out
        self.running, self.ended = [], []

    def run(self):
        """Gives whether all passed. KeyboardInterrupt (SIGINT, SIGTERM): all are ended first."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.began = told = time.monotonic()
        try:
            while self.waiting or self.running:
                self.start_what_may()
                time.sleep(0.1)
                for one in [one for one in self.running if one.process.poll() is not None]:
                    self.running.remove(one)
                    self.ended.append(one)
                    self.report(one)
                if time.monotonic() - told > REPEAT:
                    told = time.monotonic()
                    self.say("  running: " + ", ".join(
                        f"{one.name} {one.seconds():.0f} s ({one.at()})" for one in self.running))
        finally:
            for one in self.running:
                one.interrupt()
            deadline = time.monotonic() + FAREWELL
            for one in self.running:
                one.end(deadline)
        return self.summarize()

    def start_what_may(self):
        while (self.waiting and len(self.running) < self.jobs
               and not (self.running and (self.waiting[0].alone or self.running[0].scenario.alone))):
            self.running.append(Run(self.waiting.pop(0), self.logs, self.patterns))
            self.say(f"begins  {self.running[-1].name}")

    def report(self, one):
        passed = one.process.returncode == 0
        if not passed:
            for line in one.text().splitlines():
                print(f"{one.name} | {line}", file=self.out)
        self.say(f"{'passed' if passed else 'FAILED'}  {one.name}: {one.verdict()}, "
                 f"{one.seconds():.0f} s")

    def summarize(self):
        failed = [one for one in self.ended if one.process.returncode != 0]
        for one in failed:
            self.say(f"{one.name} failed; its log is {one.log}")
            for line in one.failed_tests():
                print(f"    {line}", file=self.out)
        skipped = [(one.name, line) for one in self.ended for line in one.skipped_tests()]
        for name, line in skipped:
            self.say(f"skipped {name}: {line}")
        self.say(f"{len(self.ended) - len(failed)} files passed, {len(failed)} failed, "
                 f"{len(skipped)} tests skipped")
        self.out.flush()
        return not failed

    def say(self, text):
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", file=self.out, flush=True)
