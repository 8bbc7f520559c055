"""Commands, waiting, manifests."""

import http.client
import os
import pathlib
import string
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "e2e" / "scenarios" / "manifests"
SYSTEM_NAMESPACE = "gobuildenv-system"


class Failure(Exception):
    """A scenario's step failed; the text says what was seen."""


def binary():
    """The operator under test: $GOBUILDENV_BINARY, else the release build."""
    path = pathlib.Path(os.environ.get("GOBUILDENV_BINARY")
                        or ROOT / "build" / "release" / "operator" / "gobuildenv")
    if not os.access(path, os.X_OK):
        raise Failure(f"there is no operator at {path}; build it with: "
                      "cmake --preset release && cmake --build build/release")
    return path


def programs():
    """What the image holds: the operator and, where it was built, the node agent beside it."""
    agent = binary().with_name("gobuildenv-agent")
    return [binary(), agent] if agent.exists() else [binary()]


def run(*argv, check=True, stdin=None, timeout=300, env=None, progress=False):
    """Runs a command and gives its completed process; a failure shows the output. With `progress`
    its standard error is seen at once: for what may take minutes."""
    done = subprocess.run([str(a) for a in argv], input=stdin, stdout=subprocess.PIPE, text=True,
                          stderr=None if progress else subprocess.PIPE, timeout=timeout, env=env)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(str(a) for a in argv)}: exit {done.returncode}\n"
                      f"{done.stdout}{done.stderr or ''}")
    return done


def wait_for(what, seconds, probe):
    """Calls `probe` until it gives something true, and gives that; fails naming `what`."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            found = probe()
            if found:
                return found
        except (Failure, OSError, ValueError, http.client.HTTPException) as error:
            last = error
        time.sleep(0.2)
    raise Failure(f"waited {seconds} s for {what}" + (f"; last seen: {last}" if last else ""))


def manifest(name, **values):
    """The text of a manifest with ${NAME} filled in."""
    return string.Template((MANIFESTS / name).read_text()).safe_substitute(values)


def now():
    """The time as the audit log writes it."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06}Z"
