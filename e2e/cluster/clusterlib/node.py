"""The node of a full cluster: containerd, pod network, kubelet and kube-proxy."""

import json
import shutil

from . import binaries, machine
from .images import PAUSE

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"  # the cluster's own /run/containerd


def write_configuration(state):
    """Write the configuration files of containerd, CNI and kubelet."""
    _containerd(state)
    _pod_network(state)
    _kubelet(state)


def containerd(state):
    return [shutil.which("containerd"), "--config", str(state.dir / "containerd.toml"),
            "--log-level", "warn"]


def kubelet(state):
    return [
        str(binaries.path("kubelet")), f"--config={state.dir / 'kubelet.json'}",
        f"--kubeconfig={state.dir / 'kubelet.kubeconfig'}",
        f"--hostname-override={state.data['node']}", f"--node-ip={state.data['net']['node']}",
    ]


def kube_proxy(state):
    return [
        str(binaries.path("kube-proxy")), f"--kubeconfig={state.dir / 'kube-proxy.kubeconfig'}",
        "--proxy-mode=nftables", f"--hostname-override={state.data['node']}",
        f"--cluster-cidr={state.data['net']['pods']}", "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
        "--oom-score-adj=0", "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249", "--nodeport-addresses=primary",
    ]


def import_command(archive):
    """Command line, for inside the namespaces, that imports a docker archive."""
    return [shutil.which("ctr"), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io",
            "images", "import", "--snapshotter", machine.snapshotter(archive.parent),
            str(archive)]


def _containerd(state):
    root = state.dir / "containerd"
    root.mkdir(exist_ok=True)
    (state.dir / "containerd.toml").write_text(f"""version = 2
root = "{root}"
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE a score cannot be lowered, and runc would die trying.
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  enable_selinux = false
  disable_tcp_service = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{machine.snapshotter(root)}"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{machine.CNI_FOLDER}"
  conf_dir = "{state.dir / 'cni'}"
""")


def _pod_network(state):
    folder = state.dir / "cni"
    folder.mkdir(exist_ok=True)
    (folder / "10-ptp.conflist").write_text(json.dumps({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(state.dir / "cni-addresses"),
                    "ranges": [[{"subnet": state.data["net"]["pods"]}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
        ],
    }, indent=1))


def _kubelet(state):
    # Names are not resolved in the cluster: a resolver that refuses at once, as these two do, is
    # better than the host's, which cannot be reached and would be waited for.
    (state.dir / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    pki = state.pki
    (state.dir / "kubelet.json").write_text(json.dumps({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{state.data['cgroup']}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%",
                         "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "readOnlyPort": 0,
        "clusterDNS": [state.data["net"]["node"]],
        "clusterDomain": "cluster.local",
        "resolvConf": str(state.dir / "resolv.conf"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "registerNode": True,
        "shutdownGracePeriod": "0s",
    }, indent=1))
