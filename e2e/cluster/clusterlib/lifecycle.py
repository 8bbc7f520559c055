"""Bringing a cluster up, taking it down, and killing or restarting parts of it."""

import json
import os
import shutil
import signal
import socket
import sys
import time

from . import binaries, cgroups, control_plane, images, machine, namespaces, network, node
from . import procs, proxy_server, proxy_tree
from .errors import ClusterError
from .locks import locked, locked_folder
from .paths import state_root
from .progress import say, step
from .run import run
from .state import State, all_names

PROXY_PORT = 8081
# Seconds to wait for a program. A busy machine is slow; one that died is noticed at once.
PATIENCE = 180
_PROGRAMS = {
    "etcd": control_plane.etcd,
    "kube-apiserver": control_plane.apiserver,
    "kube-controller-manager": control_plane.controller_manager,
    "kube-scheduler": control_plane.scheduler,
    "containerd": node.containerd,
    "kubelet": node.kubelet,
    "kube-proxy": node.kube_proxy,
}


def up(name, *, full, audit=False, apiserver_flags=(), proxy=False):
    """Start a cluster and return its State once it can be used."""
    if full:
        machine.check_containers()
    state = State(name)
    binaries.ensure(binaries.API_ONLY + (binaries.NODE if full else ()))
    archives = [images.pause()] if full else []
    with locked(state.lock, f"changing the cluster {name!r}"):
        if state.load() and _is_up(state):
            raise ClusterError(
                f"the cluster {name!r} is already up",
                f"use it (`export KUBECONFIG={state.kubeconfig}`), or take it down first with "
                f"`e2e/cluster/cluster down --name {name}`",
            )
        _clean(state)
        try:
            state.begin("full" if full else "api-only")
            state.data["audit"] = audit
            state.data["apiserver_flags"] = list(apiserver_flags)
            if full:
                _up_full(state, archives)
            else:
                _up_api_only(state)
            if proxy:
                _start_proxy(state)
            state.data["ready"] = True
            state.save()
        except BaseException as error:
            kept = _keep_logs(state)
            _clean(state)
            if isinstance(error, ClusterError):
                error.next_step = error.next_step.replace(str(state.logs), str(kept))
            raise
    return state


def _up_api_only(state):
    """etcd and the API server on free ports of this machine's loopback; needs no privileges."""
    for attempt in range(3):
        ports = _free_ports(3)
        state.data.update({
            "etcd_url": f"http://127.0.0.1:{ports[0]}",
            "etcd_peer_url": f"http://127.0.0.1:{ports[1]}",
            "api_address": "127.0.0.1", "api_port": ports[2],
            "service_range": "10.96.0.0/24", "service_first": "10.96.0.1",
        })
        control_plane.write_credentials(state)
        try:
            _start_control_plane(state)
            return
        except ClusterError as error:
            # Another process can take a port between our look and the start.
            if attempt == 2 or "address already in use" not in str(error):
                raise
            say("a chosen port was taken meanwhile: trying others")
            procs.stop(list(state.processes.values()))
            shutil.rmtree(state.dir / "etcd", ignore_errors=True)


def _up_full(state, archives):
    """Control plane and a node, in namespaces of their own."""
    with locked_folder(machine.CNI_FOLDER, "changing a cluster's namespaces"):
        state.data["net"] = net = network.choose(_taken_blocks())
        state.data["cgroup"] = cgroups.name_of(state)
        state.save()
        cgroups.create(state.data["cgroup"])
        namespaces.create(state)
        network.connect(net, state.data["keeper"]["pid"], str(state.dir))
    state.data.update({
        "node": f"{state.name}-node",
        "etcd_url": f"http://{net['node']}:{control_plane.ETCD_PORT}",
        "etcd_peer_url": f"http://{net['node']}:{control_plane.ETCD_PEER_PORT}",
        "api_address": net["node"], "api_port": control_plane.API_PORT,
        "service_range": net["services"], "service_first": net["services_first"],
    })
    control_plane.write_credentials(state)
    node.write_configuration(state)
    start(state, "containerd")
    _start_control_plane(state)
    for program in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        start(state, program)
    for archive in archives:
        load_archive(state, archive)
    start(state, "kubelet")
    with step("waiting for the node to be Ready"):
        _wait_for_node(state)
        _wait_for_service_account(state)


