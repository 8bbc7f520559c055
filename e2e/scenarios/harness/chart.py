"""The chart, rendered or installed by the project's own helm."""

import sys

from clusterlib.locks import locked
from clusterlib.paths import cache_dir

from .tools import ROOT, SYSTEM_NAMESPACE, run

sys.path.insert(0, str(ROOT / "charts"))
from tools import programs  # noqa: E402  (the path above comes first)


def helm():
    """The program. The first caller builds it, which takes minutes: others wait for it."""
    with locked(cache_dir() / "locks" / "helm.lock", "building helm"):
        return programs.helm()


def rendered(*flags):
    """The chart's manifest, with these flags of `helm template`."""
    helm()
    return run(ROOT / "charts" / "render-manifest", "--namespace", SYSTEM_NAMESPACE, *flags,
               timeout=1800, progress=True).stdout
