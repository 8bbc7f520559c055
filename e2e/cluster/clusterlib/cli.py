"""The command line of e2e/cluster/cluster."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from . import binaries, errors, goinstall, images, lifecycle, procs, proxy_tree, versions
from .errors import ClusterError
from .paths import DEFAULT_NAME
from .state import State, all_names

_TEACHING = f"""\
first steps:
  cluster up --api-only            etcd and kube-apiserver on free loopback ports, no root needed
  cluster up                       a whole cluster with a node that runs pods (root)
  export KUBECONFIG=$(cluster kubeconfig)
  kubectl get nodes                any kubectl, or: cluster kubectl -- get nodes
  cluster down                     stop it; nothing is left but the cache

several at once: give each a name (--name a, --name b). Addresses and ports never clash.

what a whole cluster offers:
  cluster exec -- CMD              run CMD in the cluster's network, mounts and processes
  cluster spawn manager -- CMD     start CMD there in the background, with a log
  cluster load-image conda-go      build (once) and import a test image; pods need
                                   imagePullPolicy: Never
  cluster proxy up                 serve Go toolchains to pods and to this machine, prints GOPROXY
  this machine reaches the API server, pods and Services by their addresses; pods and webhooks
  configured by url reach this machine at `cluster status -o json`.net.host. There is no way out
  to other networks and no name resolution inside.

failures on purpose:
  cluster kill kube-apiserver      SIGKILL (or --signal STOP, CONT, TERM …)
  cluster restart kube-apiserver   same command line again, returns when it is ready

an --api-only cluster has no controllers: namespaces are not emptied when deleted, service accounts
do not appear (the ServiceAccount admission plugin is off), pods stay Pending.

environment:
  GOBUILDENV_CACHE   built programs, images, toolchains     (now {{cache}})
  GOBUILDENV_STATE   one folder per running cluster         (now {{state}})
  GOPROXY, GOSUMDB   as for every go command; used by `build` only

exit codes:
  0  done
  {errors.EXIT_FAILED}  failed; the last line names the next step
  {errors.EXIT_USAGE}  wrong usage
  {errors.EXIT_NO_CONTAINERS}  this machine cannot run containers (not root, no namespaces, packages
     missing): fall back to --api-only
  {errors.EXIT_NO_PROGRAMS}  the cluster's programs are not built and could not be
