#!/usr/bin/env python3
"""The command line as people and scripts use it: output, exit codes, errors that name the fix.

Usage: cli_test.py PATH/gobuildenv
"""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

DATA = pathlib.Path(__file__).resolve().parent / "testdata"
ENV, CRONJOB = str(DATA / "env.yaml"), str(DATA / "cronjob.yaml")
BINARY = "gobuildenv"


def call(*argv, stdin=""):
    return subprocess.run([BINARY, *argv], input=stdin, capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


class Render(unittest.TestCase):
    def test_yaml_and_json_are_the_same_object(self):
        as_json = json.loads(call("render", "-f", ENV, "-o", "json").stdout)
        self.assertEqual(as_json["kind"], "ConfigMap")
        self.assertTrue(as_json["immutable"])
        self.assertRegex(as_json["metadata"]["name"], r"^build-[0-9a-f]{10}$")
        self.assertEqual(as_json["metadata"]["namespace"], "ci")
        self.assertNotIn("ownerReferences", as_json["metadata"], "its uid is not known here")
        self.assertIn("CGO_ENABLED=0\n", as_json["data"]["go.env"])
        as_yaml = call("render", "-f", ENV)
        self.assertEqual(as_yaml.returncode, 0, as_yaml.stderr)
        again = call("render", "-f", "-", "-o", "json", stdin=as_yaml.stdout)
        self.assertEqual(again.returncode, 3, "a ConfigMap is no GoBuildEnv")

    def test_the_same_input_renders_to_the_same_revision(self):
        first, second = (call("render", "-f", ENV).stdout for _ in range(2))
        self.assertEqual(first, second)
        self.assertTrue(first)

    def test_errors_name_field_value_and_fix(self):
        bad = (DATA / "env.yaml").read_text().replace("1.22.3", "1.17.1").replace(
            '"-trimpath"', '"-toolexec=/bin/x"')
        done = call("render", "-f", "-", stdin=bad)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertIn("spec.toolchain.version", done.stderr)
        self.assertIn("1.17.1", done.stderr)
        self.assertIn("spec.flags[0]", done.stderr)

    def test_a_range_needs_to_be_told(self):
        ranged = (DATA / "env.yaml").read_text().replace("1.22.3", "1.22")
        done = call("render", "-f", "-", stdin=ranged)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--toolchain-version", done.stderr)
        done = call("render", "-f", "-", "--toolchain-version", "1.22.5", "-o", "json", stdin=ranged)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("GOTOOLCHAIN=go1.22.5\n", json.loads(done.stdout)["data"]["go.env"])
        both = call("render", "-f", "-", "--toolchain-version", "1.21.6", "--toolchain-version",
                    "1.22.5", "-o", "json", stdin=ranged)
        self.assertEqual(both.stdout, done.stdout)

    def test_what_a_range_cannot_stand_for(self):
        ranged = (DATA / "env.yaml").read_text().replace("1.22.3", "1.23")
        for version, code, said in (("banana", 2, '"banana"'), ("1.23", 2, "1.23.PATCH"),
                                    ("1.22.5", 1, "given: 1.22.5"), ("1.23rc1", 1, "1.23.PATCH")):
            done = call("render", "-f", "-", "--toolchain-version", version, stdin=ranged)
            self.assertEqual(done.returncode, code, (version, done.stdout))
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_unquoted_version_is_told_to_be_quoted(self):
        done = call("render", "-f", "-",
                    stdin=(DATA / "env.yaml").read_text().replace('"1.22.3"', "1.20"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("quote", done.stderr)

    def test_a_typing_error_is_no_field(self):
        done = call("render", "-f", "-", stdin=(DATA / "env.yaml").read_text().replace(
            "toolchain:", "toolchian:", 1))
        self.assertEqual(done.returncode, 1)
        self.assertIn("spec.toolchian: there is no such field; spec has ", done.stderr)
        self.assertIn("spec.toolchain.version: is missing", done.stderr)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([BINARY, "render", "-f", ENV], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (3, "gobuildenv: standard output: No space left on device\n"))

    def test_unreadable_input(self):
        self.assertEqual(call("render", "-f", "/nonexistent.yaml").returncode, 3)
        done = call("render", "-f", "-", stdin="a: [1\n")
        self.assertEqual(done.returncode, 3)
        self.assertIn("line", done.stderr)


class Inject(unittest.TestCase):
    def test_changes_templates_and_passes_the_rest(self):
        done = call("inject", "-e", ENV, "-f", CRONJOB, "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        config, job = json.loads(done.stdout)["items"]
        self.assertEqual(config["data"], {"version": "1.20", "switch": "on"})
        template = job["spec"]["jobTemplate"]["spec"]["template"]
        self.assertIn("gobuildenv.dev/revision", template["metadata"]["labels"])
        main, wait = template["spec"]["containers"]
        names = [e["name"] for e in main["env"]]
        self.assertIn("GOENV", names)
        self.assertEqual(main["env"][0], {"name": "CGO_ENABLED", "value": "1"}, "Prefer: its own")
        self.assertEqual(main["command"], ["go", "build", "./..."])
        self.assertEqual(main["image"], "registry.example/conda:1")
        self.assertIn("CronJob nightly: changed", done.stderr)

    def test_its_output_injected_again_is_the_same(self):
        once = call("inject", "-e", ENV, "-f", CRONJOB)
        twice = call("inject", "-e", ENV, "-f", "-", stdin=once.stdout)
        self.assertEqual(twice.returncode, 0, twice.stderr)
        self.assertEqual(once.stdout, twice.stdout)

    def test_a_required_environment_that_is_missing_is_refused(self):
        pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "p", "labels": {"gobuildenv.dev/env": "nope",
                                    "gobuildenv.dev/required": "true"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}})
        done = call("inject", "-f", "-", stdin=pod)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nope", done.stderr)

    def test_kinds_of_others(self):
        template = {"metadata": {"labels": {"gobuildenv.dev/env": "build"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}
        rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                   "metadata": {"name": "r", "namespace": "ci"}, "spec": {"template": template}}
        volcano = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job",
                   "metadata": {"name": "v", "namespace": "ci"},
                   "spec": {"tasks": [{"template": template}]}}
        done = call("inject", "-e", ENV, "-f", "-", "-o", "json",
                    stdin=json.dumps(rollout) + "\n---\n" + json.dumps(volcano))
        self.assertEqual(done.returncode, 0, done.stderr)
        changed, same = json.loads(done.stdout)["items"]
        self.assertIn("volumes", changed["spec"]["template"]["spec"])
        self.assertEqual(same, volcano)
        self.assertIn("Job v: as it was: it names gobuildenv.dev/env", done.stderr)

    def test_input_that_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            for source, said in (("-", "standard input: Is a directory"),
                                 ("/proc/self/mem", "/proc/self/mem: Input/output error")):
                stdin = os.open(folder, os.O_RDONLY)
                self.addCleanup(os.close, stdin)
                done = subprocess.run([BINARY, "inject", "-f", source], stdin=stdin, text=True,
                                      capture_output=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (3, "", f"gobuildenv inject: {said}\n"))

    def test_a_folder_in_a_folder_is_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "sub.yaml").mkdir()
            done = call("render", "-f", folder)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("the folder holds no .yaml, .yml or .json file", done.stderr)
            (pathlib.Path(folder) / "a.yaml").write_text((DATA / "env.yaml").read_text())
            self.assertEqual(call("render", "-f", folder).stdout, call("render", "-f", ENV).stdout)

    def test_items_of_a_typed_list_have_its_kind(self):
        pod = {"metadata": {"name": "p", "namespace": "ci", "labels": {"gobuildenv.dev/env": "build"}},
               "spec": {"containers": [{"name": "c", "image": "i"}]}}
        as_list = {"apiVersion": "v1", "kind": "PodList", "items": [pod]}
        alone = {"apiVersion": "v1", "kind": "Pod", **pod}
        listed, single = (call("inject", "-e", ENV, "-f", "-", stdin=json.dumps(one))
                          for one in (as_list, alone))
        self.assertIn("Pod p: changed", listed.stderr)
        self.assertEqual(listed.stdout, single.stdout)

    def test_unquoted_values_are_named(self):
        def unquoted(spec):
            pod = {"metadata": {"labels": {"gobuildenv.dev/env": "build",
                                           "gobuildenv.dev/required": True}}, "spec": spec}
            return json.dumps({"apiVersion": "batch/v1", "kind": "Job",
                               "metadata": {"name": "j", "namespace": "ci"},
                               "spec": {"template": pod}})
        job = unquoted({"containers": [{"name": "c", "image": "i", "env": [
            {"name": "CGO_ENABLED", "value": 0}, {"name": "A"}, {"name": "B", "value": None},
            {"name": "C", "value": ""}]}]})
        for command in ("inject", "explain"):
            done = call(command, "-e", ENV, "-f", "-", stdin=job)
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertEqual(done.stderr, f"""\
gobuildenv {command}: standard input:1: Job j: not as an API server takes it:
  spec.template.metadata.labels.gobuildenv.dev/required: must be a string: put it in quotes (is: true)
  spec.template.spec.containers[0].env[0].value: must be a string: put it in quotes (is: 0)
""")

    def test_what_is_no_object(self):
        done = call("inject", "-f", "-", stdin="a: 1\n---\n[1, x]\n")
        self.assertEqual((done.returncode, done.stderr), (3, (
            "gobuildenv inject: standard input:2: this is no Kubernetes object, which has "
            "apiVersion, kind and metadata (is: [1,\"x\"])\n")))

    def test_folders_and_lists(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "a.yaml").write_text((DATA / "env.yaml").read_text())
            (pathlib.Path(folder) / "b.yaml").write_text((DATA / "cronjob.yaml").read_text())
            done = call("inject", "-f", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.count("\n---\n"), 2)


class Explain(unittest.TestCase):
    def test_says_who_won(self):
        done = call("explain", "-e", ENV, "-f", CRONJOB, "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(found["environment"], "build")
        main = found["containers"][0]
        won = {v["name"]: v["outcome"] for v in main["variables"]}
        self.assertEqual(won["CGO_ENABLED"], "container")
        self.assertEqual(won["GOENV"], "added")
        text = call("explain", "-e", ENV, "-f", CRONJOB).stdout
        self.assertIn("container's", text)
        self.assertIn("CronJob ci/nightly", text)

    def test_a_pod_that_does_not_ask(self):
        pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                          "spec": {"containers": [{"name": "c", "image": "i"}]}})
        done = call("explain", "-f", "-", stdin=pod)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No environment", done.stdout)

    def test_what_others_wrote_cannot_steer_the_terminal(self):
        name, value = "p\u001b[2J", "\u001b]0;x\u0007\u009b31m"
        pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": name, "namespace": "ci", "labels": {"gobuildenv.dev/env": "build"}},
            "spec": {"containers": [{"name": "c", "image": "i",
                                     "env": [{"name": "GOFLAGS", "value": value}]}]}})
        text = call("explain", "-e", ENV, "-f", "-", stdin=pod)
        self.assertIn(r"Pod ci/p\x1b[2J", text.stdout)
        self.assertIn(r"\x1b]0;x\x07\xc2\x9b31m", text.stdout)
        said = call("inject", "-e", ENV, "-f", "-", stdin=pod).stderr
        self.assertIn(r"Pod p\x1b[2J: changed", said)
        for shown in (text.stdout, said, call("explain", "\u001b/x").stderr):
            self.assertNotRegex(shown, "[\u001b\u0007\u009b]")
        exact = json.loads(call("explain", "-e", ENV, "-f", "-", "-o", "json", stdin=pod).stdout)
        self.assertIn(value, [v["value"] for v in exact["containers"][0]["variables"]])

    def test_needs_a_subject(self):
        self.assertEqual(call("explain").returncode, 2)
        self.assertEqual(call("explain", "deployment/x").returncode, 2)

    def test_flags_of_files_and_of_clusters_do_not_mix(self):
        for argv, flag in ((["pod/x", "-e", ENV], "-e"), (["pod/x", "--csi"], "--csi"),
                           (["pod/x", "--toolchain-version", "1.22.5"], "--toolchain-version"),
                           (["-f", CRONJOB, "--kubeconfig", "/nonexistent"], "--kubeconfig"),
                           (["-f", CRONJOB, "--context", "c"], "--context")):
            done = call("explain", *argv)
            self.assertEqual((done.returncode, done.stdout), (2, ""), argv)
            self.assertIn(f"{flag} ", done.stderr)


