"""kubeconfig files with everything inline, so that one file can be copied anywhere."""

import base64
import json


def _inline(path):
    return base64.b64encode(path.read_bytes()).decode()


def write(path, server, pki, user, credentials):
    """Write a kubeconfig (as JSON, which is YAML) for `server` with these user credentials."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "gobuildenv",
            "cluster": {
                "server": server,
                "certificate-authority-data": _inline(pki / "ca.crt"),
            },
        }],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{
            "name": "gobuildenv",
            "context": {"cluster": "gobuildenv", "user": user},
        }],
        "current-context": "gobuildenv",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def with_certificate(path, server, pki, name):
    """A kubeconfig that uses the client certificate <name>.crt."""
    write(path, server, pki, name, {
        "client-certificate-data": _inline(pki / f"{name}.crt"),
        "client-key-data": _inline(pki / f"{name}.key"),
    })


def with_token(path, server, pki, name, token):
    """A kubeconfig that uses a bearer token."""
    write(path, server, pki, name, {"token": token})