"""

_SIGNALS = ("KILL", "TERM", "STOP", "CONT", "INT", "HUP", "QUIT", "ABRT")


def main(arguments=None):
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        if error.next_step:
            print(f"next step: {error.next_step}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser():
    teaching = _TEACHING.format(cache=os.environ.get("GOBUILDENV_CACHE") or "~/.cache/gobuildenv",
                                state=os.environ.get("GOBUILDENV_STATE")
                                or f"{os.environ.get('TMPDIR') or '/tmp'}/gobuildenv-clusters")
    parser = argparse.ArgumentParser(
        prog="cluster", epilog=teaching, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Real Kubernetes clusters for development and tests, on one Linux machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, run, help_text, named=True):
        one = commands.add_parser(name, help=help_text, description=help_text)
        one.set_defaults(run=run)
        if named:
            one.add_argument("--name", default=DEFAULT_NAME, help="which cluster (default: dev)")
        return one

    up = command("up", _up, "start a cluster; builds what is not in the cache yet")
    up.add_argument("--api-only", action="store_true",
                    help="only etcd and kube-apiserver, on this machine's loopback")
    up.add_argument("--audit", action="store_true",
                    help="write an audit log (level Metadata) to logs/audit.log of the cluster")
    up.add_argument("--proxy", action="store_true", help="also serve Go toolchains, see `proxy`")
    up.add_argument("--apiserver-flag", action="append", default=[], metavar="FLAG",
                    help="a further flag for kube-apiserver, e.g. --apiserver-flag=--v=4")

    down = command("down", _down, "stop a cluster and remove all of it")
    down.add_argument("--all", action="store_true", help="all clusters of this state folder")

    status = command("status", _status, "show clusters and their processes", named=False)
    status.add_argument("--name", help="only this cluster")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")

    config = command("kubeconfig", _kubeconfig, "print the path of the administrator's kubeconfig")
    config.add_argument("--token", action="store_true",
                        help="the one that uses a bearer token instead of a certificate")

    build = command("build", _build, "build the cluster's programs into the cache", named=False)
    build.add_argument("--api-only", action="store_true", help="only those of --api-only")
    build.add_argument("--all", action="store_true",
                       help="test images and the module proxy's content, too")

    load = command("load-image", _load_image, "import an image into a cluster's containerd")
    load.add_argument("image", nargs="+",
                      help="a docker archive (a .tar file), or conda-go, which is built if need be")

    for name, run, text in (("exec", _exec, "run a command inside a cluster"),
                            ("kubectl", _kubectl, "run kubectl as the cluster's administrator")):
        one = command(name, run, text)
        one.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS")

    spawn = command("spawn", _spawn, "start a program of your own inside a cluster, in the "
                    "background; prints its process id (kill, restart, logs and down know it)")
    spawn.add_argument("program", help="a name for it, e.g. manager-1")
    spawn.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")

    kill = command("kill", _kill, "send a signal to one of the cluster's programs")
    kill.add_argument("program")
    kill.add_argument("--signal", choices=_SIGNALS, default="KILL")
    command("restart", _restart,
            "restart one of the cluster's programs").add_argument("program")

    logs = command("logs", _logs, "print the path of a program's log, or of all logs")
    logs.add_argument("program", nargs="?")

    proxy = command("proxy", _proxy, "a module proxy for pods and this machine (see --help)")
    proxy.add_argument("action", choices=("up", "down", "url"))
    proxy.add_argument("--module", action="append", default=[], metavar="MODULE@VERSION",
                       help="serve this module, too (downloaded into the cache)")

    command("ensure-go", _ensure_go, "print the path of a go command that is new enough to build "
            f"the cluster's programs; go{versions.BUILD_GO} is downloaded when there is none",
            named=False)
    return parser


def _up(options):
    state = lifecycle.up(options.name, full=not options.api_only, audit=options.audit,
                         apiserver_flags=options.apiserver_flag, proxy=options.proxy)
    print(f"export KUBECONFIG={state.kubeconfig}")
    if "proxy_url" in state.data:
        print(f"export GOPROXY={state.data['proxy_url']}")


def _down(options):
    names = all_names() if options.all else [options.name]
    for name in names:
        existed = lifecycle.down(name)
        print(f"{name}: {'down' if existed else 'was not up'}")


def _status(options):
    found = []
    for name in [options.name] if options.name else all_names():
        state = State(name)
        if options.name:
            state.require()
        elif not state.load():
            found.append({"name": name, "mode": "broken", "ready": False, "processes": {}})
            continue
        data = dict(state.data)
        data["folder"], data["kubeconfig"] = str(state.dir), str(state.kubeconfig)
        data["processes"] = {
            program: {"pid": record["pid"], "running": procs.is_alive(record)}
            for program, record in state.processes.items()
        }
        found.append(data)
    if options.output == "json":
        print(json.dumps(found[0] if options.name else found, indent=1))
        return
    if not found:
        print("no clusters; start one with `cluster up` or `cluster up --api-only`")
    for data in found:
        ready = "ready" if data["ready"] else "not ready: take it down"
        print(f"{data['name']}: {data['mode']}, {ready}")
        for program, process in data["processes"].items():
            running = f"process {process['pid']}" if process["running"] else "not running"
            print(f"  {program:<24} {running}")


def _kubeconfig(options):
    state = State(options.name).require()
    print(state.dir / "token.kubeconfig" if options.token else state.kubeconfig)


def _build(options):
    binaries.ensure(binaries.API_ONLY + (() if options.api_only else binaries.NODE))
    if options.all:
        for archive in (images.pause(), images.conda_go()):
            print(archive)
        print(proxy_tree.ensure())
    print(binaries.path("kube-apiserver").parent)


def _load_image(options):
    state = State(options.name).require()
    if not state.full:
        raise ClusterError(f"cluster {options.name!r} has no node: it is --api-only",
                           "start one without --api-only")
    known = {"conda-go": images.conda_go, "pause": images.pause}
    for image in options.image:
        archive = known[image]() if image in known else Path(image).absolute()
        if not archive.is_file():
            raise ClusterError(f"there is no file {image}",
                               f"give a docker archive, or one of {', '.join(known)}")
        sys.stdout.write(lifecycle.load_archive(state, archive))


def _command_of(options, example):
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise ClusterError("no command given", f"for example: {example}")
    return argv


def _exec(options):
    lifecycle.execute(options.name, _command_of(options, "cluster exec -- ip address"))


def _kubectl(options):
    argv = _command_of(options, "cluster kubectl -- get pods --all-namespaces")
    state = State(options.name).require()
    os.environ["KUBECONFIG"] = str(state.kubeconfig)
    kubectl = str(binaries.path("kubectl"))
    os.execv(kubectl, [kubectl, *argv])


def _spawn(options):
    argv = _command_of(options, "cluster spawn manager-1 -- build/gobuildenv manager")
    print(lifecycle.spawn(options.name, options.program, argv)["pid"])


def _kill(options):
    lifecycle.kill(options.name, options.program, signal.Signals[f"SIG{options.signal}"])


def _restart(options):
    lifecycle.restart(options.name, options.program)


def _logs(options):
    state = State(options.name).require()
    path = state.logs / f"{options.program}.log" if options.program else state.logs
    if not path.exists():
        raise ClusterError(f"there is no {path}",
                           f"there are: {', '.join(sorted(p.stem for p in state.logs.iterdir()))}")
    print(path)


def _proxy(options):
    if options.action == "up":
        print(lifecycle.proxy_up(options.name, options.module))
    elif options.action == "down":
        lifecycle.proxy_down(options.name)
    else:
        url = State(options.name).require().data.get("proxy_url")
        if not url:
            raise ClusterError(f"cluster {options.name!r} serves no modules",
                               "run `cluster proxy up`")
        print(url)


def _ensure_go(_):
    print(goinstall.ensure_go())
