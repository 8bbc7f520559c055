"""What scenarios share: a cluster, kubectl, and the operator deployed as users deploy it.

A scenario asks for a `Cluster`, deploys the operator (in the cluster by the Helm chart, or beside
an API server alone), and asserts on what kubectl shows.

    tools.py      commands, waiting, manifests
    go_module.py  Go modules for pods to build
    objects.py    the objects that scenarios make, and what they read out of answers
    api.py        the administrator's own requests
    cluster.py    a cluster of e2e/cluster, and its audit log
    chart.py      the chart, rendered or installed
    in_cluster.py, off_cluster.py    the operator, deployed
    processes.py  processes of pods, as this machine sees them
    agent.py      the node agent's DaemonSet
    load.py       pods created without a pause
    managers.py   the operator's processes in pods, and who is connected to them
    image_builds.py one build in a conda image, without and with the label
    exposition.py what a scraper reads
    build_pods.py pods that build with the node agent's volumes
    case.py       the base of every test case
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cluster"))

from .agent import Agent  # noqa: E402  (clusterlib is found by the path above)
from .api import Api  # noqa: E402
from .build_pods import BuildPods  # noqa: E402
from .case import Case  # noqa: E402
from .cluster import CannotRunContainers, Cluster  # noqa: E402
from .go_module import go_module, write_files  # noqa: E402
from .in_cluster import ByHelm, InCluster  # noqa: E402
from .load import RATE, Load  # noqa: E402
from .managers import connections, kill_manager, managers_stopped  # noqa: E402
from .objects import (  # noqa: E402
    asking, condition, config_maps, environment, environments, pod, revision_of, variables_of)
from .off_cluster import OffCluster  # noqa: E402
from .registration import wait_for_crd  # noqa: E402
from .tools import ROOT, SYSTEM_NAMESPACE, Failure, binary, manifest, now, run, wait_for  # noqa: E402

__all__ = [
    "RATE", "ROOT", "SYSTEM_NAMESPACE", "Agent", "Api", "BuildPods", "ByHelm", "CannotRunContainers", "Case",
    "Cluster", "Failure", "InCluster", "Load", "OffCluster", "asking", "binary", "condition",
    "config_maps", "connections", "environment", "environments", "go_module", "kill_manager",
    "managers_stopped", "manifest", "now", "pod", "revision_of", "run", "variables_of",
    "wait_for", "wait_for_crd", "write_files"]
