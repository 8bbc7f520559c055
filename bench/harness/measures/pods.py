"""What one cached pod costs in memory."""
import tempfile
from pathlib import Path

from .. import paths
from ..sides import OURS


def run(bench) -> None:
    """Without pods, then while they are created, then after a restart with all of them."""
    bench.close_few()
    with bench.plane("pods") as plane:
        bare = {}
        for side in bench.sides:
            with bench.operator(side, plane, "pods", pods=True) as op:
                if not bare:
                    bench.create(plane, 1, first=7)
                op.wait_quiet()
                bare[side.name] = op.memory()["rss_mib"]
        # Ours has to keep up with pods as they come, so it watches while they are created.
        first = next((s for s in bench.sides if s.name == OURS), bench.sides[0])
        with bench.operator(first, plane, "pods", pods=True) as op:
            op.wait_quiet()
            _create_pods(bench, plane)
            op.wait_quiet(limit=3600)
            _emit(bench, "pods-live", first.name, 0, op, bare)
        for turn, side in bench.turns():
            with bench.operator(side, plane, "pods", pods=True) as op:
                op.wait_quiet()
                _emit(bench, "pods", side.name, turn, op, bare)


def _create_pods(bench, plane) -> None:
    env = plane.raw("/apis/gobuildenv.dev/v1alpha1/namespaces/bench/gobuildenvs/env-7")
    text = (paths.DATA / "cached-pod.yaml").read_text()
    with tempfile.TemporaryDirectory() as d:
        template = Path(d) / "pod.yaml"
        template.write_text(text.replace("{{REVISION}}", env["status"]["revisions"]["current"]))
        bench.loader(plane, "create", "-n", bench.sizes.pods, "-c", 32, "-no-wait",
                     "-timeout", "1h", "-resource", "pods", "-template", template)


def _emit(bench, what, name, turn, op, bare) -> None:
    memory, n = op.memory(), bench.sizes.pods
    bench.emit(what, name, turn, **memory, pods=n, bare_rss_mib=bare[name],
               kib_per_pod=round((memory["rss_mib"] - bare[name]) * 1024 / n, 3))
