"""Running a program to its end, with an error that shows what it said."""

import os
import subprocess

from .errors import ClusterError


def run(argv, *, env=None, cwd=None, stdin=None, failure=None, next_step=""):
    """Run `argv` and return its standard output.

    `env` is added to the environment. A failure raises ClusterError with `failure` (or the command
    line) and the last lines of what the program printed.
    """
    argv = [str(word) for word in argv]
    try:
        result = subprocess.run(
            argv,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise ClusterError(f"the program {argv[0]} is not installed", install_hint()) from missing
    if result.returncode != 0:
        said = "\n    ".join((result.stderr.strip() or result.stdout.strip()).splitlines()[-12:])
        raise ClusterError(f"{failure or ' '.join(argv)}:\n    {said}", next_step)
    return result.stdout


def install_hint():
    return "install the packages listed in e2e/cluster/packages.txt with apt-get"
