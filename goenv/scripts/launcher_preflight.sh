#!/bin/sh
# Preflight at the first build of a module: at the pod's start most CI systems have not checked
# anything out. Remembered in the pod's own GOPATH by the checksum of go.mod.
gbe_find_up "$gbe_dir" go.mod
if [ -n "$gbe_file" ]; then
  gbe_stamp=$(cksum <"$gbe_file")
  gbe_stamp=${GOPATH:-/tmp}/.gobuildenv/preflight-${gbe_stamp% *}-${gbe_stamp#* }-${CGO_ENABLED-}
  if [ ! -e "$gbe_stamp" ]; then
    gbe_checked=1
    if ! sh "$gbe_files/preflight.sh" -q --go "$gbe_goroot/bin/go" "$gbe_dir" >&2 &&
      [ "$gbe_preflight" = Require ]; then
      gbe_say 'preflight found errors and this environment requires it to pass'
      exit 1
    fi
    { mkdir -p "${gbe_stamp%/*}" && : >"$gbe_stamp"; } 2>/dev/null || :
  fi
fi
