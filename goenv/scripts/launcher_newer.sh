#!/bin/sh
# switching: AllowNewer with a mounted toolchain. The volume may hold newer ones beside the declared
# one, as .newer/goX.Y.Z/: the oldest that satisfies go.work or go.mod is taken, as Go itself would
# take the version these name and nothing newer. With none, Go reports what it misses.
if [ -d "$gbe_toolchain/.newer" ] && [ "${GOTOOLCHAIN-}" = local ]; then
  gbe_wanted "$gbe_dir"
  gbe_rank_of "$gbe_version"
  gbe_least=$gbe_rank
  for gbe_try in "$gbe_wants" "$gbe_toolchain_line"; do
    gbe_rank_of "$gbe_try"
    [ "$gbe_rank" -le "$gbe_least" ] || gbe_least=$gbe_rank gbe_switch=1
  done
  gbe_best=
  for gbe_try in "$gbe_toolchain/.newer/go1."*; do
    [ "${gbe_switch-}" = 1 ] && [ -x "$gbe_try/bin/go" ] || continue
    gbe_rank_of "${gbe_try##*/}"
    if [ "$gbe_rank" -ge "$gbe_least" ] && [ "$gbe_rank" -lt "${gbe_best:-999999999}" ]; then
      gbe_best=$gbe_rank
      gbe_goroot=$gbe_try
    fi
  done
fi
