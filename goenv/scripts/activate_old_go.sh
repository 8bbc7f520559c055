#!/bin/sh
# delivery: Download, with an image whose go cannot switch.
if [ -z "$__gbe_again" ] && command -v go >/dev/null 2>&1; then
  # Older ones do not know GOTOOLCHAIN and build with what they are.
  __gbe_own=$(GOTOOLCHAIN=local go version 2>/dev/null || :)
  case $__gbe_own in
    *' go1.'[0-9] | *' go1.'[0-9][!0-9]* | *' go1.1'[0-9]* | *' go1.20' | *' go1.20'[!0-9]*)
      printf '%s\n' "gobuildenv: GBE041 the image's go is too old to switch to" \
        "  go$__gbe_version: \"$__gbe_own\"; delivery Download needs go1.21 or newer" >&2
      ;;
  esac
fi
unset __gbe_version
