#!/usr/bin/env python3
"""Runs the scripts of a rendered revision as a build pod would: `scripts_test.py RENDER_TOOL [unittest options]`.

The container is a temporary folder: paths of the revision's contract (/etc/gobuildenv, …) are moved below
it, nothing else in the scripts changes. Each scenario also shows the failure it is there to prevent.
"""
import functools
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

RENDER_TOOL = None
SHELLS = [s for s in (["dash"], ["bash"], ["busybox", "sh"], ["zsh", "-f"]) if shutil.which(s[0])]
BASE_PATH = "/usr/local/sbin:/usr/bin:/bin"
GO_ACTIVATION = """\
export CGO_ENABLED=1
export GOOS=linux
export GOARCH=%s
export GOFLAGS="-modcacherw -buildmode=pie -trimpath"
"""
CONDA_CC = "x86_64-conda-linux-gnu-cc"
GENERIC_PROGRAM = """\
package main

import "fmt"

func largest[T int | float64](values ...T) (best T) {
	for i, v := range values {
		if i == 0 || v > best {
			best = v
		}
	}
	return best
}

func main() { fmt.Println("largest", largest(1, 3, 2)) }
"""
CGO_PROGRAM = """\
package main

// int twice(int x) { return 2 * x; }
import "C"
import "fmt"

func main() { fmt.Println("twice", C.twice(21)) }
"""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@functools.lru_cache(maxsize=None)
def go_version_of(go):
    env = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="")
    return subprocess.run([go, "env", "GOVERSION"], env=env, cwd="/", capture_output=True, text=True,
                          check=True).stdout.strip().split()[0]


@functools.lru_cache(maxsize=None)
def real_goroot():
    go = shutil.which("go")
    if not go:
        return None
    env = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="", GOROOT="")
    return subprocess.run([go, "env", "GOROOT"], env=env, cwd="/", capture_output=True, text=True,
                          check=True).stdout.strip()


@functools.lru_cache(maxsize=None)
def other_goroot():
    """A second toolchain, go1.22.3, through the machine's own Go settings; None with no way to get it."""
    if not real_goroot():
        return None
    env = dict(os.environ, GOTOOLCHAIN="go1.22.3", GOFLAGS="", GOROOT="")
    try:
        run = subprocess.run([real_goroot() + "/bin/go", "env", "GOROOT"], env=env, cwd="/",
                             capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def need_go(test):
    return unittest.skipUnless(real_goroot(), "no go on PATH")(test)


class Pod:
    """A container with a revision's files, and the environment that admission gives it."""

    def __init__(self, case, spec, version="1.22.3", image_env=None, container_env=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="gbe-"))
        case.addCleanup(self.remove)
        run = subprocess.run([RENDER_TOOL, version], input=json.dumps(spec), text=True,
                             capture_output=True)
        if run.returncode:
            raise AssertionError(run.stderr)
        self.data = {k: self.move(v) for k, v in json.loads(run.stdout).items()}
        self.files = self.root / "etc/gobuildenv"
        for key, text in self.data.items():
            write(self.files / key, text, 0o555)
        self.plan = json.loads(self.data["pod.json"])
        self.toolchain = self.root / "opt/gobuildenv/toolchain"
        self.bin = self.root / "bin"
        self.work = self.root / "workspace"
        for folder in (self.toolchain.parent, self.bin, self.work):
            folder.mkdir(parents=True)
        for cache in self.plan["caches"]:
            pathlib.Path(cache["path"]).mkdir(parents=True)
        container = container_env or {}
        admitted = {k: v.replace("$$", "$") for k, v in self.plan["env"].items() if k not in container}
        names = set(self.plan["env"]) | set(self.plan.get("launcherEnv", []))
        keep = ",".join(sorted(names & set(container)))
        self.image_env = {"PATH": f"{self.bin}:{BASE_PATH}", "HOME": str(self.root), **(image_env or {})}
        self.env = {**self.image_env, **admitted, **container}
        if keep and self.plan["enforcement"] == "Prefer":
            self.env["GOBUILDENV_KEEP"] = keep
        self.prefix = self.root / "conda"

    def move(self, text):
        for path in ("/etc/gobuildenv", "/opt/gobuildenv", "/var/cache/gobuildenv"):
            text = text.replace(path, f"{self.root}{path}")
        return text

    def remove(self):
        for folder, _, _ in os.walk(self.root):
            os.chmod(folder, 0o755)  # module caches are read-only
        shutil.rmtree(self.root)

    def mount_toolchain(self, goroot):
        self.toolchain.symlink_to(goroot)
        return self

    def fake_toolchain(self, where=None):
        """A toolchain that shows its environment, one NAME=value a line, and its arguments."""
        for tool in ("go", "gofmt"):
            write((where or self.toolchain) / "bin" / tool, '#!/bin/sh\necho "ran $0 $*"\nenv\n', 0o755)
        return self

    def mount_launcher(self, where=None):
        for tool in ("go", "gofmt"):
            target = (where or self.bin) / tool
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.files / "go", target)
        return self

    def compiler(self, name):
        return write(self.bin / name, "#!/bin/sh\nexit 0\n", 0o755)

    def conda(self, go_activation=True, compiler=None):
        """A conda prefix: go-activation, perhaps a compiler's activation, our hook last."""
        hooks = self.prefix / "etc/conda"
        goarch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        if go_activation:
            write(hooks / "activate.d/activate-z61-go.sh", GO_ACTIVATION % goarch)
            write(hooks / "deactivate.d/deactivate-z61-go.sh", ":\n")
        if compiler:
            write(hooks / "activate.d/activate-gcc.sh",
                  f'export CONDA_BACKUP_CC="${{CC-}}"\nexport CC={compiler}\n')
            write(hooks / "deactivate.d/deactivate-gcc.sh",
                  'if [ -n "${CONDA_BACKUP_CC-}" ]; then export CC="$CONDA_BACKUP_CC"; else unset CC; fi\n'
                  "unset CONDA_BACKUP_CC\n")
        for name in ("activate", "deactivate"):
            write(hooks / f"{name}.d/zzz-gobuildenv.sh", self.data[f"{name}.sh"], 0o555)
        return self

    def activation(self):
        """What `conda activate` makes a shell do, in conda's order; deactivation runs it reversed."""
        hooks = sorted((self.prefix / "etc/conda/activate.d").iterdir())
        return "\n".join([f"export CONDA_PREFIX='{self.prefix}'"] + [f". '{hook}'" for hook in hooks])

    def deactivation(self):
        hooks = sorted((self.prefix / "etc/conda/deactivate.d").iterdir(), reverse=True)
        return "\n".join([f". '{hook}'" for hook in hooks] + ["unset CONDA_PREFIX"])

    def run(self, script, shell=("sh",), env=None, check=True, cwd=None, user=None):
        run = subprocess.run([*shell, "-c", script], env=self.env if env is None else env,
                             cwd=cwd or self.work, capture_output=True, text=True, user=user)
        if check and run.returncode:
            raise AssertionError(f"exit {run.returncode}\n{run.stdout}\n{run.stderr}")
        return run

    def environment(self, script, **options):
        """The environment after `script`, as a child process sees it."""
        out = self.run(script + "\necho ---; env", **options).stdout.split("---\n")[-1]
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def go(self, arguments="env", before="", **options):
        """The environment that the fake toolchain gets from the launcher."""
        out = self.run(f"{before}\ngo {arguments}", **options).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def module(self, program=GENERIC_PROGRAM, go="1.18", name="main.go"):
        write(self.work / "go.mod", f"module example.test/m\n\ngo {go}\n")
        write(self.work / name, program)
        return self


