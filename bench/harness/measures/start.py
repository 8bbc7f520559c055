"""Exec to the first correct admission answer, certificates and a few GoBuildEnvs present."""
import os

from .. import paths
from ..bench import free_port


def run(bench) -> None:
    """Each start is a new process against an idle API server."""
    for turn, side in bench.turns():
        plane, port = bench.few(side), free_port()
        command = side.command(plane.kubeconfig, bench.certs, port)
        os.makedirs(bench.logs, exist_ok=True)
        bench.emit("start", side.name, turn, **bench.loader(
            plane, "start", "-url", f"https://127.0.0.1:{port}/mutate-pods", "-review",
            paths.DATA / "review.json", "-log", bench.logs / f"{side.name}-start.log", "--",
            *command))
