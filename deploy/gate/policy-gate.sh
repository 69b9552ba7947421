#!/bin/sh
# The gate of a pull request that changes a policy table: what no review of a text finds is found here.
#
#   policy-gate.sh NEW OLD [LOG...]
#
# NEW and OLD are tables, LOG decision logs of the service (files or directories, plain or compressed). One after the other, and the first that finds
# something ends it with its exit code:
#   policy check    slips: rules that decide nothing, callers that nobody meant
#   policy test     the cases of the table
#   policy diff     whether anybody may do more than before, exactly; POLICY_WIDER=allow where that is meant, and its witness is still printed
#   policy replay   whether a recorded request would be decided otherwise; POLICY_REPLAY=allow where that is meant, and the groups are still printed
# Exit codes: 0 nothing found, 1 something found, 2 unusable input.
set -eu

if [ $# -lt 2 ]; then
  echo "usage: policy-gate.sh NEW OLD [LOG...]" >&2
  exit 2
fi
new=$1 old=$2
shift 2
countersign=${COUNTERSIGN:-countersign}

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

# As step, where finding something (exit code 1) may be meant.
meant() {
  allowed=$1
  shift
  code=0
  step "$@" || code=$?
  if [ "$code" -eq 1 ] && [ "$allowed" = allow ]; then
    echo "== this is meant, somebody said"
    return 0
  fi
  return "$code"
}

step "$countersign" policy check "$new"
step "$countersign" policy test "$new"
meant "${POLICY_WIDER:-}" "$countersign" policy diff --deny-wider "$old" "$new"
[ $# -eq 0 ] || meant "${POLICY_REPLAY:-}" "$countersign" policy replay "$@" --policy "$new"
