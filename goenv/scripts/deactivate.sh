#!/bin/sh
: gobuildenv deactivation hook
# Sourced by conda before the other scripts of deactivate.d (the order is reversed). Restores what
# the activation hook has saved.
__gbe_was=
__gbe_back() {
  eval "__gbe_was=\"\${GOBUILDENV_SAVED_$1-none}\""
  case $__gbe_was in
    none) ;;
    '='*) export "$1=${__gbe_was#?}" ;;
    *) unset "$1" ;;
  esac
  unset "GOBUILDENV_SAVED_$1" "GOBUILDENV_SAW_$1"
}
if [ -n "${GOBUILDENV_ACTIVE-}" ]; then
  : @names@
fi
unset GOBUILDENV_ACTIVE __gbe_was
unset -f __gbe_back
