"""The measurements, in the order of the table. Each has run(bench) and adds records to it."""
from . import admission, dryrun, idle, pods, scale, start

ALL = {"admission": admission, "dryrun": dryrun, "start": start, "idle": idle, "scale": scale,
       "pods": pods}
