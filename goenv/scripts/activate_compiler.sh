#!/bin/sh
# The C compiler, where the policy is not Disabled.

__gbe_usable() {
  case $1 in
    '') return 1 ;;
    \'* | \"*) return 0 ;;
    /*) [ -f "${1%% *}" ] && [ -x "${1%% *}" ] ;;
    *) command -v "${1%% *}" >/dev/null 2>&1 ;;
  esac
}

# Drops compiler variable $1, whose value is $2, if it names no program.
__gbe_drop() {
  case ",$__gbe_keep," in *",$1,"*) return 0 ;; esac
  [ -z "$2" ] || __gbe_usable "$2" || __gbe_put "$1" ""
}

__gbe_drop CC "${CC-}"
__gbe_drop CXX "${CXX-}"
if [ -z "${CC-}" ] && ! __gbe_usable gcc; then
  __gbe_name=
  if __gbe_usable clang; then __gbe_name=clang; elif __gbe_usable cc; then __gbe_name=cc; fi
  if [ -n "$__gbe_name" ]; then
    # With a launcher it is the launcher that points go at it.
    [ "$__gbe_delivery" = Volume ] || __gbe_put CC "$__gbe_name"
  elif [ "$__gbe_cgo" = Auto ] && [ -z "${CGO_ENABLED-}" ]; then
    __gbe_put CGO_ENABLED 0
  fi
fi
unset __gbe_cgo
unset -f __gbe_usable __gbe_drop
