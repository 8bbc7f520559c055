"""Processes as seen from outside: CPU time, memory, and when one has become quiet."""
import os
import subprocess
import time
from pathlib import Path

from .broken import Broken

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """CPU seconds, user and system, of all threads, in steps of one clock tick."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        raise Broken(f"process {pid} has ended") from None
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> dict:
    """Resident set now and at its highest in MiB, and threads."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    value = {k: v.split()[0] for k, _, v in (line.partition(":") for line in lines) if v.strip()}
    return {
        "rss_mib": round(int(value["VmRSS"]) / 1024, 2),
        "hwm_mib": round(int(value["VmHWM"]) / 1024, 2),
        "threads": int(value["Threads"]),
    }


def find(program: str, argument: str) -> int:
    """The process whose executable has this name and whose command line has this argument."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]).decode() == program and argument.encode() in words:
            return int(entry.name)
    raise Broken(f"no {program} runs with {argument}")


class Program:
    """A child process with its output in a file."""

    def __init__(self, argv: list, log: Path, env: dict):
        self.name, self.log = os.path.basename(str(argv[0])), log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with log.open("w") as out:
            self._child = subprocess.Popen(
                [str(a) for a in argv], env=env, stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL)
        self.pid = self._child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def check(self) -> None:
        """Raise Broken if it has ended, with the end of its log."""
        if self._child.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-5:]
            raise Broken(f"{self.name} ended with {self._child.returncode}; {self.log}: "
                         + " | ".join(tail))

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after 45 s."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(45)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def memory(self) -> dict:
        """See memory()."""
        self.check()
        return memory(self.pid)

    def wait_quiet(self, hold: float = 2.0, limit: float = 180.0) -> float:
        """Seconds from exec to the last moment it used more than 10 % of a core.

        Judged from outside, so equal for any language: sampled every 50 ms over a sliding 200 ms;
        the moment is the last in such a window in which it ran at all, not the window's end. It is
        quiet once it has been below for `hold` seconds.
        """
        last, samples = time.monotonic(), [(time.monotonic(), cpu(self.pid))]
        while time.monotonic() - self.started < limit:
            time.sleep(0.05)
            self.check()
            samples = [*samples[-4:], (time.monotonic(), cpu(self.pid))]
            if samples[-1][1] - samples[0][1] > 0.02:
                last = max(b[0] for a, b in zip(samples, samples[1:]) if b[1] > a[1])
            if time.monotonic() - last > hold:
                return round(last - self.started, 3)
        raise Broken(f"{self.name} was still busy {limit:.0f} s after its start; see {self.log}")


class Machine:
    """How busy the whole machine was, and how much of it the host took away, between two calls."""

    def __init__(self):
        self._last = self._read()

    @staticmethod
    def _read() -> list:
        return [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    def since(self) -> dict:
        """Shares since the call before, in percent."""
        now = self._read()
        delta = [b - a for a, b in zip(self._last, now)]
        self._last, total = now, sum(delta) or 1
        return {"steal_pct": round(100 * delta[7] / total, 1),
                "busy_pct": round(100 * (total - delta[3] - delta[4]) / total, 1)}
