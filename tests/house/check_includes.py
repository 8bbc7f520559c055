#!/usr/bin/env python3
"""Fails when a folder includes what the architecture forbids it to include.

The arrows are those of docs/architecture.md. Besides folders, some third-party headers belong to
one place only: the HTTP clients behind kube/'s transports, and none in the pure domain.
"""
import pathlib
import re
import subprocess
import sys

ALLOWED = {
    "goenv": set(),
    "crds": {"goenv"},
    "kube": set(),
    "webhooks": {"crds", "goenv"},
    "controllers": {"crds", "goenv", "kube", "webhooks"},
    "agent": {"crds", "goenv", "kube"},
    "operator": {"agent", "controllers", "crds", "goenv", "kube", "webhooks"},
}

# header prefix → the folders (or single files) that may include it
RESTRICTED = {
    "cpprest/": {"kube/cpprest_transport.cpp"},
    "pplx/": {"kube/cpprest_transport.cpp"},
    "boost/": {"kube", "webhooks/server"},
    "yaml-cpp/": {"crds", "kube", "operator"},
    "openssl/": {"agent/sumdb", "agent/toolchains", "crds", "kube", "webhooks/certificates",
                 "webhooks/server"},
    "prometheus/": {"kube", "controllers", "operator"},
    "spdlog/": {"agent/node", "kube", "controllers", "operator", "webhooks/server"},
    # gRPC costs memory and minutes of compiling: one file.
    "grpcpp/": {"agent/csi/csi_server.cpp"},
    "grpc/": {"agent/csi/csi_server.cpp"},
    # The domain is pure: no clock, no files, no threads.
    "filesystem": {"agent", "kube", "controllers", "operator", "webhooks/server", "crds"},
    "fstream": {"kube", "controllers", "operator", "webhooks/server", "crds"},
    "thread": {"agent", "kube", "controllers", "operator", "webhooks/server"},
    "mutex": {"agent", "kube", "controllers", "operator", "webhooks/server"},
    "iostream": {"operator"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def below(path, places):
    return any(path == place or path.startswith(place + "/") for place in places)


def check(path, lines):
    """Yields a sentence for each forbidden include of one file."""
    folder = path.split("/")[0]
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, header = match.groups()
        if bracket == '"':
            target = header.split("/")[0]
            if "/" not in header:
                yield f"{path}:{number}: \"{header}\": include from the root of the tree, as \"{folder}/…\""
            elif target != folder and target in ALLOWED and target not in ALLOWED[folder]:
                allowed = ", ".join(sorted(ALLOWED[folder])) or "nothing"
                yield f"{path}:{number}: {folder}/ must not include {target}/ (allowed: {allowed})"
            continue
        for prefix, places in RESTRICTED.items():
            hit = header.startswith(prefix) if prefix.endswith("/") else header == prefix
            if hit and not below(path, places):
                yield f"{path}:{number}: <{header}> belongs to {', '.join(sorted(places))} only"


def self_test():
    """The check itself must be able to fail."""
    bad = [
        ("goenv/a.cpp", '#include "kube/http.hpp"'),
        ("webhooks/a.cpp", '#include "kube/client.hpp"'),
        ("kube/a.cpp", '#include "goenv/spec.hpp"'),
        ("controllers/a.cpp", "#include <cpprest/http_client.h>"),
        ("goenv/a.cpp", "#include <fstream>"),
        ("goenv/a.cpp", '#include "spec.hpp"'),
    ]
    good = [
        ("crds/a.cpp", '#include "goenv/spec.hpp"'),
        ("kube/cpprest_transport.cpp", "#include <cpprest/http_client.h>"),
        ("operator/a.cpp", '#include "webhooks/environments.hpp"'),
    ]
    for path, line in bad:
        assert list(check(path, [line])), (path, line)
    for path, line in good:
        assert not list(check(path, [line])), (path, line)


def main():
    self_test()
    root = pathlib.Path(__file__).resolve().parents[2]
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *ALLOWED], cwd=root,
                            check=True, capture_output=True, text=True).stdout.split()
    sources = [p for p in listed if p.endswith((".hpp", ".cpp", ".h", ".cc"))]
    errors = [e for p in sources if (root / p).exists()
              for e in check(p, (root / p).read_text(encoding="utf-8").splitlines())]
    print("\n".join(errors) or f"includes: {len(sources)} files follow the architecture")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
