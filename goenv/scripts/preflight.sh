#!/bin/sh
: gobuildenv preflight
# preflight.sh [-q] [-o text|json] [--go PROGRAM] [DIRECTORY]
#   Looks at the module or workspace of DIRECTORY (default: the current one) and at what `go` would
#   use there. Each finding has a code, a severity, a sentence and a fix.
#     -q            says nothing when there is nothing to say
#     --go PROGRAM  the go to ask, default: the one on PATH
#   Exit code: 0 no error found (warnings do not count), 1 errors found, 2 wrong usage.
#
# GBE001  go.mod or go.work asks for a newer Go
# GBE003  go.mod is written for Go 1.21 or newer and this Go cannot read it
# GBE010  cgo is on without a C compiler
# GBE030  a cache directory cannot be written
# GBE042  there is no go to ask
: @settings@
: @versions@

gbe_output=text
gbe_quiet=
gbe_tool=go
gbe_dir=
gbe_usage() {
  printf 'preflight: %s\nusage: preflight.sh [-q] [-o text|json] [--go PROGRAM] [DIRECTORY]\n' \
    "$1" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    -q) gbe_quiet=1 ;;
    -o)
      [ $# -ge 2 ] || gbe_usage '-o needs text or json'
      shift
      gbe_output=$1
      ;;
    --go)
      [ $# -ge 2 ] || gbe_usage '--go needs a program'
      shift
      gbe_tool=$1
      ;;
    -*) gbe_usage "unknown option $1" ;;
    *)
      [ -z "$gbe_dir" ] || gbe_usage "one directory, not also $1"
      gbe_dir=$1
      ;;
  esac
  shift
done
case $gbe_output in text | json) ;; *) gbe_usage "-o $gbe_output: write text or json" ;; esac
gbe_dir=$(cd -- "${gbe_dir:-.}" 2>/dev/null && pwd) || gbe_usage 'no such directory'

gbe_result=ok
gbe_findings=
gbe_json() {
  # Control characters never help a reader; the rest of JSON's escapes are these two.
  printf '%s' "$1" | tr '\001-\037' ' ' | sed 's/[\\"]/\\&/g'
}
# gbe_find CODE SEVERITY SENTENCE FIX
gbe_find() {
  [ "$2" != error ] || gbe_result=error
  if [ "$gbe_output" = json ]; then
    gbe_findings="$gbe_findings${gbe_findings:+,}{\"code\":\"$1\",\"severity\":\"$2\",\"message\":\"$(
      gbe_json "$3"
    )\",\"fix\":\"$(gbe_json "$4")\"}"
  else
    printf 'gobuildenv: %s %s: %s\n  fix: %s\n' "$1" "$2" "$3" "$4"
  fi
}

# Asked outside of any module: inside one, an old go refuses to answer at all.
if gbe_answer=$(cd / && GOWORK=off "$gbe_tool" env GOVERSION GOTOOLCHAIN CGO_ENABLED CC GOCACHE \
  GOMODCACHE GOPATH 2>&1); then
  {
    read -r gbe_running
    read -r gbe_switching
    read -r gbe_cgo_enabled
    read -r gbe_compiler
    read -r gbe_gocache
    read -r gbe_gomodcache
    read -r gbe_gopath
  } <<EOF
$gbe_answer
EOF

  gbe_wanted "$gbe_dir"
  gbe_rank_of "$gbe_running"
  # A version that is not a release's (devel …) is its user's business.
  gbe_has=$gbe_rank
  [ "$gbe_has" -ne 0 ] || gbe_has=999999999
  gbe_rank_of "$gbe_wants"
  case $gbe_switching in *auto | *path) gbe_has=999999999 ;; esac
  if [ "$gbe_has" -lt "$gbe_rank" ]; then
    gbe_find GBE001 error "$gbe_file asks for go $gbe_wants, this build has $gbe_running" \
      "set spec.toolchain.version of the GoBuildEnv to \"$gbe_wants\" or newer, or spec.toolchain.switching to AllowNewer"
  fi
  if [ "$gbe_has" -lt 2100000 ] && [ -n "$gbe_file" ]; then
    case ${gbe_wants#1.}${gbe_toolchain_line:+.} in
      *[!0-9]*)
        gbe_find GBE003 error "$gbe_file has a toolchain line or a go line with a patch number, which $gbe_running cannot read" \
          "set spec.toolchain.version to \"1.21\" or newer, or write the go line as \"go 1.N\" without a toolchain line"
        ;;
    esac
  fi

  if [ "$gbe_cgo_enabled" = 1 ]; then
    case $gbe_compiler in
      \'* | \"*) ;;
      *)
        if ! command -v "${gbe_compiler%% *}" >/dev/null 2>&1; then
          gbe_find GBE010 error "CGO_ENABLED=1, but the C compiler \"$gbe_compiler\" does not exist" \
            "install a compiler in the image, name one that exists in spec.cgo.cc, or set spec.cgo.policy to Disabled (now $gbe_cgo)"
        fi
        ;;
    esac
  fi

  for gbe_name in GOCACHE GOMODCACHE GOPATH; do
    case $gbe_name in
      GOCACHE) gbe_path=$gbe_gocache ;;
      GOMODCACHE) gbe_path=$gbe_gomodcache ;;
      *) gbe_path=${gbe_gopath%%:*} ;;
    esac
    if [ "$gbe_path" != off ] && { ! mkdir -p "$gbe_path" 2>/dev/null || [ ! -w "$gbe_path" ]; }; then
      gbe_find GBE030 error "$gbe_name=$gbe_path cannot be written by user $(id -u)" \
        "leave $gbe_name to the environment, or make the directory writable (securityContext.fsGroup)"
    fi
  done
else
  gbe_find GBE042 error "\"$gbe_tool env\" failed: $gbe_answer" \
    "put go on PATH, or set spec.toolchain.delivery to Volume so that the environment brings one"
fi

if [ "$gbe_output" = json ]; then
  printf '{"result":"%s","findings":[%s]}\n' "$gbe_result" "$gbe_findings"
elif [ "$gbe_result" = ok ] && [ -z "$gbe_quiet" ]; then
  printf 'gobuildenv: preflight: nothing found\n'
fi
[ "$gbe_result" = ok ]
