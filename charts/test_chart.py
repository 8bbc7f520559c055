#!/usr/bin/env python3
"""Tests of the chart against helm and a real API server; both are built when absent.

    charts/test_chart.py
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from tools.programs import CLUSTER, healthcheck, run_helm  # noqa: E402  (the path above comes first)

NAMESPACE = "gobuildenv-system"
CHART = HERE / "gobuildenv"
CA = ("manager.moduleProxyCA.configMapKeyRef.name=corp", "manager.moduleProxyCA.configMapKeyRef.key=root.pem")
TAINT = "gobuildenv.dev/agent-not-ready"
USER = f"system:serviceaccount:{NAMESPACE}:gobuildenv"


def template(*settings: str, only: str = "", hooks=False) -> str:
    """The rendered chart, or one file of it; with what runs before an uninstall only if asked."""
    return run_helm("template", "gobuildenv", CHART, "--namespace", NAMESPACE,
                    *(() if hooks else ("--no-hooks",)),
                    *(word for s in settings for word in ("--set", s)),
                    *(("--show-only", f"templates/{only}.yaml") if only else ()))


def plain_manifest(*settings: str) -> str:
    """What render-manifest prints."""
    return subprocess.run([HERE / "render-manifest", "--namespace", NAMESPACE,
                           *(word for s in settings for word in ("--set", s))],
                          check=True, text=True, capture_output=True).stdout


class Cluster:
    """An API server for these tests alone."""
    name = f"chart-{os.getpid()}"

    @classmethod
    def up(cls):
        """Starts it."""
        subprocess.run([CLUSTER, "up", "--api-only", "--name", cls.name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def down(cls):
        """Stops it and removes all it made."""
        subprocess.run([CLUSTER, "down", "--name", cls.name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def kubectl(cls, *args, text=None, ok=True) -> str:
        """Output and, when it may fail, errors of kubectl."""
        done = subprocess.run([CLUSTER, "kubectl", "--name", cls.name, "--", *args], input=text,
                              text=True, capture_output=True, check=False)
        if ok and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr}")
        return done.stdout if ok else done.stdout + done.stderr


def objects(manifest: str) -> dict:
    """(kind, name) -> object, parsed by kubectl without asking the server."""
    text = Cluster.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-",
                           text=manifest).strip()
    found, decoder = {}, json.JSONDecoder()
    while text:
        one, end = decoder.raw_decode(text)
        found[one["kind"], one["metadata"]["name"]] = one
        text = text[end:].lstrip()
    return found


def pod_of_deployment(*settings: str, labels=None) -> str:
    """A pod as the Deployment would make it, as JSON."""
    deployment = objects(template(*settings, only="deployment"))["Deployment", "gobuildenv"]
    return json.dumps({"apiVersion": "v1", "kind": "Pod",
                       "metadata": {"name": "probe", "namespace": NAMESPACE, "labels": labels or {}},
                       "spec": deployment["spec"]["template"]["spec"]})


def setUpModule():
    def stopped(*_):
        Cluster.down()
        os._exit(143)  # unittest would take SystemExit for one failed test

    signal.signal(signal.SIGTERM, stopped)
    unittest.addModuleCleanup(Cluster.down)
    Cluster.up()
    Cluster.kubectl("create", "namespace", NAMESPACE)
    Cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")


class Rendering(unittest.TestCase):
    def test_lint(self):
        run_helm("lint", "--strict", CHART)

    def test_the_server_takes_every_object(self):
        for settings in ((), ("agent.enabled=true", "agent.credentialsSecret=proxies", *CA),
                         ("crds.keep=false", "networkPolicy.enabled=true", "manager.replicas=1",
                              "webhook.enforced=false", "webhook.podSelector=false",
                              "metrics.port=0")):
            said = Cluster.kubectl("apply", "--dry-run=server", "-f", "-", text=template(*settings))
            self.assertIn("deployment.apps/gobuildenv created (server dry run)", said)

    def test_the_plain_manifest_needs_no_helm(self):
        text = plain_manifest()
        self.assertNotRegex(text, "(?i)helm")
        self.assertIn("pod-security.kubernetes.io/enforce: restricted\n", text)
        said = Cluster.kubectl("apply", "--dry-run=server", "-f", "-", text=text)
        self.assertIn("customresourcedefinition.apiextensions.k8s.io/gobuildenvs.gobuildenv.dev "
                      "created", said)

    def test_the_plain_manifest_is_the_chart(self):
        """But for what Helm would read, and the namespace."""
        for settings in ((), ("agent.enabled=true",)):
            plain = objects(plain_manifest(*settings))
            del plain["Namespace", NAMESPACE]
            self.assertEqual(*({key: {field: o[field] for field in o if field != "metadata"}
                                for key, o in found.items()}
                               for found in (objects(template(*settings)), plain)))

    def test_replicas_answer_through_rollouts_and_drains(self):
        for text in (template(), plain_manifest()):
            found = objects(text)
            manager = found["Deployment", "gobuildenv"]["spec"]
            self.assertEqual(2, manager["replicas"])
            self.assertEqual({"type": "RollingUpdate",
                              "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                             manager["strategy"])
            self.assertEqual({"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow",
                              "selector": manager["selector"]},
                             found["PodDisruptionBudget", "gobuildenv"]["spec"])
            self.assertLessEqual(manager["selector"]["matchLabels"].items(),
                                 manager["template"]["metadata"]["labels"].items())

    def test_a_budget_never_keeps_the_only_replica_where_it_is(self):
        for setting in ("manager.replicas=1", "manager.podDisruptionBudget.enabled=false"):
            for text in (template(setting), plain_manifest(setting)):
                self.assertNotIn("PodDisruptionBudget", {kind for kind, _ in objects(text)})
        budget = objects(template("manager.replicas=3", "manager.podDisruptionBudget.minAvailable=2"))[
            "PodDisruptionBudget", "gobuildenv"]
        self.assertEqual(2, budget["spec"]["minAvailable"])

    def test_webhooks_see_every_version_and_what_other_webhooks_changed(self):
        fails = {"pods": "Ignore", "enforced.pods": "Fail", "selected.pods": "Ignore",
                 "gobuildenvs": "Ignore"}
        for text in (template(), plain_manifest()):
            found = objects(text)
            mutating, validating = (found[kind, "gobuildenv"]["webhooks"] for kind in (
                "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"))
            self.assertEqual({f"{name}.gobuildenv.dev": policy for name, policy in fails.items()},
                             {hook["name"]: hook["failurePolicy"] for hook in mutating + validating})
            for hook in mutating + validating:
                with self.subTest(hook["name"]):
                    self.assertEqual("Equivalent", hook["matchPolicy"])
            for hook in mutating:
                self.assertEqual([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                   "resources": ["pods"], "scope": "Namespaced"}], hook["rules"])
                with self.subTest(hook["name"]):
                    self.assertEqual("IfNeeded", hook["reinvocationPolicy"])

    def test_the_plain_manifest_lets_the_agent_be_privileged(self):
        text = plain_manifest("agent.enabled=true")
        self.assertIn("pod-security.kubernetes.io/enforce: privileged\n", text)

    def test_schema_refuses(self):
        for setting, named in (("manager.replicas=0", "replicas"), ("nonsense=1", "nonsense"),
                               ("webhook.timeoutSeconds=31", "timeoutSeconds"),
                               ("webhook.certificates.mode=none", "mode"),
                               ("image.digest=sha256:12", "digest"),
                               ("manager.moduleProxyCA.secretKeyRef.name=only", "key"),
                               ("manager.log.level=loud", "level")):
            with self.subTest(setting), self.assertRaisesRegex(RuntimeError, named):
                template(setting)
        with self.assertRaisesRegex(RuntimeError, "moduleProxyCA"):
            template(*CA, *(s.replace("configMapKeyRef", "secretKeyRef") for s in CA))

    def test_crd_is_the_one_of_the_tree(self):
        for plural in ("gobuildenvs", "gonodecaches"):
            with self.subTest(plural):
                key = "CustomResourceDefinition", f"{plural}.gobuildenv.dev"
                rendered = objects(template())[key]
                annotations = rendered["metadata"].pop("annotations")
                self.assertEqual("-2", annotations["argocd.argoproj.io/sync-wave"])
                self.assertEqual("keep", annotations["helm.sh/resource-policy"])
                source = (HERE.parent / "crds" / f"{plural}.yaml").read_text()
                self.assertEqual(objects(source)[key], rendered)
                kept = objects(template("crds.keep=false"))[key]
                self.assertNotIn("helm.sh/resource-policy", kept["metadata"]["annotations"])
        self.assertNotIn("CustomResourceDefinition",
                         {kind for kind, _ in objects(template("crds.install=false"))})

    def test_waves(self):
        wave = {"CustomResourceDefinition": "-2", "Deployment": "0", "DaemonSet": "0", "CSIDriver": "0"}
        for (kind, name), o in objects(template("agent.enabled=true")).items():
            with self.subTest(kind=kind, name=name):
                self.assertEqual(wave.get(kind, "-1"),
                                 o["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])

    def test_rendering_is_repeatable(self):
        self.assertEqual(template(), template())

    def test_no_ca_bundle_and_two_seconds(self):
        for (kind, _), o in objects(template()).items():
            for hook in o.get("webhooks", []):
                with self.subTest(kind=kind, hook=hook["name"]):
                    self.assertNotIn("caBundle", hook["clientConfig"])
                    self.assertEqual(2, hook["timeoutSeconds"])
                    self.assertEqual("None", hook["sideEffects"])

    def test_cert_manager(self):
        text = template("webhook.certificates.mode=cert-manager")
        for wanted in ("kind: Certificate\n", "kind: Issuer\n", "--cert-external",
                       f"cert-manager.io/inject-ca-from: {NAMESPACE}/gobuildenv-webhook-cert"):
            self.assertIn(wanted, text)
        # It writes neither the Secret nor the configurations.
        self.assertNotIn("gobuildenv-certificates", text)
        secrets = re.findall(r"resources: \[secrets\]\n.*?verbs: (\[.*?\])", text, re.DOTALL)
        self.assertEqual(["[get, list, watch]"], secrets)
        self.assertNotIn("--cert-external", template())
        self.assertNotIn("kind: Issuer\n", template("webhook.certificates.mode=cert-manager",
                                                   "webhook.certificates.issuerRef.name=corp"))

    def test_the_manager_knows_every_flag(self):
        source = (HERE.parent / "operator" / "manager.cpp").read_text()
        known = set(re.findall(r'add_(?:option|flag)\("(--[a-z-]+)"', source))
        settings = ("manager.moduleProxy=https://goproxy.example", "manager.sumDB=off",
                    "webhook.excludedNamespaces={a}", *CA)
        for mode in ("self-managed", "cert-manager"):
            text = template(*settings, f"webhook.certificates.mode={mode}", only="deployment")
            used = set(re.findall(r'- "?(--[a-z-]+)', text))
            self.assertGreater(len(used), 8)
            self.assertEqual(set(), used - known)

    def test_the_agent_knows_every_flag(self):
        source = "".join((HERE.parent / "operator" / name).read_text()
                         for name in ("agent_main.cpp", "limit_flags.cpp"))
        known = set(re.findall(r'add_(?:option|flag)\(\s*"(--[a-z-]+)"', source))
        text = template("agent.enabled=true", "manager.moduleProxy=https://goproxy.example",
                        "manager.sumDB=off", f"agent.startupTaint={TAINT}:NoSchedule", "agent.credentialsSecret=proxies", *CA, only="agent")
        used = set(re.findall(r'- "?(--[a-z-]+)', text))
        self.assertGreater(len(used), 8)
        self.assertEqual(set(), used - known)

    def test_values_arrive_as_they_were_written(self):
        """From a file of values, where helm makes every number a float, and with what YAML minds."""
        proxy, database = "https://goproxy.example/a #b|https://c: d", "sum.example+0123 https://e #f"
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
            json.dump({"manager": {"moduleProxy": proxy, "sumDB": database},
                       "agent": {"enabled": True, "collector": {"deleteRate": 2000000}}}, values)
            values.flush()
            found = objects(run_helm("template", "gobuildenv", CHART, "--namespace", NAMESPACE,
                                     "--no-hooks", "--values", values.name))
        for kind, name, proxies in (("Deployment", "gobuildenv", "--module-proxy"),
                                    ("DaemonSet", "gobuildenv-agent", "--proxies")):
            args = found[kind, name]["spec"]["template"]["spec"]["containers"][0]["args"]
            self.assertIn(f"{proxies}={proxy}", args)
            self.assertIn(f"--sum-db={database}", args)
        self.assertIn("--delete-rate=2000000", args)

    def test_the_agent_is_opt_in(self):
        kinds = {kind for kind, _ in objects(template())}
        self.assertTrue({"DaemonSet", "CSIDriver"}.isdisjoint(kinds))

    def test_the_driver_is_as_the_agent_needs_it(self):
        driver = objects(template("agent.enabled=true", only="agent"))["CSIDriver", "gobuildenv.dev"]
        self.assertEqual({"attachRequired": False, "podInfoOnMount": True, "fsGroupPolicy": "None",
                          "volumeLifecycleModes": ["Ephemeral"]}, driver["spec"])

    def test_every_linux_node_has_the_driver_unless_values_say_less(self):
        """A pod with volumes that comes to another node waits there for ever."""
        for settings, selector in (((), {"kubernetes.io/os": "linux"}),
                                   (("agent.nodeSelector.pool=builds",),
                                    {"kubernetes.io/os": "linux", "pool": "builds"})):
            spec = objects(template("agent.enabled=true", *settings, only="agent"))[
                "DaemonSet", "gobuildenv-agent"]["spec"]["template"]["spec"]
            self.assertEqual(selector, spec["nodeSelector"])
            self.assertEqual([{"operator": "Exists"}], spec["tolerations"])
            self.assertNotIn("affinity", spec)

    def test_the_agents_folders_are_the_nodes(self):
        spec = objects(template("agent.enabled=true", "agent.root=/data/go", "agent.kubeletDir=/k/",
                                only="agent"))["DaemonSet", "gobuildenv-agent"]["spec"]["template"]["spec"]
        main = spec["containers"][0]
        paths = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"]}
        # The kubelet and the agent must mean the same by a path.
        self.assertEqual(paths, {m["name"]: m["mountPath"] for m in main["volumeMounts"]})
        self.assertEqual({"root": "/data/go", "pods": "/k/pods", "registry": "/k/plugins_registry",
                          "socket": "/k/plugins/gobuildenv.dev"}, paths)
        self.assertEqual(["pods"], [m["name"] for m in main["volumeMounts"]
                                    if m.get("mountPropagation") == "Bidirectional"])
        self.assertIn("--root=/data/go", main["args"])
        self.assertIn("--kubelet-dir=/k", main["args"])

    def test_manager_and_webhooks_exclude_the_same_namespaces(self):
        self.assertNotIn("--exclude-namespaces", template(only="deployment"))
        settings = "webhook.excludedNamespaces={infra,left-alone}"
        self.assertIn("- --exclude-namespaces=infra,left-alone\n", template(settings, only="deployment"))
        for hook in objects(template(settings))["MutatingWebhookConfiguration", "gobuildenv"]["webhooks"]:
            self.assertEqual(["kube-system", NAMESPACE, "infra", "left-alone"],
                             hook["namespaceSelector"]["matchExpressions"][0]["values"])

    def test_private_ca_of_the_module_proxy(self):
        self.assertNotIn("volumes", json.loads(pod_of_deployment())["spec"])
        for ref, kind, named in (("configMapKeyRef", "configMap", "name"), ("secretKeyRef", "secret", "secretName")):
            with self.subTest(ref):
                text = pod_of_deployment(*(s.replace("configMapKeyRef", ref) for s in CA))
                spec = json.loads(text)["spec"]
                main, volume = spec["containers"][0], spec["volumes"][0]
                self.assertEqual("corp", volume[kind][named])
                self.assertEqual([{"key": "root.pem", "path": "ca.crt"}], volume[kind]["items"])
                mount = main["volumeMounts"][0]
                self.assertEqual((volume["name"], True), (mount["name"], mount["readOnly"]))
                self.assertIn(f"--module-proxy-ca={mount['mountPath']}/ca.crt", main["args"])
                # restricted, and of the right form
                Cluster.kubectl("create", "--dry-run=server", "-f", "-", text=text)

    def test_pod_monitor(self):
        self.assertIn("kind: PodMonitor", template("metrics.podMonitor.enabled=true"))
        self.assertEqual(2, template("metrics.podMonitor.enabled=true", "agent.enabled=true")
                         .count("kind: PodMonitor"))
        self.assertNotIn("kind: PodMonitor", template())

    def test_every_value_is_used_and_in_the_schema(self):
        templates = "".join(p.read_text() for p in (CHART / "templates").iterdir())
        used = set(re.findall(r"\.Values\.([A-Za-z.]+)", templates))
        schema = json.loads((CHART / "values.schema.json").read_text())

        def leaves(node, path=""):
            for key, sub in node.get("properties", {}).items():
                yield from leaves(sub, f"{path}.{key}" if path else key)
            if path and "properties" not in node:
                yield path

        declared = {p for p in leaves(schema) if p != "global"}
        unused = {p for p in declared if not any(p == u or p.startswith(u + ".") for u in used)}
        self.assertEqual(set(), unused)
        known = declared | {p.rsplit(".", n)[0] for p in declared for n in (1, 2) if "." in p}
        self.assertEqual(set(), used - known)


class Uninstall(unittest.TestCase):
    """What it does on a cluster is shown by e2e/scenarios/test_uninstall.py."""

    def hooks(self, *settings):
        return objects(template(*settings, only="uninstall", hooks=True))

    def test_injection_stops_and_pods_are_asked_before_anything_goes(self):
        found = self.hooks()
        self.assertEqual({"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"},
                         {kind for kind, _ in found})
        for (kind, _), o in found.items():
            with self.subTest(kind):
                annotations = o["metadata"]["annotations"]
                self.assertEqual("pre-delete", annotations["helm.sh/hook"])
                self.assertEqual("0" if kind == "Job" else "-1",
                                 annotations.get("helm.sh/hook-weight", "0"))
        job = found["Job", "gobuildenv-uninstall"]["spec"]
        self.assertEqual(0, job["backoffLimit"])
        args = job["template"]["spec"]["containers"][0]["args"]
        self.assertIn("--webhook-config=gobuildenv", args)
        self.assertIn("--wait-seconds=60", args)
        self.assertEqual({"gobuildenv"}, {name for kind, name in objects(template())
                                          if kind.endswith("WebhookConfiguration")})
        source = (HERE.parent / "operator" / "uninstall_command.cpp").read_text()
        known = set(re.findall(r'add_(?:option|flag)\(\s*"(--[a-z-]+)"', source))
        self.assertEqual(set(), {a.partition("=")[0] for a in args[1:]} - known)

    def test_the_job_outlives_its_wait(self):
        job = self.hooks("uninstall.waitSeconds=600")["Job", "gobuildenv-uninstall"]["spec"]
        self.assertGreaterEqual(job["activeDeadlineSeconds"], 660)

    def test_can_be_left_out(self):
        self.assertNotIn("prepare-uninstall", template("uninstall.prepare=false", hooks=True))

    def test_the_plain_manifest_runs_nothing_when_applied(self):
        self.assertNotIn("kind: Job", plain_manifest())

    def test_pod_passes_restricted(self):
        spec = self.hooks()["Job", "gobuildenv-uninstall"]["spec"]["template"]["spec"]
        del spec["serviceAccountName"]
        Cluster.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": NAMESPACE},
             "spec": spec}))

    def test_rights(self):
        rules = self.hooks()["ClusterRole", "gobuildenv-uninstall"]["rules"]
        self.assertEqual([
            {"apiGroups": ["admissionregistration.k8s.io"], "resourceNames": ["gobuildenv"],
             "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
             "verbs": ["get", "delete"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}], rules)


class Security(unittest.TestCase):
    def test_pod_passes_restricted(self):
        for settings in ((), ("webhook.certificates.mode=cert-manager",)):
            with self.subTest(settings):
                Cluster.kubectl("create", "--dry-run=server", "-f", "-", text=pod_of_deployment(*settings))
        # The namespace does refuse what is not restricted.
        loose = json.loads(pod_of_deployment())
        loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.assertIn("violates PodSecurity", Cluster.kubectl(
            "create", "--dry-run=server", "-f", "-", text=json.dumps(loose), ok=False))

    def test_rights(self):
        Cluster.kubectl("apply", "-f", "-", text=template())
        self.addCleanup(Cluster.kubectl, "delete", "--wait=false", "-f", "-", text=template())
        own, name = ["-n", NAMESPACE], "gobuildenv"
        yes = [
            ["patch", "gobuildenvs.gobuildenv.dev", "--subresource=status", "-n", "builds"],
            ["watch", "gobuildenvs.gobuildenv.dev", "-A"], ["create", "configmaps", "-n", "builds"],
            ["watch", "gonodecaches.gobuildenv.dev"],
            ["delete", "configmaps", "-n", "builds"], ["watch", "pods", "-A"],
            ["create", "events.events.k8s.io", "-n", "builds"], ["watch", "namespaces"],
            ["watch", "csidrivers.storage.k8s.io/gobuildenv.dev"],
            ["create", "leases.coordination.k8s.io", *own],
            ["update", "leases.coordination.k8s.io/gobuildenv-manager", *own],
            ["get", "secrets/gobuildenv-webhook-cert", *own], ["create", "secrets", *own],
            ["patch", f"mutatingwebhookconfigurations.admissionregistration.k8s.io/{name}"],
        ]
        no = [
            ["update", "gobuildenvs.gobuildenv.dev", "-n", "builds"],
            ["patch", "gonodecaches.gobuildenv.dev", "--subresource=status"],
            ["get", "secrets", "-n", "builds"], ["list", "secrets", *own], ["get", "secrets/other", *own],
            ["create", "secrets", "-n", "builds"], ["create", "pods", "-n", "builds"],
            ["update", "pods", "-n", "builds"], ["update", "leases.coordination.k8s.io/gobuildenv-manager", "-n", "builds"],
            ["update", "leases.coordination.k8s.io/other", *own],
            ["patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/other"],
            ["create", "clusterroles.rbac.authorization.k8s.io"],
        ]
        # The authorizer learns of new roles by a watch.
        for _ in range(50):
            if "yes" in self._can(yes[0]):
                break
        for want, asked in ((("yes",), yes), (("no",), no)):
            for args in asked:
                with self.subTest(" ".join(args)):
                    self.assertEqual(want[0], self._can(args))

    def test_rights_of_the_agent(self):
        text = template("agent.enabled=true")
        Cluster.kubectl("apply", "-f", "-", text=text)
        self.addCleanup(Cluster.kubectl, "delete", "--wait=false", "-f", "-", text=text)
        user = f"{USER}-agent"
        yes = [["watch", "gobuildenvs.gobuildenv.dev", "-A"], ["get", "namespaces/builds"],
               ["create", "events.events.k8s.io", "-n", "builds"], ["get", "nodes/a"],
               ["create", "gonodecaches.gobuildenv.dev"],
               ["patch", "gonodecaches.gobuildenv.dev/a", "--subresource=status"]]
        no = [["patch", "gobuildenvs.gobuildenv.dev", "--subresource=status", "-n", "builds"],
              ["list", "namespaces"], ["get", "secrets", "-n", NAMESPACE], ["get", "pods", "-n", "builds"],
              ["get", "configmaps", "-n", "builds"], ["list", "nodes"], ["patch", "nodes/a"],
              ["delete", "gonodecaches.gobuildenv.dev/a"], ["watch", "gonodecaches.gobuildenv.dev"]]
        for _ in range(50):
            if "yes" in self._can(yes[0], user):
                break
        for want, asked in (("yes", yes), ("no", no)):
            for args in asked:
                with self.subTest(" ".join(args)):
                    self.assertEqual(want, self._can(args, user))

    def test_built_in_roles_get_their_share(self):
        # An API server alone aggregates nothing, so the parts are looked at.
        roles = objects(template(only="rbac-users"))
        for role, writes in (("view", False), ("edit", True), ("admin", True)):
            part = roles["ClusterRole", f"gobuildenv-{role}"]
            self.assertEqual("true", part["metadata"]["labels"][
                f"rbac.authorization.k8s.io/aggregate-to-{role}"])
            self.assertEqual(writes, "create" in part["rules"][0]["verbs"])
            self.assertIn("watch", part["rules"][0]["verbs"])

    def _can(self, args, user=USER) -> str:
        said = Cluster.kubectl("auth", "can-i", f"--as={user}", "--as-group=system:authenticated",
                               *args, ok=False)
        return [line for line in said.splitlines() if line in ("yes", "no")
                or line.startswith("no -")][-1].split(" ")[0]


class OwnNode(unittest.TestCase):
    """What the policy lets an agent do, asked with the token of a pod on node-a."""
    settings = ("agent.enabled=true", f"agent.startupTaint={TAINT}=x:NoSchedule")

    @classmethod
    def setUpClass(cls):
        text = template(*cls.settings)
        cls.addClassCleanup(Cluster.kubectl, "delete", "--wait=false", "-f", "-", text=text, ok=False)
        Cluster.kubectl("apply", "-f", "-", text=text)
        for name in ("node-a", "node-b"):
            cls.addClassCleanup(Cluster.kubectl, "delete", "node", name)
            Cluster.kubectl("create", "-f", "-", text=json.dumps({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kept": "yes"}},
                "spec": {"taints": [{"key": "other", "effect": "NoSchedule"},
                                    {"key": TAINT, "value": "x", "effect": "NoSchedule"}]}}))
        pod = json.loads(pod_of_deployment())
        pod["metadata"]["name"] = "agent-a"
        pod["spec"].update(serviceAccountName="gobuildenv-agent", nodeName="node-a",
                           tolerations=[{"operator": "Exists"}])
        cls.addClassCleanup(Cluster.kubectl, "-n", NAMESPACE, "delete", "pod", "agent-a", "--force",
                            "--grace-period=0")
        Cluster.kubectl("create", "-f", "-", text=json.dumps(pod))
        token = Cluster.kubectl("-n", NAMESPACE, "create", "token", "gobuildenv-agent",
                                "--bound-object-kind=Pod", "--bound-object-name=agent-a").strip()
        path = subprocess.run([CLUSTER, "kubeconfig", "--name", Cluster.name], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
        config = json.loads(Path(path).read_text())
        config["users"][0]["user"] = {"token": token}
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.config = Path(folder) / "agent.kubeconfig"
        cls.config.write_text(json.dumps(config))
        # Policy and rights become effective a moment after they are made.
        deadline = time.monotonic() + 60
        while "may write its own GoNodeCache only" not in cls.write("node-b"):
            if time.monotonic() > deadline:
                raise AssertionError(cls.write("node-b"))

    @classmethod
    def ask(cls, *args, text=None) -> str:
        """What kubectl says to the agent."""
        return Cluster.kubectl(f"--kubeconfig={cls.config}", *args, text=text, ok=False)

    @classmethod
    def write(cls, name, subresource="", ask=None, **extra) -> str:
        """Applies a GoNodeCache as the agent does."""
        body = {"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoNodeCache",
                "metadata": {"name": name, **extra}}
        if subresource:
            body["status"] = {"agentVersion": "1"}
        args = ["apply", "--server-side", "--force-conflicts", "--field-manager=gobuildenv-agent",
                "-f", "-", *([f"--subresource={subresource}"] if subresource else [])]
        return (ask or cls.ask)(*args, text=json.dumps(body))

    def test_its_own_and_no_other(self):
        uid = Cluster.kubectl("get", "node", "node-a", "-o", "jsonpath={.metadata.uid}")
        owner = {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": uid}
        said = self.write("node-a", ownerReferences=[owner])
        self.assertIn("gonodecache.gobuildenv.dev/node-a serverside-applied", said)
        self.assertIn("serverside-applied", self.write("node-a", "status"))
        self.assertEqual("1", Cluster.kubectl("get", "gnc", "node-a", "-o",
                                              "jsonpath={.status.agentVersion}"))
        refused = "the agent of node node-a may write its own GoNodeCache only, not node-b"
        self.assertIn(refused, self.write("node-b"))
        self.write("node-b", ask=Cluster.kubectl)  # by the administrator
        self.assertIn(refused, self.write("node-b", "status"))
        self.assertEqual("", Cluster.kubectl("get", "gnc", "node-b", "-o", "jsonpath={.status}"))

    def test_owned_by_its_node_alone(self):
        for kind, name in (("Node", "node-b"), ("Namespace", "node-a")):
            owner = {"apiVersion": "v1", "kind": kind, "name": name, "uid": "1"}
            self.assertIn("owned by its Node alone", self.write("node-a", ownerReferences=[owner]))

    def test_a_token_without_a_node_may_nothing(self):
        def without(*args, text=None):
            return Cluster.kubectl(f"--as={USER}-agent", *args, text=text, ok=False)
        self.assertIn("(none in its token)", self.write("node-a", ask=without))

    def test_takes_only_its_taint_and_only_from_its_own_node(self):
        def patch(node, *operations):
            return self.ask("patch", "node", node, "--type=json", "-p", json.dumps(
                [dict(zip(("op", "path", "value"), o)) for o in operations]))
        for node, operations, want in (
                ("node-b", [("remove", "/spec/taints/1")], "may write its own Node only, not node-b"),
                ("node-a", [("remove", "/spec/taints/0")], f"may only take the taint {TAINT} away"),
                ("node-a", [("remove", "/spec/taints")], f"may only take the taint {TAINT} away"),
                ("node-a", [("add", "/spec/taints/0", {"key": "new", "effect": "NoExecute"})],
                 "may only take taints away"),
                ("node-a", [("add", "/metadata/labels/kept", "no")], "may only take taints away"),
                ("node-a", [("add", "/metadata/annotations", {"a": "b"})], "may only take taints away"),
                ("node-a", [("add", "/spec/unschedulable", True)], "may only take taints away")):
            with self.subTest(node=node, operations=operations):
                self.assertIn(want, patch(node, *operations))
        self.assertIn("node/node-a patched", patch("node-a", ("remove", "/spec/taints/1")))
        left = json.loads(Cluster.kubectl("get", "node", "node-a", "-o", "json"))["spec"]["taints"]
        self.assertNotIn(TAINT, [t["key"] for t in left])

    def test_the_right_to_patch_comes_with_the_taint(self):
        self.assertIn("verbs: [get, patch]", template(*self.settings, only="agent"))
        self.assertNotIn("verbs: [get, patch]", template("agent.enabled=true", only="agent"))
        self.assertNotIn("[nodes, ", template("agent.enabled=true", only="agent-policy"))


class Selection(unittest.TestCase):
    """Which webhook the API server calls for which pod. Nothing serves them here, so those that fail
    open are seen in the API server's own count, and the one that does not refuses."""

    @classmethod
    def setUpClass(cls):
        text = template("webhook.excludedNamespaces={left-alone}")
        Cluster.kubectl("apply", "-f", "-", text=text)
        cls.addClassCleanup(Cluster.kubectl, "delete", "--wait=false", "-f", "-", text=text)
        for name, label in (("plain", None), ("enabled", "enabled"), ("enforced", "enforced"),
                            ("disabled", "disabled"), ("left-alone", "enforced")):
            Cluster.kubectl("create", "namespace", name)
            if label:
                Cluster.kubectl("label", "namespace", name, f"gobuildenv.dev/injection={label}")
        for _ in range(100):  # the API server learns of webhooks by a watch
            if cls._called("plain", {"gobuildenv.dev/env": "x"}):
                return
        raise AssertionError("the webhooks are never called")

    @staticmethod
    def _counts() -> dict:
        text = Cluster.kubectl("get", "--raw", "/metrics")
        found = re.findall(r'^apiserver_admission_webhook_fail_open_count\{name="([^"]+)".*\} (\d+)$',
                           text, re.MULTILINE)
        return {name: int(n) for name, n in found}

    @classmethod
    def _called(cls, namespace, labels, annotations=None) -> list:
        """Names of the webhooks called for such a pod."""
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "build", "namespace": namespace, "labels": labels, "annotations": annotations or {}},
            "spec": {"containers": [{"name": "main", "image": "conda-go:1"}]}}
        before = cls._counts()
        said = Cluster.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod), ok=False)
        after = cls._counts()
        refused = re.findall(r'failed calling webhook "([^"]+)"', said)
        return sorted({n for n in after if after[n] != before.get(n, 0)} | set(refused))

    def test_pods(self):
        asks = {"gobuildenv.dev/env": "go122"}
        for namespace, labels, wanted in (
                ("plain", asks, ["pods.gobuildenv.dev"]), ("plain", {}, []),
                ("enabled", asks, ["pods.gobuildenv.dev"]),
                ("enabled", {}, ["selected.pods.gobuildenv.dev"]),
                ("enforced", asks, ["enforced.pods.gobuildenv.dev"]),
                ("enforced", {}, ["selected.pods.gobuildenv.dev"]),
                ("disabled", asks, []), ("disabled", {}, []),
                ("left-alone", asks, []), ("left-alone", {}, []), ("kube-system", asks, [])):
            with self.subTest(namespace=namespace, labels=labels):
                self.assertEqual(wanted, self._called(namespace, labels))
        self.assertEqual([], self._called("plain", asks, {"kubernetes.io/config.mirror": "x"}))

    def test_its_own_namespace_is_left_alone(self):
        before = self._counts()
        Cluster.kubectl("create", "--dry-run=server", "-f", "-",
                        text=pod_of_deployment(labels={"gobuildenv.dev/env": "x"}))
        self.assertEqual(before, self._counts())

    def test_validation_is_asked_when_the_spec_changes(self):
        hook = "gobuildenvs.gobuildenv.dev"
        env = {"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv",
               "metadata": {"name": "go122", "namespace": "plain"},
               "spec": {"toolchain": {"version": "1.22.3"}}}
        for _ in range(100):  # a new kind is served a moment after its CRD
            if "created" in Cluster.kubectl("apply", "-f", "-", text=json.dumps(env), ok=False):
                break
        count = self._counts().get(hook, 0)
        self.assertGreater(count, 0)
        Cluster.kubectl("-n", "plain", "label", "gobuildenv", "go122", "team=a")
        self.assertEqual(count, self._counts()[hook])
        env["spec"]["toolchain"]["version"] = "1.22.4"
        Cluster.kubectl("apply", "-f", "-", text=json.dumps(env))
        self.assertEqual(count + 1, self._counts()[hook])


class GitOpsHealth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = healthcheck()

    def _run(self, kind, file, obj):
        done = subprocess.run([self.program, kind, HERE / "gitops" / file], input=json.dumps(obj),
                              text=True, capture_output=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def test_statuses(self):
        cases = sorted((HERE / "gitops" / "testdata").glob("*.json"))
        self.assertGreater(len(cases), 5)
        for file in cases:
            case = json.loads(file.read_text())
            with self.subTest(file.stem):
                answer = self._run("lua", "health.lua", case["object"])
                self.assertEqual(case["argocd"], answer["status"])
                self.assertTrue(answer["message"])
                if case["flux"]:
                    self.assertEqual(case["flux"],
                                     self._run("cel", "flux-healthcheck.yaml", case["object"]))


if __name__ == "__main__":
    unittest.main()