def _start_control_plane(state):
    with step(f"starting etcd and kube-apiserver of {state.name!r}"):
        for program, ready in (("etcd", control_plane.etcd_is_ready),
                               ("kube-apiserver", control_plane.apiserver_is_ready)):
            start(state, program)
            wait_ready(state, program, ready, PATIENCE)


def start(state, program, argv=None):
    """Start one program and record it."""
    argv = argv or _PROGRAMS[program](state)
    log = state.logs / f"{program}.log"
    if state.full:
        record = namespaces.spawn(state, argv, log)
    else:
        record = procs.spawn(argv, namespaces.environment(state), log)
    state.processes[program] = {**record, "argv": argv}
    state.save()


def wait_ready(state, program, ready, seconds):
    """Wait until `ready(state)`; fail early when the program dies."""
    deadline = time.monotonic() + seconds
    while not ready(state):
        alive = procs.is_alive(state.processes[program])
        if not alive or time.monotonic() > deadline:
            why = "did not become ready" if alive else "stopped"
            raise ClusterError(f"{program} {why}:\n{log_tail(state, program)}",
                               f"see {state.logs / (program + '.log')}")
        time.sleep(0.1)


def log_tail(state, program, lines=8):
    try:
        text = (state.logs / f"{program}.log").read_text(errors="replace")
    except OSError:
        return "    (no log)"
    return "\n".join("    " + line[:400] for line in text.splitlines()[-lines:])


def load_archive(state, archive):
    """Import a docker archive into the cluster's containerd."""
    command = namespaces.enter_command(state, node.import_command(archive))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return run(command, failure=f"{archive.name} could not be imported")
        except ClusterError:
            # containerd may still be starting; any other reason lasts.
            if procs.is_alive(state.processes["containerd"]) and time.monotonic() < deadline \
                    and not _containerd_answers(state):
                time.sleep(0.2)
                continue
            raise


def _containerd_answers(state):
    try:
        run(namespaces.enter_command(
            state, ["ctr", f"--address={node.CONTAINERD_SOCKET}", "version"]))
        return True
    except ClusterError:
        return False


