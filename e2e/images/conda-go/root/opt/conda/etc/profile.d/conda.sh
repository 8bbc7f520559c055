# A small `conda` for tests: `conda activate [NAME]` and `conda deactivate`, with the effects on the
# shell that matter to hooks. Order of activation: variables of etc/conda/env_vars.d, then the
# scripts of activate.d by name. Source this file; it works in dash and bash.

_conda_variables() {
  for _conda_file in "$CONDA_PREFIX"/etc/conda/env_vars.d/*.json; do
    [ -f "$_conda_file" ] || continue
    eval "$(sed -n 's/^ *"\([A-Za-z_][A-Za-z0-9_]*\)": *"\([^"'\'']*\)",\{0,1\} *$/export \1='\''\2'\''/p' \
      "$_conda_file")"
  done
}

_conda_scripts() {
  for _conda_file in "$CONDA_PREFIX/etc/conda/$1"/*.sh; do
    [ -f "$_conda_file" ] && . "$_conda_file"
  done
  return 0
}

conda() {
  case "$1" in
    activate)
      CONDA_DEFAULT_ENV="${2:-base}"
      if [ "$CONDA_DEFAULT_ENV" = base ]; then
        CONDA_PREFIX=/opt/conda
      else
        CONDA_PREFIX="/opt/conda/envs/$CONDA_DEFAULT_ENV"
      fi
      if [ ! -d "$CONDA_PREFIX" ]; then
        echo "conda: no environment named $CONDA_DEFAULT_ENV" >&2
        return 1
      fi
      PATH="$CONDA_PREFIX/bin:$PATH"
      export PATH CONDA_PREFIX CONDA_DEFAULT_ENV
      _conda_variables
      _conda_scripts activate.d
      ;;
    deactivate)
      _conda_scripts deactivate.d
      PATH="${PATH#"$CONDA_PREFIX"/bin:}"
      export PATH
      unset CONDA_PREFIX CONDA_DEFAULT_ENV
      ;;
    *)
      echo "conda: only activate and deactivate are here, not '$1'" >&2
      return 2
      ;;
  esac
}
