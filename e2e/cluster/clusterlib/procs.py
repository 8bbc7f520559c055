"""Processes that outlive this command, known by id *and* start time, so that a reused id is never
mistaken for ours."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .errors import ClusterError

# Each process we start carries this variable with its cluster's state folder: what a crash of this
# command left without a record is found by it.
MARK = "GOBUILDENV_CLUSTER"


def start_time(pid):
    """Start of process `pid` in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(record):
    """True when the process of `record` ({"pid", "start"}) still runs."""
    return bool(record.get("pid")) and start_time(record["pid"]) == record["start"]


def send(record, number):
    """Send a signal to the recorded process; False when it is not there any more."""
    if not is_alive(record):
        return False
    try:
        os.kill(record["pid"], number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(records, seconds):
    """Wait until none of `records` is alive; return those that still are."""
    deadline = time.monotonic() + seconds
    left = [record for record in records if is_alive(record)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [record for record in left if is_alive(record)]
    return left


def stop(records, patience=5.0):
    """SIGTERM, then after `patience` seconds SIGKILL; raise when one survives that."""
    for record in records:
        send(record, signal.SIGCONT)
        send(record, signal.SIGTERM)
    for record in wait_gone(records, patience):
        send(record, signal.SIGKILL)
    left = wait_gone(records, 30)
    if left:
        raise ClusterError(f"processes {[record['pid'] for record in left]} do not die")


def spawn(argv, environment, log):
    """Start a daemon in a session of its own, output appended to `log`; return its record."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # The daemon is meant to outlive this object, which would otherwise warn when collected.
    process.returncode = 0
    return {"pid": process.pid, "start": start_time(process.pid)}


def marked(state_dir):
    """Records of all processes that carry the mark of this state folder."""
    wanted = f"{MARK}={state_dir}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        start = start_time(int(entry.name))
        if wanted in variables and start is not None:
            found.append({"pid": int(entry.name), "start": start})
    return found