def in_each_shell(test):
    """Runs `test(self, shell, options)` in every shell of the machine, as it is and under `set -eu`."""
    @functools.wraps(test)
    def run(self):
        for shell in SHELLS:
            for options in ("", "set -eu\n"):
                with self.subTest(shell=shell[0], options=options.strip()):
                    test(self, list(shell), options)
    return run


class ActivationHook(unittest.TestCase):
    @in_each_shell
    def test_brings_back_what_go_activation_replaced(self, shell, options):
        pod = Pod(self, {"flags": ["-mod=vendor"]}).conda()
        before = pod.environment(
            options + pod.activation().replace(f". '{pod.prefix}/etc/conda/activate.d/zzz-gobuildenv.sh'", ""),
            shell=shell)
        self.assertEqual(before["CGO_ENABLED"], "1", "the failure that the hook is there for")
        env = pod.environment(options + pod.activation(), shell=shell)
        self.assertEqual(env["CGO_ENABLED"], "0")
        self.assertEqual(env["GOFLAGS"], "-mod=vendor")
        self.assertNotIn("GOOS", env)
        self.assertNotIn("GOARCH", env)
        self.assertNotIn("GOROOT", env)

    @in_each_shell
    def test_leaves_no_helper_behind(self, shell, options):
        pod = Pod(self, {"cgo": {"policy": "Auto"}}).conda()
        out = pod.run(options + pod.activation() + "\nset", shell=shell).stdout
        self.assertNotIn("__gbe_", out.replace("__gbe_nl=$'\\n'", ""))
        out = pod.run(options + pod.activation() + "\n" + pod.deactivation() + "\nset", shell=shell).stdout
        self.assertNotIn("__gbe_", out)
        self.assertNotIn("GOBUILDENV_", out)

    @in_each_shell
    def test_deactivation_restores_the_pods_values(self, shell, options):
        for policy in ("Disabled", "Enabled", "Auto"):
            pod = Pod(self, {"cgo": {"policy": policy}, "flags": ["-trimpath"]}).conda(compiler="/bin/true")
            first = pod.environment(options + ":", shell=shell)
            last = pod.environment(options + pod.activation() + "\n" + pod.deactivation(), shell=shell)
            for name in ("CGO_ENABLED", "GOFLAGS", "GOOS", "GOARCH", "GOROOT", "GOTOOLCHAIN", "CC"):
                self.assertEqual(last.get(name, ""), first.get(name, ""), (policy, name))

    @in_each_shell
    def test_without_go_activation_restores_exactly_what_was_there(self, shell, options):
        pod = Pod(self, {}).conda(go_activation=False)
        changed = "export CGO_ENABLED=1 GOFLAGS=-x GOPATH=/elsewhere; unset GOCACHE\n"
        first = pod.environment(options + changed, shell=shell)
        active = pod.environment(options + changed + pod.activation(), shell=shell)
        self.assertEqual(active["CGO_ENABLED"], "0")
        self.assertTrue(active["GOCACHE"])
        last = pod.environment(options + changed + pod.activation() + "\n" + pod.deactivation(), shell=shell)
        self.assertEqual({k: v for k, v in last.items() if k != "_"},
                         {k: v for k, v in first.items() if k != "_"})

    @in_each_shell
    def test_activating_twice_is_activating_once(self, shell, options):
        pod = Pod(self, {"cgo": {"policy": "Auto"}}).conda(compiler="/nowhere/cc")
        once = pod.environment(options + pod.activation(), shell=shell)
        twice = pod.environment(options + pod.activation() + "\n" + pod.activation(), shell=shell)
        once.pop("CONDA_BACKUP_CC", None), twice.pop("CONDA_BACKUP_CC", None)
        self.assertEqual({k: v for k, v in twice.items() if k != "_"},
                         {k: v for k, v in once.items() if k != "_"})
        last = pod.environment(options + pod.activation() + "\n" + pod.activation() + "\n" +
                               pod.deactivation(), shell=shell)
        self.assertEqual(last.get("GOFLAGS", ""), "")
        self.assertNotIn("GOBUILDENV_SAVED_GOFLAGS", last)

    @in_each_shell
    def test_values_survive_every_kind_of_quoting(self, shell, options):
        flags = ["-ldflags=-s -w -X 'main.v=$(id) `id` \\n'", "-tags=a,b"]
        pod = Pod(self, {"flags": flags}).conda()
        env = pod.environment(options + pod.activation(), shell=shell)
        self.assertEqual(env["GOFLAGS"], f'"{flags[0]}" {flags[1]}')

    @in_each_shell
    def test_disabled_never_touches_cc(self, shell, options):
        for compiler in ("/bin/true", CONDA_CC):
            pod = Pod(self, {"cgo": {"policy": "Disabled"}}).conda(compiler=compiler)
            self.assertEqual(pod.environment(options + pod.activation(), shell=shell)["CC"], compiler)

    @in_each_shell
    def test_absent_compiler_is_dropped_where_cgo_may_be_on(self, shell, options):
        for policy in ("Enabled", "Auto"):
            pod = Pod(self, {"cgo": {"policy": policy}}).conda(compiler=CONDA_CC)
            pod.compiler("gcc")
            self.assertNotIn("CC", pod.environment(options + pod.activation(), shell=shell), policy)

    def test_auto_turns_cgo_off_without_a_compiler(self):
        pod = Pod(self, {"cgo": {"policy": "Auto"}}).conda(compiler=CONDA_CC)
        tools = pod.root / "tools"
        tools.mkdir()
        for tool in ("sh", "env", "tr", "echo"):
            (tools / tool).symlink_to(shutil.which(tool))
        env = {**pod.env, "PATH": f"{pod.bin}:{tools}"}
        for shell in SHELLS:
            with self.subTest(shell=shell[0]):
                run = [shutil.which(shell[0]), *shell[1:]]
                self.assertEqual(pod.environment(pod.activation(), shell=run, env=env)["CGO_ENABLED"], "0")
                pod.compiler("gcc")
                self.assertNotIn("CGO_ENABLED", pod.environment(pod.activation(), shell=run, env=env))
                (pod.bin / "gcc").unlink()

    def test_download_without_a_launcher_uses_the_compiler_that_exists(self):
        pod = Pod(self, {"cgo": {"policy": "Enabled"}, "toolchain": {"delivery": "Download"}})
        pod.conda(compiler=CONDA_CC).compiler("clang")
        tools = pod.root / "tools"
        tools.mkdir()
        for tool in ("sh", "env", "tr"):
            (tools / tool).symlink_to(shutil.which(tool))
        env = {**pod.env, "PATH": f"{pod.bin}:{tools}"}
        self.assertEqual(pod.environment(pod.activation(), shell=["/bin/sh"], env=env)["CC"], "clang")

    @in_each_shell
    def test_without_a_toolchain_it_does_what_the_launcher_would(self, shell, options):
        spec = {"cgo": {"policy": "Enabled", "cc": "clang"}, "modules": {"noProxy": "a$(b)"}}
        pod = Pod(self, spec).conda(compiler=CONDA_CC)
        pod.compiler("clang")
        env = pod.environment(options + pod.activation(), shell=shell)
        self.assertEqual((env.get("CC"), env.get("no_proxy")), ("clang", "a$(b)"))
        kept = {**pod.env, "GOBUILDENV_KEEP": "NO_PROXY,no_proxy", "no_proxy": "own"}
        self.assertEqual(pod.environment(options + pod.activation(), shell=shell, env=kept)["no_proxy"], "own")
        pod.fake_toolchain()
        env = pod.environment(options + pod.activation(), shell=shell)
        self.assertEqual((env.get("CC"), env.get("no_proxy")), (None, None))

    @in_each_shell
    def test_kept_variables_stay_the_containers(self, shell, options):
        pod = Pod(self, {}, container_env={"GOFLAGS": "-mod=mod"}).conda(go_activation=False)
        self.assertEqual(pod.env["GOBUILDENV_KEEP"], "GOFLAGS")
        self.assertEqual(pod.environment(options + pod.activation(), shell=shell)["GOFLAGS"], "-mod=mod")

    def test_enforced_variables_are_not_kept(self):
        pod = Pod(self, {"injection": {"enforcement": "Enforce"}}).conda(go_activation=False)
        env = {**pod.env, "GOBUILDENV_KEEP": "CGO_ENABLED", "CGO_ENABLED": "1"}
        self.assertEqual(pod.environment(pod.activation(), env=env)["CGO_ENABLED"], "0")

    def test_clobbered_values_of_the_container_come_back(self):
        """Process 1 knows what the container started with, also GOOS that go-activation replaced."""
        unshare = ["unshare", "--fork", "--pid", "--mount-proc"]
        if subprocess.run([*unshare, "true"], capture_output=True).returncode:
            self.skipTest("no right to make a process namespace here")
        pod = Pod(self, {}, container_env={"GOFLAGS": "-mod=mod", "GOOS": "windows"}).conda()
        for shell in SHELLS:
            with self.subTest(shell=shell[0]):
                env = pod.environment(pod.activation(), shell=[*unshare, *shell])
                self.assertEqual((env["GOFLAGS"], env["GOOS"]), ("-mod=mod", "windows"))
                env = pod.environment(pod.activation() + "\n" + pod.deactivation(), shell=[*unshare, *shell])
                self.assertEqual((env["GOFLAGS"], env["GOOS"]), ("-mod=mod", "windows"))
                self.assertEqual(env["CGO_ENABLED"], "0")

    def test_download_warns_of_a_go_that_cannot_switch(self):
        pod = Pod(self, {"toolchain": {"delivery": "Download"}}).conda()
        for version, warns in (("go1.20.14", True), ("go1.20", True), ("go1.9", True), ("go1.18rc1", True),
                               ("go1.21.0", False), ("go1.21rc2", False), ("go1.26.1", False)):
            write(pod.bin / "go", f"#!/bin/sh\necho go version {version} linux/amd64\n", 0o755)
            said = pod.run(pod.activation() + "\n" + pod.activation()).stderr
            self.assertEqual(said.count("GBE041"), 1 if warns else 0, version)


