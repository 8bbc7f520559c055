"""How much of everything one run does."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of the issue's targets; `quick` is a run of the harness, not a measurement."""
    runs: int = 5
    objects: int = 10_000       # GoBuildEnvs created at once
    few: int = 100              # GoBuildEnvs that exist while admission and start are measured
    reviews: int = 50_000       # closed loop, per run and side: seconds of ours, not moments
    rate: int = 300             # steady reviews a second
    steady_s: int = 30
    creates: int = 200          # dry-run pod creations per case and round
    rounds: int = 3             # of dry-run cases within a run, in turns on one API server
    pods: int = 100_000         # pods in the cache
    restarts: int = 2           # per scale run
    judged: bool = True         # whether the sizes are those the targets are about


FULL = Sizes()
QUICK = Sizes(runs=2, objects=200, few=20, reviews=2_000, steady_s=3, creates=100, rounds=1, pods=1_000,
              restarts=1, judged=False)
