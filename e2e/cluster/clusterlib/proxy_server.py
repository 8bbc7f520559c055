"""A static module proxy: serves a module download cache as GOPROXY, checksum database included.

Runs as a script: proxy_server.py TREE ADDRESS PORT. It answers what the go command asks of a proxy
(the GOPROXY protocol of Go's module reference) from <TREE>/<module>/@v/… and
<TREE>/sumdb/<name>/…, the layout that `go mod download` itself leaves behind. Three answers are
not files there:

    <module>/@v/list            the versions whose zip is present
    sumdb/<name>/supported      200 when the database's folder exists
    sumdb/<name>/tile/…/N.p/W   a tile of W hashes, cut from a wider one when only that was kept
                                (a partial tile is a prefix of every later state of itself)
"""

import http.server
import os
import re
import sys
import urllib.parse
from pathlib import Path

_HASH_SIZE = 32


def lookup(tree, path):
    """The body for a request path, or None when it is not here."""
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        return None
    target = tree.joinpath(*parts)
    if len(parts) == 3 and parts[0] == "sumdb" and parts[2] == "supported":
        return b"" if target.parent.is_dir() else None
    if parts[-2:] == ["@v", "list"]:
        return _versions(target.parent)
    if target.is_file():
        return target.read_bytes()
    partial = re.fullmatch(r"(.*/tile/.*)\.p/(\d+)", str(target))
    if parts[:1] == ["sumdb"] and partial:
        return _cut_tile(Path(partial.group(1)), int(partial.group(2)))
    return None


def _versions(folder):
    if not folder.is_dir():
        return None
    names = sorted(path.stem for path in folder.glob("*.zip"))
    return "".join(f"{name}\n" for name in names).encode()


def _cut_tile(full, width):
    wider = [full] if full.is_file() else []
    folder = full.with_name(full.name + ".p")
    if folder.is_dir():
        wider += [path for path in folder.iterdir()
                  if path.name.isdigit() and int(path.name) >= width]
    if not wider or "/tile/8/data/" in str(full):
        return None
    return wider[0].read_bytes()[:width * _HASH_SIZE]


class Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of the tree; every request is logged with its status."""

    protocol_version = "HTTP/1.1"
    tree = Path()

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        body = lookup(self.tree, path)
        if body is None:
            self._answer(404, b"not found: this proxy holds only what the tests need\n")
        else:
            self._answer(200, body)

    do_HEAD = do_GET

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def main():
    tree, address, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    Handler.tree = tree
    if not os.access(tree, os.R_OK):
        sys.exit(f"{tree} cannot be read")
    http.server.ThreadingHTTPServer((address, port), Handler).serve_forever()


if __name__ == "__main__":
    main()
