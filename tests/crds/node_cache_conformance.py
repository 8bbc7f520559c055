#!/usr/bin/env python3
"""The CRD of GoNodeCache against a real API server: what it takes of an agent, refuses and shows.

Environment: KUBECONFIG (an API server that may be changed), KUBECTL (default: kubectl).
Leaves the CRD installed; makes and removes objects of its own.
"""

import json
import os
import time
import unittest

from crd_conformance import HERE, explain, kubectl, walk

CRD = HERE.parent.parent / "crds" / "gonodecaches.yaml"
NAME = f"node-{os.getpid()}"


def toolchain(version, state="Ready", **more):
    return {"version": version, "os": "linux", "arch": "amd64", "key": f"h1-{version}",
            "state": state, **more}


def apply(status, check=True, manager="gobuildenv-agent"):
    """As the agent writes it."""
    body = {"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoNodeCache",
            "metadata": {"name": NAME}, "status": status}
    return kubectl("apply", "--server-side", "--subresource=status", f"--field-manager={manager}",
                   "-f", "-", stdin=json.dumps(body), check=check)


def status():
    return json.loads(kubectl("get", "gnc", NAME, "-o", "json").stdout).get("status", {})


class NodeCacheCrdTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        kubectl("apply", "-f", str(CRD))
        deadline = time.monotonic() + 60
        while kubectl("get", "gnc", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError("gonodecaches are not served 60 s after their CRD was applied")
            time.sleep(0.2)
        cls.crd = json.loads(kubectl("get", "crd", "gonodecaches.gobuildenv.dev", "-o",
                                     "json").stdout)

    def setUp(self):
        kubectl("apply", "--server-side", "--field-manager=gobuildenv-agent", "-f", "-",
                stdin=json.dumps({"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoNodeCache",
                                  "metadata": {"name": NAME}}))
        self.addCleanup(kubectl, "delete", "gnc", NAME, "--ignore-not-found")

    def test_schema(self):
        conditions = {c["type"]: c["status"] for c in self.crd["status"]["conditions"]}
        self.assertEqual(conditions["Established"], "True")
        self.assertNotIn("NonStructuralSchema", conditions)
        self.assertEqual(self.crd["spec"]["scope"], "Cluster")
        schema = self.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, field in walk(schema):
            with self.subTest(path):
                if path and not path.endswith("]"):
                    self.assertTrue(field.get("description"), "is not described")
                if field.get("type") == "array":
                    self.assertIn("maxItems", field)
                    self.assertIn("x-kubernetes-list-type", field)
                if field.get("type") == "string" and path.startswith(".status.") \
                        and "enum" not in field and field.get("format") != "date-time":
                    self.assertIn("maxLength", field)

    def test_columns_teach(self):
        apply({"summary": {"toolchains": "1.21.6, 1.22.3 (Fetching)", "size": "452Mi"},
               "disk": {"usedPercent": 43}, "agentVersion": "1",
               "collection": {"lastCollected": "2024-01-01T00:00:00Z", "reclaimed": "2Gi"},
               "conditions": [{"type": "Ready", "status": "True", "reason": "Serving",
                               "message": "serves", "lastTransitionTime": "2024-01-01T00:00:00Z"}]})
        lines = kubectl("get", "gonodecaches", NAME).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "READY", "TOOLCHAINS", "SIZE", "DISK%",
                                            "COLLECTED", "RECLAIMED", "AGE"])
        row = lines[1].split()
        self.assertEqual(row[:2] + row[5:7], [NAME, "True", "452Mi", "43"])
        self.assertIn("1.21.6, 1.22.3 (Fetching)", lines[1])
        self.assertIn("2Gi", lines[1])
        self.assertIn("Serving", kubectl("get", "gnc", NAME, "-o", "wide").stdout)
        kubectl("wait", "--for=condition=Ready", f"gnc/{NAME}", "--timeout=30s")
        said = explain("gonodecache.status.toolchains", "--recursive")
        self.assertIn("progress", said)

    def test_what_is_not_applied_again_goes(self):
        apply({"toolchains": [toolchain("1.21.6"), toolchain("1.22.3", "Failed", reason="NotFound")],
               "caches": [{"namespaceUID": "u", "environment": "a"}]})
        apply({"toolchains": [toolchain("1.22.3")]})
        self.assertEqual(status(), {"toolchains": [toolchain("1.22.3")]})
        # An empty key is a key: two that are being fetched are two.
        apply({"toolchains": [toolchain(v, "Fetching") | {"key": ""} for v in ("1.22.3", "1.23.1")]})
        self.assertEqual([t["key"] for t in status()["toolchains"]], ["", ""])

    def test_the_same_again_is_no_change(self):
        def version():
            return kubectl("get", "gnc", NAME, "-o", "jsonpath={.metadata.resourceVersion}").stdout
        apply({"toolchains": [toolchain("1.22.3")]})
        first = version()
        apply({"toolchains": [toolchain("1.22.3")]})
        self.assertEqual(version(), first)

    def test_caps(self):
        many = [toolchain(f"1.22.{i}") for i in range(129)]
        apply({"toolchains": many[:128]})
        self.assertIn("must have at most 128 items", apply({"toolchains": many}, check=False).stderr)
        for bad, want in (
                ({"toolchains": [toolchain("1.22.3", "Gone")]}, 'supported values: "Ready"'),
                ({"toolchains": [toolchain("1.22.3", progress=101)]}, "less than or equal to 100"),
                ({"toolchains": [toolchain("1.22.3")] * 2}, "duplicate"),
                ({"disk": {"usedPercent": -1}}, "greater than or equal to 0"),
                ({"nonsense": 1}, "nonsense")):
            with self.subTest(bad):
                self.assertIn(want, apply(bad, check=False).stderr)


if __name__ == "__main__":
    unittest.main()
