#!/bin/sh
# shellcheck disable=SC2034  # what these functions set is read by the scripts they are put into
# Go versions in the shell, for the launcher and preflight.

# Sets gbe_rank to a number that orders versions of Go 1: "1.21" < "1.21rc2" < "1.21.0". 0: not one.
gbe_rank_of() {
  gbe_v=${1#go}
  gbe_rank=0
  case $gbe_v in 1.[0-9]*) gbe_v=${gbe_v#1.} ;; *) return 0 ;; esac
  gbe_minor=${gbe_v%%[!0-9]*}
  gbe_v=${gbe_v#"$gbe_minor"}
  case $gbe_v in
    .[0-9]*) gbe_v=${gbe_v#.} gbe_base=1000 ;;
    rc[0-9]*) gbe_v=${gbe_v#rc} gbe_base=500 ;;
    beta[0-9]*) gbe_v=${gbe_v#beta} gbe_base=1 ;;
    *) gbe_v=0 gbe_base=0 ;;
  esac
  gbe_v=${gbe_v%%[!0-9]*}
  gbe_rank=$((gbe_minor * 100000 + gbe_base + gbe_v))
}

# Sets gbe_go and gbe_toolchain_line to the versions in the `go` and `toolchain` lines of file $1.
gbe_read_mod() {
  gbe_go=
  gbe_toolchain_line=
  while read -r gbe_word gbe_value gbe_more || [ -n "$gbe_word" ]; do
    case $gbe_word in
      go) gbe_go=${gbe_value%%[!0-9a-z.]*} ;;
      toolchain) gbe_toolchain_line=${gbe_value%%[!0-9a-z.]*} ;;
      # The shell reads byte by byte; what follows is usually the long part.
      require*) [ -z "$gbe_go" ] || break ;;
    esac
  done <"$1"
  : "$gbe_more"
}

# Sets gbe_wants to the Go version that the module or workspace at directory $1 asks for, and
# gbe_file to the file that says so; both to nothing when there is none.
gbe_wanted() {
  gbe_wants=
  gbe_toolchain_line=
  case ${GOWORK-} in
    off) gbe_file= ;;
    '') gbe_find_up "$1" go.work ;;
    *) gbe_file=$GOWORK ;;
  esac
  [ -r "$gbe_file" ] || gbe_find_up "$1" go.mod
  if [ -r "$gbe_file" ]; then
    gbe_read_mod "$gbe_file"
    gbe_wants=$gbe_go
  fi
}
