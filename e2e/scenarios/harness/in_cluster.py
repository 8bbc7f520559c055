"""The operator installed by its Helm chart."""

from clusterlib import images

from .chart import helm, rendered
from .registration import split_crds, wait_for_ca_bundle, wait_for_crd, wait_for_route
from .tools import ROOT, SYSTEM_NAMESPACE, Failure, programs, run


class InCluster:
    """The operator installed by its Helm chart, as users install it."""

    def __init__(self, cluster, proxy="", values=()):
        self.cluster = cluster
        self.cluster.load_image(images.operator(*programs()))
        repository, tag = images.OPERATOR.rsplit(":", 1)
        settings = [f"image.repository={repository}", f"image.tag={tag}", "image.pullPolicy=Never",
                    *values]
        if proxy:
            # Helm splits at commas, which a GOPROXY may hold.
            settings.append("manager.moduleProxy=" + proxy.replace(",", "\\,"))
        self.sets = [a for s in settings for a in ("--set", s)]
        cluster.namespace(SYSTEM_NAMESPACE)
        self.install()

    def install(self):
        crds, rest = split_crds(rendered(*self.sets))
        self.cluster.apply(crds, "--server-side")
        wait_for_crd(self.cluster)
        self.cluster.apply(rest, "--server-side", "-n", SYSTEM_NAMESPACE)
        self.wait_ready()

    name = "deployment/gobuildenv"

    def tail(self):
        return self.state()

    def wait_ready(self):
        rollout = self.cluster.kubectl("-n", SYSTEM_NAMESPACE, "rollout", "status", "deployment",
                                       "--timeout=120s", timeout=150, check=False)
        if rollout.returncode != 0:
            raise Failure(f"{rollout.stdout}{rollout.stderr}\n{self.state()}")
        wait_for_ca_bundle(self.cluster)
        wait_for_route(self.cluster)

    def state(self):
        """What an operator that does not become ready says about itself."""
        show = ("-n", SYSTEM_NAMESPACE)
        return "\n".join(self.cluster.kubectl(*show, *argv, check=False).stdout for argv in (
            ("get", "pods", "-o", "wide"), ("get", "events"),
            ("logs", "deployment/gobuildenv", "--all-containers", "--tail=40")))


class ByHelm(InCluster):
    """As a release that Helm keeps, and can take away."""

    def install(self):
        self.helm("install", ROOT / "charts" / "gobuildenv", *self.sets)
        wait_for_crd(self.cluster)
        self.wait_ready()

    def helm(self, verb, *argv, check=True):
        return run(helm(), verb, "gobuildenv", *argv, "--namespace", SYSTEM_NAMESPACE,
                   "--kubeconfig", self.cluster.kubeconfig, check=check)
