#!/usr/bin/env python3
"""The trap of a module's `.lock`: two go processes that want the same module at the same time.

Usage: locks_test.py PATH/collector_tool
"""

import contextlib
import functools
import http.server
import pathlib
import re
import subprocess
import threading

import trap
from trap import GO, UNIT

SLOW = "slow.example/m"


class Handler(http.server.SimpleHTTPRequestHandler):
    """A module proxy whose answer for SLOW's content waits: whoever asks for it has the lock."""

    def do_GET(self):
        if self.path == f"/{SLOW}/@v/v1.0.0.zip":
            with self.server.counting:
                self.server.owners += 1
            self.server.go_on.wait(120)
        super().do_GET()

    def log_message(self, *_):
        pass


class Locks(trap.Trap):
    def setUp(self):
        super().setUp()
        trap.add_to_proxy(self.proxy, SLOW, "v1.0.0", {
            "go.mod": f"module {SLOW}\n\ngo 1.18\n", "m.go": "package m\n"})
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=self.proxy))
        self.server.owners = 0
        self.server.counting, self.server.go_on = threading.Lock(), threading.Event()
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.go_on.set)
        self.lock = self.mod / f"cache/download/{SLOW}/@v/v1.0.0.lock"

    @contextlib.contextmanager
    def download(self, name):
        folder = self.root / name
        folder.mkdir()
        port = self.server.server_address[1]
        with subprocess.Popen([GO, "mod", "download", f"{SLOW}@v1.0.0"], cwd=folder, text=True,
                              env=self.env(GOPROXY=f"http://127.0.0.1:{port}", GOFLAGS=""),
                              stderr=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                self.server.go_on.set()
                process.kill()

    def owners(self, wanted):
        trap.until(f"{wanted} to fetch", lambda: self.server.owners == wanted)

    def waits_for_a_lock(self, process):
        return re.search(rf"-> FLOCK +ADVISORY +WRITE +{process.pid} ",
                         pathlib.Path("/proc/locks").read_text())

    def test_naive_removal_lets_in_two_owners(self):
        with self.download("first") as first:
            self.owners(1)
            self.lock.unlink()
            with self.download("second") as second:
                self.owners(2)
                self.assertEqual((first.poll(), second.poll()), (None, None))
                self.server.go_on.set()
                for process in (first, second):
                    process.communicate(timeout=60)

    def test_ours_leaves_what_is_being_fetched_and_takes_the_other(self):
        with self.download("first") as first:
            self.owners(1)
            inode = self.lock.stat().st_ino
            self.assertEqual(self.remove_module(f"{SLOW}@v1.0.0"), "busy")
            self.assertEqual(self.remove_module(UNIT), "done")
            with self.download("second") as second:
                trap.until("the second to wait", lambda: self.waits_for_a_lock(second))
                self.server.go_on.set()
                for process in (first, second):
                    said = process.communicate(timeout=60)[1]
                    self.assertEqual(process.returncode, 0, said)
        self.assertEqual(self.server.owners, 1, "the second found what the first had fetched")
        self.assertEqual(self.lock.stat().st_ino, inode)
        self.assertEqual(self.remove_module(f"{SLOW}@v1.0.0"), "done")
        self.assertEqual(self.lock.stat().st_ino, inode, "nor does a removal take the lock")


if __name__ == "__main__":
    trap.main()
