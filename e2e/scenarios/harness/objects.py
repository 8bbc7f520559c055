"""The objects that scenarios make, and what they read out of answers."""


def environments(ns):
    return f"/apis/gobuildenv.dev/v1alpha1/namespaces/{ns}/gobuildenvs"


def config_maps(ns):
    return f"/api/v1/namespaces/{ns}/configmaps"


def environment(ns, name, version="1.22.3", **spec):
    """A GoBuildEnv; by default the toolchain is downloaded and cgo is off."""
    return {"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv",
            "metadata": {"name": name, "namespace": ns},
            "spec": {"toolchain": {"version": version, "delivery": "Download"}, **spec}}


def pod(name, labels=None, **spec):
    """A pod that no node runs; asks for what its labels ask for."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [
                {"name": "main", "image": "builds.example/go:1", "command": ["go", "build"]}],
                **spec}}


def asking(name, env, **labels):
    """A pod that asks for the environment `env`."""
    return pod(name, {"gobuildenv.dev/env": env, **labels})


def revision_of(pod_object):
    """The revision that a pod carries, or None where admission left it alone."""
    return pod_object["metadata"].get("labels", {}).get("gobuildenv.dev/revision")


def variables_of(pod_object, container=0):
    found = pod_object["spec"]["containers"][container].get("env", [])
    return {entry["name"]: entry.get("value") for entry in found}


def condition(found, kind):
    """The condition of that type, or an empty one."""
    entries = (found or {}).get("status", {}).get("conditions") or []
    return next((entry for entry in entries if entry["type"] == kind), {})
