"""The webhook alone over TLS with keep-alive: CPU per review, and latency at a steady rate."""
from .. import paths

REVIEW = paths.DATA / "review.json"


def run(bench) -> None:
    """Closed loop for CPU and errors, then an open loop at a fixed rate for the tail."""
    s = bench.sizes
    for turn, side in bench.turns():
        plane = bench.few(side)
        with bench.operator(side, plane, "admission") as op:
            op.wait_quiet()
            ask = ["reviews", "-review", REVIEW, "-url", op.url, "-watch", f"op={op.pid}"]
            bench.emit("reviews", side.name, turn,
                       **bench.loader(plane, *ask, "-n", s.reviews, "-c", 16))
            bench.emit("steady", side.name, turn, rate=s.rate,
                       **bench.loader(plane, *ask, "-n", s.rate * s.steady_s, "-rate", s.rate))