class Launcher(unittest.TestCase):
    def pod(self, spec=None, **options):
        spec = {"injection": {"preflight": "Off"}, **(spec or {})}
        return Pod(self, spec, **options).fake_toolchain().mount_launcher()

    def test_runs_the_mounted_toolchain_with_the_declared_settings(self):
        pod = self.pod({"flags": ["-trimpath", "-ldflags=-s -w"]})
        out = pod.run("GOROOT=/wrong go build ./x 'a b'").stdout
        self.assertIn(f"ran {pod.toolchain}/bin/go build ./x a b\n", out)
        self.assertNotIn("GOROOT=", out)
        env = pod.go()
        self.assertEqual(env["CGO_ENABLED"], "0")
        self.assertEqual(env["GOFLAGS"], "-trimpath '-ldflags=-s -w'")
        self.assertEqual(env["GOTOOLCHAIN"], "local")
        self.assertIn(f"ran {pod.toolchain}/bin/gofmt -l .\n", pod.run("gofmt -l .").stdout)

    def test_an_empty_environment_is_enough(self):
        pod = self.pod({"modules": {"proxies": [{"url": "https://goproxy.example"}]}})
        env = pod.go(env={"PATH": pod.env["PATH"]})
        self.assertEqual(env["GOENV"], f"{pod.files}/go.env")
        self.assertEqual(env["GOPROXY"], "https://goproxy.example")
        self.assertEqual(env["GOCACHE"], f"{pod.root}/var/cache/gobuildenv/build")

    def test_the_command_line_wins_under_prefer_only(self):
        for enforcement, wins in (("Prefer", True), ("Enforce", False)):
            pod = self.pod({"injection": {"enforcement": enforcement, "preflight": "Off"}})
            env = pod.go(before="export CGO_ENABLED=1 GOFLAGS=-x")
            self.assertEqual((env["CGO_ENABLED"], env.get("GOFLAGS")), ("1", "-x") if wins else ("0", None))

    def test_the_command_line_wins_after_the_hook(self):
        pod = self.pod().conda()
        self.assertEqual(pod.go(before=pod.activation())["CGO_ENABLED"], "0")
        self.assertEqual(pod.go(before=pod.activation() + "\nexport CGO_ENABLED=1")["CGO_ENABLED"], "1")

    def test_an_activation_that_the_hook_has_not_seen_does_not_win(self):
        pod = self.pod({"conda": {"activation": "None"}}).conda()
        for name in ("activate", "deactivate"):
            (pod.prefix / f"etc/conda/{name}.d/zzz-gobuildenv.sh").unlink()
        env = pod.go(before=pod.activation() + "\nexport GOTOOLCHAIN=local GOPATH=/elsewhere")
        self.assertEqual(env["CGO_ENABLED"], "0")
        self.assertNotIn("GOFLAGS", env)
        self.assertEqual(env["GOPATH"], f"{pod.root}/var/cache/gobuildenv/work")
        env = pod.go(before=pod.activation() + "\nexport CGO_ENABLED=1 GOBUILDENV_KEEP=CGO_ENABLED")
        self.assertEqual(env["CGO_ENABLED"], "1")

    def test_the_containers_own_declaration_stays(self):
        pod = self.pod({"flags": ["-trimpath"]}, container_env={"GOFLAGS": "-mod=mod", "CGO_ENABLED": "1"})
        env = pod.go()
        self.assertEqual((env["GOFLAGS"], env["CGO_ENABLED"]), ("-mod=mod", "1"))

    def test_platform_is_never_touched(self):
        env = self.pod().go(before="export GOOS=windows GOARCH=arm64")
        self.assertEqual((env["GOOS"], env["GOARCH"]), ("windows", "arm64"))

    def test_compiler_and_network_settings_are_for_go_alone(self):
        pod = self.pod({"cgo": {"policy": "Enabled", "cc": "/bin/true", "pkgConfigPath": "/pc"},
                        "modules": {"httpsProxy": "http://proxy.example:3128", "credentialsSecretRef": {"name": "n"}}})
        for name in ("CC", "PKG_CONFIG_PATH", "HTTPS_PROXY", "NETRC"):
            self.assertNotIn(name, pod.environment(":"))
        env = pod.go()
        self.assertEqual(env["CC"], "/bin/true")
        self.assertEqual(env["PKG_CONFIG_PATH"], "/pc")
        self.assertEqual(env["https_proxy"], "http://proxy.example:3128")
        self.assertEqual(env["NETRC"], "/etc/gobuildenv-credentials/netrc".replace("/etc/gobuildenv", f"{pod.root}/etc/gobuildenv"))

    def test_declared_compiler_beats_condas_but_not_the_command_line(self):
        pod = self.pod({"cgo": {"policy": "Enabled", "cc": "/bin/true"}}).conda(compiler="/bin/false")
        self.assertEqual(pod.environment(pod.activation())["CC"], "/bin/false", "a Python build's compiler")
        self.assertEqual(pod.go(before=pod.activation())["CC"], "/bin/true")
        self.assertEqual(pod.go(before=pod.activation() + "\nexport CC=/bin/echo")["CC"], "/bin/echo")

    def test_declared_compiler_beats_the_images(self):
        unshare = ["unshare", "--fork", "--pid", "--mount-proc"]
        if subprocess.run([*unshare, "true"], capture_output=True).returncode:
            self.skipTest("no right to make a process namespace here")
        pod = self.pod({"cgo": {"policy": "Enabled", "cc": "/bin/true"}}, image_env={"CC": "/bin/false"})
        self.assertEqual(pod.go(shell=[*unshare, "sh"])["CC"], "/bin/true")
        self.assertEqual(pod.go(before="export CC=/bin/echo", shell=[*unshare, "sh"])["CC"], "/bin/echo")

    def test_cgo_table(self):
        # policy, CC in the environment, compilers on PATH, GOOS → CGO_ENABLED, CC
        table = [
            ("Disabled", None, ["gcc"], None, "0", None),
            ("Disabled", CONDA_CC, [], None, "0", CONDA_CC),
            ("Enabled", None, ["gcc"], None, "1", None),
            ("Enabled", CONDA_CC, ["gcc"], None, "1", None),
            ("Enabled", CONDA_CC, ["clang"], None, "1", "clang"),
            ("Enabled", CONDA_CC, ["cc"], None, "1", "cc"),
            ("Enabled", "gcc -m64", ["gcc"], None, "1", "gcc -m64"),
            ("Enabled", None, [], None, "1", None),
            ("Auto", None, ["gcc"], None, "1", None),
            ("Auto", None, [], None, "0", None),
            ("Auto", CONDA_CC, [], None, "0", None),
            ("Auto", CONDA_CC, ["gcc"], None, "1", None),
            ("Auto", "/dev/null", ["clang"], None, "1", "clang"),
            ("Auto", None, ["gcc"], "windows", None, None),
        ]
        for policy, cc, compilers, goos, cgo, used in table:
            with self.subTest(policy=policy, cc=cc, compilers=compilers, goos=goos):
                pod = self.pod({"cgo": {"policy": policy}})
                tools = pod.root / "tools"
                tools.mkdir()
                for tool in ("sh", "env", "tr"):
                    (tools / tool).symlink_to(shutil.which(tool))
                for name in compilers:
                    pod.compiler(name)
                env = {**pod.env, "PATH": f"{pod.bin}:{tools}"}
                env.update({k: v for k, v in (("CC", cc), ("GOOS", goos)) if v})
                run = pod.run("go build", env=env, shell=["/bin/sh"])
                got = dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line)
                self.assertEqual((got.get("CGO_ENABLED"), got.get("CC")), (cgo, used))
                self.assertEqual("GBE010" in run.stderr, policy == "Enabled" and not compilers)

    def test_bypass(self):
        pod = self.pod()
        again = pod.root / "again"
        pod.mount_launcher(again)
        write(pod.root / "image/go", "#!/bin/sh\necho image go, GOROOT=$GOROOT\n", 0o755)
        env = {**pod.env, "PATH": f"{pod.bin}:{again}:{pod.root}/image:{BASE_PATH}", "GOROOT": "/wrong"}
        self.assertEqual(pod.run("GOBUILDENV_BYPASS=1 go version", env=env).stdout, "image go, GOROOT=/wrong\n")
        self.assertIn(str(pod.toolchain), pod.run("go version", env=env).stdout)
        alone = pod.run("GOBUILDENV_BYPASS=1 go version", env={**env, "PATH": f"{pod.bin}:{BASE_PATH}"}, check=False)
        self.assertEqual(alone.returncode, 127)
        enforced = self.pod({"injection": {"enforcement": "Enforce", "preflight": "Off"}})
        self.assertIn(str(enforced.toolchain), enforced.run("GOBUILDENV_BYPASS=1 go version").stdout)

    def test_says_why_there_is_no_toolchain(self):
        pod = Pod(self, {}).mount_launcher()
        run = pod.run("go version", check=False)
        self.assertEqual(run.returncode, 78)
        write(pod.toolchain / ".gobuildenv-unavailable", "checksum database unreachable\n")
        for tool in ("go", "gofmt"):
            run = pod.run(f"{tool} x", check=False)
            self.assertEqual(run.returncode, 78)
            self.assertIn("go1.22.3 is not available on this node: checksum database unreachable", run.stderr)

    def test_allow_newer_takes_the_oldest_that_satisfies(self):
        spec = {"toolchain": {"switching": "AllowNewer"}}
        table = [("1.22", "toolchain"), ("1.18", "toolchain"), ("1.23", "go1.23.5"), ("1.23.7", "go1.24rc1"),
                 ("1.24.0", "go1.25.0"), ("1.26", "toolchain")]
        for wants, used in table:
            pod = self.pod(spec).module(go=wants)
            for version in ("go1.25.0", "go1.23.5", "go1.24rc1", "go1.25.3"):
                pod.fake_toolchain(pod.toolchain / ".newer" / version)
            out = pod.run("go build").stdout
            self.assertIn(f"/{used}/bin/go build\n", out, wants)
        pinned = self.pod().module(go="1.23")
        pinned.fake_toolchain(pinned.toolchain / ".newer/go1.23.5")
        self.assertIn("/toolchain/bin/go", pinned.run("go build").stdout)

    def test_go_work_and_the_toolchain_line_count(self):
        pod = self.pod({"toolchain": {"switching": "AllowNewer"}}).module(go="1.18")
        pod.fake_toolchain(pod.toolchain / ".newer/go1.25.3")
        sub = pod.work / "a/b"
        sub.mkdir(parents=True)
        self.assertIn("/toolchain/bin/go", pod.run("go build", cwd=sub).stdout)
        write(pod.work / "a/go.work", "go 1.25.0 // newest\nuse ./b\n")
        self.assertIn("/go1.25.3/bin/go", pod.run("go build", cwd=sub).stdout)
        self.assertIn("/toolchain/bin/go", pod.run("GOWORK=off go build", cwd=sub).stdout)
        self.assertIn("/go1.25.3/bin/go", pod.run("go build -C a/b").stdout)
        write(pod.work / "go.mod", "module m\r\ngo 1.21.0\r\ntoolchain go1.25.1\r\n")
        self.assertIn("/go1.25.3/bin/go", pod.run("GOWORK=off go build", cwd=sub).stdout)

    def test_starts_no_program_on_the_usual_path(self):
        if not shutil.which("strace"):
            self.skipTest("no strace")
        pod = self.pod()
        write(pod.toolchain / "bin/go", "#!/bin/sh\n", 0o755)
        trace = pod.root / "trace"
        pod.run(f"strace -f -e trace=execve,clone,fork,vfork -o {trace} go version")
        self.assertEqual(trace.read_text().count("execve("), 2, "the launcher and the toolchain")