def _wait_for_node(state):
    query = [binaries.path("kubectl"), f"--kubeconfig={state.kubeconfig}", "get", "node",
             state.data["node"], "--output=json"]
    deadline = time.monotonic() + PATIENCE
    why = "it has not registered"
    while time.monotonic() < deadline:
        if not procs.is_alive(state.processes["kubelet"]):
            raise ClusterError(f"kubelet stopped:\n{log_tail(state, 'kubelet')}",
                               f"see {state.logs / 'kubelet.log'}")
        try:
            found = json.loads(run(query))
        except ClusterError:
            found = {}
        conditions = {one["type"]: one for one in found.get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True" and not found["spec"].get("taints"):
            return
        why = ready.get("message") or why
        time.sleep(0.3)
    raise ClusterError(f"the node did not become Ready: {why}", f"see {state.logs}")


def _wait_for_service_account(state):
    """Pods are refused until the controller manager has made the namespace's account."""
    query = [binaries.path("kubectl"), f"--kubeconfig={state.kubeconfig}", "wait",
             "--for=create", "serviceaccount/default", "--namespace=default",
             f"--timeout={PATIENCE}s"]
    run(query, failure="the default service account does not appear",
        next_step=f"see {state.logs / 'kube-controller-manager.log'}")


def down(name):
    """Stop everything of a cluster, whatever state it is in, and remove its folder."""
    state = State(name)
    with locked(state.lock, f"changing the cluster {name!r}"):
        existed = state.dir.exists()
        state.load()
        _clean(state)
    return existed


def _clean(state):
    """Remove all that a cluster of this name may have left, also after a crash half way.

    The record may be cut short or gone, so everything is also looked for by the mark it bears.
    """
    namespaces.destroy(state)
    procs.stop([record for record in state.processes.values() if procs.is_alive(record)])
    procs.stop(procs.marked(state.dir), patience=0)
    if os.geteuid() == 0 and state.data.get("mode") != "api-only" and state.dir.exists():
        network.disconnect(str(state.dir))
        cgroups.remove(cgroups.name_of(state))
        namespaces.remove_unused_folders()
    if state.dir.exists():
        _remove_folder(state.dir)
    state.data = {}


def _remove_folder(folder):
    """Remove the state folder; refuse while something is mounted below it, to spare its content."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        points = [line.split()[4].replace("\\040", " ") for line in mounts]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        run(["umount", "--lazy", point])
    for attempt in range(20):
        try:
            shutil.rmtree(folder)
            return
        except OSError:
            if attempt == 19:
                raise
            time.sleep(0.1)


def _keep_logs(state):
    """A failed `up` cleans up after itself, but its logs are what explains it."""
    kept = state_root() / f".failed-{state.name}"
    shutil.rmtree(kept, ignore_errors=True)
    if state.logs.exists():
        shutil.copytree(state.logs, kept)
        say(f"logs of the failed start are kept in {kept}")
    return kept


def _is_up(state):
    return state.data.get("ready") and procs.is_alive(
        state.data.get("keeper") or state.processes.get("kube-apiserver", {}))


def _taken_blocks():
    blocks = []
    for name in all_names():
        other = State(name)
        if other.load() and other.data.get("net"):
            blocks.append(other.data["net"]["block"])
    return blocks


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def kill(name, program, number):
    """Send a signal to one program of a running cluster."""
    state = State(name).require()
    record = _recorded(state, program)
    if not procs.send(record, number):
        raise ClusterError(f"{program} of cluster {name!r} is not running",
                           f"start it with `e2e/cluster/cluster restart {program} --name {name}`")
    if number == signal.SIGKILL:
        procs.wait_gone([record], 10)


def restart(name, program):
    """Stop one program if it runs, start it with the same command line, wait until it is ready."""
    state = State(name).require()
    with locked(state.lock, f"changing the cluster {name!r}"):
        state.require()
        record = _recorded(state, program)
        procs.stop([record], patience=20)
        start(state, program, record["argv"])
        ready = {"etcd": control_plane.etcd_is_ready,
                 "kube-apiserver": control_plane.apiserver_is_ready}.get(program)
        if ready:
            with step(f"waiting for {program}"):
                wait_ready(state, program, ready, PATIENCE)


def spawn(name, program, argv):
    """Start a program of the caller's own as part of the cluster, until `kill` or `down`."""
    state = State(name).require()
    with locked(state.lock, f"changing the cluster {name!r}"):
        state.require()
        if program in _PROGRAMS or procs.is_alive(state.processes.get(program, {})):
            raise ClusterError(f"cluster {name!r} already runs a program named {program!r}",
                               "choose another name, or kill it first")
        found = shutil.which(argv[0])
        if not found:
            raise ClusterError(f"there is no program {argv[0]}", "give its path")
        start(state, program, [os.path.abspath(found), *argv[1:]])
        return state.processes[program]


def _recorded(state, program):
    if program not in state.processes:
        raise ClusterError(f"cluster {state.name!r} has no program {program!r}",
                           f"it has: {', '.join(sorted(state.processes))}")
    return state.processes[program]


def proxy_up(name, queries):
    """Serve the test modules (and `queries`) to this cluster and this machine; return the URL."""
    state = State(name).require()
    proxy_tree.ensure(queries)
    with locked(state.lock, f"changing the cluster {name!r}"):
        state.require()
        if not procs.is_alive(state.processes.get("module-proxy", {})):
            _start_proxy(state)
    return state.data["proxy_url"]


def _start_proxy(state):
    tree = proxy_tree.ensure()
    if state.full:
        address, port = state.data["net"]["node"], PROXY_PORT
    else:
        address, port = "127.0.0.1", _free_ports(1)[0]
    start(state, "module-proxy", [sys.executable, "-I", "-S", proxy_server.__file__, str(tree),
                                  address, str(port)])

    def answers(_):
        try:
            socket.create_connection((address, port), timeout=1).close()
            return True
        except OSError:
            return False

    wait_ready(state, "module-proxy", answers, PATIENCE)
    state.data["proxy_url"] = f"http://{address}:{port}"
    state.save()


def proxy_down(name):
    """Stop serving modules."""
    state = State(name).require()
    with locked(state.lock, f"changing the cluster {name!r}"):
        state.require()
        procs.stop([state.processes.pop("module-proxy", {})])
        state.data.pop("proxy_url", None)
        state.save()


def execute(name, argv):
    """Replace this process by `argv` inside the cluster's namespaces (here, for api-only)."""
    state = State(name).require()
    if state.full:
        argv = namespaces.enter_command(state, argv)
    os.environ["KUBECONFIG"] = str(state.kubeconfig)
    os.environ["PATH"] = f"{binaries.path('kubectl').parent}:{os.environ.get('PATH', '')}"
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise ClusterError(f"{argv[0]} cannot be run: {error}") from error
