"""Dry-run pod creation through the API server: plain, by each webhook, by MutatingAdmissionPolicy."""
import base64
import json
import time
from contextlib import ExitStack, contextmanager

from .. import paths, policy
from ..broken import Broken
from ..sides import OURS

POD = paths.DATA / "pod.json"


def run(bench) -> None:
    """In turns: no mutation, each webhook, then the policy forms that can express ours.

    Several rounds a turn: an API server's speed drifts by more than what is compared, so what is
    compared must follow each other within seconds. The median of a turn's rounds counts."""
    sides = {s.name: s for s in bench.sides}
    policies = None
    for turn in range(bench.sizes.runs):
        for _ in range(bench.sizes.rounds):
            for name, side in sides.items():
                plane = bench.few(side)
                if name == OURS or len(sides) == 1:
                    _measure(bench, plane, "none", turn, expect=False)
                with _webhook(bench, side, plane) as op:
                    _measure(bench, plane, name, turn, f",webhook={op.pid}")
                    if name == OURS and policies is None:
                        mutated = _wait(plane, True)
                if name == OURS:
                    if policies is None:
                        policies = _policies(bench, plane, mutated)
                    for kind, manifest in policies.items():
                        with _applied(plane, manifest):
                            _measure(bench, plane, kind, turn)


def _measure(bench, plane, case, turn, watch="", expect=True) -> None:
    _wait(plane, expect)
    for in_flight in (1, 16):
        n = bench.sizes.creates * (1 if in_flight == 1 else 4)
        bench.emit("dryrun", case, turn, **bench.loader(
            plane, "pods", "-n", n, "-warm", min(n, 200), "-c", in_flight, "-template", POD,
            "-watch", f"apiserver={plane.apiserver}{watch}", *(["-expect"] if expect else [])))


def _dry_run(plane) -> dict:
    pod = POD.read_text().replace("{{I}}", "probe")
    return json.loads(plane.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=pod))


def _wait(plane, expect: bool) -> dict:
    """The API server picks up webhooks and policies a moment after they were written or deleted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            pod = _dry_run(plane)
            if ("gobuildenv.dev/revision" in pod["metadata"].get("annotations", {})) == expect:
                return pod
        except Broken:
            if expect:
                raise  # a policy that cannot be evaluated stays so; a deleted one goes away
        time.sleep(0.3)
    raise Broken(f"after 30 s a dry-run pod is still {'not ' if expect else ''}injected")


@contextmanager
def _applied(plane, manifest):
    plane.apply(manifest)
    try:
        yield
    finally:
        plane.delete(manifest)


@contextmanager
def _webhook(bench, side, plane):
    with ExitStack() as stack:
        op = stack.enter_context(bench.operator(side, plane, "dryrun"))
        op.wait_quiet()
        stack.enter_context(_applied(plane, {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": policy.NAME},
            "webhooks": _webhooks(op.url, base64.b64encode(bench.ca_bundle()).decode())}))
        yield op


def _webhooks(url: str, ca_bundle: str) -> list:
    """The three of the chart: by label, the same in enforced namespaces, by podSelector. They fail
    closed here, so that a webhook that does not answer is an error and not a fast pod."""
    def webhook(name, asks, injection, among):
        return {
            "name": name, "sideEffects": "None", "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded", "matchPolicy": "Equivalent", "timeoutSeconds": 10,
            "admissionReviewVersions": ["v1"], "matchConditions": policy.CONDITIONS,
            "clientConfig": {"url": url, "caBundle": ca_bundle}, "rules": [policy.RULE],
            "objectSelector": {"matchExpressions": [{"key": "gobuildenv.dev/env", "operator": asks}]},
            "namespaceSelector": {"matchExpressions": [
                policy.NAMESPACES,
                {"key": "gobuildenv.dev/injection", "operator": injection, "values": among}]}}

    return [webhook("pods.gobuildenv.dev", "Exists", "NotIn", ["disabled", "enforced"]),
            webhook("enforced.pods.gobuildenv.dev", "Exists", "In", ["enforced"]),
            webhook("selected.pods.gobuildenv.dev", "DoesNotExist", "In", ["enabled", "enforced"])]


def _policies(bench, plane, mutated) -> dict:
    """The forms of policy that give the very pod the webhook gave; what the others lack is kept."""
    change = policy.difference(_wait(plane, False), mutated)
    usable = {}
    for kind, mutation in (("map-apply", policy.apply_mutation(change)),
                           ("map-jsonpatch", policy.jsonpatch_mutation(change))):
        manifest = policy.manifest(mutation)
        try:
            with _applied(plane, manifest):
                policy.check_same(mutated, _wait(plane, True))
            usable[kind] = manifest
        except Broken as e:
            bench.emit("dryrun-refused", kind, 0, reason=str(e)[:2000])
        _wait(plane, False)
    if not usable:
        raise Broken("no form of MutatingAdmissionPolicy gives the pod that the webhook gives; "
                     "see the records named dryrun-refused")
    return usable
