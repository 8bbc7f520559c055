#!/bin/sh
# Variables that other programs read too, in the launcher: see its rule 5.

# The value of $1 that the container started with, or nothing.
gbe_at_start() {
  { tr '\000' '\n' </proc/1/environ; } 2>/dev/null | while IFS= read -r gbe_line; do
    case $gbe_line in "$1="*) printf '%s' "${gbe_line#*=}" && break ;; esac
  done
}

# One declared variable that other programs read too.
shared_var() {
  case ",$gbe_keep," in *",$1,"*) return 0 ;; esac
  gbe_saw=
  eval "gbe_now=\${$1-} gbe_saw=\${GOBUILDENV_SAW_$1-}"
  if [ -z "$gbe_now" ] || [ -z "$gbe_author" ] || [ "$gbe_now" = "$gbe_saw" ] ||
    { [ "$gbe_now" != "$2" ] && [ "$gbe_now" = "$(gbe_at_start "$1")" ]; }; then
    gbe_put "$1" "$2"
  fi
}
