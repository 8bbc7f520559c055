#!/usr/bin/env python3
"""What pods of other users find in a shared cache's layer from which the collector took something.

Usage: layers_test.py PATH/collector_tool
"""

import os
import shutil
import subprocess

import trap
from trap import GO, UNIT, VERSION

TRUSTED, STRANGER = 10001, 20001
CACHE = "caches/ns/env/mod"
OTHER = "other.example/m"


class Layers(trap.Trap):
    """Pods are users of their own, with overlays as the agent mounts them; what a trusted one wrote
    becomes part of the next layer. Whoever removes and promotes is root with a umask of 022."""

    MOD = "node/" + CACHE + "/lower/1"

    def setUp(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
            self.skipTest("needs root and mount namespaces")
        self.addCleanup(os.umask, os.umask(0o022))
        super().setUp()
        self.root.chmod(0o755)
        shutil.rmtree(self.node / CACHE)  # a layer is what is promoted, not what go has written
        trap.add_to_proxy(self.proxy, OTHER, "v1.0.0", {
            "go.mod": f"module {OTHER}\n\ngo 1.18\n", "m.go": "package m\n"})
        self.pods, self.shown = 0, self.root / "shown"
        self.shown.mkdir()

    def pod(self, *command, user=STRANGER, proxy=True):
        """A go command of a pod that begins with nothing but the newest layer. Gives what it says
        when it fails, and what it leaves in its volume."""
        self.pods += 1
        upper, work, own = (self.root / f"pod{self.pods}" / name for name in ("u", "w", "own"))
        for folder in (upper, work, own):
            folder.mkdir(parents=True)
        upper.chmod(0o777)
        for name in ("go.mod", "main.go"):
            shutil.copy(self.main / name, own)
        shutil.copytree(trap.standard_library(), own / "build")
        for path in (own, *own.rglob("*")):
            os.chown(path, user, user)
        layers = sorted(self.node.glob(CACHE + "/lower/*"), key=lambda path: int(path.name))
        mount = (f"mount -t overlay overlay -o redirect_dir=nofollow,metacopy=off,index=off,"
                 f"lowerdir={layers[-1]},upperdir={upper},workdir={work}" if layers else
                 f"mount --bind {upper}")
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c",
             f"{mount} {self.shown} && exec setpriv --reuid={user} --regid={user} --clear-groups "
             + " ".join(map(str, (GO, *command)))],
            cwd=own, text=True, capture_output=True, timeout=300,
            env=self.env(HOME=str(own), GOMODCACHE=str(self.shown), GOCACHE=str(own / "build"),
                         **({} if proxy else {"GOPROXY": "off"})))
        return done.stderr if done.returncode else "", upper

    def build_in_a_pod(self, **more):
        said, upper = self.pod("build", "-o", "out", ".", **more)
        if not said:
            shutil.copy(upper.parent / "own/out", self.main / "out")
            self.assertEqual(self.binary(), self.good)
        return said, upper

    def promote(self, upper):
        done = self.tool("promote", self.node, CACHE, upper)
        self.assertEqual((done["refused"], done["why"]), (0, ""))
        self.mod = self.node / done["layer"]
        self.stem = self.mod / "cache/download" / trap.MODULE / "@v" / VERSION
        return done

    def first_layer(self):
        said, upper = self.build_in_a_pod(user=TRUSTED)
        self.assertEqual(said, "")
        self.assertEqual(self.promote(upper)["taken"], 1)
        self.assertEqual(self.build_in_a_pod(proxy=False)[0], "")

    def locks_and_marks(self):
        return [path for path in self.mod.rglob("v*") if path.suffix in (".lock", ".partial")]

    def test_naive_lock_of_a_remover_stops_the_next_pod(self):
        self.first_layer()
        self.stem.with_name(VERSION + ".lock").touch()
        self.assertEqual(self.remove_module(), "done")
        said, _ = self.build_in_a_pod()
        self.assertRegex(said, r"open \S+/v1\.0\.0\.lock: permission denied")

    def test_ours_a_module_comes_back(self):
        self.first_layer()
        self.assertEqual(self.remove_module(), "done")
        self.assertEqual(self.pod("mod", "download", UNIT)[0], "")
        self.assertEqual(self.build_in_a_pod()[0], "")
        self.assertEqual(self.locks_and_marks(), [])

    def test_ours_what_was_taken_is_shared_again(self):
        self.first_layer()
        self.assertEqual(self.remove_module(), "done")
        said, upper = self.build_in_a_pod(user=TRUSTED)
        self.assertEqual(said, "")
        self.assertFalse((upper / "cache/download" / trap.MODULE / f"@v/{VERSION}.mod").exists(),
                         "the layer has it")
        self.assertEqual(self.promote(upper)["taken"], 1)
        self.assertTrue((self.mod / UNIT / "more.go").exists())
        self.assertEqual(self.build_in_a_pod(proxy=False)[0], "")

    def test_ours_a_zip_is_fetched_again_where_it_is_asked_for(self):
        self.first_layer()
        self.assertEqual(self.tool("remove-zip", self.mod, UNIT)["outcome"], "done")
        for command in (("mod", "verify"), ("mod", "download")):
            with self.subTest(command):
                self.assertEqual(self.pod(*command)[0], "")
        self.assertEqual(self.build_in_a_pod(proxy=False)[0], "")
        self.assertEqual(self.locks_and_marks(), [])

    def test_ours_a_module_without_its_zip_is_in_the_next_layer(self):
        self.first_layer()
        self.assertEqual(self.tool("remove-zip", self.mod, UNIT)["outcome"], "done")
        said, upper = self.pod("mod", "download", f"{OTHER}@v1.0.0", user=TRUSTED)
        self.assertEqual(said, "")
        self.assertEqual(self.promote(upper)["taken"], 1)
        self.assertTrue((self.mod / f"{OTHER}@v1.0.0/m.go").exists())
        self.assertEqual(self.build_in_a_pod(proxy=False)[0], "")


if __name__ == "__main__":
    trap.main()
