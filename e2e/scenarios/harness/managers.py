"""The operator's processes in a cluster's pods, and who is connected to them."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sys

from .processes import process_of


def manager_process(pod_name):
    """The id of the manager in that pod, as this machine sees it."""
    return process_of(pod_name, "gobuildenv", "manager")


def kill_manager(pod_name):
    """SIGKILL to the manager in that pod: no farewell, as when memory runs out."""
    os.kill(manager_process(pod_name), signal.SIGKILL)


@contextlib.contextmanager
def managers_stopped(pod_names):
    """Their managers do nothing until the block is left: who connects waits for an answer."""
    ids = [manager_process(name) for name in pod_names]
    try:
        for one in ids:
            os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in ids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def connections(cluster, address, port):
    """Local ports of established connections from the API server's side to an IPv4 address."""
    record = json.loads((cluster.folder / "state.json").read_text())
    sockets = pathlib.Path(f"/proc/{record['processes']['kube-apiserver']['pid']}/net/tcp")
    peer = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"
    rows = [line.split() for line in sockets.read_text().splitlines()[1:]]
    established = "01"
    return {int(local.rpartition(":")[2], 16) for _, local, remote, state, *_ in rows
            if (remote, state) == (peer, established)}
