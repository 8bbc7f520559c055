#!/bin/sh
# The C compiler, where the policy is not Disabled. A CC that is not there (conda's builds of Go have
# the name of one baked in) is dropped for the declared one, else for the first of gcc, which go.env
# names, clang and cc. gbe_compiler is 0 when there is none.

# Whether the first word of compiler command $1 is a program.
gbe_usable() {
  case $1 in
    '') return 1 ;;
    \'* | \"*) return 0 ;;
  esac
  set -- "${1%% *}"
  case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

gbe_compiler=1
if [ "${CGO_ENABLED-}" != 0 ]; then
  # A compiler that is not there helps nobody; without it Go takes go.env's.
  case ",$gbe_keep," in *,CC,*) ;; *) gbe_usable "${CC-}" || gbe_put CC "$gbe_cc" ;; esac
  case ",$gbe_keep," in *,CXX,*) ;; *) gbe_usable "${CXX-}" || gbe_put CXX "$gbe_cxx" ;; esac
  if [ -n "${CC-}" ]; then
    gbe_usable "$CC" || gbe_compiler=0
  elif ! gbe_usable gcc; then
    gbe_compiler=0
    for gbe_try in clang cc; do
      if gbe_usable "$gbe_try"; then
        export CC="$gbe_try"
        gbe_compiler=1
        break
      fi
    done
    if [ "${CC-}" = clang ] && [ -z "${CXX-}" ] && gbe_usable clang++; then
      export CXX=clang++
    fi
  fi
  if [ -z "${CGO_ENABLED-}" ] && [ "$gbe_cgo" = Auto ]; then
    # Go turns cgo off by itself when it builds for another platform.
    if [ "${GOOS:-linux}" = linux ] &&
      { [ -z "${GOARCH-}" ] || [ -d "$gbe_goroot/pkg/tool/linux_$GOARCH" ]; }; then
      export CGO_ENABLED="$gbe_compiler"
    fi
    gbe_compiler=1
  fi
fi
