#!/usr/bin/env bash
# Instructions per request, user and kernel, where the processor does not count them: the comparison inside an emulated machine with one core, whose
# clock goes on by a fixed time with each instruction and stands still otherwise. CPU time is a count of instructions there, whatever else this
# machine does, and the same for each run.
#
#   benches/emulated/run.sh target/dist/countersign target/release/deps/compare-…
#
# The machine runs twice. At 1 ns an instruction the scheduler's nanoseconds are the sum. It does not divide them: the timer's ticks do, 250 a second,
# and so few of them fall into a run that they say nothing. At 32 ns an instruction a tick comes with each 125,000, enough
# to divide the sum by; slower, and sixteen handshakes at once take longer than the sidecar lets them.
#
# EMULATED_REQUESTS (4000), EMULATED_SECONDS (3600, for each of the two), EMULATED_KERNEL (more of the kernel's command line), COMPARE_ONLY,
# COMPARE_PROXIES, PEERS_DIR, EMULATED_DIR. Needs what pack.sh needs.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir=$(realpath -m "${EMULATED_DIR:-target/emulated}")
benches/emulated/pack.sh "$1" "$2"

# An emulator from 8.2 on: older ones have no SHA instructions, and the chain of the decision log would be counted in software.
unpacked=$dir/emulator/forky
[ -x "$unpacked/usr/bin/qemu-system-x86_64" ] || PEERS_DIR=$dir/emulator benches/peers/unpack.sh forky qemu-system-x86
libraries=$unpacked/usr/lib/x86_64-linux-gnu
emulator=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$unpacked/usr/bin/qemu-system-x86_64"
  -L "$unpacked/usr/share/qemu" -L "$unpacked/usr/share/seabios")

# How many nanoseconds an instruction takes, as a power of two; how many requests are counted.
machine() {
  local shift=$1 requests=$2 log=$dir/console.$1
  local words="console=ttyS0 quiet panic=-1 tsc=reliable tsc_early_khz=1000000 ${EMULATED_KERNEL:-}"
  words+=" COMPARE_NANOSECONDS=$((1 << shift)) COMPARE_REQUESTS=$requests COMPARE_ROUNDS=0"
  words+="${COMPARE_ONLY:+ COMPARE_ONLY=$COMPARE_ONLY}${COMPARE_PROXIES:+ COMPARE_PROXIES=$COMPARE_PROXIES}"
  echo "emulated: $((1 << shift)) ns an instruction, $requests requests each; see $log" >&2
  # Without `rep movsb`, of which QEMU counts each byte where a processor counts one instruction; copies of eight bytes at a time are left.
  timeout "${EMULATED_SECONDS:-3600}" "${emulator[@]}" -accel tcg,thread=single -icount "shift=$shift,sleep=off" -cpu max,-erms,-fsrm \
    -smp 1 -m 3G -nodefaults -display none -no-reboot -serial "file:$log" -kernel "$dir/linux" -initrd "$dir/disk.cpio" -append "$words"
  tr -d '\r' <"$log" >"$log.txt"
  grep -q '^done$' "$log.txt" || { tail -n 20 "$log.txt" >&2; exit 1; }
  awk -v each=$((1 << shift)) '$1 == "known:" {
    found = 1
    counted = ($6 - $2) / each
    printf "emulated: 1000000000 instructions are counted as %d\n", counted
    # The slower the clock, the more the ticks themselves take; the sum comes from the fast one.
    exit each == 1 && (counted < 99e7 || counted > 101e7)
  } END { if (!found) exit 1 }' "$log.txt" >&2
}

requests=${EMULATED_REQUESTS:-4000}
machine 0 "$requests"
machine 5 "$requests"

# The sum of the first run, divided as in the second.
awk -F ' *[|] *' '
  /^S[0-9]+: .* connections/ { work = $0; sub(/:.*/, "", work) }
  NF > 10 && $3 ~ /^[0-9]+$/ {
    if (FNR == NR) {
      sum[work, $2] = $3 + $4
    } else if ((work, $2) in sum) {
      if (work != last) printf "\n| %s, instructions per request | user | kernel | both |\n|---|---|---|---|\n", work
      last = work
      all = sum[work, $2]
      user = all * $3 / ($3 + $4)
      printf "| %s | %d | %d | %d |\n", $2, user, all - user, all
    }
  }' "$dir/console.0.txt" "$dir/console.5.txt" | tee "$dir/table.md"
grep -h '^clock:' "$dir/console.0.txt"
