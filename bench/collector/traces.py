"""Which units go first: plain LRU against GreedyDual-Size-Frequency, on recorded builds.

Recorded: for each project below, at several versions, what one `go build` used, by the collector's
own probe (the access time of each module's ziphash), and what each module takes on disk. Replayed:
CI traffic made of those builds, through a cache with a limit; a miss costs a fetch.
"""

import os
import random
import shutil
import subprocess

# Public projects of several kinds, at versions that share a part of their dependencies.
PROJECTS = {
    "github.com/spf13/cobra": ["v1.7.0", "v1.8.0", "v1.8.1"],
    "github.com/gin-gonic/gin": ["v1.9.0", "v1.9.1", "v1.10.0"],
    "github.com/labstack/echo/v4": ["v4.11.4", "v4.12.0"],
    "github.com/prometheus/client_golang/prometheus": ["v1.18.0", "v1.19.0", "v1.20.0"],
    "go.uber.org/zap": ["v1.26.0", "v1.27.0"],
    "github.com/go-chi/chi/v5": ["v5.0.12", "v5.1.0"],
    "github.com/redis/go-redis/v9": ["v9.4.0", "v9.5.1"],
    "github.com/nats-io/nats.go": ["v1.31.0", "v1.34.0"],
    "github.com/spf13/viper": ["v1.17.0", "v1.18.2"],
    "github.com/jackc/pgx/v5": ["v5.5.0", "v5.5.5"],
    "google.golang.org/grpc": ["v1.60.0", "v1.62.0"],
    "github.com/aws/aws-sdk-go-v2/config": ["v1.26.0", "v1.27.0"],
}
ROUND_TRIP = 0.1            # seconds
THROUGHPUT = 20 << 20       # bytes a second, fetch and extraction


def module_of(package):
    return "github.com/prometheus/client_golang" if package.endswith("/prometheus") else package


def record(call, base):
    """→ (builds: list of lists of units, sizes: unit → bytes)."""
    cache = base / "mod"
    env = {**os.environ, "GOMODCACHE": str(cache), "GOCACHE": str(base / "gocache"),
           "GOFLAGS": "-mod=mod", "GOENV": os.environ.get("GOENV", ""), "GOTOOLCHAIN": "auto",
           "CGO_ENABLED": "0"}
    builds, sizes = [], {}
    for package, versions in PROJECTS.items():
        for version in versions:
            work = base / "work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            (work / "main.go").write_text(f'package main\n\nimport _ "{package}"\n\nfunc main() {{}}\n')
            try:
                for command in (["mod", "init", "example.com/t"],
                                ["get", f"{module_of(package)}@{version}"], ["build", "-o", "out", "."]):
                    subprocess.run(["go", *command], cwd=work, env=env, check=True,
                                   capture_output=True, text=True, timeout=600)
                before = call("arm", cache)
                subprocess.run(["go", "build", "-o", "out", "."], cwd=work, env=env, check=True,
                               capture_output=True, text=True, timeout=600)
            except subprocess.CalledProcessError as error:
                print(f"  {package}@{version}: left out: {error.stderr.strip().splitlines()[-1:]}")
                continue
            after = call("modules", cache)
            used = [u for u, unit in after.items() if unit["used"] != before[u]["used"]]
            for unit in used:
                sizes[unit] = max(sizes.get(unit, 0), after[unit]["bytes"])
            builds.append(used)
    return builds, sizes


def traffic(builds, length, seed):
    """Builds as CI asks for them: few projects make most of them, and favourites change."""
    chance = random.Random(seed)
    order = list(range(len(builds)))
    for step in range(length):
        if step % 50 == 0:
            chance.shuffle(order)
        rank = min(int(chance.paretovariate(0.9)) - 1, len(order) - 1)
        yield builds[order[rank]]


def cost(size):
    return ROUND_TRIP + size / THROUGHPUT


def replay(steps, sizes, limit, policy):
    """→ (seconds of fetching, bytes fetched, misses)."""
    held, credit, uses, inflation, total = {}, {}, {}, 0.0, 0
    seconds = fetched = misses = 0
    for time, used in enumerate(steps):
        for unit in used:
            if unit not in held:
                misses += 1
                seconds += cost(sizes[unit])
                fetched += sizes[unit]
                total += sizes[unit]
                uses[unit] = 0
            held[unit] = time
            uses[unit] += 1
            credit[unit] = inflation + uses[unit] * cost(sizes[unit]) / max(sizes[unit] / 2**20, 1 / 256)
        running = set(used)
        while total > limit:
            free = [u for u in held if u not in running]
            if not free:
                break
            if policy == "lru":
                victim = min(free, key=lambda u: (held[u], u))
            else:
                victim = min(free, key=lambda u: (credit[u], held[u], u))
                inflation = max(inflation, credit[victim])
            total -= sizes[victim]
            del held[victim], credit[victim], uses[victim]
    return seconds, fetched, misses


def report(call, base, scale):
    builds, sizes = record(call, base)
    whole = sum(sizes.values())
    length = max(100, int(2000 * scale))
    yield f"{len(builds)} builds recorded, {len(sizes)} module versions, {whole >> 20} MiB; {length} builds replayed"
    yield f"{'limit':>6} {'LRU: s':>9} {'MiB':>8} {'misses':>7} {'GDSF: s':>9} {'MiB':>8} {'misses':>7} {'s ratio':>8}"
    for percent in (20, 35, 50, 65, 80):
        sums = {"lru": [0, 0, 0], "gdsf": [0, 0, 0]}
        for seed in range(5):
            steps = list(traffic(builds, length, seed))
            for policy, into in sums.items():
                for i, value in enumerate(replay(steps, sizes, whole * percent // 100, policy)):
                    into[i] += value / 5
        lru, gdsf = sums["lru"], sums["gdsf"]
        yield (f"{percent:>5}% {lru[0]:>9.0f} {lru[1] / 2**20:>8.0f} {lru[2]:>7.0f}"
               f" {gdsf[0]:>9.0f} {gdsf[1] / 2**20:>8.0f} {gdsf[2]:>7.0f} {gdsf[0] / lru[0]:>8.2f}")
