"""Versions in one place. Kubernetes' and etcd's are read from the go.mod they are built from."""

import re

from .errors import ClusterError
from .paths import CLUSTER_DIR

# The Go that builds the cluster's programs when the machine has none that is new enough.
BUILD_GO = "1.24.11"
# The oldest Go that the go.mod files under binaries/ accept.
OLDEST_BUILD_GO = (1, 24, 0)
# The go inside the conda-like test image, and the toolchains which pods may switch to.
IMAGE_GO = "1.21.13"
SWITCH_GO = ("1.22.3",)


def toolchain_module(go_version):
    """The module query of a Go toolchain for this kind of machine, e.g. for "1.22.3"."""
    return f"golang.org/toolchain@v0.0.1-go{go_version}.linux-amd64"


def required(product, module):
    """The version of `module` that binaries/<product>/go.mod requires, e.g. "v1.34.4"."""
    text = (CLUSTER_DIR / "binaries" / product / "go.mod").read_text()
    found = re.search(rf"^(?:require\s+|\t){re.escape(module)}\s+(v\S+)", text, re.MULTILINE)
    if not found:
        raise ClusterError(f"binaries/{product}/go.mod does not require {module}")
    return found.group(1)


def kubernetes():
    return required("kubernetes", "k8s.io/kubernetes")


def etcd():
    return required("etcd", "go.etcd.io/etcd/server/v3")
