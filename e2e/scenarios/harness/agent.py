"""The node agent's DaemonSet, as the chart installs it."""

import os
import signal

from .processes import process_of
from .tools import SYSTEM_NAMESPACE, Failure, wait_for

PODS = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods"
OF_AGENTS = "?labelSelector=app.kubernetes.io/component%3Dagent"


class Agent:
    """The agent of a cluster's node. The chart's `values` give it a root in the cluster's folder;
    `show` are further kubectl commands whose output helps when a test fails."""

    name = "daemonset/gobuildenv-agent"

    def __init__(self, cluster, *show):
        self.cluster, self.api = cluster, cluster.api
        self.root = cluster.folder / "agent-root"
        # The disk is as full as this machine's: watermarks must not decide what is fetched ahead
        # or collected.
        self.values = ("agent.enabled=true", f"agent.root={self.root}",
                       "agent.collector.highWatermark=100", "agent.collector.lowWatermark=100")
        self.show = show

    def log(self, tail=-1):
        return self.cluster.kubectl("-n", SYSTEM_NAMESPACE, "logs", self.name, f"--tail={tail}",
                                    check=False).stdout

    def tail(self):
        """What helps when a test fails: the agent, its log, the pods of `ci`."""
        return "\n".join((self.log(60), *(
            self.cluster.kubectl(*argv, check=False).stdout for argv in (
                ("-n", SYSTEM_NAMESPACE, "describe", self.name),
                ("-n", SYSTEM_NAMESPACE, "get", "events"),
                ("-n", "ci", "get", "pods", "-o", "wide"), ("-n", "ci", "get", "events"),
                *self.show))))

    def wait_ready(self):
        done = self.cluster.kubectl("-n", SYSTEM_NAMESPACE, "rollout", "status", self.name,
                                    "--timeout=120s", timeout=150, check=False)
        if done.returncode != 0:
            raise Failure(f"{done.stdout}{done.stderr}\n{self.tail()}")

    def pods(self):
        """The names of its pods, but for those that are being deleted."""
        return [p["metadata"]["name"] for p in self.api.list(PODS + OF_AGENTS)
                if "deletionTimestamp" not in p["metadata"]]

    def delete(self):
        """Deletes its pod without time for a farewell; gives the name."""
        (pod,) = self.pods()
        self.cluster.kubectl("-n", SYSTEM_NAMESPACE, "delete", "pod", pod, "--grace-period=0",
                             "--force")
        return pod

    def process(self):
        """The id of its process on this machine."""
        (pod,) = self.pods()
        return process_of(pod, "gobuildenv-agent")

    def kill(self):
        """SIGKILL; returns when the kubelet has started it again and it is ready."""
        before = self.process()
        os.kill(before, signal.SIGKILL)
        wait_for("the agent to be started again", 60, lambda: self.process() != before)
        self.wait_ready()
        # What says so at once may still be about the one that was killed.
        wait_for("the agent to answer", 60, lambda: self.metric("gobuildenv_csi_volumes") >= 0)

    def metric(self, name):
        """The sum of all metrics whose name and labels begin so."""
        text = self.cluster.kubectl(
            "get", "--raw", f"{PODS}/{self.pods()[0]}:8082/proxy/metrics").stdout
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name))
