"""The two operators under measurement: ours and the peer."""
from dataclasses import dataclass, field
from pathlib import Path

OURS, PEER = "ours", "peer"


@dataclass(frozen=True)
class Side:
    """How one operator is started off-cluster with given certificates.

    `{KUBECONFIG}`, `{CERTS}` and `{PORT}` are replaced. `cache_pods` are further arguments where
    the cached metadata of labelled pods is measured.
    """
    name: str
    argv: list
    cache_pods: list = field(default_factory=list)

    def command(self, kubeconfig: Path, certs: Path, port: int, pods: bool = False) -> list:
        """The command line."""
        put = {"{KUBECONFIG}": str(kubeconfig), "{CERTS}": str(certs), "{PORT}": str(port)}
        words = [*self.argv, *(self.cache_pods if pods else [])]
        for k, v in put.items():
            words = [w.replace(k, v) for w in words]
        return words


def ours(binary: Path) -> Side:
    """The operator of this tree."""
    return Side(OURS, [
        str(binary), "manager", "--kubeconfig", "{KUBECONFIG}", "--cert-dir", "{CERTS}",
        "--webhook-port", "{PORT}", "--metrics-bind", "127.0.0.1:0", "--health-bind",
        "127.0.0.1:0", "--leader-elect=true", "--lease-namespace", "default"])


def peer(binary: Path, extra: list) -> Side:
    """The same work with controller-runtime. Only ours always caches pods: it has to."""
    return Side(PEER, [
        str(binary), "--kubeconfig", "{KUBECONFIG}", "--certs", "{CERTS}", "--port", "{PORT}",
        "--leader-elect", *extra], ["--cache-pods"])
