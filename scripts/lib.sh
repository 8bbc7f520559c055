# Sourced by the scripts beside it: where things are, and how progress is shown.
# shellcheck shell=bash
GBE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
GBE_CACHE=${GOBUILDENV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gobuildenv}
export GOBUILDENV_CACHE=$GBE_CACHE
# Compiled objects and built tools outlive the checkout.
export CCACHE_DIR=${CCACHE_DIR:-$GBE_CACHE/ccache} CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-8G}
# shellcheck disable=SC2034
GBE_JOBS=${GBE_JOBS:-$(nproc)}

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# step TITLE CMD…: runs CMD with its output in a log, prints the time it took, on the clock and of
# the processors; on failure the end of the log and its path.
step() {
  local title=$1 log start cpu TIMEFORMAT='%U %S' rc=0
  shift
  mkdir -p "$GBE_ROOT/build/logs"
  log=$GBE_ROOT/build/logs/$(printf '%s' "$title" | tr -cs 'A-Za-z0-9' '-').log
  start=$SECONDS
  printf '\033[1m==>\033[0m %-58s' "$title" >&2
  cpu=$({ time "$@" >"$log" 2>&1 </dev/null; } 2>&1) || rc=$?
  if [ "$rc" -ne 0 ]; then
    printf ' FAILED after %s s (exit %s)\n' $((SECONDS - start)) "$rc" >&2
    tail -n "${GBE_LOG_TAIL:-60}" "$log" >&2
    printf 'The whole log: %s\n' "$log" >&2
    FAILED_STEPS+=("$title" "$log")
    return "$rc"
  fi
  # The locale's decimal point is of no interest: whole seconds are.
  printf ' %4s s, %4s s of CPU\n' $((SECONDS - start)) \
    "$(awk -F '[^0-9]+' '{print $1 + $3}' <<<"$cpu")" >&2
}

# What failed and why, once more: a long run's end is what is read first.
FAILED_STEPS=()
sum_up_failures() {
  local i
  for ((i = 0; i < ${#FAILED_STEPS[@]}; i += 2)); do
    printf '\n\033[1m%s\033[0m failed (%s):\n' "${FAILED_STEPS[i]}" "${FAILED_STEPS[i + 1]}"
    # By the words of GoogleTest, unittest, compilers and sanitizers.
    grep -E -A 6 -e ': Failure$|^(FAIL|ERROR): |^[A-Za-z.]*Error\b|error:|Sanitizer: |\(Timeout\)' \
      "${FAILED_STEPS[i + 1]}" | head -n 40 || tail -n 10 "${FAILED_STEPS[i + 1]}"
  done
}

configure() { # PRESET [cmake arguments…]
  local preset=$1
  shift
  (cd "$GBE_ROOT" && cmake --preset "$preset" "$@")
}

build() { # PRESET [target…]
  local preset=$1
  shift
  cmake --build "$GBE_ROOT/build/$preset" -j "$GBE_JOBS" ${1+--target "$@"}
}

# Puts a Go that is new enough first on PATH: the machine's own, else one fetched into the cache.
use_go() {
  local go
  go=$("$GBE_ROOT/e2e/cluster/cluster" ensure-go) || return
  export PATH="${go%/*}:$PATH"
}