class Preflight(unittest.TestCase):
    def fake_go(self, pod, goversion, cgo="0", cc="gcc", switching="local"):
        """A go that answers `go env` and nothing else."""
        cache = pod.plan["env"]
        answers = [goversion, switching, cgo, cc, cache["GOCACHE"], cache["GOMODCACHE"], cache["GOPATH"]]
        write(pod.toolchain / "bin/go", "#!/bin/sh\ncase $1 in env) printf '%s\\n' " +
              " ".join(f"'{a}'" for a in answers) + ";; *) echo built ;; esac\n", 0o755)
        return pod.toolchain / "bin/go"

    def codes(self, pod, go):
        run = pod.run(f"sh '{pod.files}/preflight.sh' -o json --go '{go}'", check=False)
        report = json.loads(run.stdout)
        self.assertEqual(run.returncode, 1 if report["result"] == "error" else 0)
        for finding in report["findings"]:
            self.assertTrue(finding["message"] and finding["fix"])
        return [finding["code"] for finding in report["findings"]]

    def test_go_version_table(self):
        table = [("go1.22.3", "1.22", "local", []), ("go1.22.3", "1.18", "local", []),
                 ("go1.22.3", "1.22.4", "local", ["GBE001"]), ("go1.22.3", "1.25", "local", ["GBE001"]),
                 ("go1.22.3", "1.25", "go1.22.3+auto", []), ("go1.26rc1", "1.26", "local", []),
                 ("go1.26rc1", "1.26.0", "local", ["GBE001"]), ("go1.20.14", "1.20", "", []),
                 ("go1.20.14", "1.20.3", "", ["GBE003"]), ("go1.20.14", "1.21", "", ["GBE001"]),
                 ("go1.20.14", "1.21.0", "", ["GBE001", "GBE003"]),
                 ("go1.22.3-custom", "1.22.3", "local", []), ("devel go1.27-abc", "1.22", "local", [])]
        for has, wants, switching, codes in table:
            with self.subTest(has=has, wants=wants, switching=switching):
                pod = Pod(self, {}).module(go=wants)
                self.assertEqual(self.codes(pod, self.fake_go(pod, has, switching=switching)), codes)

    def test_compiler(self):
        pod = Pod(self, {"cgo": {"policy": "Enabled"}}).module()
        self.assertEqual(self.codes(pod, self.fake_go(pod, "go1.22.3", "1", CONDA_CC)), ["GBE010"])
        self.assertEqual(self.codes(pod, self.fake_go(pod, "go1.22.3", "0", CONDA_CC)), [])
        self.assertEqual(self.codes(pod, self.fake_go(pod, "go1.22.3", "1", "/bin/true -m64")), [])

    def test_caches(self):
        pod = Pod(self, {}).module()
        go = self.fake_go(pod, "go1.22.3")
        shutil.rmtree(pod.plan["env"]["GOMODCACHE"])
        write(pathlib.Path(pod.plan["env"]["GOMODCACHE"]), "a file where the directory should be")
        self.assertEqual(self.codes(pod, go), ["GBE030"])

    def test_hostile_text_stays_json(self):
        pod = Pod(self, {}).module()
        write(pod.bin / "go", "#!/bin/sh\nprintf 'a \"quoted\" \\\\ back\\tslash\\nline' >&2; exit 1\n", 0o755)
        self.assertEqual(self.codes(pod, pod.bin / "go"), ["GBE042"])

    def test_usage(self):
        pod = Pod(self, {})
        for arguments in ("-o yaml", "-x", "a b", "--go", "/nowhere"):
            run = pod.run(f"sh '{pod.files}/preflight.sh' {arguments}", check=False)
            self.assertEqual(run.returncode, 2, arguments)

    def test_the_launcher_runs_it_once_per_module(self):
        pod = Pod(self, {}).mount_launcher().module(go="1.25")
        self.fake_go(pod, "go1.22.3")
        first, second = pod.run("go build"), pod.run("go build")
        self.assertIn("GBE001", first.stderr)
        self.assertEqual((first.stdout, second.stderr), ("built\n", ""))
        write(pod.work / "go.mod", "module other\ngo 1.25\n")
        self.assertIn("GBE001", pod.run("go vet").stderr)
        self.assertEqual(pod.run("go version").stderr, "")

    def test_require_stops_the_build_until_it_passes(self):
        pod = Pod(self, {"injection": {"preflight": "Require"}}).mount_launcher().module(go="1.25")
        self.fake_go(pod, "go1.22.3")
        for _ in range(2):
            run = pod.run("go build", check=False)
            self.assertEqual((run.returncode, run.stdout), (1, ""))
        pod.module(go="1.22")
        self.assertEqual(pod.run("go build").stdout, "built\n")


