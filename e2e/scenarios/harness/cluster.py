"""A cluster of e2e/cluster, and its audit log."""

import atexit
import json
import pathlib
import subprocess

from clusterlib import binaries, certs, kubeconfig

from .api import Api
from .tools import ROOT, Failure, run, wait_for

CLUSTER = ROOT / "e2e" / "cluster" / "cluster"
CANNOT_RUN_CONTAINERS = 3  # exit code of `cluster up`


class CannotRunContainers(Exception):
    """This machine cannot run pods; an API server alone still can run."""


class Cluster:
    """A cluster of e2e/cluster, taken down on exit. `full` is False where only an API server runs."""

    def __init__(self, name, full=True, flags=()):
        self.name, self.full, self.flags = name, full, flags
        self.kubeconfig = self.api = None

    def __enter__(self):
        argv = [CLUSTER, "up", "--name", self.name, *self.flags]
        if not self.full:
            argv.append("--api-only")
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, text=True)
        if done.returncode == CANNOT_RUN_CONTAINERS and self.full:
            raise CannotRunContainers()
        if done.returncode != 0:
            raise Failure(f"the cluster did not start (exit {done.returncode})")
        # An interrupt ends the tests without their cleanups.
        atexit.register(self.__exit__)
        try:
            self.kubeconfig = run(CLUSTER, "kubeconfig", "--name", self.name).stdout.strip()
            self.folder = pathlib.Path(self.kubeconfig).parent
            self.api = Api(self)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.keep()
        if self.api:
            self.api.close()
        subprocess.run([str(CLUSTER), "down", "--name", self.name], stdout=subprocess.DEVNULL)

    def keep(self):
        """Leaves it up when this process ends."""
        atexit.unregister(self.__exit__)

    def kubectl(self, *argv, check=True, stdin=None, timeout=120):
        return run(binaries.path("kubectl"), f"--kubeconfig={self.kubeconfig}", *argv,
                   check=check, stdin=stdin, timeout=timeout)

    def get(self, *argv):
        return json.loads(self.kubectl("get", *argv, "-o", "json").stdout)

    def apply(self, text, *argv):
        return self.kubectl("apply", "-f", "-", *argv, stdin=text).stdout

    def namespace(self, name, **labels):
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace",
                               "metadata": {"name": name, "labels": labels}}))
        if self.full:
            wait_for(f"the default service account of {name}", 30,
                     lambda: self.get("serviceaccount", "default", "-n", name))

    def proxy(self, *modules):
        """Serves Go toolchains (and modules) to pods and this machine; gives the GOPROXY."""
        argv = [CLUSTER, "proxy", "up", "--name", self.name]
        for module in modules:
            argv += ["--module", module]
        return run(*argv, timeout=1800, progress=True).stdout.strip().splitlines()[-1]

    def load_image(self, archive):
        run(CLUSTER, "load-image", "--name", self.name, archive, timeout=1800, progress=True)

    def kill(self, program, signal="KILL"):
        run(CLUSTER, "kill", "--name", self.name, program, "--signal", signal)

    def restart(self, program):
        run(CLUSTER, "restart", "--name", self.name, program)

    def user(self, name):
        """The kubeconfig of another administrator, who is told apart in the audit log."""
        pki, path = self.folder / "pki", self.folder / f"{name}.kubeconfig"
        server = json.loads(pathlib.Path(self.kubeconfig).read_text())["clusters"][0]["cluster"]
        certs.make_client(pki, name, name, ["system:masters"])
        kubeconfig.with_certificate(path, server["server"], pki, name)
        return path

    def requests(self, user, since="", resource=None):
        """Requests by `user` received after `since` (a time of the audit log), a line each."""
        found = []
        for line in (self.folder / "logs" / "audit.log").read_text().splitlines():
            event = json.loads(line)
            target = event.get("objectRef", {})
            if (event["user"]["username"] == user and event["requestReceivedTimestamp"] > since
                    and resource in (None, target.get("resource"))):
                found.append(f"{event['requestReceivedTimestamp']} {event['verb']} "
                             f"{target.get('resource')}/{target.get('subresource', '')} "
                             f"{target.get('namespace')}/{target.get('name')} -> "
                             f"{event.get('responseStatus', {}).get('code')}")
        return found

    def writes(self, user, since=""):
        """Those of requests() that write anything but Leases."""
        return [line for line in self.requests(user, since)
                if line.split()[1] not in ("get", "list", "watch") and " leases/" not in line]
