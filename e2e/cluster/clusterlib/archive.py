"""Container images without an image builder: a docker archive is tar files and two JSON files."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

_EPOCH = 315532800  # 1980-01-01: the same input gives the same bytes


def write(target, reference, layers, config):
    """Write the docker archive `target` (by rename) of an image named `reference`.

    `layers` are paths of uncompressed tar files, lowest first; `config` is the image's runtime
    configuration (Env, Cmd, Entrypoint, WorkingDir, User …).
    """
    digests = [_sha256(layer) for layer in layers]
    description = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "created": "1980-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "1980-01-01T00:00:00Z"} for _ in layers],
    }).encode()
    description_name = f"{hashlib.sha256(description).hexdigest()}.json"
    manifest = json.dumps([{
        "Config": description_name,
        "RepoTags": [reference],
        "Layers": [f"{digest}/layer.tar" for digest in digests],
    }]).encode()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with tarfile.open(temporary, "w") as archive:
            for layer, digest in dict(zip(layers, digests)).items():
                archive.add(layer, f"{digest}/layer.tar", filter=_plain)
            for name, content in ((description_name, description), ("manifest.json", manifest)):
                archive.addfile(_file_entry(name, len(content), 0o644), io.BytesIO(content))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


class Layer:
    """A tar file under construction; everything in it belongs to root."""

    def __init__(self, path):
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self._folders = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tar.close()

    def folder(self, name, mode=0o755):
        """Add a folder, and before it those above it."""
        name = name.strip("/")
        if not name or name in self._folders:
            return
        self.folder(os.path.dirname(name))
        self._folders.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, _EPOCH
        self._tar.addfile(entry)

    def text(self, name, content, mode=0o644):
        data = content.encode()
        self.folder(os.path.dirname(name))
        self._tar.addfile(_file_entry(name.strip("/"), len(data), mode), io.BytesIO(data))

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        entry = _file_entry(name.strip("/"), 0, 0o777)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def file(self, name, source, mode=None):
        """Add a file's content; its mode is kept unless `mode` is given."""
        source = Path(source)
        if mode is None:
            mode = source.stat().st_mode & 0o777
        self.folder(os.path.dirname(name))
        with open(source, "rb") as content:
            entry = _file_entry(name.strip("/"), source.stat().st_size, mode)
            self._tar.addfile(entry, content)

    def tree(self, name, source, keep=lambda relative: True):
        """Add the folder `source` as `name`; `keep(relative path)` False leaves a part out."""
        for folder, folders, files in os.walk(source):
            folders.sort()
            relative = os.path.relpath(folder, source)
            relative = "" if relative == "." else relative
            folders[:] = [one for one in folders if keep(os.path.join(relative, one))]
            self.folder(os.path.join(name, relative))
            for one in sorted(files):
                inner = os.path.join(relative, one)
                path = os.path.join(folder, one)
                if not keep(inner):
                    continue
                if os.path.islink(path):
                    self.link(os.path.join(name, inner), os.readlink(path))
                else:
                    self.file(os.path.join(name, inner), path)


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _file_entry(name, size, mode):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, _EPOCH
    return entry


def _plain(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime, entry.mode = _EPOCH, 0o644
    return entry
