"""The main job end to end: what scripts/demo shows, asserted."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import harness  # noqa: F401  (clusterlib is found by its path)
from clusterlib import errors, machine

SECONDS = 80
DEMO = pathlib.Path(__file__).resolve().parent / "demo.py"
UP_TO_ADMISSION = (
    r"# A namespace, and a declared Go build environment",
    r"gobuildenv.gobuildenv.dev/build condition met",
    r"ok +applying twice changes nothing",
    r"# What the operator made of it",
    r"configmap/build-[0-9a-f]{10}",
    r"ok +the revision's ConfigMap is immutable",
    r"GOFLAGS=-trimpath",
    r"# A pod before and after admission",
    r"ok +admission changed the pod",
)
THE_LOG = (
    r"# Install the operator with its Helm chart",
    r"# The pod's log",
    r"ok +the build succeeded",
    r"ok +go version is as declared",
    r"ok +CGO_ENABLED is 0",
    r"ok +GOFLAGS are as declared",
    r"ok +the generic program ran",
    r"All as declared\.\n",
)


class MainJob(unittest.TestCase):
    def demo(self, **environment):
        """Its completed process; it must have exited with 0."""
        done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=900,
                              env={**os.environ, **environment})
        sys.stdout.write(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-6000:])
        self.assertNotIn("FAIL", done.stdout)
        return done

    def assert_in_order(self, patterns, text):
        for pattern in patterns:
            self.assertRegex(text, pattern)
            text = text[re.search(pattern, text).end():]

    def test_apply_configmap_pod_log(self):
        """Apply → ConfigMap → changed pod → its log, each as declared."""
        try:
            machine.check_containers()
        except errors.CannotRunContainers as error:
            self.skipTest(f"this machine cannot run containers: {error}")
        shown = self.demo().stdout
        self.assertNotIn("cannot run containers", shown)
        self.assert_in_order(THE_LOG[:1] + UP_TO_ADMISSION + THE_LOG[1:], shown)

    def test_a_machine_that_cannot_run_containers(self):
        """It says so and why, and shows the same up to admission."""
        with tempfile.TemporaryDirectory(prefix="gobuildenv-test-path-") as folder:
            path_without("containerd", folder)
            done = self.demo(PATH=folder)
        self.assertIn("missing: containerd\n", done.stderr)
        self.assert_in_order(
            (r"This machine cannot run containers \(the lines above say why\)", *UP_TO_ADMISSION,
             r"All as declared up to admission; no pod was started\.\n"), done.stdout)
        self.assertNotIn("The pod's log", done.stdout)

    def test_wrong_usage(self):
        done = subprocess.run([sys.executable, DEMO, "--kep"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("Usage: demo.py [--keep]", done.stdout)


def path_without(program, folder):
    """Fills `folder` with links to all programs that PATH has, but for this one."""
    for one in os.environ["PATH"].split(os.pathsep):
        for found in pathlib.Path(one).glob("*") if one else ():
            link = pathlib.Path(folder) / found.name
            if found.name != program and not link.is_symlink():
                link.symlink_to(found)


if __name__ == "__main__":
    unittest.main()
