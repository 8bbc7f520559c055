"""Memory of a manager that has nothing to do yet."""
import time


def run(bench) -> None:
    """No GoBuildEnv exists; measured once its start has settled."""
    bench.close_few()
    with bench.plane("idle") as plane:
        for turn, side in bench.turns():
            with bench.operator(side, plane, "idle") as op:
                op.wait_quiet()
                time.sleep(5)
                op.check()
                bench.emit("idle", side.name, turn, **op.memory())
