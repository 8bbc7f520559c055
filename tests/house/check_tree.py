#!/usr/bin/env python3
"""Fails when the tree holds what it must not: registry hosts, machines' paths, unfinished words."""
import pathlib
import re
import subprocess
import sys

# Written so that this file does not match itself.
FORBIDDEN = [
    (re.compile(r"\b(proxy|sum|go)\.go[l]ang\.org|files\.py[t]honhosted|py[p]i\.org|registry\.n[p]mjs"),
     "a registry's host; take it from the environment"),
    (re.compile(r"(?<![\w.])/ro[o]t/|(?<![\w.])/wor[k]/(main|shared|steering)"), "a path of one machine"),
    (re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b"), "an unfinished place; finish it or describe it in docs/status.md"),
]
# go.sum and golden data are other people's text; LICENSE is the licence's.
SKIP = re.compile(r"(^LICENSE$|go\.sum$|/corpus/|/testdata/)")
# Go's source names its checksum database; module paths are names, not hosts to ask.
MODULE_PATH = re.compile(r"\bgolang\.org/(toolchain|x/)")


def check(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        line = MODULE_PATH.sub("", line)
        for pattern, why in FORBIDDEN:
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: {match.group(0)!r}: {why}"


def main():
    assert list(check("x", "GOPROXY=https://proxy.go" + "lang.org"))
    assert not list(check("x", "module golang.org/toolchain"))
    root = pathlib.Path(__file__).resolve().parents[2]
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                           capture_output=True, text=True).stdout.splitlines()
    errors = []
    for name in files:
        path = root / name
        if SKIP.search(name) or not path.is_file() or path.is_symlink():
            continue
        try:
            errors.extend(check(name, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    print("\n".join(errors) or f"tree: {len(files)} files are clean")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
