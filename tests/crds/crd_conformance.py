#!/usr/bin/env python3
"""The CRD against a real API server: what it accepts, refuses, defaults and explains.

Environment: KUBECONFIG (an API server that may be changed), KUBECTL (default: kubectl).
Leaves the CRD installed; makes and removes a namespace of its own.
"""

import json
import os
import pathlib
import subprocess
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CRD = HERE.parent.parent / "crds" / "gobuildenvs.yaml"
CRD_NAME = "gobuildenvs.gobuildenv.dev"
KUBECTL = os.environ.get("KUBECTL", "kubectl")
NAMESPACE = f"gbe-crd-{os.getpid()}"

STATUS = json.dumps({
    "apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv",
    "metadata": {"name": "sample", "namespace": NAMESPACE},
    "status": {
        "observedGeneration": 1,
        "revisions": {"current": "0123456789"},
        "toolchain": {"requested": "1.22", "version": "1.22.3"},
        "conditions": [{
            "type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Serving",
            "message": "Revision 0123456789 serves",
            "lastTransitionTime": "2024-01-01T00:00:00Z"}]}})


def kubectl(*args, stdin=None, check=True):
    done = subprocess.run(
        [KUBECTL, *args], input=stdin, text=True, capture_output=True, timeout=60, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr}")
    return done


def explain(*args):
    """What `kubectl explain` says; a new CRD is published in OpenAPI some time after it is served."""
    deadline = time.monotonic() + 60
    while True:
        done = kubectl("explain", *args, check=False)
        if done.returncode == 0:
            return done.stdout
        if "not found in OpenAPI schema" not in done.stderr or time.monotonic() > deadline:
            raise AssertionError(f"kubectl explain {' '.join(args)}: {done.stderr}")
        time.sleep(0.2)


def cases(name):
    """The documents of a case file: (title, [want], [never], spec text)."""
    for document in (HERE / "cases" / name).read_text().split("\n---\n"):
        tags = {"case": [], "want": [], "never": []}
        for line in document.splitlines():
            for tag, values in tags.items():
                if line.startswith(f"# {tag}: "):
                    values.append(line[len(tag) + 4 :])
        yield tags["case"][0], tags["want"], tags["never"], document


def manifest(spec, name="sample"):
    indented = "\n".join("  " + line for line in spec.splitlines())
    return (
        "apiVersion: gobuildenv.dev/v1alpha1\nkind: GoBuildEnv\n"
        f"metadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n{indented}\n"
    )


def get(name="sample"):
    return json.loads(kubectl("get", "gbe", name, "-n", NAMESPACE, "-o", "json").stdout)


