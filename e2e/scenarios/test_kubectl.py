"""kubectl's commands behave as with built-in kinds, and what others do to generated objects is put
right. An API server alone, the operator beside it; its writes are counted in the audit log."""

import json
import signal
import tempfile
import time
import unittest

import harness
from harness import asking, condition, config_maps, revision_of, variables_of, wait_for

SECONDS = 45
OPERATOR = "manager"


class Kubectl(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(
            harness.Cluster("kubectl", full=False, flags=["--audit"]))
        cls.proxy = cls.cluster.proxy()
        cls.operator = cls.enterClassContext(harness.OffCluster(
            cls.cluster, cls.proxy, ["--drain-seconds", "1"], user=OPERATOR))
        cls.operators = (cls.operator,)
        cls.api = cls.cluster.api

    def kubectl(self, *argv, **kwargs):
        return self.cluster.kubectl("-n", self.ns, *argv, **kwargs)

    def setUp(self):
        self.ns = self.id().rsplit(".", 1)[1].removeprefix("test_").replace("_", "-")
        self.cluster.namespace(self.ns)

    def quiet(self, seconds=3):
        """Waits until the operator has written nothing for so long."""
        def none():
            at = harness.now()
            time.sleep(seconds)
            return not self.cluster.writes(OPERATOR, at)
        wait_for("the operator to be quiet", 60, none)

    def served(self):
        return self.api.environment(self.ns, "build")["status"]["revisions"]["current"]

    def file(self, revision, name):
        return self.api.get(f"{config_maps(self.ns)}/build-{revision}")["data"][name]

    # --- commands ---

    def test_apply_twice_changes_nothing(self):
        manifest = json.dumps(harness.environment(self.ns, "build", flags=["-trimpath"]))
        self.assertIn("created", self.cluster.apply(manifest))
        self.kubectl("wait", "--for=condition=Ready", "gobuildenv/build", "--timeout=60s")
        self.quiet()
        before, at = self.api.environment(self.ns, "build"), harness.now()
        self.assertIn("unchanged", self.cluster.apply(manifest))
        self.assertEqual(self.api.environment(self.ns, "build"), before)
        # The first server-side apply takes fields over, in metadata alone; the second does nothing.
        self.cluster.apply(manifest, "--server-side", "--force-conflicts")
        taken = self.api.environment(self.ns, "build")
        self.assertEqual([taken["spec"], taken["status"], taken["metadata"]["generation"]],
                         [before["spec"], before["status"], before["metadata"]["generation"]])
        self.cluster.apply(manifest, "--server-side")
        self.assertEqual(self.api.environment(self.ns, "build"), taken)
        time.sleep(2)
        self.assertEqual(self.cluster.writes(OPERATOR, at), [])

    def test_diff_shows_what_apply_would_change(self):
        manifest = harness.environment(self.ns, "build", flags=["-trimpath"])
        self.cluster.apply(json.dumps(manifest))
        self.api.ready(self.ns, "build")
        same = self.kubectl("diff", "-f", "-", stdin=json.dumps(manifest), check=False)
        self.assertEqual((same.returncode, same.stdout), (0, ""), same.stderr)
        manifest["spec"]["flags"] = ["-trimpath", "-mod=mod"]
        other = self.kubectl("diff", "-f", "-", stdin=json.dumps(manifest), check=False)
        self.assertEqual(other.returncode, 1, other.stdout + other.stderr)
        changed = [line for line in other.stdout.splitlines()
                   if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        self.assertEqual([line.strip("+ ") for line in changed if "generation" not in line],
                         ["- -mod=mod"], other.stdout)

    def test_explain_teaches_every_field(self):
        tree = self.kubectl("explain", "gobuildenv.spec", "--recursive").stdout
        for field in ("toolchain", "credentialsSecretRef", "podSelector", "revisionHistoryLimit"):
            self.assertIn(field, tree)
        one = self.kubectl("explain", "gbe.spec.toolchain.version").stdout
        self.assertIn('"1.22" for the newest patch', " ".join(one.split()))
        for path in ("gobuildenv", "gobuildenv.spec.cgo", "gobuildenv.status"):
            text = self.kubectl("explain", path).stdout
            self.assertNotIn("<empty>", text)
            self.assertNotIn("<no description>", text)

    def test_columns_short_name_and_category(self):
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        for kind in ("gbe", "ci", "gobuildenvs"):
            head, row = self.kubectl("get", kind).stdout.splitlines()
            self.assertEqual(head.split(), ["NAME", "READY", "REASON", "GO", "CGO", "REVISION",
                                            "AGE"])
            self.assertEqual(row.split()[:6], ["build", "True", "Served", "1.22.3", "Disabled",
                                               self.served()])

    def test_delete_ends_at_once(self):
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        self.assertTrue(revision_of(self.api.admitted(self.ns, asking("p", "build"))))
        self.kubectl("delete", "gobuildenv", "build", "--timeout=30s")
        self.kubectl("wait", "--for=delete", "gobuildenv/build", "--timeout=30s")
        gone = self.kubectl("get", "gobuildenv", "build", check=False)
        self.assertIn("NotFound", gone.stderr)

        def unchanged():
            status, answer, warnings = self.api.create_pod(self.ns, asking("p", "build"))
            return status == 201 and not revision_of(answer) and warnings
        warnings = wait_for("pods to be left alone, with a warning", 30, unchanged)
        self.assertIn("there is no GoBuildEnv build in namespace", warnings[0])
        # And the name can be used again, although what the old one owned may still be there.
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")

    # --- bad objects ---

    def refused(self, manifest):
        done = self.kubectl("apply", "-f", "-", stdin=manifest, check=False)
        self.assertNotEqual(done.returncode, 0, f"accepted: {manifest}")
        return done.stderr

    def test_schema_refusal_names_field_and_fix(self):
        said = self.refused(json.dumps(harness.environment(self.ns, "build", "1.20")))
        self.assertIn("spec.toolchain", said)
        self.assertIn("delivery Download needs Go 1.21 or newer", said)
        self.assertIn("use delivery Volume", said)
        unquoted = ("apiVersion: gobuildenv.dev/v1alpha1\nkind: GoBuildEnv\n"
                    f"metadata: {{name: build, namespace: {self.ns}}}\n"
                    "spec: {toolchain: {version: 1.20}}\n")
        said = self.refused(unquoted)
        self.assertIn("spec.toolchain.version", said)
        self.assertIn("must be of type string", said)

    def test_webhook_refusal_names_field_and_fix(self):
        bad = harness.environment(self.ns, "build", flags=["-trimpath", "-toolexec=/bin/true"])
        said = self.refused(json.dumps(bad))
        self.assertIn("spec.flags[1]: -toolexec runs another program", said)
        self.assertIn("give it on the command line where it is needed", said)
        self.assertIsNone(self.api.environment(self.ns, "build"))
        # An edit is refused as well, and says which field to whoever reads the answer's causes.
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        _, answer = self.api.edit(f"{harness.environments(self.ns)}/build",
                                  lambda found: found.update(spec=bad["spec"]))
        self.assertIn('admission webhook "gobuildenvs.gobuildenv.dev" denied', answer["message"])
        self.assertEqual([cause["field"] for cause in answer["details"]["causes"]],
                         ["spec.flags[1]"])

    # --- revisions ---

    def test_edit_makes_a_new_revision_and_keeps_the_old(self):
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        first = self.served()
        self.api.apply_environment(self.ns, "build", flags=["-trimpath"])
        edited = self.api.ready(self.ns, "build")
        second = self.served()
        self.assertNotEqual(first, second)
        self.assertIn("GOFLAGS=-trimpath", self.file(second, "go.env"))
        self.assertNotIn("-trimpath", self.file(first, "go.env"))
        self.assertEqual([entry["name"] for entry in edited["status"]["history"]],
                         [second, first])
        self.assertEqual(revision_of(self.api.admitted(self.ns, asking("p", "build"))), second)

    def test_deleted_config_map_comes_back(self):
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        path = f"{config_maps(self.ns)}/build-{self.served()}"
        old = self.api.get(path)
        self.api.must("DELETE", path)

        def back():
            found = self.api.get(f"{config_maps(self.ns)}/build-{self.served()}")
            return found and found["metadata"]["uid"] != old["metadata"]["uid"] and found
        new = wait_for("the revision's ConfigMap to be back", 30, back)
        self.assertEqual(new["data"], old["data"])
        self.assertTrue(new["immutable"])

    def test_tampered_config_map_is_replaced_and_never_injected(self):
        self.api.apply_environment(self.ns, "build")
        self.api.ready(self.ns, "build")
        first = self.served()
        path = f"{config_maps(self.ns)}/build-{first}"
        # Immutable data can be changed by making the object anew: with the operator held still, so
        # that it does not come first.
        self.operator.signal(signal.SIGSTOP)
        try:
            forged = self.api.get(path)
            self.api.must("DELETE", path)
            for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
                forged["metadata"].pop(key, None)
            forged["data"]["go.env"] += "GOPROXY=http://evil.example\n"
            forged["data"]["pod.json"] = forged["data"]["pod.json"].replace(
                self.proxy, "http://evil.example")
            self.assertIn("evil.example", forged["data"]["pod.json"])
            self.api.must("POST", config_maps(self.ns), forged)
        finally:
            self.operator.signal(signal.SIGCONT)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pod = self.api.admitted(self.ns, asking("p", "build"))
            self.assertNotIn("evil.example", json.dumps(pod))

        def replaced():
            current = self.served()
            found = self.api.get(f"{config_maps(self.ns)}/build-{current}")
            return (self.api.get(path) is None and current != first and found
                    and "evil" not in json.dumps(found["data"]))
        wait_for("the forged ConfigMap to be gone and another name to serve", 60, replaced)
        self.api.ready(self.ns, "build")
        self.assertEqual(revision_of(self.api.admitted(self.ns, asking("p", "build"))),
                         self.served())
        notes = wait_for("an Event on the environment", 30,
                         lambda: self.api.events(self.ns, "RevisionTampered"))
        self.assertIn(f"build-{first}", notes["build"])

    def test_config_map_of_others_is_left_alone(self):
        manifest = json.dumps(harness.environment(self.ns, "build"))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(manifest)
            file.flush()
            rendered = harness.run(harness.binary(), "render", "-f", file.name, "-o", "json",
                                   "--module-proxy", self.proxy)
        wanted = json.loads(rendered.stdout)
        wanted = wanted["items"][0] if "items" in wanted else wanted
        name = wanted["metadata"]["name"]
        foreign = self.api.must("POST", config_maps(self.ns), {
            "metadata": {"name": name}, "data": {"go.env": "mine\n"}})
        self.cluster.apply(manifest)
        self.api.ready(self.ns, "build")
        self.assertNotEqual(f"build-{self.served()}", name)
        self.assertEqual(self.api.get(f"{config_maps(self.ns)}/{name}"), foreign)
        notes = wait_for("an Event on the environment", 30,
                         lambda: self.api.events(self.ns, "NameTaken"))
        self.assertIn(name, notes["build"])

    def test_range_waits_for_the_proxy_and_is_pinned(self):
        self.api.apply_environment(self.ns, "build", "1.22.2")
        self.api.ready(self.ns, "build")
        first = self.served()
        self.cluster.kill("module-proxy")
        try:
            self.api.apply_environment(self.ns, "build", "1.22")

            def says_so():
                found = self.api.environment(self.ns, "build")
                resolved = condition(found, "ToolchainResolved")
                if (resolved.get("status") == "False"
                        and resolved["observedGeneration"] == found["metadata"]["generation"]):
                    return found
                raise harness.Failure(json.dumps(found["status"]))
            waiting = wait_for("ToolchainResolved=False", 60, says_so)
            resolved = condition(waiting, "ToolchainResolved")
            self.assertEqual(resolved["reason"], "ProxyUnreachable")
            self.assertIn(self.proxy, resolved["message"])
            self.assertEqual(condition(waiting, "Reconciling")["status"], "True")
            self.assertNotEqual(condition(waiting, "Ready")["status"], "True")
            self.assertIn(f"revision {first} keeps serving", condition(waiting, "Ready")["message"])
            self.assertEqual(waiting["status"]["revisions"]["current"], first)
            pod = self.api.admitted(self.ns, asking("p", "build"))
            self.assertEqual(revision_of(pod), first)
            self.assertEqual(variables_of(pod)["GOTOOLCHAIN"], "go1.22.2")
        finally:
            self.cluster.restart("module-proxy")
        recovered = self.api.ready(self.ns, "build", 60)
        self.assertEqual(recovered["status"]["toolchain"]["version"], "1.22.3")
        self.assertEqual(recovered["spec"]["toolchain"]["version"], "1.22")
        self.assertEqual(condition(recovered, "Reconciling"), {})
        pod = self.api.admitted(self.ns, asking("p", "build"))
        self.assertEqual(variables_of(pod)["GOTOOLCHAIN"], "go1.22.3")
        self.assertIn("GOTOOLCHAIN=go1.22.3", self.file(self.served(), "go.env"))

    # --- the operator itself ---

    def test_explain_a_pod_of_the_cluster(self):
        self.api.apply_environment(self.ns, "build", flags=["-trimpath"])
        self.api.ready(self.ns, "build")
        self.assertEqual(self.api.create_pod(self.ns, asking("p", "build"), dry_run=False)[0], 201)
        self.api.create_pod(self.ns, harness.pod("plain"), dry_run=False)
        explain = [harness.binary(), "explain", "--kubeconfig", self.cluster.kubeconfig,
                   "-n", self.ns]
        text = harness.run(*explain, "pod/p").stdout
        for part in ("build", self.served(), "GOFLAGS", "-trimpath", "main"):
            self.assertIn(part, text)
        self.assertTrue(json.loads(harness.run(*explain, "pod/p", "-o", "json").stdout))
        plain = harness.run(*explain, "pod/plain", check=False)
        self.assertEqual(plain.returncode, 1, plain.stdout + plain.stderr)
        none = harness.run(*explain, "pod/none", check=False)
        self.assertEqual(none.returncode, 3, none.stdout + none.stderr)

    def test_restart_writes_nothing(self):
        for i in range(20):
            self.api.apply_environment(self.ns, f"e{i}")
        for i in range(20):
            self.api.ready(self.ns, f"e{i}")
        self.api.create_pod(self.ns, asking("p", "e0"), dry_run=False)
        wait_for("the pod to be counted", 60, lambda: self.api.environment(
            self.ns, "e0")["status"].get("pods", {}).get("injected") == 1)
        self.quiet()
        self.assertEqual(self.operator.stop(), 0, self.operator.tail())
        at = harness.now()
        self.operator.start()
        wait_for("the new process to lead", 60, self.operator.holds_lease)
        time.sleep(3)
        self.assertEqual(self.cluster.writes(OPERATOR, at), [])
        # It does look: a new object is served.
        self.api.apply_environment(self.ns, "new")
        self.api.ready(self.ns, "new")


if __name__ == "__main__":
    unittest.main()
