#!/usr/bin/env python3
"""Shows the main job on a real cluster: apply, ConfigMap, changed pod, its log.

Usage: demo.py [--keep]

  --keep   leave the cluster up; take it down later with e2e/cluster/cluster down --name demo

Where the machine cannot run containers it says so and shows the same up to admission.

Exit: 0 all that was shown is as declared, also where that is up to admission only, which the last
line then says; 1 something is not, or a step failed; 2 wrong usage.
"""

import difflib
import json
import sys

import harness
from clusterlib import images

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def title(text):
    print(f"\n{BOLD}# {text}{PLAIN}", flush=True)


def show(*argv, cluster, **kwargs):
    print(f"$ kubectl {' '.join(argv)}", flush=True)
    print(cluster.kubectl(*argv, **kwargs).stdout.rstrip(), flush=True)


def pod_diff(cluster, pod):
    """The pod as its author wrote it and as the API server answers after admission."""
    plain = json.loads(pod)
    del plain["metadata"]["labels"]["gobuildenv.dev/env"]
    create = ("create", "-f", "-", "--dry-run=server", "-o", "yaml")
    before = cluster.kubectl(*create, stdin=json.dumps(plain)).stdout
    after = cluster.kubectl(*create, stdin=pod).stdout
    drop = ("uid:", "creationTimestamp:", "kube-api-access")
    keep = [[line for line in text.splitlines() if not any(d in line for d in drop)]
            for text in (before, after)]
    return "\n".join(difflib.unified_diff(*keep, "pod before", "pod after", n=1, lineterm=""))


def to_json(cluster, text):
    return cluster.kubectl("create", "-f", "-", "--dry-run=client", "-o", "json", stdin=text).stdout


def demonstrate(cluster, proxy, expect):
    """The story itself; `expect(condition, text)` fails it where something is not as declared."""
    title("A namespace, and a declared Go build environment")
    cluster.namespace("ci")
    environment = harness.manifest("gobuildenv.yaml", GOPROXY=proxy)
    print(environment)
    print(cluster.apply(environment).strip())
    print(cluster.kubectl("-n", "ci", "wait", "--for=condition=Ready", "gobuildenv/build",
                          "--timeout=60s").stdout.strip())
    again = cluster.apply(environment).strip()
    print(again)
    expect(again.endswith("unchanged"), "applying twice changes nothing")

    title("What the operator made of it")
    show("-n", "ci", "get", "gobuildenv,configmap", cluster=cluster)
    revision = cluster.get("gobuildenv", "build", "-n", "ci")["status"]["revisions"]["current"]
    files = cluster.get("configmap", f"build-{revision}", "-n", "ci")
    expect(files.get("immutable") is True, "the revision's ConfigMap is immutable")
    print(f"$ kubectl -n ci get configmap build-{revision} -o jsonpath='{{.data.go\\.env}}'")
    print(files["data"]["go.env"].rstrip())

    title("A pod before and after admission")
    pod = to_json(cluster, harness.manifest("pod.yaml", IMAGE=images.CONDA_GO))
    diff = pod_diff(cluster, pod)
    print(diff)
    expect(f'gobuildenv.dev/revision: "{revision}"' in diff or
           f"gobuildenv.dev/revision: {revision}" in diff, "admission changed the pod")
    return pod


def run_pod(cluster, pod, expect):
    title("The pod's log")
    cluster.apply(pod)
    cluster.kubectl("-n", "ci", "wait", "pod/generic-build", "--timeout=180s",
                    "--for=jsonpath={.status.phase}=Succeeded", check=False, timeout=200)
    log = cluster.kubectl("-n", "ci", "logs", "generic-build", check=False).stdout
    print("$ kubectl -n ci logs generic-build")
    print(log.rstrip())
    phase = cluster.get("pod", "generic-build", "-n", "ci")["status"]["phase"]
    expect(phase == "Succeeded", f"the build succeeded (phase {phase})")
    lines = log.splitlines()
    expect(any(l.startswith("go version go1.22.3 ") for l in lines), "go version is as declared")
    expect("0" in lines, "CGO_ENABLED is 0 although the image and conda say 1")
    expect(any("-trimpath" in l and "buildmode" not in l for l in lines), "GOFLAGS are as declared")
    expect("generics: [{a 1} {b 2}] go1.22.3" in lines, "the generic program ran")


def main():
    keep = sys.argv[1:] == ["--keep"]
    if sys.argv[1:] and not keep:
        print(__doc__)
        return 2
    failures = []

    def expect(condition, text):
        print(f"  {'ok  ' if condition else 'FAIL'}  {text}", flush=True)
        if not condition:
            failures.append(text)

    try:
        cluster = harness.Cluster("demo")
        try:
            cluster.__enter__()
        except harness.CannotRunContainers:
            print("\nThis machine cannot run containers (the lines above say why), so no pod can be\n"
                  "started. An API server alone can: this shows the same up to admission.")
            cluster = harness.Cluster("demo", full=False)
            cluster.__enter__()
        try:
            proxy = cluster.proxy()
            if cluster.full:
                run(["conda-go"], cluster)
                title("Install the operator with its Helm chart")
                harness.InCluster(cluster, proxy)
                show("-n", harness.SYSTEM_NAMESPACE, "get", "pods", cluster=cluster)
                run_pod(cluster, demonstrate(cluster, proxy, expect), expect)
            else:
                operator = harness.OffCluster(cluster, proxy)
                try:
                    demonstrate(cluster, proxy, expect)
                finally:
                    operator.close()
        finally:
            if keep:
                cluster.keep()
                print(f"\nThe cluster stays: export KUBECONFIG={cluster.kubeconfig}\n"
                      "Take it down with: e2e/cluster/cluster down --name demo")
            else:
                cluster.__exit__()
    except harness.Failure as failure:
        print(f"\nerror: {failure}", file=sys.stderr)
        print("next step: see the message above; `scripts/demo --keep` leaves the cluster for a look",
              file=sys.stderr)
        return 1
    if failures:
        print(f"\n{len(failures)} of the checks failed: {'; '.join(failures)}", file=sys.stderr)
        return 1
    print("\nAll as declared." if cluster.full else
          "\nAll as declared up to admission; no pod was started.")
    return 0


def run(image_names, cluster):
    for name in image_names:
        cluster.load_image(name)


if __name__ == "__main__":
    sys.exit(main())
