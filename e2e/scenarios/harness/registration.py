"""What an API server has to know of the operator before it is of use."""

import json
import re

from .objects import condition, pod
from .tools import wait_for


def split_crds(text):
    """The CRDs of a manifest, and the rest: custom resources need the former first."""
    documents = re.split(r"^---\s*$", text, flags=re.M)
    crds = [d for d in documents if re.search(r"^kind: CustomResourceDefinition\s*$", d, re.M)]
    return "---\n".join(crds), "---\n".join(d for d in documents if d not in crds and d.strip())


def wait_for_crd(cluster):
    """kubectl wait fails where the API server has not written any condition yet."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gobuildenvs.gobuildenv.dev"
    wait_for("the CRD to be established", 60, lambda: condition(
        cluster.api.get(path), "Established").get("status") == "True")


def wait_for_ca_bundle(cluster):
    def published():
        found = cluster.get("mutatingwebhookconfigurations")["items"]
        hooks = [h for c in found for h in c["webhooks"] if "gobuildenv" in h["name"]]
        return hooks and all(h["clientConfig"].get("caBundle") for h in hooks)
    wait_for("the caBundle of the webhooks", 60, published)


def wait_for_route(cluster):
    """kube-proxy routes to a new Service a moment after its pods are Ready; until then the webhook
    cannot be asked and pods are created unchanged. One that requires what there is not is refused
    by whoever asks it: three times in a row, as there are several replicas."""
    asking = json.dumps(pod("route", labels={"gobuildenv.dev/env": "absent",
                                             "gobuildenv.dev/required": "true"}))

    def refused():
        done = cluster.kubectl("-n", "default", "create", "--dry-run=server", "-f", "-",
                               stdin=asking, check=False)
        return "denied the request" in done.stderr
    wait_for("the webhook's Service to be routed", 60,
             lambda: all(refused() for _ in range(3)))
