"""The images that the tests run, built from Debian packages and Go modules. Nothing is pulled.

Each becomes a docker archive <cache>/images/<name>-<key>.tar, where the key covers everything that
it is made of, so an unchanged recipe is never built twice.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from . import archive, rootfs, versions
from .errors import ClusterError
from .goinstall import toolchain
from .locks import locked
from .paths import E2E_DIR, cache_dir
from .progress import step
from .run import run

REGISTRY = "gobuildenv.test"  # a reserved domain: no such registry can exist
PAUSE = f"{REGISTRY}/pause:1"
CONDA_GO = f"{REGISTRY}/conda-go:1"
OPERATOR = f"{REGISTRY}/gobuildenv:dev"

_RECIPES = E2E_DIR / "images"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def pause():
    """The image that holds a pod's namespaces: one static C program."""
    source = _RECIPES / "pause" / "pause.c"

    def build(target, scratch):
        program = scratch / "pause"
        run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source])
        with archive.Layer(scratch / "layer.tar") as layer:
            layer.file("pause", program, 0o755)
        archive.write(target, PAUSE, [scratch / "layer.tar"], {"Entrypoint": ["/pause"]})

    return _cached("pause", [source.read_bytes()], build)


def conda_go():
    """A build image as people who use conda have it, with a go and a spoilt environment."""
    recipe = _RECIPES / "conda-go"
    files = sorted(path for path in recipe.rglob("*") if path.is_file())
    key = [versions.IMAGE_GO.encode(), rootfs.BUILD.key().encode()]
    for path in files:
        key += [str(path.relative_to(recipe)).encode(), path.read_bytes()]

    def build(target, scratch):
        base = rootfs.ensure(rootfs.BUILD)
        goroot = toolchain(versions.IMAGE_GO)
        with archive.Layer(scratch / "layer.tar") as layer:
            layer.tree("opt/conda/go", goroot, _needed_to_build)
            for program in ("go", "gofmt"):
                layer.link(f"opt/conda/bin/{program}", f"../go/bin/{program}")
            for path in files:
                name = str(path.relative_to(recipe))
                if name.startswith("root/"):
                    layer.file(name.removeprefix("root/"), path)
        variables = (recipe / "environment").read_text().split("\n")
        archive.write(target, CONDA_GO, [base, scratch / "layer.tar"], {
            "Env": [line for line in variables if line and not line.startswith("#")],
            "Cmd": ["/bin/bash"],
            "WorkingDir": "/root",
        })

    return _cached("conda-go", key, build)


def operator(*binaries):
    """The operator's image: Debian without compilers, and `binaries` with their libraries. The
    first is what runs unless a container says otherwise."""
    binaries = [Path(binary).resolve() for binary in binaries]
    for binary in binaries:
        if not os.access(binary, os.X_OK):
            raise ClusterError(f"{binary} is not a program", "build the operator first")
    libraries = sorted({library for binary in binaries for library in _libraries(binary)})
    key = [rootfs.RUNTIME.key().encode()]
    key += [part for binary in binaries for part in (binary.name.encode(), binary.read_bytes())]
    key += [f"{library} {library.stat().st_mtime_ns}".encode() for library in libraries]

    def build(target, scratch):
        base = rootfs.ensure(rootfs.RUNTIME)
        # The libraries change seldom, the programs often: a layer each.
        with archive.Layer(scratch / "libraries.tar") as layer:
            for library in libraries:
                layer.file(f"usr/lib/x86_64-linux-gnu/{library.name}", library.resolve(), 0o644)
        with archive.Layer(scratch / "programs.tar") as layer:
            for binary in binaries:
                layer.file(f"usr/local/bin/{binary.name}", binary, 0o755)
        archive.write(
            target, OPERATOR, [base, scratch / "libraries.tar", scratch / "programs.tar"], {
                "Env": [f"PATH={_SYSTEM_PATH}"],
                "Entrypoint": [f"/usr/local/bin/{binaries[0].name}"],
                "User": "65532:65532",
            })

    return _cached("gobuildenv", key, build)


def _cached(name, key, build, keep=2):
    """The archive of image `name`, built unless one with the same key is there."""
    digest = hashlib.sha256()
    recipe_code = [Path(__file__).read_bytes(), Path(archive.__file__).read_bytes()]
    for part in [*key, *recipe_code]:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    folder = cache_dir() / "images"
    target = folder / f"{name}-{digest.hexdigest()[:12]}.tar"
    if target.exists():
        os.utime(target)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with locked(cache_dir() / "locks" / f"image-{name}.lock", f"building the image {name}"):
        if not target.exists():
            with step(f"building the image {name}"), tempfile.TemporaryDirectory(
                    dir=folder) as scratch:
                build(target, Path(scratch))
            same = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}\.tar")
            old = [path for path in folder.iterdir() if same.fullmatch(path.name)]
            for path in sorted(old, key=lambda path: path.stat().st_mtime)[:-keep]:
                path.unlink()
    return target


def _needed_to_build(relative):
    """Leave out what no build reads: tests, their data, documentation."""
    parts = relative.split("/")
    if parts[0] in ("test", "api", "doc", "misc", "_go.mod"):
        return False
    return "testdata" not in parts and not relative.endswith("_test.go")


def _libraries(binary):
    """Shared libraries that `binary` loads, except those every Debian root has (libc and so on)."""
    found = set()
    for line in run(["ldd", binary], failure=f"ldd cannot read {binary}").splitlines():
        if "not found" in line:
            raise ClusterError(f"{binary.name} needs a library that is absent: {line.strip()}")
        match = re.match(r"\s*(\S+) => (/\S+)", line)
        if match and not rootfs.always_has(match.group(1)):
            found.add(Path(match.group(2)))
    return sorted(found)
