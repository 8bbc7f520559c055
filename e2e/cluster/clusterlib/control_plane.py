"""Command lines of etcd and of the control plane, and how each says that it is ready."""

import http.client
import secrets
import ssl
import urllib.error
import urllib.request

from . import binaries, certs, kubeconfig

ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
API_PORT = 6443


def etcd(state):
    """The store. Its data is thrown away with the cluster, so it never waits for the disk."""
    client, peer = state.data["etcd_url"], state.data["etcd_peer_url"]
    return [
        str(binaries.path("etcd")), "--name=dev", f"--data-dir={state.dir / 'etcd'}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=dev={peer}", "--unsafe-no-fsync", "--log-level=warn",
        "--watch-progress-notify-interval=5s",
    ]


def apiserver(state):
    """The API server with the admission plugins and authorizers of an ordinary cluster."""
    data, pki = state.data, state.pki
    words = [
        str(binaries.path("kube-apiserver")),
        f"--etcd-servers={data['etcd_url']}", f"--secure-port={data['api_port']}",
        f"--advertise-address={data['api_address']}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={state.dir / 'tokens.csv'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={data['service_range']}",
        "--authorization-mode=Node,RBAC", "--allow-privileged=true", "--profiling=false",
    ]
    if state.full:
        words += [
            "--bind-address=0.0.0.0", "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            "--kubelet-preferred-address-types=InternalIP",
        ]
    else:
        # Nothing creates service accounts here, so pods must be admitted without one.
        words += [
            "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount",
        ]
    if data.get("audit"):
        words += [
            f"--audit-policy-file={state.dir / 'audit-policy.json'}",
            f"--audit-log-path={state.logs / 'audit.log'}",
        ]
    return words + data.get("apiserver_flags", [])


def controller_manager(state):
    config, pki = state.dir / "controller-manager.kubeconfig", state.pki
    return [
        str(binaries.path("kube-controller-manager")), f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
        f"--service-account-private-key-file={pki / 'sa.key'}", f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true", "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def scheduler(state):
    config = state.dir / "scheduler.kubeconfig"
    return [
        str(binaries.path("kube-scheduler")), f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
        "--leader-elect=false", "--bind-address=127.0.0.1",
    ]


def write_credentials(state):
    """Certificates, tokens and kubeconfig files of everyone who talks to this API server."""
    pki, data = state.pki, state.data
    server = f"https://{data['api_address']}:{data['api_port']}"
    certs.make_authority(pki)
    certs.make_server(
        pki, "apiserver",
        ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
         "kubernetes.default.svc.cluster.local"],
        sorted({"127.0.0.1", data["api_address"], data["service_first"]}),
    )
    users = {"admin": ("gobuildenv-admin", ["system:masters"])}
    if state.full:
        node = data["node"]
        certs.make_client(pki, "apiserver-kubelet", "apiserver-kubelet", ["system:masters"])
        certs.make_server(pki, "kubelet-server", [node], [data["api_address"], "127.0.0.1"])
        users["controller-manager"] = ("system:kube-controller-manager", [])
        users["scheduler"] = ("system:kube-scheduler", [])
        users["kube-proxy"] = ("system:kube-proxy", [])
        users["kubelet"] = (f"system:node:{node}", ["system:nodes"])
    for name, (user, groups) in users.items():
        certs.make_client(pki, name, user, groups)
        kubeconfig.with_certificate(state.dir / f"{name}.kubeconfig", server, pki, name)
    token = secrets.token_hex(16)
    tokens = state.dir / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f'{token},gobuildenv-token-admin,token-admin,"system:masters"\n')
    kubeconfig.with_token(state.dir / "token.kubeconfig", server, pki, "token-admin", token)
    (state.dir / "audit-policy.json").write_text(
        '{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],'
        ' "rules": [{"level": "Metadata"}]}\n'
    )


def etcd_is_ready(state):
    """True when etcd answers. Only for a client that reaches it: api-only, or inside."""
    try:
        with urllib.request.urlopen(f"{state.data['etcd_url']}/health", timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False


def apiserver_is_ready(state):
    """True when /readyz answers 200 to the administrator."""
    context = ssl.create_default_context(cafile=str(state.pki / "ca.crt"))
    context.load_cert_chain(state.pki / "admin.crt", state.pki / "admin.key")
    connection = http.client.HTTPSConnection(
        state.data["api_address"], state.data["api_port"], timeout=3, context=context
    )
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
