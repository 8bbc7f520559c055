#!/usr/bin/env python3
"""How a whole manager stops while its API server takes requests and answers none.

Usage: stop_test.py PATH/gobuildenv
"""

import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

BINARY = "gobuildenv"
BOUND = 30  # seconds, of docs/cli.md
ENVIRONMENT = {"metadata": {"name": "app", "namespace": "ns", "resourceVersion": "4",
                            "generation": 1, "uid": "b7a2c1de-0000-4000-8000-000000000001"},
               "spec": {"toolchain": {"version": "1.22.3"}}}


class Api(http.server.ThreadingHTTPServer):
    """As much of an API server as a manager asks for until it makes a ConfigMap. From then on it
    takes every request and says nothing."""

    daemon_threads = True
    block_on_close = False  # its threads wait for what does not come

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.dumb, self.closing = threading.Event(), threading.Event()
        self.swallowed = []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        kind = path.rsplit("/", 1)[-1]
        if self.command == "POST" and kind == "configmaps":
            self.server.dumb.set()
        if self.server.dumb.is_set():
            self.server.swallowed.append(f"{self.command} {path}")
            self.server.closing.wait()
            self.close_connection = True
        elif "sendInitialEvents" in query:
            self.answer(422, {"kind": "Status", "code": 422, "reason": "Invalid"})
        elif "watch=" in query:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.server.closing.wait()
            self.close_connection = True
        elif self.command in ("POST", "PUT"):
            written = json.loads(body)
            written["metadata"]["resourceVersion"] = "7"
            self.answer(201 if self.command == "POST" else 200, written)
        elif "/leases/" in path:
            self.answer(404, {"kind": "Status", "code": 404, "reason": "NotFound"})
        else:
            self.answer(200, {"metadata": {"resourceVersion": "5"},
                              "items": [ENVIRONMENT] if kind == "gobuildenvs" else []})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def kubeconfig(port):
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": "none"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]})


class Stop(unittest.TestCase):
    def test_a_server_that_swallows_requests(self):
        with tempfile.TemporaryDirectory() as folder, Api() as api:
            file = pathlib.Path(folder) / "config"
            file.write_text(kubeconfig(api.server_port))
            with open(file.with_name("log"), "w+") as log:
                manager = subprocess.Popen(
                    [BINARY, "manager", "--kubeconfig", str(file), "--lease-namespace", "system",
                     "--cert-external", "--drain-seconds", "0", "--metrics-bind", "off",
                     "--health-bind", "off"], stdout=log, stderr=subprocess.STDOUT,
                    env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
                try:
                    begun = api.dumb.wait(60)
                    manager.terminate()
                    code = manager.wait(BOUND)
                finally:
                    manager.kill()
                    manager.wait()
                    log.seek(0)
                    said = log.read()
                    sys.stdout.write(said)
        self.assertTrue(begun, "it made no ConfigMap")
        self.assertEqual(code, 0)
        self.assertIn("requests are cut off", said)
        writes = [one for one in api.swallowed if not one.startswith("GET ")]
        self.assertEqual([one for one in writes if "/leases" not in one],
                         ["POST /api/v1/namespaces/ns/configmaps"], "nothing else was begun")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
