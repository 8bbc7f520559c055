"""A MutatingAdmissionPolicy that makes exactly the change another mutation has made to a pod.

Written from the difference between a pod as created without and with the operator's webhook, so that
the API server's own mechanism is measured at the very same injection.
"""
import json

from .broken import Broken

NAME = "gobuildenv-bench"
# Which pods are meant: as the chart says it of its webhooks, here for webhooks and policies.
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        "scope": "Namespaced"}
CONDITIONS = [{"name": "not-a-mirror-pod",
               "expression": "!has(object.metadata.annotations) || "
                             "!('kubernetes.io/config.mirror' in object.metadata.annotations)"}]
NAMESPACES = {"key": "kubernetes.io/metadata.name", "operator": "NotIn",
              "values": ["kube-system", "gobuildenv-system"]}
_KEYS = {"env": "name", "volumeMounts": "mountPath", "volumes": "name"}


def difference(plain: dict, mutated: dict) -> dict:
    """Annotations, labels, volumes, and per container env and volumeMounts that were added."""
    def added(key, a, b):
        have = {x[_KEYS[key]] for x in a.get(key, [])}
        return [x for x in b.get(key, []) if x[_KEYS[key]] not in have]

    def new(key):
        a, b = plain["metadata"].get(key, {}), mutated["metadata"].get(key, {})
        return {k: v for k, v in b.items() if a.get(k) != v}

    pairs = list(zip(plain["spec"]["containers"], mutated["spec"]["containers"]))
    return {
        "annotations": new("annotations"), "labels": new("labels"),
        "volumes": added("volumes", plain["spec"], mutated["spec"]),
        "containers": [{"name": a["name"], "hadEnv": bool(a.get("env")),
                        "hadMounts": bool(a.get("volumeMounts")), "env": added("env", a, b),
                        "volumeMounts": added("volumeMounts", a, b)} for a, b in pairs],
    }


def normal(pod: dict) -> dict:
    """What two mutations must agree on: the pod without what each creation makes anew, lists in
    the order of their keys."""
    pod = json.loads(json.dumps(pod))
    for key in ("uid", "creationTimestamp", "managedFields", "resourceVersion", "name"):
        pod["metadata"].pop(key, None)
    lists = [(pod["spec"], "volumes")]
    lists += [(c, k) for c in pod["spec"]["containers"] for k in ("env", "volumeMounts")]
    for owner, key in lists:
        if owner.get(key):
            owner[key].sort(key=lambda x, k=_KEYS[key]: x[k])
    return pod


# Fields that hold a map of strings, which CEL writes as a map and not as an object.
_MAPS = ("annotations", "labels", "volumeAttributes", "matchLabels")


def _cel(value, path: str) -> str:
    """A CEL expression of this value, whose object type is named by its path."""
    if isinstance(value, dict):
        if path.rsplit(".", 1)[-1] in _MAPS:
            return "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "}"
        return path + "{" + ", ".join(f"{k}: {_cel(v, f'{path}.{k}')}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_cel(v, path) for v in value) + "]"
    return json.dumps(value)


def apply_mutation(d: dict) -> dict:
    """The change as an apply configuration, which merges lists by their keys."""
    containers = [{"name": c["name"], **{k: c[k] for k in ("env", "volumeMounts") if c[k]}}
                  for c in d["containers"]]
    pod = {"metadata": {k: d[k] for k in ("annotations", "labels") if d[k]},
           "spec": {"volumes": d["volumes"], "containers": containers}}
    return {"patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": _cel(pod, "Object")}}


def jsonpatch_mutation(d: dict) -> dict:
    """The change as a JSONPatch. Lists are added empty and filled one by one: a list of objects as
    one value panics the request handler of kube-apiserver 1.34 (conversion in json_patch.go)."""
    steps = []

    def add(path, value):
        steps.append(f"JSONPatch{{op: \"add\", path: {path}, value: {value}}}")

    def fill(base, kind, items, had):
        if items and not had:
            add(json.dumps(base), "[]")
        for item in items:
            add(json.dumps(f"{base}/-"), _cel(item, kind))

    for i, c in enumerate(d["containers"]):
        at = f"/spec/containers/{i}"
        fill(f"{at}/env", "Object.spec.containers.env", c["env"], c["hadEnv"])
        fill(f"{at}/volumeMounts", "Object.spec.containers.volumeMounts", c["volumeMounts"],
             c["hadMounts"])
    fill("/spec/volumes", "Object.spec.volumes", d["volumes"], True)
    for key in ("annotations", "labels"):
        for k, v in d[key].items():
            add(f'"/metadata/{key}/" + jsonpatch.escapeKey({json.dumps(k)})', json.dumps(v))
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": "[" + ",\n".join(steps) + "]"}}


def manifest(mutation: dict) -> dict:
    """Policy and binding as one List."""
    api = "admissionregistration.k8s.io/v1beta1"
    asked = {"matchExpressions": [{"key": "gobuildenv.dev/env", "operator": "Exists"}]}
    policy = {"apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": NAME}, "spec": {
        "matchConstraints": {"resourceRules": [RULE], "objectSelector": asked,
                             "namespaceSelector": {"matchExpressions": [NAMESPACES]}},
        "matchConditions": CONDITIONS,
        "failurePolicy": "Fail", "reinvocationPolicy": "Never", "mutations": [mutation]}}
    binding = {"apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": NAME},
               "spec": {"policyName": NAME}}
    return {"apiVersion": "v1", "kind": "List", "items": [policy, binding]}


def check_same(ours: dict, theirs: dict) -> None:
    """Broken when the two pods differ."""
    a, b = normal(ours), normal(theirs)
    if a != b:
        what = [k for k in ("metadata", "spec") if a[k] != b[k]]
        raise Broken(f"the policy's pod differs from the webhook's in {', '.join(what)}")
