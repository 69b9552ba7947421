#!/usr/bin/env bash
# The emulated machine's disk: Debian's kernel and busybox, our sidecar, the comparison and the other proxies, unpacked and packed beside the system:
# nothing is installed, nothing is started.
#
#   benches/emulated/pack.sh target/dist/countersign target/release/deps/compare-…
#
# The result is $EMULATED_DIR (target/emulated by default): linux, and disk.cpio. Needs apt, dpkg and cc.
set -euo pipefail
cd "$(dirname "$0")/../.."

countersign=$(realpath "$1")
compare=$(realpath "$2")
peers=$(realpath -m "${PEERS_DIR:-target/peers}")
dir=$(realpath -m "${EMULATED_DIR:-target/emulated}")
root=$dir/root

# Kernel and busybox of this system's suite, once.
if [ ! -e "$dir/linux" ] || [ ! -e "$dir/busybox" ]; then
  mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/apt/files"
  options=(-o "Dir::State::lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -qq update
  kernel=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  (cd "$dir/apt/files" && apt-get "${options[@]}" -qq download "$kernel" busybox-static)
  for package in "$dir"/apt/files/*.deb; do dpkg-deb --extract "$package" "$dir/apt/tree"; done
  cp "$(find "$dir/apt/tree/boot" -name 'vmlinuz-*')" "$dir/linux"
  cp "$(find "$dir/apt/tree" -path '*bin/busybox')" "$dir/busybox"
  rm -rf "$dir/apt"
fi

rm -rf "$root"
mkdir -p "$root/bin" "$root/programs" "$root/peers" "$root/etc"
cp "$dir/busybox" "$root/bin/"
cp "$countersign" "$root/programs/countersign"
cp "$compare" "$root/programs/compare"
cc -nostdlib -static -o "$root/programs/known" benches/emulated/known.S
install -m 755 benches/emulated/init "$root/init"
printf 'root:x:0:0::/tmp:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' >"$root/etc/group"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"

# The libraries of a program of this system, where they are here.
libraries() {
  ldd "$1" | grep -oE '/[^ ]+' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}
for tool in setpriv taskset; do
  mkdir -p "$root/usr/bin"
  cp "$(command -v "$tool")" "$root/usr/bin/"
  libraries "$root/usr/bin/$tool"
done
libraries "$countersign"
libraries "$compare"

# What was unpacked has its loader and libraries with it; what was built here or by its project has not.
for peer in "$peers"/*/; do
  name=$(basename "$peer")
  if [ -d "$peer/usr/sbin" ]; then
    mkdir -p "$root/peers/$name/usr"
    cp -a "$peer/usr/sbin" "$peer/usr/lib" "$root/peers/$name/usr/"
    [ ! -e "$peer/lib" ] || cp -a "$peer/lib" "$root/peers/$name/"
  else
    for program in haproxy envoy; do
      [ -x "$peer/$program" ] || continue
      mkdir -p "$root/peers/$name"
      strip -o "$root/peers/$name/$program" "$peer/$program"
      libraries "$peer/$program"
    done
  fi
done

(cd "$root" && find . | "$dir/busybox" cpio -o -H newc 2>/dev/null) >"$dir/disk.cpio"
rm -rf "$root"
echo "packed: $dir/disk.cpio, $(du -m "$dir/disk.cpio" | cut -f1) MB"
