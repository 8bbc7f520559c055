"""The table on standard output."""
from .sizes import Sizes


def render(rows: list, sizes: Sizes) -> str:
    """Fixed-width text; `ratio` is ours over the peer's, the median of paired runs."""
    head = ("measurement", "target", "ours", "peer", "ratio or figure", "met")
    lines = [head] + [(r.name, r.target, r.ours, r.peer, r.figure, _met(r)) for r in rows]
    widths = [max(len(x[i]) for x in lines) for i in range(len(head))]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * w for w in widths))
    note = f"medians of {sizes.runs} interleaved runs, {sizes.objects:,} GoBuildEnvs, {sizes.pods:,} pods"
    if not sizes.judged:
        note = "QUICK: sizes too small for the targets, `met` says nothing\n" + note
    return note + "\n" + "\n".join(text)


def _met(row) -> str:
    if row.met is None or row.target == "(none)":
        return "-"
    return "yes" if row.met else "NO"
