"""The namespaces (processes, mounts, network) that a full cluster lives in."""

import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path

from . import keeper, machine, procs
from .errors import CannotRunContainers, ClusterError
from .locks import locked_folder

# Folders whose path is fixed in kubelet, containerd or the CNI library: each cluster sees its own.
_KUBELET = "/var/lib/kubelet"
_HIDDEN = ("/run/containerd", "/var/lib/cni", "/var/log/containers", "/var/log/pods")
# Attribute of those of these folders that the host did not have before.
_MADE = "trusted.gobuildenv.made"


def create(state):
    """Start the keeper of this cluster and wait until its namespaces are set up."""
    kubelet_dir = state.dir / "kubelet"
    kubelet_dir.mkdir(exist_ok=True)
    hidden = [["", target] for target in _HIDDEN]
    hidden.append([str(kubelet_dir), _KUBELET])
    for _, target in hidden:
        if not os.path.isdir(target):
            os.makedirs(target)
            with contextlib.suppress(OSError):  # a file system without such attributes: it stays
                os.setxattr(target, _MADE, b"1")
    (state.dir / keeper.SOCKET).unlink(missing_ok=True)
    log = state.logs / "keeper.log"
    outer = procs.spawn(
        ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount",
         "--propagation", "slave", "--net",
         sys.executable, "-I", "-S", keeper.__file__, str(state.dir), json.dumps(hidden)],
        environment(state), log,
    )
    state.data["unshare"] = outer
    state.save()
    deadline = time.monotonic() + 60
    while not (state.dir / keeper.SOCKET).exists():
        if not procs.is_alive(outer) or time.monotonic() > deadline:
            procs.stop([outer], patience=0)
            raise CannotRunContainers(
                "namespaces for the cluster could not be set up:\n    "
                + log.read_text().strip()[-600:],
                "run as root on a machine that allows namespaces and mounts, or use --api-only",
            )
        time.sleep(0.02)
    inner = _child_of(outer["pid"])
    state.data["keeper"] = {"pid": inner, "start": procs.start_time(inner)}
    state.save()


def environment(state):
    """The environment of every program of a cluster: nothing of the caller's but the places."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(state.dir),
        "LANG": "C.UTF-8",
        procs.MARK: str(state.dir),
    }


def spawn(state, argv, log):
    """Start a daemon inside the namespaces; return its record, with its id as seen out here."""
    request = {"argv": argv, "env": environment(state), "log": str(log)}
    folder = os.open(state.dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(f"/proc/self/fd/{folder}/{keeper.SOCKET}")
            connection.sendall(json.dumps(request).encode() + b"\n")
            reply = json.loads(connection.makefile().readline() or "{}")
    except OSError as error:
        raise ClusterError(
            f"cluster {state.name!r} has no keeper any more ({error}): it crashed or was killed",
            f"run `e2e/cluster/cluster up --name {state.name}`, which cleans up first",
        ) from error
    finally:
        os.close(folder)
    if "pid" not in reply:
        raise ClusterError(f"{argv[0]} could not be started: {reply.get('error', 'no answer')}")
    pid = _seen_from_outside(state.data["keeper"]["pid"], reply["pid"])
    return {"pid": pid, "start": procs.start_time(pid) if pid else None}


def enter_command(state, argv):
    """A command line that runs `argv` inside the namespaces, in the foreground."""
    if not procs.is_alive(state.data.get("keeper", {})):
        raise ClusterError(
            f"cluster {state.name!r} is not running",
            f"run `e2e/cluster/cluster up --name {state.name}`",
        )
    return ["nsenter", f"--target={state.data['keeper']['pid']}", "--pid", "--mount", "--net",
            f"--wd={os.getcwd()}", "--",
            # nsenter waits for what it started but passes no signal on: tie the two together.
            "setpriv", "--pdeathsig", "TERM", *argv]


def destroy(state):
    """Kill everything inside; the kernel then drops the mounts and network devices."""
    records = [state.data.get(name, {}) for name in ("keeper", "unshare")]
    procs.stop([record for record in records if record], patience=0)


def remove_unused_folders():
    """Remove the folders that clusters made outside their state folder, once none uses them."""
    if not machine.CNI_FOLDER.is_dir():
        return
    with locked_folder(machine.CNI_FOLDER, "changing a cluster's namespaces"):
        for folder in unused_folders():
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def unused_folders():
    """Folders that a cluster made outside its state folder and that no cluster uses now."""
    made = []
    for folder in (*_HIDDEN, _KUBELET):
        with contextlib.suppress(OSError):
            os.getxattr(folder, _MADE)
            made.append(folder)
    # Removing a folder would unmount what another cluster has mounted on it.
    mounted = _mounted_anywhere() if made else ()
    return [folder for folder in made if folder not in mounted]


def _mounted_anywhere():
    """Mount points of all mount namespaces of this machine."""
    seen, points = set(), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            namespace = os.readlink(entry / "ns" / "mnt")
            if namespace not in seen:
                lines = (entry / "mountinfo").read_text().splitlines()
                points.update(line.split()[4] for line in lines)
                seen.add(namespace)
        except OSError:
            continue
    return points


def _child_of(pid):
    for _ in range(200):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == pid:
                return int(entry.name)
        time.sleep(0.01)
    raise ClusterError("the keeper's process id could not be found")


def _parent(entry):
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _seen_from_outside(keeper_pid, inner_pid):
    """The id out here of the process that is `inner_pid` in the keeper's process namespace."""
    namespace = os.readlink(f"/proc/{keeper_pid}/ns/pid")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "ns" / "pid") != namespace:
                continue
            ids = (entry / "status").read_text().partition("NSpid:")[2].split("\n")[0].split()
        except OSError:
            continue
        if ids and int(ids[-1]) == inner_pid:
            return int(entry.name)
    return None  # it died at once; the caller finds its last words in the log
