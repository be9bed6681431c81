#!/bin/bash
# Searches the model of failover (model/handover.pml) completely within its bounds, in each of its shapes, and then each deliberate
# breakage, which must be found. Prints a table; ends with 1 if a shape has an error or was not searched to its end, or if a breakage
# was not found. MODELJOBS searches run at once (2), each with at most 3 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
model=$PWD/model/handover.pml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

takeovers='-DNO_HANDOVER -DDUPS=0 -DCRASHES=2'
sticks='-DBY_LEVEL -DLEVELS=3 -DDUPS=0 -DCHAN=1 -DNO_HANDOVER'

# name | what must come out | flags
table="handovers and takeovers, live | holds |
takeovers alone, two crashes | holds | $takeovers
by level and takeovers, two crashes | holds | $sticks -DOPS=3 -DCRASHES=2 -DEXPIRY=0
by level, live and takeovers | holds | -DBY_LEVEL -DLEVELS=3 -DDUPS=0 -DCHAN=1 -DOPS=3
NO_FENCE_FIRST | breaks | -DDUPS=0
RESUME_ALONE | breaks | -DDUPS=0
NO_FLOOR | breaks | -DDUPS=0
STALE_OK | breaks | -DDUPS=0
UNFENCED | breaks | -DNO_HANDOVER -DDUPS=0 -DCRASHES=0
CANCEL | breaks | -DDUPS=0 -DCRASHES=0
NO_OWNER_CHECK | breaks | $takeovers
NO_CEILING | breaks | $sticks -DOPS=1
CEILING_LATE | breaks | $sticks -DOPS=1
CUT_BELOW_MARK | breaks | $sticks -DOPS=1
NO_CUT_FLOOR | breaks | $sticks -DOPS=1
STICK_AGAIN | breaks | $sticks -DOPS=3
NO_EXPIRY | breaks | $sticks -DOPS=2 -DCRASHES=2 -DEXPIRY=0
RESUME_LIFTS | breaks | $sticks -DOPS=1
TAKEOVER_LIFTS | breaks | $sticks -DOPS=2 -DCRASHES=2"

search() { # search NUMBER NAME EXPECTED FLAGS...
  local number=$1 name=$2 expected=$3 began
  shift 3
  [ "$expected" = holds ] || set -- "-D$name" "$@"
  mkdir "$dir/$number" && cd "$dir/$number"
  spin -a "$@" "$model" >spin.log 2>&1 && "${CC:-gcc}" -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c 2>cc.log || { cat spin.log cc.log; return 1; } >&2
  began=$(date +%s%N)
  ./pan -m1000000 >out 2>&1 || true
  local found=unclear states
  states=$(awk '/states, stored/ { print $1 }' out)
  if grep -q 'assertion violated (signedBy' out; then
    found=breaks
  elif grep -q 'errors: 0' out && ! grep -Eq 'too small|out of memory|not completed|aborted' out; then
    found=holds
  fi
  printf '%-36s %12s %7.1f s  %s\n' "$name" "$states" "$((($(date +%s%N) - began) / 100000000))e-1" "$found" >row
  rm -f pan pan.* # the next one needs the room
  [ "$found" = "$expected" ] || { echo "expected: $expected" >>row; tail -n 20 out >>row; touch failed; }
}
export -f search
export dir model

i=0
while IFS='|' read -r name expected flags; do
  i=$((i + 1))
  printf '%03d\0%s\0%s\0%s\0' "$i" "$(xargs <<<"$name")" "$(xargs <<<"$expected")" "$flags"
done <<<"$table" |
  xargs -0 -n 4 -P "${MODELJOBS:-2}" bash -c 'set -euo pipefail; search "$1" "$2" "$3" $4' search

printf '%-36s %12s %9s  %s\n' 'searched' 'states' 'time' 'no level signed twice'
cat "$dir"/*/row
if compgen -G "$dir/*/failed" >/dev/null; then
  echo 'error: the model does not say what it must' >&2
  exit 1
fi
