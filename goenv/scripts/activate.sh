#!/bin/sh
: gobuildenv activation hook
# Sourced by conda after every other script of activate.d (they run in the order of their names),
# in whatever POSIX-like shell, also under `set -eu`. Brings back the declared values that conda's
# scripts have replaced, and keeps what it changes for the deactivation hook.
#
# What deactivation restores: the value found here. But where go-activation has run (told by its
# GOFLAGS), CGO_ENABLED, GOFLAGS, GOOS and GOARCH are its own, and it leaves them behind: then the
# pod's values are restored, as the container started with them (/proc/1/environ), else as declared.
#
# cgo. Disabled: CGO_ENABLED=0 and nothing else, CC is Python's. Otherwise a CC or CXX that does not
# exist is dropped, whom would it help; one that exists stays as it is. Auto: CGO_ENABLED=0 without
# a compiler, else unset, for Go's own rule also turns cgo off for another platform.
: @settings@

# Activated again without a deactivation between: what was there has been saved already.
__gbe_again=${GOBUILDENV_ACTIVE:+1}
__gbe_keep=
[ "$__gbe_enforcement" != Prefer ] || __gbe_keep=${GOBUILDENV_KEEP-}
__gbe_nl='
'
__gbe_junk=
__gbe_pod=
case ${GOFLAGS-} in
  *-modcacherw*-buildmode=pie*)
    __gbe_junk=1
    __gbe_pod=$__gbe_nl$({ tr '\000' '\n' </proc/1/environ; } 2>/dev/null || :)$__gbe_nl
    # Another container's process 1 (a shared process namespace) says nothing about this one.
    case $__gbe_pod in *"${__gbe_nl}GOENV=$__gbe_goenv$__gbe_nl"*) ;; *) __gbe_pod= ;; esac
    ;;
esac

# Whether process 1 has $1; its value is then in __gbe_own.
__gbe_pod_has() {
  case $__gbe_pod in *"$__gbe_nl$1="*) ;; *) return 1 ;; esac
  __gbe_own=${__gbe_pod#*"$__gbe_nl$1="}
  __gbe_own=${__gbe_own%%"$__gbe_nl"*}
}

# (Quotes inside eval are for zsh, to which an unquoted =word is a command's path.)
# Makes $1 be $2, or unset for nothing; $3, with a leading =, is what to restore instead of what is
# there now ("-": unset).
__gbe_put() {
  eval "__gbe_was=\"\${$1+=}\${$1-}\""
  if [ "$__gbe_was" != "${2:+=}$2" ]; then
    if [ -n "$2" ]; then export "$1=$2"; else unset "$1"; fi
  fi
  if [ -n "${3-}" ]; then __gbe_was=${3#-}; fi
  if [ -z "$__gbe_again" ] && [ "$__gbe_was" != "${2:+=}$2" ]; then
    # The second change of one variable does not replace what the first has saved.
    eval "__gbe_own=\"\${GOBUILDENV_SAVED_$1+saved}\""
    [ -n "$__gbe_own" ] || export "GOBUILDENV_SAVED_$1=$__gbe_was"
  fi
}

# One declared variable.
__gbe_set() {
  __gbe_restore=
  if [ -n "$__gbe_junk" ]; then
    case $1 in
      CGO_ENABLED | GOFLAGS)
        if __gbe_pod_has "$1"; then __gbe_restore="=$__gbe_own"; else __gbe_restore="=$2"; fi
        ;;
    esac
  fi
  case ",$__gbe_keep," in
    *",$1,"*)
      # The container's own, which conda has just replaced.
      if [ -n "$__gbe_restore" ] && __gbe_pod_has "$1"; then
        __gbe_put "$1" "$__gbe_own" "=$__gbe_own"
      fi
      return 0
      ;;
  esac
  __gbe_put "$1" "$2" "$__gbe_restore"
}

# Notes what conda has made of a variable that the launcher will set for go alone.
__gbe_saw() {
  eval "__gbe_was=\"\${$1-}\""
  [ -z "$__gbe_was" ] || export "GOBUILDENV_SAW_$1=$__gbe_was"
}

if [ -n "$__gbe_junk" ]; then
  for __gbe_name in GOOS GOARCH; do
    if __gbe_pod_has "$__gbe_name"; then
      __gbe_put "$__gbe_name" "$__gbe_own" "=$__gbe_own"
    else
      __gbe_put "$__gbe_name" "" -
    fi
  done
fi
: @declared@

: @compiler@
: @old_go@

export GOBUILDENV_ACTIVE="${CONDA_PREFIX:-1}"
unset __gbe_again __gbe_keep __gbe_nl __gbe_junk __gbe_pod __gbe_own __gbe_was __gbe_restore \
  __gbe_name __gbe_enforcement __gbe_goenv __gbe_delivery
unset -f __gbe_pod_has __gbe_put __gbe_set __gbe_saw
