#!/bin/sh
# shellcheck disable=SC2034  # what this sets is read by the scripts it is put into
# Sets gbe_file to the nearest file $2 in directory $1 or above, or to nothing.
gbe_find_up() {
  gbe_up=$1
  gbe_file=
  while :; do
    if [ -f "$gbe_up/$2" ]; then
      gbe_file=$gbe_up/$2
      return 0
    fi
    case $gbe_up in */*) gbe_up=${gbe_up%/*} ;; *) return 0 ;; esac
  done
}
