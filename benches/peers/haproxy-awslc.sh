#!/usr/bin/env bash
# HAProxy built against AWS-LC, the fastest way to run it: nothing is installed, nothing is started. About a minute on two cores.
#
#   benches/peers/haproxy-awslc.sh          the source package of Debian's trixie (HAProxy 3.0)
#   benches/peers/haproxy-awslc.sh forky    that of another suite
#
# AWS-LC's source is the one that the aws-lc-sys crate carries, which this project builds with anyway; `cargo fetch` has put it where it is. The result
# is $PEERS_DIR/haproxy-awslc-<suite>/haproxy (target/peers by default). Needs apt, dpkg, cmake, make, g++.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${1:-trixie}
dir=$(realpath -m "${PEERS_DIR:-target/peers}")
work=$dir/build-$suite
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"

for tool in apt-get dpkg cmake make g++; do
  command -v "$tool" >/dev/null || { echo "haproxy-awslc: please install $tool" >&2; exit 1; }
done

# The first stanza of this system's sources, as source packages of the suite.
awk 'BEGIN { RS = ""; ORS = "\n\n" } NR == 1' /etc/apt/sources.list.d/debian.sources \
  | sed "s/^Types: .*/Types: deb-src/; s/^Suites: .*/Suites: $suite/" >"$work/list.sources"
options=(
  -o "Dir::Etc::sourcelist=$work/list.sources" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
)
apt-get "${options[@]}" -qq update
(cd "$work/source" && apt-get "${options[@]}" -qq source --download-only haproxy)

# AWS-LC once for all suites.
crypto=$dir/aws-lc
if [ ! -e "$crypto/lib/libssl.a" ]; then
  crate=$(find "${CARGO_HOME:-$HOME/.cargo}"/registry/src -maxdepth 2 -name 'aws-lc-sys-*' | sort -V | tail -1)
  [ -n "$crate" ] || { echo "haproxy-awslc: aws-lc-sys is not here; run cargo fetch" >&2; exit 1; }
  rm -rf "$crypto" && mkdir -p "$crypto/lib"
  cmake -S "$crate/aws-lc" -B "$crypto/build" -DCMAKE_BUILD_TYPE=Release -DDISABLE_GO=ON -DDISABLE_PERL=ON \
    -DBUILD_TESTING=OFF -DBUILD_TOOL=OFF -DBUILD_SHARED_LIBS=0 >/dev/null
  cmake --build "$crypto/build" -j"$(nproc)" --target crypto ssl
  cp -r "$crate/aws-lc/include" "$crypto/"
  find "$crypto/build" -name 'lib*.a' -exec cp {} "$crypto/lib/" \;
  rm -rf "$crypto/build"
fi

archive=$(find "$work/source" -name 'haproxy_*.orig.tar.gz' | sort -V | tail -1)
tar -C "$work" -xf "$archive"
source=$(find "$work" -maxdepth 1 -name 'haproxy-*' -type d | sort -V | tail -1)
make -C "$source" -j"$(nproc)" TARGET=linux-glibc USE_OPENSSL_AWSLC=1 SSL_INC="$crypto/include" SSL_LIB="$crypto/lib" \
  ADDLIB="-lstdc++ -lpthread" CPU_CFLAGS="-O2 -g" >/dev/null
mkdir -p "$dir/haproxy-awslc-$suite"
cp "$source/haproxy" "$dir/haproxy-awslc-$suite/"
rm -rf "$work"
"$dir/haproxy-awslc-$suite/haproxy" -vv | grep -E '^(HAProxy version|Running on .*SSL)'
