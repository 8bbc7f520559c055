"""Processes of pods, as this machine sees them."""

import pathlib

from .tools import Failure


def process_of(pod_name, *program):
    """The id of the process of that pod whose command line begins with `program`: its name without
    folders, then arguments. The pod tells its own name by $POD_NAME."""
    wanted = f"POD_NAME={pod_name}".encode()
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_text().split("\0")
            words[0] = words[0].rsplit("/", 1)[-1]
            if (tuple(words[:len(program)]) == program
                    and wanted in (process / "environ").read_bytes().split(b"\0")):
                return int(process.name)
        except (OSError, UnicodeDecodeError):
            continue  # it ended while being looked at, or is none of ours
    raise Failure(f"no {' '.join(program)} of pod {pod_name!r} runs")
