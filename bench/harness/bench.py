"""What every measurement uses: sizes, sides, programs, control planes, and where records go."""
import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import paths
from .broken import Broken
from .controlplane import ControlPlane
from .proc import Machine, Program
from .sides import Side
from .sizes import Sizes


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Operator(Program):
    """One started operator and where its webhook listens."""

    def __init__(self, side: Side, plane: ControlPlane, certs: Path, log: Path, pods: bool):
        self.port = free_port()
        super().__init__(side.command(plane.kubeconfig, certs, self.port, pods), log, plane.env)

    @property
    def url(self) -> str:
        """Of the pod webhook."""
        return f"https://127.0.0.1:{self.port}/mutate-pods"


class Bench:
    """One invocation of bench/run."""

    def __init__(self, sizes: Sizes, sides: list, programs: dict):
        self.sizes, self.sides, self._programs = sizes, sides, programs
        self.records, self._machine, self._planes = [], Machine(), {}
        self._stack = contextlib.ExitStack()
        self.certs = programs["certs"]
        self.logs = paths.work() / "logs"
        folder = paths.work() / "results"
        folder.mkdir(parents=True, exist_ok=True)
        self.out = folder / time.strftime("%Y%m%d-%H%M%S.jsonl")

    def emit(self, what: str, side: str, run: int, **values) -> None:
        """Keeps one record, appends it to the results file, and shows it."""
        record = {"what": what, "side": side, "run": run, **values, **self._machine.since(),
                  "at": time.strftime("%H:%M:%S")}
        self.records.append(record)
        line = json.dumps(record)
        print(line, file=sys.stderr, flush=True)
        with self.out.open("a") as f:
            f.write(line + "\n")

    def turns(self):
        """(run, side) in the order A, B, A, B."""
        for run in range(self.sizes.runs):
            for side in self.sides:
                yield run, side

    def plane(self, name: str) -> ControlPlane:
        """A control plane of its own; use as a context."""
        return ControlPlane(f"bench-{name}", str(self._programs["kubectl"]))

    def few(self, side: Side) -> ControlPlane:
        """The side's control plane with a few Ready GoBuildEnvs, shared by the measurements of
        admission and start, so that no side ever sees what the other has written."""
        if side.name not in self._planes:
            plane = self._stack.enter_context(self.plane(side.name))
            with self.operator(side, plane, "prepare"):
                self.create(plane, self.sizes.few)
            self._planes[side.name] = plane
        return self._planes[side.name]

    def close_few(self) -> None:
        """Takes the shared control planes down: an idle API server still costs CPU."""
        self._planes.clear()
        self._stack.close()

    def operator(self, side: Side, plane: ControlPlane, log: str, pods: bool = False) -> Operator:
        """Starts a side's operator; use as a context."""
        return Operator(side, plane, self.certs, self.logs / f"{side.name}-{log}.log", pods)

    def ca_bundle(self) -> bytes:
        """The certificate that both webhooks serve."""
        return (self.certs / "tls.crt").read_bytes()

    def loader(self, plane: ControlPlane, *args) -> dict:
        """One JSON line of the loader."""
        done = subprocess.run([str(self._programs["loader"]), *map(str, args)], env=plane.env,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Broken(f"loader {args[0]}: {done.stderr.strip()}")
        answer = json.loads(done.stdout)
        if answer.get("error") or answer.get("errors") or answer.get("bad"):
            raise Broken(f"loader {args[0]}: {answer.get('error') or ''} errors "
                         f"{answer.get('errors') or answer.get('bad')}: {done.stderr.strip()}")
        return answer

    def create(self, plane: ControlPlane, n: int, first: int = 0) -> dict:
        """GoBuildEnvs created at once and waited for until Ready."""
        return self.loader(plane, "create", "-n", n, "-from", first, "-c", 32,
                           "-template", paths.DATA / "gobuildenv.yaml")

    def writes(self, plane: ControlPlane) -> dict:
        """Write requests served so far, Leases left out."""
        return self.loader(plane, "writes")


def more(before: dict, after: dict) -> dict:
    """What was added to counters."""
    return {k: v - before.get(k, 0) for k, v in sorted(after.items()) if v != before.get(k, 0)}