class RealActivator(unittest.TestCase):
    """A prefix of conda's layout, activated by a real implementation of conda's activation (rattler's)."""

    def activator(self):
        """rattler's activate and what it is called with, from this python or from scripts/deps' own."""
        cache = os.environ.get("GOBUILDENV_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gobuildenv")
        own = glob.glob(f"{cache}/test-python/lib/python3.*/site-packages")
        with unittest.mock.patch.object(sys, "path", sys.path + own):
            try:
                from rattler.shell import ActivationVariables, Shell, activate
            except ImportError as error:
                self.skipTest(f"py-rattler is not installed (scripts/deps does it): {error}")
        return activate, ActivationVariables, Shell

    @in_each_shell
    def test_the_hook_is_the_last_word(self, shell, options):
        if shell[0] not in ("bash", "zsh"):
            return  # conda has no activation for plain sh
        activate, variables_of, shells = self.activator()
        pod = Pod(self, {"flags": ["-trimpath"]}).conda(compiler="/bin/true")
        write(pod.prefix / "etc/conda/env_vars.d/go.json", '{"GOTOOLCHAIN": "local"}')
        write(pod.prefix / "conda-meta/history", "")

        def script():
            variables = variables_of(None, pod.env["PATH"].split(":"))
            return activate(pod.prefix, variables, getattr(shells, shell[0])).script

        env = pod.environment(options + script(), shell=shell)
        self.assertEqual((env["CGO_ENABLED"], env["GOFLAGS"], env["GOTOOLCHAIN"], env["CC"]),
                         ("0", "-trimpath", "go1.22.3", "/bin/true"))
        (pod.prefix / "etc/conda/activate.d/zzz-gobuildenv.sh").unlink()
        env = pod.environment(options + script(), shell=shell)
        self.assertEqual((env["CGO_ENABLED"], env["GOTOOLCHAIN"]), ("1", "local"), "the failure before")


