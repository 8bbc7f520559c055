"""Builds that fail in a conda image, with the toolchain that the node agent mounts: what only it
mends, and what preflight says before go does."""

import unittest

import harness
from clusterlib import versions
from harness.image_builds import ACTIVATE, CONDA_CC, GENERIC, ImageBuilds, module

SECONDS = 90
NEW, OLD, OLDEST = "1.22.3", "1.21.6", "1.19.13"
WITHOUT_CGO = "export CGO_ENABLED=0\n"


class MountedBuilds(ImageBuilds):
    @classmethod
    def setUpClass(cls):
        cls.start("mounted-builds", *map(versions.toolchain_module, (OLD, OLDEST)))
        cls.agent = harness.Agent(cls.cluster)
        cls.operator = harness.InCluster(cls.cluster, cls.proxy, values=(
            *cls.agent.values, "agent.volumeWaitSeconds=60"))
        cls.operators = (cls.operator, cls.agent)
        cls.agent.wait_ready()

    def mounted(self, name, version=NEW, **spec):
        self.environment(name, toolchain={"version": version, "delivery": "Volume"}, **spec)

    def test_1_declared_compiler_is_absent(self):
        """cgo is asked for, and preflight names the compiler before go looks for it."""
        self.mounted("absent-compiler", cgo={"policy": "Enabled", "cc": CONDA_CC},
                     injection={"preflight": "Require"})
        program = GENERIC.replace('"fmt"', '"fmt"\n\t_ "net"')
        before, after = self.both("absent-compiler", module("1.21") + program)
        self.fails_with(before, f'C compiler "{CONDA_CC}" not found')
        self.fails_with(
            after, f'GBE010 error: CGO_ENABLED=1, but the C compiler "{CONDA_CC}" does not exist',
            "fix: install a compiler in the image", "this environment requires it to pass")
        self.assertNotIn("not found", after[1])

    def test_7_module_wants_a_newer_go(self):
        """Preflight says which version to declare. Require: go is not asked at all."""
        script = ACTIVATE + WITHOUT_CGO + module("1.22.3") + GENERIC
        told = ("GBE001 error: /tmp/m/go.mod asks for go 1.22.3, this build has go1.21.6",
                'fix: set spec.toolchain.version of the GoBuildEnv to "1.22.3" or newer')
        wanted = "go.mod requires go >= 1.22.3 (running go "
        self.mounted("require", OLD, injection={"preflight": "Require"})
        before, after = self.both("require", script)
        self.fails_with(before, wanted)
        self.fails_with(after, *told, "this environment requires it to pass")
        self.assertNotIn(wanted, after[1])
        self.mounted("warn", OLD, injection={"preflight": "Warn"})
        self.fails_with(self.after("warn", script), *told, wanted)
        self.mounted("silent", OLD, injection={"preflight": "Off"})
        silent = self.after("silent", script)
        self.fails_with(silent, wanted)
        self.assertNotIn("GBE001", silent[1])

    def test_9_checksum_database_switched_off(self):
        """Nothing is downloaded, so nobody asks it."""
        self.mounted("sumdb", injection={"preflight": "Require"})
        before, after = self.both("sumdb", "mkdir -p ~/.config/go\n"
                                  "echo GOSUMDB=off > ~/.config/go/env\n"
                                  + WITHOUT_CGO + module("1.22.3") + GENERIC)
        self.fails_with(before, "checksum database disabled by GOSUMDB=off")
        self.is_green(after, f"built by go{NEW} 42")
        self.assertNotIn("downloading", after[1])

    def test_10_toolchain_inside_the_module_cache(self):
        """Where go switches to a release of before 1.21, its standard library lies in the module
        cache. There that go believes every path without a dot to be part of it: also the module's
        own."""
        self.mounted("oldest", OLDEST, injection={"enforcement": "Enforce"})
        app = module("1.19").replace("example.test/m", "app")
        before, after = self.both("oldest", WITHOUT_CGO + app + "go version\n" + GENERIC,
                                  {"GOTOOLCHAIN": f"go{OLDEST}"})
        self.fails_with(before, f"go version go{OLDEST} ", 'import "": import of unknown directory')
        self.is_green(after, f"go version go{OLDEST} ", f"built by go{OLDEST} 42")


if __name__ == "__main__":
    unittest.main()