def walk(schema, path=""):
    """Every (path, schema) below an OpenAPI schema, metadata left out."""
    yield path, schema
    for key, inner in schema.get("properties", {}).items():
        if path or key != "metadata":
            yield from walk(inner, f"{path}.{key}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key], f"{path}[{key}]")


class CrdTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        kubectl("apply", "-f", str(CRD))
        kubectl("create", "namespace", NAMESPACE)
        # No `kubectl wait`: it fails where no condition has been written yet. And Established comes
        # a moment before the resource is served.
        deadline = time.monotonic() + 60
        while kubectl("get", "gbe", "-n", NAMESPACE, check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError("gobuildenvs are not served 60 s after their CRD was applied")
            time.sleep(0.2)
        cls.crd = json.loads(kubectl("get", "crd", CRD_NAME, "-o", "json").stdout)
        cls.schema = cls.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    @classmethod
    def tearDownClass(cls):
        kubectl("delete", "gbe", "--all", "-n", NAMESPACE, check=False)
        kubectl("delete", "namespace", NAMESPACE, "--wait=false", check=False)

    def tearDown(self):
        kubectl("delete", "gbe", "--all", "-n", NAMESPACE)

    def test_schema_is_structural(self):
        conditions = {c["type"]: c["status"] for c in self.crd["status"]["conditions"]}
        self.assertEqual(conditions["Established"], "True")
        self.assertNotIn("NonStructuralSchema", conditions)
        text = CRD.read_text()
        self.assertLess(len(text), 100_000)
        self.assertNotIn("preserveUnknownFields", text)
        self.assertFalse(any(line.startswith("status:") for line in text.splitlines()))

    def test_every_field_is_described(self):
        bare = [
            path
            for path, schema in walk(self.schema)
            if not path.endswith("]") and not schema.get("description") and path != ""
        ]
        self.assertEqual(bare, [])

    def test_defaults_are_constant_and_reachable(self):
        """A default below an object needs `default: {}` on the object; list items have none."""

        def defaults_inside(schema):
            return any("default" in inner for path, inner in walk(schema) if path)

        for path, schema in walk(self.schema["properties"]["spec"], "spec"):
            with self.subTest(path):
                if "[items]" in path:
                    self.assertNotIn("default", schema)
                elif schema.get("type") == "object" and path not in ("spec", "spec.toolchain"):
                    self.assertEqual("default" in schema, defaults_inside(schema))
                    self.assertEqual(schema.get("default", {}), {})

    def test_explain_teaches(self):
        text = explain("gobuildenv.spec", "--recursive")
        for field in ("toolchain", "sumDB", "launcherPaths", "unusedFor", "matchExpressions"):
            self.assertIn(field, text)
        version = explain("gbe.spec.toolchain.version")
        self.assertIn("Always quote it", " ".join(version.split()))

    def test_refused(self):
        for title, wants, nevers, spec in cases("refused.yaml"):
            with self.subTest(title):
                done = kubectl("create", "--dry-run=server", "-f", "-", stdin=manifest(spec),
                               check=False)
                self.assertNotEqual(done.returncode, 0, "the API server accepted it")
                for want in wants:
                    self.assertIn(want, done.stderr)
                for never in nevers:
                    self.assertNotIn(never, done.stderr)

    def test_accepted(self):
        for file in ("accepted.yaml", "validated.yaml"):
            for title, _, _, spec in cases(file):
                with self.subTest(f"{file}: {title}"):
                    done = kubectl("create", "--dry-run=server", "-f", "-", stdin=manifest(spec),
                                   check=False)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_unknown_fields_are_refused(self):
        done = kubectl("create", "-f", "-", check=False,
                       stdin=manifest('toolchain: {version: "1.22.3", vesion: x}'))
        self.assertIn('unknown field "spec.toolchain.vesion"', done.stderr)

    def test_names(self):
        spec = 'toolchain: {version: "1.22.3"}'
        kubectl("create", "-f", "-", stdin=manifest(spec, "a" * 52))
        done = kubectl("create", "-f", "-", stdin=manifest(spec, "a" * 53), check=False)
        self.assertIn("the name may have at most 52 characters", done.stderr)

    def test_initial_status(self):
        kubectl("create", "-f", "-", stdin=manifest('toolchain: {version: "1.22.3"}'))
        status = get()["status"]
        self.assertEqual(status["observedGeneration"], -1)
        (ready,) = status["conditions"]
        self.assertEqual((ready["type"], ready["status"], ready["reason"]),
                         ("Ready", "Unknown", "Pending"))
        done = kubectl("wait", "--for=condition=Ready", "gbe/sample", "-n", NAMESPACE,
                       "--timeout=1s", check=False)
        self.assertNotEqual(done.returncode, 0)
        columns = kubectl("get", "gbe", "-n", NAMESPACE).stdout.splitlines()[0].split()
        self.assertEqual(columns, ["NAME", "READY", "REASON", "GO", "CGO", "REVISION", "AGE"])
        self.assertIn("sample", kubectl("get", "ci", "-n", NAMESPACE).stdout)

    def test_status_is_a_subresource(self):
        kubectl("create", "-f", "-", stdin=manifest('toolchain: {version: "1.22.3"}'))
        before = get()["metadata"]
        kubectl("apply", "--server-side", "--subresource=status", "--field-manager=test",
                "-f", "-", stdin=STATUS)
        after = get()
        self.assertEqual(after["metadata"]["generation"], before["generation"])
        self.assertEqual([c["status"] for c in after["status"]["conditions"]], ["True"])
        kubectl("wait", "--for=condition=Ready", "gbe/sample", "-n", NAMESPACE, "--timeout=30s")
        row = kubectl("get", "gbe", "-n", NAMESPACE).stdout.splitlines()[1].split()
        self.assertEqual(row[:6], ["sample", "True", "Serving", "1.22.3", "Disabled", "0123456789"])

    def test_applying_twice_changes_nothing(self):
        for how in ([], ["--server-side"]):
            for title, _, _, spec in cases("accepted.yaml"):
                with self.subTest(f"{title} {how}"):
                    text = manifest(spec)
                    kubectl("apply", *how, "-f", "-", stdin=text)
                    # As the operator does: until then the status that a reader sees is a default
                    # which is not stored, and the first write of any kind stores it.
                    kubectl("apply", "--server-side", "--subresource=status",
                            "--field-manager=test", "-f", "-", stdin=STATUS)
                    first = get()["metadata"]
                    kubectl("apply", *how, "-f", "-", stdin=text)
                    second = get()["metadata"]
                    self.assertEqual(first["resourceVersion"], second["resourceVersion"])
                    self.assertEqual(second["generation"], 1)
                    diff = kubectl("diff", *how, "-f", "-", stdin=text, check=False)
                    self.assertEqual((diff.returncode, diff.stdout), (0, ""))
                kubectl("delete", "gbe", "--all", "-n", NAMESPACE)


if __name__ == "__main__":
    unittest.main()
