#!/bin/sh
: gobuildenv launcher
# Stands where an image has its `go` and `gofmt` and runs the declared toolchain with the declared
# settings, for this process and its children only. It starts no program of its own on the usual
# path: every build pays for each one.
#
# Who wins, for each declared variable:
#   1. GOBUILDENV_KEEP names it: the container declared it itself, its value stays.
#   2. Under Enforce, else: the declared value.
#   3. It is unset or empty: the declared value.
#   4. Conda was activated and our hook did not run after it (CONDA_PREFIX is set, and
#      GOBUILDENV_ACTIVE is not the same): the value may be what a package's activation script
#      exported, so the declared one wins. To insist there: GOBUILDENV_KEEP=NAME NAME=value go …
#   5. Otherwise nobody but the build's author can have changed it since admission or since our
#      hook, both of which set the declared value: the author's wins (CGO_ENABLED=1 go build).
# Variables that other programs read too (CC, HTTP_PROXY, …) are not set at admission. For these,
# 5 asks instead whether the value is still the one that conda had exported when our hook looked
# (GOBUILDENV_SAW_NAME) or that the container started with (/proc/1/environ): then the declared
# one wins.
#
# GOBUILDENV_BYPASS=1 runs the next go on PATH with nothing changed, except under Enforce.
# Exit code 78: there is no toolchain, with the reason.
: @settings@

gbe_name=${0##*/}
gbe_say() { printf 'gobuildenv: %s\n' "$*" >&2; }

if [ "${GOBUILDENV_BYPASS-}" = 1 ] && [ "$gbe_enforcement" = Prefer ]; then
  gbe_rest=$PATH:
  while [ -n "$gbe_rest" ]; do
    gbe_tool=${gbe_rest%%:*}
    gbe_tool=${gbe_tool:-.}/$gbe_name
    gbe_rest=${gbe_rest#*:}
    [ -f "$gbe_tool" ] && [ -x "$gbe_tool" ] || continue
    gbe_line=
    # Told by its second line: the same launcher may be mounted at several places of PATH.
    { IFS= read -r gbe_line && IFS= read -r gbe_line; } <"$gbe_tool" 2>/dev/null || gbe_line=
    [ "$gbe_line" = ': gobuildenv launcher' ] || exec "$gbe_tool" "$@"
  done
  gbe_say "GOBUILDENV_BYPASS=1, but PATH holds no other $gbe_name;" \
    "the declared one is $gbe_toolchain/bin/$gbe_name"
  exit 127
fi

gbe_goroot=$gbe_toolchain
if [ -r "$gbe_toolchain/.gobuildenv-unavailable" ] || [ ! -x "$gbe_toolchain/bin/$gbe_name" ]; then
  gbe_line="$gbe_toolchain holds no bin/$gbe_name"
  [ ! -r "$gbe_toolchain/.gobuildenv-unavailable" ] ||
    IFS= read -r gbe_line <"$gbe_toolchain/.gobuildenv-unavailable" || :
  gbe_say "GBE040 go$gbe_version is not available on this node: $gbe_line"
  exit 78
fi
[ "$gbe_name" = go ] || exec "$gbe_goroot/bin/$gbe_name" "$@"

# The author's values count (rule 5).
gbe_author=
gbe_keep=
if [ "$gbe_enforcement" = Prefer ]; then
  gbe_keep=${GOBUILDENV_KEEP-}
  if [ -z "${CONDA_PREFIX-}" ] || [ "${GOBUILDENV_ACTIVE-}" = "$CONDA_PREFIX" ]; then
    gbe_author=1
  fi
fi

gbe_put() { if [ -n "$2" ]; then export "$1=$2"; else unset "$1"; fi; }

# One declared variable that Go alone reads.
go_var() {
  case ",$gbe_keep," in *",$1,"*) return 0 ;; esac
  eval "gbe_now=\${$1-}"
  if [ -z "$gbe_now" ] || [ -z "$gbe_author" ]; then gbe_put "$1" "$2"; fi
}

: @shared@

unset GOROOT
: @declared@

: @versions@

# Where the command works: `go -C dir` and `go build -C dir` change directory first.
gbe_dir=$PWD
case ${1-} in -C) gbe_dir=${2-.} ;; -C=*) gbe_dir=${1#-C=} ;; esac
case ${2-} in -C) gbe_dir=${3-.} ;; -C=*) gbe_dir=${2#-C=} ;; esac
case $gbe_dir in /*) ;; *) gbe_dir=$PWD/$gbe_dir ;; esac

# With a mounted toolchain the choice has been made. The name of the version, set at admission, is
# for a `go` that no launcher covers.
case ${GOTOOLCHAIN-} in
  "go$gbe_version" | "go$gbe_version+auto" | "") export GOTOOLCHAIN=local ;;
esac
: @newer@

: @compiler@

case ${1-} in
  build | install | run | test | vet)
    : @preflight@
    if [ "${gbe_compiler-1}${gbe_checked-}" = 0 ]; then
      gbe_say "GBE010 CGO_ENABLED=1, but there is no C compiler:" \
        "CC='${CC-}', and PATH holds no gcc, clang or cc"
    fi
    ;;
esac

exec "$gbe_goroot/bin/go" "$@"
