#!/usr/bin/env bash
# Every proxy that can be had here, once: what is there already stays, what fails is named and left out. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

newer=forky
dir=$(realpath -m "${PEERS_DIR:-target/peers}")
own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

get() {
  local result=$1 seconds=$2
  shift 2
  if [ -e "$dir/$result" ]; then
    echo "peers: $result is here"
  elif timeout "$seconds" "$@" >"$dir/log" 2>&1; then
    echo "peers: $result"
  else
    echo "peers: $result cannot be had: $(tail -n 1 "$dir/log")" >&2
    rm -rf "${dir:?}/$result"
  fi
}

mkdir -p "$dir"
get "$own" 300 benches/peers/unpack.sh "$own"
get "$newer" 300 benches/peers/unpack.sh "$newer"
get haproxy-awslc-trixie 900 benches/peers/haproxy-awslc.sh trixie
get envoy-1.40.0 300 benches/peers/envoy.sh 1.40.0
