# What deploy/local's commands share. Sourced by bash; sets `root`, `bin` and `VIGIL_HOME`.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${VIGIL_BIN:-$root/build/release/bin}
export VIGIL_HOME=${VIGIL_HOME:-$PWD/.vigil}
[[ $VIGIL_HOME == /* ]] || VIGIL_HOME=$PWD/$VIGIL_HOME

# zh or en: from the locale, else zh.
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in
  en*) language=en ;;
  *) language=zh ;;
esac

# say <zh> <en>: one line, in the chosen language.
say() { if [[ $language == zh ]]; then printf '%s\n' "$1"; else printf '%s\n' "$2"; fi; }
complain() { printf '%s: ' "${0##*/}" >&2; say "$1" "$2" >&2; }
# die <zh> <en>: refused or failed.
die() { complain "$1" "$2"; exit 1; }
# wrong_usage <zh> <en>
wrong_usage() { complain "$1" "$2"; exit 2; }

choose_language() {
  case "$1" in
    zh | en) language=$1 ;;
    *) wrong_usage "--lang 只能是 zh 或 en" "--lang is zh or en" ;;
  esac
}

# need_space <directory> <MiB> <for what, zh> <for what, en>
need_space() {
  local directory=$1 free
  while [[ ! -d $directory ]]; do directory=$(dirname "$directory"); done
  free=$(($(df -Pk "$directory" | awk 'NR==2 {print $4}') / 1024))
  ((free >= $2)) || die "磁盘空间不足：$directory 只剩 ${free} MiB，$3需要约 $2 MiB" "disk full: ${free} MiB free in $directory, $4 needs about $2 MiB"
}

# Builds the release programs, showing progress. VIGIL_SKIP_BUILD=1, or programs elsewhere (VIGIL_BIN), build nothing.
build_release() {
  [[ ${VIGIL_SKIP_BUILD:-} == 1 || -n ${VIGIL_BIN:-} ]] && return
  [[ -x $bin/vigil-installation ]] || {
    need_space "$root" 2048 "编译" "building"
    say "首次编译需要几分钟。" "The first build takes some minutes."
  }
  local log
  log=$(mktemp)
  if ! (cd "$root" && cmake --preset release) >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "cmake 配置失败" "cmake could not configure the build"
  fi
  rm -f "$log"
  (cd "$root" && cmake --build --preset release --target programs "$@") || {
    need_space "$root" 64 "编译" "building"
    die "编译失败，原因见上" "the build failed; the reason is above"
  }
}

# Whether the directory is one that `vigil-installation init` made.
is_vigil_home() {
  [[ -f $1/installation.json && -d $1/secrets && -d $1/nats && -d $1/run ]] && grep -q '"stream_max_bytes"' "$1/installation.json"
}
