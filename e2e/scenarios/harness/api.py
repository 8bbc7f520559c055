"""The administrator's own requests."""

import http.client
import json
import pathlib
import ssl

from .objects import condition, environment, environments
from .tools import Failure, wait_for


class Api:
    """The administrator's own requests, on one kept connection: cheaper than a kubectl each."""

    def __init__(self, cluster):
        address = json.loads(pathlib.Path(cluster.kubeconfig).read_text())
        self.host = address["clusters"][0]["cluster"]["server"].removeprefix("https://")
        pki = cluster.folder / "pki"
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.connection = None

    def request(self, method, path, body=None, content_type="application/json"):
        """Gives (status, answer, warnings). A kept connection that is gone is opened again."""
        for fresh in (False, True):
            if fresh or self.connection is None:
                self.connection = http.client.HTTPSConnection(self.host, timeout=30,
                                                              context=self.context)
            try:
                self.connection.request(method, path, None if body is None else json.dumps(body),
                                        {"Content-Type": content_type})
                answer = self.connection.getresponse()
                text = answer.read()
                if "json" in answer.headers.get("Content-Type", ""):
                    text = json.loads(text)
                return answer.status, text, answer.headers.get_all("Warning") or []
            except (http.client.HTTPException, OSError):
                self.close()
                if fresh:
                    raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def get(self, path):
        """The object, or None where there is none."""
        status, answer, _ = self.request("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise Failure(f"GET {path}: {status} {answer}")
        return answer

    def list(self, path):
        return self.get(path)["items"]

    def must(self, method, path, body=None, content_type="application/json"):
        status, answer, _ = self.request(method, path, body, content_type)
        if status >= 300:
            raise Failure(f"{method} {path}: {status} {answer}")
        return answer

    def merge(self, path, patch):
        return self.must("PATCH", path, patch, "application/merge-patch+json")

    # --- what scenarios ask for again and again ---

    def environment(self, ns, name):
        return self.get(f"{environments(ns)}/{name}")

    def apply_environment(self, ns, name, version="1.22.3", **spec):
        """Creates or changes a GoBuildEnv (server-side apply); gives it."""
        body = environment(ns, name, version, **spec)
        return self.must("PATCH", f"{environments(ns)}/{name}?fieldManager=scenario&force=true",
                         body, "application/apply-patch+yaml")

    def edit(self, path, change):
        """Reads the object, lets `change` alter it, writes it whole; gives (status, answer). Where
        another wrote in between (the operator its status), once more from the start."""
        for _ in range(10):
            found = self.get(path)
            change(found)
            status, answer, _ = self.request("PUT", path, found)
            if status != 409:
                return status, answer
        raise Failure(f"PUT {path}: ten conflicts in a row, the last {answer}")

    def ready(self, ns, name, seconds=60):
        """Waits until the newest spec is served; gives the environment."""
        def is_ready():
            found = self.environment(ns, name)
            ready = condition(found, "Ready")
            if (ready.get("status") == "True"
                    and ready.get("observedGeneration") == found["metadata"]["generation"]):
                return found
            raise Failure(f"status {json.dumps((found or {}).get('status'))}")
        return wait_for(f"GoBuildEnv {ns}/{name} to be Ready", seconds, is_ready)

    def create_pod(self, ns, pod, dry_run=True):
        """Gives (status, answer, warnings) of a pod's creation."""
        query = "?dryRun=All" if dry_run else ""
        return self.request("POST", f"/api/v1/namespaces/{ns}/pods{query}", pod)

    def admitted(self, ns, pod):
        """The pod as admission would have it."""
        status, answer, _ = self.create_pod(ns, pod)
        if status != 201:
            raise Failure(f"the pod was refused: {status} {answer}")
        return answer

    def events(self, ns, reason):
        """Notes of the Events with this reason, by the name of the object they regard."""
        found = self.list(f"/apis/events.k8s.io/v1/namespaces/{ns}/events")
        return {e["regarding"]["name"]: e["note"] for e in found if e["reason"] == reason}
