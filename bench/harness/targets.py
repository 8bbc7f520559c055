"""The numbers to reach: one row each, computed from the records of a run."""
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Callable, Optional

from .sides import OURS, PEER


@dataclass
class Row:
    """One line of the table; `met` is None where nothing was measured or nothing is demanded."""
    name: str
    target: str
    ours: str = "-"
    peer: str = "-"
    figure: str = "not measured"
    met: Optional[bool] = None


class Records:
    """The records of a run, by what was measured."""

    def __init__(self, records: list):
        self._records = records

    def pick(self, what: str, side: str, **match) -> list:
        """Records of one kind and side."""
        return [r for r in self._records if r["what"] == what and r["side"] == side
                and all(r.get(k) == v for k, v in match.items())]

    def by_run(self, what: str, side: str, key: str, **match) -> dict:
        """Run -> value; the median where a run has several."""
        runs = defaultdict(list)
        for r in self.pick(what, side, **match):
            runs[r["run"]].append(r[key])
        return {k: median(v) for k, v in runs.items()}


def _number(x: float, unit: str) -> str:
    return f"{x:.4g} {unit}".strip()


def ratio(name, target, limit, what, key, unit, base=PEER, **match) -> Callable:
    """Ours over the base in the same run, median over the runs."""
    def row(records: Records) -> Row:
        ours, other = (records.by_run(what, s, key, **match) for s in (OURS, base))
        r = Row(name, target)
        if ours:
            r.ours = _number(median(ours.values()), unit)
        if other:
            r.peer = _number(median(other.values()), unit)
        both = [ours[k] / other[k] for k in ours if other.get(k)]
        if both:
            value = median(both)
            r.figure = f"{value:.3f}" + (f" (1/{1 / value:.1f})" if 0 < value < 1 else "")
            r.met = value <= limit
        return r
    return row


def figure(name, target, limit, what, key, unit, pick=median, **match) -> Callable:
    """Our own figure against a limit, with the peer's beside it."""
    def row(records: Records) -> Row:
        r, value = Row(name, target), {}
        for side in (OURS, PEER):
            found = [x[key] for x in records.pick(what, side, **match)]
            if found:
                value[side] = pick(found)
        if PEER in value:
            r.peer = _number(value[PEER], unit)
        if OURS in value:
            r.ours = r.figure = _number(value[OURS], unit)
            r.met = value[OURS] <= limit
        return r
    return row


def fastest_policy(records: Records) -> Row:
    """Ours against whichever form of policy was faster in the same run."""
    r = Row("dry-run pod create, p50, against MutatingAdmissionPolicy", "<= 0.9 of the policy's")
    ours = records.by_run("dryrun", OURS, "p50_ms", c=1)
    forms = {k: records.by_run("dryrun", k, "p50_ms", c=1) for k in ("map-apply", "map-jsonpatch")}
    forms = {k: v for k, v in forms.items() if v}
    if ours:
        r.ours = _number(median(ours.values()), "ms")
    if ours and forms:
        best = min(forms, key=lambda k: median(forms[k].values()))
        r.peer = _number(median(forms[best].values()), f"ms ({best})")
        value = median(ours[k] / forms[best][k] for k in ours if k in forms[best])
        r.figure, r.met = f"{value:.3f}", value <= 0.9
    return r


def _per_object(record: dict) -> tuple:
    """ConfigMap writes and status writes per object."""
    count = {"configmaps": 0, "gobuildenvs/status": 0}
    for key, n in record["writes"].items():
        resource = key.split()[1]
        if resource in count:
            count[resource] += n
    return tuple(v / record["objects"] for v in count.values())


def writes_each(records: Records) -> Row:
    """Exactly one ConfigMap write and one status write for each object."""
    r = Row("writes per object, ConfigMap and status", "exactly 1 and 1")
    seen = {s: {_per_object(x) for x in records.pick("scale", s)} for s in (OURS, PEER)}
    text = {s: "; ".join(f"{a:g} and {b:g}" for a, b in sorted(v)) for s, v in seen.items()}
    r.peer = text[PEER] or "-"
    if seen[OURS]:
        r.ours = r.figure = text[OURS]
        r.met = seen[OURS] == {(1.0, 1.0)}
    return r


def no_writes(name: str, what: str) -> Callable:
    """Nothing but Leases is written."""
    def row(records: Records) -> Row:
        r = Row(name, "none")
        for side in (OURS, PEER):
            found = records.pick(what, side)
            if found:
                total = sum(sum(x["writes"].values()) for x in found)
                setattr(r, side, f"{total:g} in {len(found)}")
                if side == OURS:
                    changed = sum(x.get("changed_objects", 0) for x in found)
                    r.figure, r.met = r.ours, total == 0 and changed == 0
        return r
    return row


def errors(records: Records) -> Row:
    """Reviews that failed or gave a wrong mutation; any stops the run, so what is here had none."""
    r = Row("reviews answered without an error", ">= 100,000, no error")
    for side in (OURS, PEER):
        found = records.pick("reviews", side) + records.pick("steady", side)
        if found:
            n, bad = sum(x["n"] for x in found), sum(x["errors"] for x in found)
            setattr(r, side, f"{n:,}, {bad} errors")
            if side == OURS:
                r.figure, r.met = r.ours, bad == 0 and n >= 100_000
    return r


ROWS = [
    ratio("CPU per review, TLS keep-alive, 3.6 KB pod", "<= 1/20", 1 / 20, "reviews",
          "op_cpu_us_per_review", "us"),
    ratio("p99 under steady reviews, 300/s", "<= 1/5", 1 / 5, "steady", "p99_ms", "ms"),
    errors,
    fastest_policy,
    ratio("dry-run pod create, p50, against the peer's webhook", "(none)", float("inf"), "dryrun",
          "p50_ms", "ms", c=1),
    ratio("dry-run pod create, p50, against no mutation", "(none)", float("inf"), "dryrun", "p50_ms",
          "ms", base="none", c=1),
    figure("manager idle, RSS", "<= 20 MiB", 20, "idle", "rss_mib", "MiB"),
    figure("with all GoBuildEnvs, RSS", "<= 35 MiB", 35, "scale", "rss_mib", "MiB"),
    figure("with all GoBuildEnvs after a restart, RSS", "<= 35 MiB", 35, "restart", "rss_mib", "MiB"),
    figure("cached pod, seen while created", "<= 1 KiB", 1, "pods-live", "kib_per_pod", "KiB"),
    figure("cached pod, after a restart", "<= 1 KiB", 1, "pods", "kib_per_pod", "KiB"),
    ratio("exec to first correct answer", "<= 1/3", 1 / 3, "start", "first_answer_ms", "ms"),
    writes_each,
    ratio("all GoBuildEnvs Ready", "<= 1", 1, "scale", "all_ready_s", "s"),
    ratio("CPU until all are Ready", "<= 1/4", 1 / 4, "scale", "op_cpu_s", "s"),
    no_writes("writes in steady state", "scale-steady"),
    no_writes("writes of a restart", "restart"),
    figure("restart until quiet", "<= 1.5 s", 1.5, "restart", "quiet_s", "s"),
    figure("object created at a restart, Ready", "<= 1000 ms", 1000, "restart-new", "ready_ms", "ms",
           after_s=0),
    figure("object created 1 s after a restart, Ready", "<= 1000 ms", 1000, "restart-new",
           "ready_ms", "ms", after_s=1),
]


def rows(records: list) -> list:
    """The whole table."""
    r = Records(records)
    return [make(r) for make in ROWS]
