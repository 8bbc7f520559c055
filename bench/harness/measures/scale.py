"""Many GoBuildEnvs at once on a fresh API server, then restarts with all of them present."""
import time

from ..bench import more
from ..proc import cpu


def run(bench) -> None:
    """Each turn has a control plane of its own."""
    bench.close_few()
    for turn, side in bench.turns():
        with bench.plane(f"scale-{side.name}") as plane:
            with bench.operator(side, plane, "scale") as op:
                op.wait_quiet()
                _create(bench, plane, op, side.name, turn)
                _steady(bench, plane, op, side.name, turn)
            for k in range(bench.sizes.restarts):
                time.sleep(2)
                _restart(bench, plane, side, turn, k)
                _newcomer(bench, plane, side, turn, k)


def _create(bench, plane, op, name, turn) -> None:
    writes = bench.writes(plane)
    before = {p: cpu(p) for p in (op.pid, plane.apiserver, plane.etcd)}
    load = bench.create(plane, bench.sizes.objects)
    time.sleep(3)  # what an operator does after the last Ready counts as well
    op.check()
    used = {p: round(cpu(p) - before[p], 2) for p in before}
    bench.emit("scale", name, turn, **op.memory(), objects=bench.sizes.objects,
               all_ready_s=load["all_ready_s"], create_s=load["create_s"], ready=load["ready"],
               op_cpu_s=used[op.pid], apiserver_cpu_s=used[plane.apiserver],
               etcd_cpu_s=used[plane.etcd], writes=more(writes, bench.writes(plane)))


def _steady(bench, plane, op, name, turn) -> None:
    writes, used = bench.writes(plane), cpu(op.pid)
    time.sleep(10)
    op.check()
    bench.emit("scale-steady", name, turn, **op.memory(), objects=bench.sizes.objects,
               op_cpu_pct=round((cpu(op.pid) - used) * 10, 2),
               writes=more(writes, bench.writes(plane)))


def _restart(bench, plane, side, turn, k) -> None:
    versions, writes = plane.resource_versions(), bench.writes(plane)
    time.sleep(5)  # the API server clears away what it made for that list of everything
    with bench.operator(side, plane, "restart") as op:
        quiet = op.wait_quiet()
        used, memory = cpu(op.pid), op.memory()
    after = plane.resource_versions()
    changed = sum(versions.get(i) != after.get(i) for i in set(versions) | set(after))
    bench.emit("restart", side.name, turn, k=k, **memory, objects=bench.sizes.objects,
               quiet_s=quiet, op_cpu_s=round(used, 2), changed_objects=changed,
               writes=more(writes, bench.writes(plane)))


def _newcomer(bench, plane, side, turn, k) -> None:
    """An object created right after exec, and one created a second later."""
    for n, delay in enumerate((0, 1)):
        time.sleep(2)
        with bench.operator(side, plane, "newcomer") as op:
            time.sleep(delay)
            first = 100_000 + 1000 * turn + 10 * k + n
            load = bench.create(plane, 1, first)
            op.check()
        bench.emit("restart-new", side.name, turn, k=k, after_s=delay,
                   objects=bench.sizes.objects, ready_ms=load["ready"]["max_ms"])
