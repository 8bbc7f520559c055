#!/usr/bin/env python3
"""Writes the gRPC interface definitions that the agent serves, for protoc.

    definitions.py OUT      # OUT/csi.proto, OUT/pluginregistration.proto

They come out of the Go modules that go.mod names, verified by go.sum; no copy of them is kept. Only
the calls below and the messages that they need are taken, without custom options, so that protobuf's
small runtime serves them: the whole of csi.proto would cost the agent memory on every node. On the
wire nothing differs.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "e2e" / "cluster"))

from clusterlib.goinstall import ensure_go, go_environment  # noqa: E402  (the path comes first)

SERVED = {
    "Identity": ("GetPluginInfo", "GetPluginCapabilities", "Probe"),
    "Node": ("NodePublishVolume", "NodeUnpublishVolume", "NodeGetCapabilities", "NodeGetInfo"),
}
CALL = re.compile(r"rpc\s+(\w+)\s*\(\s*(\w+)\s*\)\s*returns\s*\(\s*(\w+)\s*\)\s*\{[^{}]*\}")
LITE = "option optimize_for = LITE_RUNTIME;\n"


def modules():
    """Folders of the modules in go.mod, by module path."""
    go = ensure_go()
    env = {**os.environ, **go_environment(go)}
    said = subprocess.run([go, "mod", "edit", "-json"], cwd=HERE, env=env, check=True,
                          capture_output=True, text=True).stdout
    wanted = [f"{one['Path']}@{one['Version']}" for one in json.loads(said)["Require"]]
    sums = (HERE / "go.sum").read_text()
    for one in wanted:
        if one.replace("@", " ") + " h1:" not in sums:
            sys.exit(f"{HERE / 'go.sum'}: no sum of {one}; "
                     f"run `go mod download -json {one}` in {HERE} and commit what it adds")
    done = subprocess.run([go, "mod", "download", "-json", *wanted], cwd=HERE, env=env, text=True,
                          capture_output=True, check=False)
    folders, text, decoder = {}, done.stdout.strip(), json.JSONDecoder()
    while text:
        one, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        if "Error" in one:
            sys.exit(f"{one['Path']}: {one['Error']}")
        folders[one["Path"]] = Path(one["Dir"])
    if done.returncode != 0:
        sys.exit(done.stderr)
    return folders


def blocks(text):
    """Top-level blocks as {(keyword, name): text}."""
    found = {}
    for start in re.finditer(r"^(message|service|enum)\s+(\w+)\s*\{", text, re.M):
        depth, at = 1, start.end()
        while depth:
            at = min(p for p in (text.find("{", at), text.find("}", at)) if p >= 0) + 1
            depth += 1 if text[at - 1] == "{" else -1
        found[start.group(1), start.group(2)] = text[start.start():at]
    return found


def slice_of_csi(text):
    """The served calls of csi.proto and every message that they need."""
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"\s*\[[^\]]*\]", "", text)         # options of fields
    text = re.sub(r"option\s*\([^)]*\)[^;]*;", "", text)
    text = text.replace(".google.protobuf.BoolValue", "BoolValue")
    found = blocks(text)
    found["message", "BoolValue"] = "message BoolValue {\n  bool value = 1;\n}"
    services, wanted = [], []
    for service, calls in SERVED.items():
        offered = {call: (asked, given) for call, asked, given
                   in CALL.findall(found["service", service])}
        lines = [f"  rpc {call}({offered[call][0]}) returns ({offered[call][1]});" for call in calls]
        services.append(f"service {service} {{\n" + "\n".join(lines) + "\n}")
        wanted += [message for call in calls for message in offered[call]]
    taken = {}
    while wanted:
        name = wanted.pop()
        if name in taken:
            continue
        taken[name] = found["message", name]
        words = set(re.findall(r"\w+", taken[name]))
        wanted += [other for kind, other in found if kind != "service" and other in words]
    messages = "\n".join(re.sub(r"\n\s*\n", "\n", taken[name]) for name in sorted(taken))
    return ('syntax = "proto3";\npackage csi.v1;\n' + LITE + "\n" + "\n".join(services) + "\n"
            + messages + "\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    folders = modules()
    csi = (folders["github.com/container-storage-interface/spec"] / "csi.proto").read_text()
    registration = (folders["k8s.io/kubelet"] / "pkg/apis/pluginregistration/v1/api.proto").read_text()
    (out / "csi.proto").write_text(slice_of_csi(csi))
    (out / "pluginregistration.proto").write_text(
        re.sub(r"^(package [^;]*;[^\n]*\n)", r"\1" + LITE, registration, count=1, flags=re.M))


if __name__ == "__main__":
    main()
