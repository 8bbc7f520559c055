"""The development cluster: everything behind the command e2e/cluster/cluster.

Only the standard library of Debian 12's Python is used. Nothing in here knows the operator: the
cluster is the ground on which it is tested.
"""
