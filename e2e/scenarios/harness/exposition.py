"""Prometheus' text exposition format 0.0.4, read strictly: what promtool would refuse is refused.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math
import re

from .tools import Failure

TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)(?: (-?\d+))?")
COMMENT = re.compile(rf"# (HELP|TYPE) ({NAME})(?: (.*))?")


def parse_labels(text):
    """The labels between braces, as a sorted tuple of pairs."""
    found, at = {}, 0
    while at < len(text):
        label = LABEL.match(text, at)
        if not label:
            raise Failure(f"labels: {text!r}")
        if label[1] in found:
            raise Failure(f"label {label[1]} twice: {text!r}")
        found[label[1]] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label[2])
        at = label.end()
        if text[at:at + 1] == ",":
            at += 1
        elif at != len(text):
            raise Failure(f"labels: {text!r}")
    return tuple(sorted(found.items()))


class Exposition:
    """The series of one scrape. Raises Failure where the text is not as the format wants it."""

    def __init__(self, text):
        self.types, self.helps, self.series = {}, {}, {}
        self.text = text
        if not text.endswith("\n"):
            raise Failure("the last line has no end")
        ended, current = set(), None
        for line in text.splitlines():
            if not line or line.startswith("#") and not line.startswith(("# TYPE ", "# HELP ")):
                continue
            family = self.comment(line) if line.startswith("#") else self.sample(line)
            if family != current:
                if family in ended:
                    raise Failure(f"{family}: its lines are not together: {line!r}")
                ended.add(current)
                current = family
        for name, kind in self.types.items():
            if kind == "histogram":
                self.check_histogram(name)

    def comment(self, line):
        parts = COMMENT.fullmatch(line)
        if not parts:
            raise Failure(f"no comment that there is: {line!r}")
        keyword, name, rest = parts.groups()
        known = self.types if keyword == "TYPE" else self.helps
        if name in known:
            raise Failure(f"a second {keyword} of {name}")
        if keyword == "TYPE":
            if rest not in TYPES:
                raise Failure(f"{name} is of no type that there is: {line!r}")
        known[name] = rest
        return name

    def family(self, name):
        """The family that a sample's name belongs to: histograms and summaries have suffixes."""
        for suffix, kinds in (("_bucket", ("histogram",)), ("_sum", ("histogram", "summary")),
                              ("_count", ("histogram", "summary"))):
            if name.endswith(suffix) and self.types.get(name.removesuffix(suffix)) in kinds:
                return name.removesuffix(suffix)
        return name

    def sample(self, line):
        parts = SAMPLE.fullmatch(line)
        if not parts:
            raise Failure(f"no sample: {line!r}")
        name, labels, value = parts[1], parse_labels(parts[2] or ""), float(parts[3])
        family = self.family(name)
        if family not in self.types:
            raise Failure(f"{name}: a sample before its TYPE")
        if (name, labels) in self.series:
            raise Failure(f"a second sample of {line!r}")
        if self.types[family] == "counter" and not value >= 0:
            raise Failure(f"a counter below zero: {line!r}")
        self.series[name, labels] = value
        return family

    def check_histogram(self, name):
        """Of each label set: buckets that only grow, the last of which is +Inf and the count."""
        groups = {}
        for (one, labels), value in self.series.items():
            if one == f"{name}_bucket":
                bound = dict(labels).get("le")
                if bound is None:
                    raise Failure(f"{name}: a bucket without le")
                rest = tuple(pair for pair in labels if pair[0] != "le")
                groups.setdefault(rest, []).append((float(bound), value))
        for labels, buckets in groups.items():
            if buckets != sorted(buckets) or len({b for b, _ in buckets}) != len(buckets):
                raise Failure(f"{name}{labels}: its buckets are out of order: {buckets}")
            counts = [count for _, count in buckets]
            if counts != sorted(counts):
                raise Failure(f"{name}{labels}: its buckets are not cumulative: {buckets}")
            if buckets[-1][0] != math.inf:
                raise Failure(f"{name}{labels}: there is no bucket +Inf")
            if self.series.get((f"{name}_count", labels)) != counts[-1]:
                raise Failure(f"{name}{labels}: its count is not that of +Inf")
            if (f"{name}_sum", labels) not in self.series:
                raise Failure(f"{name}{labels}: there is no sum")

    # --- what tests ask ---

    def __call__(self, name, /, **labels):
        """The value of exactly that series."""
        key = (name, tuple(sorted(labels.items())))
        if key not in self.series:
            known = [dict(found) for one, found in self.series if one == name]
            raise Failure(f"there is no {name}{labels}; of that name there are {known}")
        return self.series[key]

    def sum(self, name, /, **labels):
        """Of all series of that name which have those labels; 0 where there is none."""
        return sum(value for (one, found), value in self.series.items()
                   if one == name and labels.items() <= dict(found).items())

    def counters(self):
        """Every counter's value, also of the histograms' counts, by its series."""
        return {key: value for key, value in self.series.items()
                if self.types[self.family(key[0])] == "counter"
                or self.types[self.family(key[0])] == "histogram" and not key[0].endswith("_sum")}
