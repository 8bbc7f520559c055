"""Addresses of a full cluster: one free block of 1024 per cluster, reachable from this machine.

    block + 0.0/24   the cable between this machine (.1) and the cluster's node (.2)
    block + 1.0/24   pods
    block + 2.0/24   services

The cluster has no default route: nothing in it reaches further than this machine.
"""

import ipaddress
import json

from .errors import ClusterError
from .run import run

_POOL = ipaddress.ip_network("10.250.0.0/16")


def choose(taken):
    """A free block and cable name, given the blocks that recorded clusters hold."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    busy = [ipaddress.ip_network(block) for block in taken]
    for route in routes:
        destination = route.get("dst", "default")
        if destination != "default":
            busy.append(ipaddress.ip_network(destination, strict=False))
    links = {link["ifname"] for link in json.loads(run(["ip", "-json", "link", "show"]))}
    for number, block in enumerate(_POOL.subnets(new_prefix=22)):
        # A wide route (10.0.0.0/8 of a company network) is no clash: ours is more specific.
        clash = any(block.overlaps(other) and other.prefixlen > 16 for other in busy)
        if not clash and f"gbe{number}" not in links:
            return describe(block, f"gbe{number}")
    raise ClusterError(
        f"no free addresses are left in {_POOL}",
        "take clusters down with `e2e/cluster/cluster down --all`",
    )


def describe(block, cable):
    """The parts of an address block, as they are kept in the cluster's record."""
    link, pods, services, _ = block.subnets(new_prefix=24)
    return {
        "block": str(block), "cable": cable,
        "host": str(link[1]), "node": str(link[2]), "link_prefix": link.prefixlen,
        "pods": str(pods), "services": str(services), "services_first": str(services[1]),
    }


def connect(net, keeper_pid, owner):
    """Lay the cable between this machine and the namespace, and the routes over it.

    `owner` becomes the device's alias, so that `ip link` tells whose it is.
    """
    run(["ip", "link", "add", net["cable"], "type", "veth",
         "peer", "name", "eth0", "netns", str(keeper_pid)])
    inside = ["nsenter", f"--target={keeper_pid}", "--net", "--"]
    run(["ip", "address", "add", f"{net['host']}/{net['link_prefix']}", "dev", net["cable"]])
    run(["ip", "link", "set", net["cable"], "alias", owner[:250], "up"])
    run([*inside, "ip", "address", "add", f"{net['node']}/{net['link_prefix']}", "dev", "eth0"])
    run([*inside, "ip", "link", "set", "eth0", "up"])
    # Service addresses are rewritten by kube-proxy, but only after a route was found for them.
    run([*inside, "ip", "route", "add", net["services"], "dev", "eth0"])
    for part in ("pods", "services"):
        run(["ip", "route", "add", net[part], "via", net["node"], "dev", net["cable"]])


def disconnect(owner):
    """Remove the owner's cable if it is still there; with it go its addresses and routes.

    The kernel removes it too, some time after the namespace at its other end has died, so it may
    vanish between the look and the removal.
    """
    for name in _cables(owner):
        try:
            run(["ip", "link", "delete", name])
        except ClusterError:
            if name in _cables(owner):
                raise


def _cables(owner):
    links = json.loads(run(["ip", "-json", "link", "show"]))
    return [link["ifname"] for link in links if link.get("ifalias") == owner[:250]]
