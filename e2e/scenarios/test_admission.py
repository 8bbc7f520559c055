"""Which pods are changed at admission, and what is said of those that missed it.

An API server alone, with the chart's webhook configurations pointed at the operator beside it.
"""

import signal
import unittest

import harness
from harness import asking, pod, revision_of, variables_of, wait_for

SECONDS = 15


class Admission(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(harness.Cluster("admission", full=False))
        cls.operator = cls.enterClassContext(harness.OffCluster(
            cls.cluster, "https://goproxy.example", ["--drain-seconds", "1"]))
        cls.operators = (cls.operator,)
        cls.api = cls.cluster.api
        for ns, injection in (("plain", None), ("off", "disabled"), ("strict", "enforced"),
                              ("selecting", "enabled")):
            cls.cluster.namespace(ns, **({"gobuildenv.dev/injection": injection} if injection
                                         else {}))
            cls.api.apply_environment(ns, "build")
            cls.api.ready(ns, "build")

    def untouched(self, ns, wanted, answer):
        """The stored pod is as its author wrote it, the API server's own defaults aside."""
        self.assertIsNone(revision_of(answer), answer)
        self.assertEqual(answer["metadata"]["labels"] if wanted["metadata"]["labels"] else {},
                         wanted["metadata"]["labels"])
        self.assertNotIn("annotations", answer["metadata"])
        self.assertEqual(variables_of(answer), {})
        self.assertNotIn("volumeMounts", answer["spec"]["containers"][0])

    def test_pod_that_asks_is_changed(self):
        answer = self.api.admitted("plain", asking("p", "build"))
        served = self.api.environment("plain", "build")["status"]["revisions"]["current"]
        self.assertEqual(revision_of(answer), served)
        self.assertEqual(variables_of(answer)["CGO_ENABLED"], "0")
        self.assertEqual(variables_of(answer)["GOTOOLCHAIN"], "go1.22.3")
        self.assertEqual(variables_of(answer)["GOROOT"] or "", "")
        self.assertNotIn("PATH", variables_of(answer))
        self.assertEqual(answer["spec"]["containers"][0]["command"], ["go", "build"])
        sources = [v["configMap"]["name"] for v in answer["spec"]["volumes"] if "configMap" in v]
        self.assertEqual(sources, [f"build-{served}"])
        annotations = answer["metadata"]["annotations"]
        self.assertEqual(annotations["gobuildenv.dev/environment"], "build")

    def test_pod_that_does_not_ask_is_untouched(self):
        for ns in ("plain", "selecting"):
            wanted = pod("p")
            self.untouched(ns, wanted, self.api.admitted(ns, wanted))

    def test_disabled_namespace(self):
        wanted = asking("p", "build")
        self.untouched("off", wanted, self.api.admitted("off", wanted))

    def test_missing_environment(self):
        status, answer, warnings = self.api.create_pod("plain", asking("p", "none"))
        self.assertEqual(status, 201, answer)
        self.assertIsNone(revision_of(answer))
        self.assertIn("there is no GoBuildEnv none in namespace plain", " ".join(warnings))

    def test_required_and_missing_environment(self):
        required = asking("p", "none", **{"gobuildenv.dev/required": "true"})
        status, answer, _ = self.api.create_pod("plain", required)
        self.assertEqual(status, 403, answer)
        self.assertIn("there is no GoBuildEnv none in namespace plain", answer["message"])
        required["metadata"]["labels"]["gobuildenv.dev/env"] = "build"
        self.assertTrue(revision_of(self.api.admitted("plain", required)))

    def test_generated_name_and_own_variables(self):
        wanted = asking("p", "build")
        del wanted["metadata"]["name"]
        wanted["metadata"]["generateName"] = "ci-"
        wanted["spec"]["containers"][0]["env"] = [{"name": "CGO_ENABLED", "value": "1"}]
        status, answer, warnings = self.api.create_pod("plain", wanted)
        self.assertEqual(status, 201, answer)
        self.assertEqual(variables_of(answer)["CGO_ENABLED"], "1")
        self.assertEqual(variables_of(answer)["GOTOOLCHAIN"], "go1.22.3")
        self.assertIn("CGO_ENABLED", " ".join(warnings))
        self.api.apply_environment("plain", "firm", injection={"enforcement": "Enforce"})
        self.api.ready("plain", "firm")
        wanted["metadata"]["labels"]["gobuildenv.dev/env"] = "firm"
        self.assertEqual(variables_of(self.api.admitted("plain", wanted))["CGO_ENABLED"], "0")

    def test_selector(self):
        chosen = pod("p", {"team": "go"})
        self.untouched("selecting", chosen, self.api.admitted("selecting", chosen))
        select = {"podSelector": {"matchLabels": {"team": "go"}}}
        self.api.apply_environment("selecting", "chosen", injection=select)
        self.api.ready("selecting", "chosen")

        def changed():
            return revision_of(self.api.admitted("selecting", chosen))
        revision = wait_for("the selected pod to be changed", 30, changed)
        self.assertEqual(
            revision,
            self.api.environment("selecting", "chosen")["status"]["revisions"]["current"])
        other = pod("p", {"team": "python"})
        self.untouched("selecting", other, self.api.admitted("selecting", other))
        # The label decides before any selector.
        both = asking("p", "build", team="go")
        answer = self.api.admitted("selecting", both)
        self.assertEqual(answer["metadata"]["annotations"]["gobuildenv.dev/environment"], "build")
        # Two that select the same pod: it is left alone, and both are named.
        self.api.apply_environment("selecting", "rival", injection=select)
        self.api.ready("selecting", "rival")

        def conflict():
            _, answer, warnings = self.api.create_pod("selecting", chosen)
            return not revision_of(answer) and " ".join(warnings)
        said = wait_for("the conflict to be told", 30, conflict)
        self.assertIn("chosen and rival", said)
        # The same selector in a namespace that is not enabled selects nothing.
        self.api.apply_environment("plain", "chosen", injection=select)
        self.api.ready("plain", "chosen")
        self.untouched("plain", chosen, self.api.admitted("plain", chosen))

    def test_webhook_down(self):
        """Builds go on, unchanged, and are reported; where that is worse than none, none starts."""
        self.assertTrue(revision_of(self.api.admitted("strict", asking("p", "build"))))
        self.assertEqual(self.operator.stop(signal.SIGTERM), 0, self.operator.tail())
        try:
            status, answer, _ = self.api.create_pod("plain", asking("late", "build"), dry_run=False)
            self.assertEqual(status, 201, answer)
            self.assertIsNone(revision_of(answer))
            status, answer, _ = self.api.create_pod("strict", asking("p", "build"))
            self.assertEqual(status, 500, answer)
            self.assertIn("enforced.pods.gobuildenv.dev", answer["message"])
            self.assertEqual(self.api.create_pod("strict", pod("p"))[0], 201)
        finally:
            self.operator.start()
        notes = wait_for("an Event on the pod that missed its environment", 60,
                         lambda: self.api.events("plain", "EnvironmentMissed"))
        self.assertIn("was created without it", notes["late"])
        wait_for("status.pods.missed to be 1", 60, lambda: self.api.environment(
            "plain", "build")["status"].get("pods", {}).get("missed") == 1)


if __name__ == "__main__":
    unittest.main()