class Manager(unittest.TestCase):
    def test_says_what_is_missing(self):
        done = call("manager", "--kubeconfig", "/nonexistent")
        self.assertEqual(done.returncode, 3)
        self.assertIn("/nonexistent", done.stderr)

    def test_refuses_bad_flags(self):
        self.assertEqual(call("manager", "--log-format", "xml").returncode, 2)
        for flag, value, said in (("--metrics-bind", "8080", "write HOST:PORT, :PORT or off"),
                                  ("--health-bind", ":99999", "a number from 0 to 65535")):
            done = call("manager", flag, value)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f'{flag}: "{value}"', done.stderr)
            self.assertIn(said, done.stderr)
        done = call("manager", "--module-proxy", "https://u:secret@goproxy.example")
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("secret", done.stderr + done.stdout)


class Gc(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.unit = "toolchains/go1.22.3.linux-amd64/h1-x"
        (self.root / self.unit / "goroot").mkdir(parents=True)
        (self.root / self.unit / "goroot/VERSION").write_text("go1.22.3\n")
        # Watched for eight days, in this boot; last used when it began.
        uptime = int(float(pathlib.Path("/proc/uptime").read_text().split()[0]))
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        week, now = 8 * 86400, int(time.time())
        (self.root / "ages.json").write_text(json.dumps({
            "version": 1, "bootID": boot, "sinceBoot": uptime, "inflation": 0,
            "segments": [[0, week, now - week, now]],
            "units": {self.unit: {"usedAt": 0, "uses": 1, "stamp": 0, "credit": 0}}}))

    def gc(self, *argv):
        return call("gc", "--root", str(self.root), "--high", "100", "--low", "100", *argv)

    def test_says_what_would_go_and_why(self):
        done = self.gc("--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.unit, done.stdout)
        self.assertIn("unused for 8d, kept for 7d", done.stdout)
        out = json.loads(self.gc("--dry-run", "-o", "json").stdout)
        self.assertEqual([u["unit"] for u in out["goes"]], [self.unit])
        self.assertEqual(out["goes"][0]["action"], "collect")
        self.assertTrue((self.root / self.unit).exists())
        self.assertEqual(self.gc("--dry-run", "-o", "yaml").returncode, 0)

    def test_a_published_volume_keeps(self):
        (self.root / "volumes").mkdir()
        (self.root / "volumes/csi-1.json").write_text(json.dumps(
            {"source": self.unit + "/goroot", "pod": {"namespace": "ci", "name": "b"}}))
        out = json.loads(self.gc("--dry-run", "-o", "json").stdout)
        self.assertEqual(out["goes"], [])
        self.assertEqual(out["stays"][0]["why"], "in use: volume csi-1 of pod ci/b")

    def agent_knows(self, roots, unused_for=7 * 86400):
        """As the agent leaves it; keep to agent/collector/agent_facts.cpp."""
        retention = {"unusedForSeconds": unused_for, "maxBytes": 1 << 40}
        (self.root / "collector.json").write_text(json.dumps({
            "version": 1, "writtenAt": 1700000000,
            "limits": {"node": retention, "environments": {"u/e": retention}, "highPercent": 100,
                       "lowPercent": 100, "minIdleSeconds": 0, "longestBuildSeconds": 0,
                       "order": "gdsf"},
            "roots": [{"path": path, "why": why} for path, why in roots]}))

    def test_believes_the_agent(self):
        folder = self.unit.rsplit("/", 1)[0]
        self.agent_knows([(folder, "GoBuildEnv ci/a may ask for it")])
        out = json.loads(call("gc", "--root", str(self.root), "--dry-run", "-o", "json").stdout)
        self.assertEqual(out["goes"], [])
        self.assertEqual(out["stays"][0]["why"], "in use: GoBuildEnv ci/a may ask for it")
        self.assertFalse(out["agent"]["running"])
        text = call("gc", "--root", str(self.root), "--dry-run").stdout
        self.assertIn("1 roots of 2023-11-14T22:13:20Z; the agent is not running", text)
        # Its limits are the defaults here, and flags go before them.
        self.agent_knows([], 30 * 86400)
        self.assertIn("kept for 30d", call("gc", "--root", str(self.root), "--dry-run").stdout)
        self.assertIn("kept for 1d", self.gc("--dry-run", "--unused-for", "24h").stdout)
        self.assertIn("kept for 7d", self.gc("--dry-run", "--ignore-agent").stdout)
        (self.root / "collector.json").write_text("{")
        done = self.gc("--dry-run")
        self.assertIn("collector.json", done.stderr)
        self.assertIn("has left no limits", done.stdout)

    def test_sees_a_running_agent(self):
        self.agent_knows([])
        with open(self.root / "agent.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("the agent is running", self.gc("--dry-run").stdout)

    def test_never_seen_counts_as_used_now(self):
        (self.root / "ages.json").unlink()
        self.assertIn("used 0s ago", self.gc("--dry-run").stdout)

    def test_errors_name_the_fix(self):
        for argv, code, word in ((["--root", f"{self.root}/absent", "--dry-run"], 3, "absent"),
                                 ([], 2, "--dry-run"),
                                 (["--dry-run", "--unused-for", "7days"], 2, "168h"),
                                 (["--dry-run", "--max-size", "big"], 2, "20Gi"),
                                 (["--dry-run", "--high", "50", "--low", "60"], 2, "low is 60 %")):
            done = call("gc", *argv)
            self.assertEqual(done.returncode, code, argv)
            self.assertIn(word, done.stderr)


class Docs(unittest.TestCase):
    def test_the_readme_shows_what_is_printed(self):
        """Of explain, to the line with the dots, from the manifests above it."""
        text = (DATA.parents[2] / "README.md").read_text()
        env, labels = text.split("```yaml\n")[1:3]
        pod = {"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": "generic-build", "namespace": "ci",
                            "labels": {"gobuildenv.dev/env": "build"}},
               "spec": {"containers": [{"name": "main", "image": "i"}]}}
        self.assertIn("gobuildenv.dev/env: build", labels.partition("```")[0])
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "env.yaml"
            file.write_text(env.partition("```")[0])
            done = call("explain", "-e", str(file), "-f", "-", stdin=json.dumps(pod))
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = text.partition("$ gobuildenv explain -e env.yaml -f pod.yaml\n")[2]
        shown, dots, _ = shown.partition("```")[0].partition("  …\n")
        self.assertTrue(dots)
        self.assertEqual(shown, done.stdout[:len(shown)], "write it anew into README.md")

    def test_every_key_of_gc_is_documented(self):
        with tempfile.TemporaryDirectory() as folder:
            out = json.loads(call("gc", "--dry-run", "--root", folder, "-o", "json").stdout)
        section = (DATA.parents[2] / "docs/cli.md").read_text().partition("## gc\n")[2]
        section = section.partition("\n## ")[0]
        self.assertEqual([key for key in out if f"`{key}`" not in section], [])


class Help(unittest.TestCase):
    def test_every_command_teaches(self):
        top = call("--help")
        self.assertEqual(top.returncode, 0)
        for command in ("render", "inject", "explain", "gc", "prepare-uninstall", "manager"):
            self.assertIn(command, top.stdout)
            one = call(command, "--help")
            self.assertEqual(one.returncode, 0)
            self.assertIn(f"gobuildenv {command}", one.stdout)
            own = one.stdout.partition("Usage:")[0]
            self.assertLessEqual(max(map(len, own.splitlines())), 100, "wider than a terminal")
            self.assertRegex(own, r"\nExit: 0 ", "its exit codes")
        self.assertIn("75 ", call("manager", "--help").stdout.partition("Usage:")[0])
        self.assertEqual(call("--version").returncode, 0)
        unknown = call("fly")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("no command fly; the commands are render, inject, ", unknown.stderr)
        port = call("manager", "--webhook-port", "70000")
        self.assertEqual(port.returncode, 2)
        self.assertIn("--webhook-port: Value 70000 not in range", port.stderr)
        self.assertEqual(call().returncode, 2)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
