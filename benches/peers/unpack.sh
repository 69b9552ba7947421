#!/usr/bin/env bash
# HAProxy and nginx of a Debian suite, with every library they need, unpacked beside the system: nothing is installed, nothing is started.
#
#   benches/peers/unpack.sh                     this system's own suite
#   benches/peers/unpack.sh forky               another suite of the same mirror
#   benches/peers/unpack.sh forky PACKAGE...    other packages
#
# They end up under $PEERS_DIR/<suite> (target/peers by default), where `make compare` finds them. They are to be started with the loader and the
# libraries of that directory. Needs apt, and a mirror that /etc/apt/sources.list.d/debian.sources names.
set -euo pipefail
cd "$(dirname "$0")/../.."

sources=/etc/apt/sources.list.d/debian.sources
own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
suite=${1:-$own}
packages=("${@:2}")
[ ${#packages[@]} -gt 0 ] || packages=(haproxy nginx)
dir=$(realpath -m "${PEERS_DIR:-target/peers}")/$suite
mkdir -p "$dir.apt/lists/partial" "$dir.apt/cache/archives/partial"

# The stanzas of this system's mirrors; security updates too where the suite is its own.
if [ "$suite" = "$own" ]; then
  cp "$sources" "$dir.apt/list.sources"
else
  awk 'BEGIN { RS = ""; ORS = "\n\n" } NR == 1' "$sources" | sed "s/^Suites: .*/Suites: $suite/" >"$dir.apt/list.sources"
fi

# With an empty list of installed packages, apt fetches every library, the C library included.
options=(
  -o "Dir::Etc::sourcelist=$dir.apt/list.sources" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$dir.apt/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$dir.apt/cache"
  -o APT::Sandbox::User=root
)
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq install --yes --download-only --no-install-recommends "${packages[@]}"

rm -rf "$dir"
mkdir -p "$dir"
for package in "$dir.apt"/cache/archives/*.deb; do
  dpkg-deb --extract "$package" "$dir"
done
rm -rf "$dir.apt"
# /lib is a link to /usr/lib on a whole system; old packages still carry the loader there.
find "$dir" -name 'ld-linux-x86-64.so.2' -o -name 'ld-linux-aarch64.so.1'
echo "unpacked: $dir"
