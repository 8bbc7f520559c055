"""The command line of bench/run."""
import argparse
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from . import build, sides, table, targets
from .bench import Bench
from .broken import Broken
from .measures import ALL
from .sizes import FULL, QUICK


def _arguments(argv):
    p = argparse.ArgumentParser(
        prog="bench/run", description="Measures gobuildenv against the same operator written in Go "
        "with controller-runtime, in turns on this machine, and prints a table of ratios.",
        epilog="Exit code: 0 measured, 1 a measurement broke (an error, a wrong mutation, a program "
        "that died), 2 wrong arguments. A missed target is no failure.")
    p.add_argument("--quick", action="store_true", help="small sizes: tries the harness, judges nothing")
    p.add_argument("--only", action="append", choices=list(ALL), metavar="NAME",
                   help="only this measurement, may be repeated: " + ", ".join(ALL))
    p.add_argument("--runs", type=int, metavar="N", help="turns of each side (default 5, quick 2)")
    p.add_argument("--operator", type=Path, metavar="FILE",
                   help="a gobuildenv executable, instead of building the release preset")
    p.add_argument("--peer-arg", action="append", default=[], metavar="ARG",
                   help="further argument of the peer, e.g. --peer-arg=--create")
    p.add_argument("--side", choices=(sides.OURS, sides.PEER), help="measure one side alone")
    return p.parse_args(argv)


def _prepare(o, sizes) -> Bench:
    names = [o.side] if o.side else [sides.OURS, sides.PEER]
    programs = {"kubectl": build.kubectl(), "loader": build.go_tool("loader"),
                "certs": build.certificates()}
    made = []
    if sides.OURS in names:
        made.append(sides.ours((o.operator or build.operator()).resolve()))
    if sides.PEER in names:
        made.append(sides.peer(build.go_tool("peer"), o.peer_arg))
    return Bench(sizes, made, programs)


def main(argv=None) -> int:
    """0 when every measurement gave figures."""
    o = _arguments(argv)
    # So that a run that is stopped takes its programs and control planes down, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sizes = QUICK if o.quick else FULL
    if o.runs:
        sizes = replace(sizes, runs=o.runs)
    try:
        bench = _prepare(o, sizes)
    except Broken as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    broken = []
    for name in o.only or ALL:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        try:
            ALL[name].run(bench)
        except Broken as e:
            broken.append(f"{name}: {e}")
            print(f"bench: {broken[-1]}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            broken.append(f"{name}: interrupted")
            break
        except Exception:  # the other measurements are still worth having
            broken.append(f"{name}: " + traceback.format_exc())
            print(f"bench: {broken[-1]}", file=sys.stderr, flush=True)
        finally:
            if name in ("idle", "scale", "pods"):
                bench.close_few()
    bench.close_few()
    print(table.render(targets.rows(bench.records), sizes))
    print(f"records: {bench.out}")
    for line in broken:
        print(f"BROKEN {line}")
    return 1 if broken else 0
