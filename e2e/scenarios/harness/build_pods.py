"""Pods as strict as pods can be, that build with the node agent's volumes."""

import json

from clusterlib import images

from .tools import Failure, wait_for


class BuildPods:
    """Pods of a cluster whose agent has its root at `root` on this machine."""

    def __init__(self, cluster, root):
        self.cluster, self.api, self.root = cluster, cluster.api, root

    def create(self, ns, name, script, environment="app", account="stranger", uid=20001,
               volumes=(), mounts=()):
        status, answer, _ = self.api.create_pod(ns, {
            "metadata": {"name": name, "labels": {"gobuildenv.dev/env": environment}},
            "spec": {
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
                "serviceAccountName": account, "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "runAsUser": uid, "runAsGroup": uid,
                                    "seccompProfile": {"type": "RuntimeDefault"}},
                "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
                "containers": [{
                    "name": "main", "image": images.CONDA_GO, "imagePullPolicy": "Never",
                    "command": ["bash", "-c", "set -eu -o pipefail\n" + script],
                    "env": [{"name": "HOME", "value": "/tmp"}],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
                    "securityContext": {"allowPrivilegeEscalation": False,
                                        "readOnlyRootFilesystem": True,
                                        "capabilities": {"drop": ["ALL"]}}}]},
        }, dry_run=False)
        if status != 201:
            raise Failure(f"{name}: {status} {answer}")

    def log(self, ns, name):
        return self.cluster.kubectl("-n", ns, "logs", name).stdout

    def ended(self, ns, name, seconds=300):
        """(exit code, log)"""
        def is_over():
            status = self.api.get(f"/api/v1/namespaces/{ns}/pods/{name}")["status"]
            if status["phase"] in ("Succeeded", "Failed"):
                return [status["containerStatuses"][0]["state"]["terminated"]["exitCode"]]
            raise Failure(str(status))
        return wait_for(f"pod {name} to end", seconds, is_over)[0], self.log(ns, name)

    def delete(self, ns, name):
        self.cluster.kubectl("-n", ns, "delete", "pod", name, "--ignore-not-found", "--wait=false")
        wait_for(f"the volumes of {name} to go", 120, lambda: not self.records(name))

    def run(self, ns, name, script, seconds=300, **more):
        """Runs a pod to its end and takes it away; gives its log."""
        self.create(ns, name, script, **more)
        code, log = self.ended(ns, name, seconds)
        self.delete(ns, name)
        if code != 0:
            raise Failure(f"{name}: exit {code}\n{log}")
        return log

    def records(self, pod):
        """The agent's records of a pod's volumes, by kind."""
        found = [json.loads(path.read_text()) for path in (self.root / "volumes").glob("*.json")]
        return {one["kind"]: one for one in found if one["pod"]["name"] == pod}

    def newest(self, ns, environment):
        """The number of the newest layer of each shared cache; 0: none."""
        uid = self.api.get(f"/api/v1/namespaces/{ns}")["metadata"]["uid"]
        caches = self.root / "caches" / uid / environment
        return {kind: max([int(path.name) for path in (caches / kind / "lower").glob("*")],
                          default=0) for kind in ("mod", "build")}

    def promoted(self):
        """Waits until nothing waits to become part of a shared cache."""
        wait_for("the end of promotions", 300,
                 lambda: not list((self.root / "promotions").iterdir()))