@need_go
class RealGo(unittest.TestCase):
    """The scenarios that need no cluster, on the machine's own go, each with its failure before."""

    def setUp(self):
        self.goroot = real_goroot()
        self.version = go_version_of(self.goroot + "/bin/go").removeprefix("go")

    @classmethod
    def setUpClass(cls):
        # One build cache for all: what is tested is not how long the standard library compiles.
        cls.build_cache = tempfile.mkdtemp(prefix="gbe-build-cache-")
        cls.addClassCleanup(shutil.rmtree, cls.build_cache)

    def share_build_cache(self, pod):
        cache = pathlib.Path(pod.plan["env"]["GOCACHE"])
        cache.rmdir()
        cache.symlink_to(self.build_cache)
        return pod

    def pod(self, spec=None, **options):
        # Offline: a test of settings has no business with any proxy.
        spec = {"modules": {"proxies": [{"url": "off"}]}, **(spec or {})}
        pod = Pod(self, spec, version=self.version, **options).mount_toolchain(self.goroot).mount_launcher()
        return self.share_build_cache(pod)

    def for_everybody(self, pod):
        """A GOROOT that every user can run, in the pod: the machine's own, or a copy of that."""
        try:
            subprocess.run([self.goroot + "/bin/go", "version"], user=12345, capture_output=True, check=True)
            return self.goroot
        except (PermissionError, subprocess.CalledProcessError):
            pass  # below somebody's home
        copy = pod.root / "usr/local/go"
        shutil.copytree(self.goroot, copy, symlinks=True, ignore=shutil.ignore_patterns("testdata", "*_test.go"))
        pod.toolchain.unlink()
        pod.mount_toolchain(copy)
        return str(copy)

    def go_env(self, pod, script="", **options):
        return json.loads(pod.run(script + "\ngo env -json", **options).stdout)

    def test_go_reads_the_rendered_file(self):
        pod = self.pod({"flags": ["-trimpath", "-ldflags=-s -w"], "cgo": {"policy": "Enabled", "cflags": ["-DA=b c"]},
                        "modules": {"proxies": [{"url": "https://a.example", "fallback": "AnyError"}, {"url": "off"}],
                                    "private": ["git.example"], "sumDB": "off"},
                        "variables": {"GOAMD64": "v2"}})
        run = subprocess.run([self.goroot + "/bin/go", "env", "-json"], cwd=pod.work, text=True, check=True,
                             env={"PATH": BASE_PATH, "HOME": "/", "GOENV": f"{pod.files}/go.env"}, capture_output=True)
        env = json.loads(run.stdout)
        declared = {name: value for name, _, value in
                    (line.partition("=") for line in pod.data["go.env"].splitlines() if line[:1] != "#")}
        self.assertGreater(len(declared), 10)
        for name, value in declared.items():
            self.assertEqual(env.get(name), value, name)
        # A file with a line that `go env -w` itself would refuse is not a GOENV file.
        for name, value in declared.items():
            write(pod.root / "copy.env", "")
            subprocess.run([self.goroot + "/bin/go", "env", "-w", f"{name}={value}"], cwd=pod.work, check=True,
                           capture_output=True, env={"PATH": BASE_PATH, "HOME": "/", "GOENV": f"{pod.root}/copy.env"})

    def test_empty_variables_count_as_unset(self):
        pod = self.pod({"cgo": {"policy": "Auto"}},
                       image_env={"GOFLAGS": "-nonsense", "GOROOT": "/wrong", "GO111MODULE": "off", "GOWORK": "off"})
        env = {**pod.env, "GOENV": "off", "GOTOOLCHAIN": "local"}
        run = subprocess.run([self.goroot + "/bin/go", "env", "-json"], env=env, cwd=pod.work, text=True, check=True,
                             capture_output=True)
        got = json.loads(run.stdout)
        self.assertEqual((got["GOFLAGS"], got["GO111MODULE"], got["GOROOT"]), ("", "", self.goroot))

    def test_scenario_1_conda_go_first_without_its_compiler(self):
        for policy, cgo in (("Disabled", "0"), ("Auto", "1"), ("Enabled", "1")):
            with self.subTest(policy=policy):
                if policy != "Disabled" and not shutil.which("gcc", path=BASE_PATH):
                    self.skipTest("no gcc")
                pod = self.pod({"cgo": {"policy": policy}}).module(GENERIC_PROGRAM if cgo == "0" else CGO_PROGRAM)
                # A conda build of go: the compiler's name baked in, cgo on whatever PATH holds.
                write(pod.prefix / "bin/go", '#!/bin/sh\nexport CC="${CC:-%s}" CGO_ENABLED="${CGO_ENABLED:-1}"\n'
                      'exec %s/bin/go "$@"\n' % (CONDA_CC, self.goroot), 0o755)
                image = {**pod.image_env, "PATH": f"{pod.prefix}/bin:{BASE_PATH}", "GOCACHE": self.build_cache}
                write(pod.work / "main.go", CGO_PROGRAM)
                before = pod.run("go run .", env=image, check=False)
                self.assertIn(f'"{CONDA_CC}" not found', before.stderr)
                pod.mount_launcher(pod.prefix / "bin").module(GENERIC_PROGRAM if cgo == "0" else CGO_PROGRAM)
                env = {**pod.env, "PATH": f"{pod.prefix}/bin:{BASE_PATH}"}
                self.assertEqual(self.go_env(pod, env=env)["CGO_ENABLED"], cgo)
                for script in ("go run .", "bash -c 'go run .'", "printf 'all:\\n\\t@go run .\\n' | make -f -"):
                    if script.startswith("printf") and not shutil.which("make"):
                        continue
                    out = pod.run(script, env=env).stdout
                    self.assertIn("largest 3" if cgo == "0" else "twice 42", out)

    def test_an_absent_compiler_of_the_image_without_a_launcher(self):
        if not shutil.which("gcc", path=BASE_PATH):
            self.skipTest("no gcc")
        # How the script starts, spec.cgo.cc, what go says.
        table = [("", None, None), ("", "gcc", "twice 42"), ("activation", None, "twice 42"),
                 ("activation", "gcc", "twice 42")]
        for policy in ("Enabled", "Auto"):
            for before, cc, wanted in table:
                with self.subTest(policy=policy, before=before, cc=cc):
                    pod = Pod(self, {"cgo": {"policy": policy, **({"cc": cc} if cc else {})},
                                     "toolchain": {"delivery": "Download"}},
                              version=self.version, image_env={"CC": CONDA_CC})
                    self.share_build_cache(pod.module(CGO_PROGRAM).conda(go_activation=False))
                    start = pod.activation() + "\n" if before else ""
                    run = pod.run(f"{start}'{self.goroot}/bin/go' run .", check=False)
                    report = json.loads(pod.run(
                        f"{start}sh '{pod.files}/preflight.sh' -o json --go '{self.goroot}/bin/go'",
                        check=False).stdout)
                    codes = [finding["code"] for finding in report["findings"]]
                    if wanted:
                        self.assertEqual((run.stdout.strip(), codes), (wanted, []), run.stderr)
                    else:
                        self.assertIn(f'"{CONDA_CC}" not found', run.stderr)
                        self.assertEqual(codes, ["GBE010"])
                        self.assertIn("spec.cgo.cc", report["findings"][0]["fix"])

    def test_scenario_2_go_activation_with_cgo_disabled(self):
        pod = self.pod({"cgo": {"policy": "Disabled"}}).module().conda(compiler="/bin/true")
        direct = f"{self.goroot}/bin/go env CGO_ENABLED"
        unhooked = pod.activation().replace(f". '{pod.prefix}/etc/conda/activate.d/zzz-gobuildenv.sh'", "")
        self.assertEqual(pod.run(unhooked + "\n" + direct, env=pod.image_env).stdout, "1\n")
        self.assertEqual(pod.run(unhooked + "\n" + direct).stdout, "1\n", "the container's env alone loses")
        # The activation is enough for a go that no launcher covers, the launcher for one that is covered.
        self.assertEqual(pod.run(pod.activation() + "\n" + direct).stdout, "0\n")
        self.assertEqual(pod.run(unhooked + "\ngo env CGO_ENABLED").stdout, "0\n")
        # A hybrid build: Python's compiler is untouched, in go's own environment too.
        out = pod.run(pod.activation() + '\necho "$CC"; go run . ').stdout
        self.assertEqual(out, "/bin/true\nlargest 3\n")

    def test_scenario_3_declared_flags_survive_activation(self):
        pod = self.pod({"flags": ["-mod=vendor"]}).module().conda()
        write(pod.work / "main.go", 'package main\n\nimport "example.test/dep"\n\nfunc main() { dep.Hello() }\n')
        write(pod.work / "go.mod", "module example.test/m\n\ngo 1.18\n\nrequire example.test/dep v1.0.0\n")
        write(pod.work / "vendor/modules.txt", "# example.test/dep v1.0.0\n## explicit; go 1.18\nexample.test/dep\n")
        write(pod.work / "vendor/example.test/dep/dep.go",
              'package dep\n\nimport "fmt"\n\nfunc Hello() { fmt.Println("vendored") }\n')
        direct = f"{self.goroot}/bin/go"
        unhooked = pod.activation().replace(f". '{pod.prefix}/etc/conda/activate.d/zzz-gobuildenv.sh'", "")
        self.assertNotIn("-mod=vendor", pod.run(f"{unhooked}\n{direct} env GOFLAGS").stdout)
        self.assertEqual(pod.run(f"{pod.activation()}\n{direct} env GOFLAGS").stdout, "-mod=vendor\n")
        self.assertEqual(pod.run(f"{pod.activation()}\ngo run .").stdout, "vendored\n")

    def test_scenario_6_goroot_of_another_version(self):
        other = other_goroot()
        if not other:
            self.skipTest("go1.22.3 cannot be fetched here")
        pod = self.pod(image_env={"GOROOT": other, "GOTOOLCHAIN": "local"}).module()
        env = {**pod.image_env, "GOCACHE": self.build_cache, "GOPROXY": "off"}
        before = pod.run(f"{self.goroot}/bin/go build -o m .", env=env, check=False)
        self.assertIn("does not match go tool version", before.stderr)
        self.assertEqual(pod.run(f"{self.goroot}/bin/go run .").stdout, "largest 3\n", "admission alone")
        self.assertEqual(pod.run(f"GOROOT={other} go run .").stdout, "largest 3\n", "a script that exports it")

    def test_scenario_7_too_old_a_toolchain_is_named(self):
        other = other_goroot()
        if not other:
            self.skipTest("go1.22.3 cannot be fetched here")
        spec = {"modules": {"proxies": [{"url": "off"}]}}
        pod = self.share_build_cache(Pod(self, spec).mount_toolchain(other).mount_launcher().module(go="1.25"))
        run = pod.run("go run .", check=False)
        self.assertIn("GBE001 error", run.stderr)
        self.assertIn("requires go >= 1.25", run.stderr)
        pod.module(go="1.22")
        run = pod.run("go version; go run .")
        self.assertTrue(run.stdout.startswith("go version go1.22.3 "), run.stdout)
        self.assertTrue(run.stdout.endswith("largest 3\n"))

    def test_scenario_11_unknown_user_without_a_home(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become uid 12345")
        pod = self.pod().module()
        pod.root.chmod(0o755)
        pod.env["HOME"] = pod.image_env["HOME"] = "/"
        pod.work.chmod(0o777)
        pathlib.Path(pod.plan["env"]["GOCACHE"]).unlink()
        for cache in pod.plan["caches"]:
            pathlib.Path(cache["path"]).mkdir(exist_ok=True)
            pathlib.Path(cache["path"]).chmod(0o777)
        goroot = self.for_everybody(pod)
        write(pod.work / "go.mod", "module m\n\ngo 1.18\n\nrequire example.test/x v1.0.0\n")
        # Without the environment even the start fails: no cache can be made below /.
        before = pod.run(f"GOFLAGS=-mod=mod GOPROXY=off {goroot}/bin/go list -m all; "
                         f"{goroot}/bin/go build -o m main.go", env=pod.image_env, check=False, user=12345)
        self.assertNotEqual(before.returncode, 0)
        self.assertRegex(before.stderr, "could not create module cache|permission denied|build cache")
        pod.module()
        self.assertEqual(pod.run("go run .", user=12345).stdout, "largest 3\n")

    def test_two_environments_do_not_see_each_other(self):
        first = self.pod({"workspace": {"goBin": "/bin-of-one"}})
        second = self.pod({"workspace": {"goBin": "/bin-of-two"}})
        one, two = self.go_env(first), self.go_env(second)
        for name in ("GOPATH", "GOCACHE", "GOMODCACHE", "GOBIN", "GOENV"):
            self.assertNotEqual(one[name], two[name])

    def test_git_reads_the_netrc_over_https_only(self):
        if not shutil.which("git"):
            self.skipTest("no git")
        pod = Pod(self, {"modules": {"credentialsSecretRef": {"name": "n"}}, "toolchain": {"delivery": "Download"}})
        write(pod.root / "etc/gobuildenv-credentials/netrc",
              "machine other.example login no password no\n"
              "machine git.example\n  login ci\n  password s3cr*t$x\ndefault login anonymous password x\n")
        for request, answer in (("protocol=https\nhost=git.example\n", ["username=ci", "password=s3cr*t$x"]),
                                ("protocol=https\nhost=git.example:8443\n", ["username=ci"]),
                                ("protocol=http\nhost=git.example\n", []),
                                ("protocol=https\nhost=unknown.example\n", [])):
            run = subprocess.run(["git", "credential", "fill"], input=request + "\n", text=True, cwd=pod.work,
                                 capture_output=True, env={**pod.env, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""})
            for line in answer:
                self.assertIn(line, run.stdout.splitlines(), run.stderr)
            if not answer:
                self.assertNotIn("password", run.stdout)


class Text(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        if not shutil.which("shellcheck"):
            self.skipTest("no shellcheck")
        for spec in ({}, {"toolchain": {"switching": "AllowNewer"}, "cgo": {"policy": "Auto"}},
                     {"toolchain": {"delivery": "Download"}, "injection": {"preflight": "Off"}}):
            pod = Pod(self, spec)
            self.assertNotRegex(pod.data["go"], r"\n *#")
            names = [str(pod.files / key) for key in pod.data if key not in ("go.env", "pod.json")]
            run = subprocess.run(["shellcheck", "-s", "sh", "-S", "warning", *names], capture_output=True, text=True)
            self.assertEqual(run.stdout, "")


if __name__ == "__main__":
    RENDER_TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
