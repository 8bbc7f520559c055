"""What is known of one cluster: <state root>/<name>/state.json, rewritten whole by rename."""

import json
import os

from .errors import ClusterError
from .paths import check_name, state_root


class State:
    """The record of a cluster. `data` is plain JSON; call save() after a change."""

    def __init__(self, name):
        self.name = check_name(name)
        self.dir = state_root() / name
        self.data = {}

    @property
    def file(self):
        return self.dir / "state.json"

    @property
    def lock(self):
        return state_root() / ".locks" / self.name

    @property
    def logs(self):
        return self.dir / "logs"

    @property
    def pki(self):
        return self.dir / "pki"

    @property
    def kubeconfig(self):
        return self.dir / "admin.kubeconfig"

    @property
    def full(self):
        return self.data["mode"] == "full"

    @property
    def processes(self):
        return self.data.setdefault("processes", {})

    def begin(self, mode):
        for folder in (self.dir, self.logs, self.pki):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data = {"name": self.name, "mode": mode, "processes": {}, "ready": False}
        self.save()

    def save(self):
        temporary = self.file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.data, indent=1))
        temporary.replace(self.file)

    def load(self):
        """Read the record; False when there is none or it was cut short by a crash."""
        try:
            self.data = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return False
        return True

    def require(self):
        """Read the record of a cluster that must exist."""
        if not self.load():
            raise ClusterError(
                f"there is no cluster named {self.name!r}",
                f"start one with `e2e/cluster/cluster up --name {self.name}`, "
                "or see `e2e/cluster/cluster status`",
            )
        return self


def all_names():
    """Names of all clusters that left a folder, finished or not."""
    return sorted(
        entry.name for entry in state_root().iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
