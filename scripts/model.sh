#!/bin/bash
# Searches the models of the sign path (model/signpath.pml), of levels ahead (model/horizon.pml), of failover
# (model/handover.pml) and of the register (model/cluster.pml) completely within their bounds, in each of their shapes,
# and then each deliberate breakage, which must be found. Prints a table; ends with 1 if a shape has an error or was not
# searched to its end, or if a breakage was not found. MODELJOBS searches run at once (2), each with at most 3 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
models=$PWD/model
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

stick='-DBY_LEVEL -DSTICK -DLEVELS=3'

# name | what must come out | flags
signpath="the same bytes, the same signature | holds | -DDETERMINISTIC
the same bytes, another signature | holds |
syncs that fail, the same signature | holds | -DASKS=3 -DEIO -DDETERMINISTIC
syncs that fail, another signature | holds | -DASKS=3 -DEIO
a lost file | holds | -DASKS=3 -DDAMAGE -DDETERMINISTIC
given away, the same signature | holds | -DASKS=3 -DFENCE -DCRASHES=1 -DDETERMINISTIC
given away, another signature | holds | -DASKS=3 -DFENCE -DCRASHES=1
ANSWER_FIRST | breaks |
NO_SYNC | breaks |
NO_LOCK | breaks |
LOCK_EARLY | breaks |
KEEP_LATE | breaks |
NO_DIGEST | breaks |
RESUME_ALL | breaks |
NO_POISON | breaks | -DEIO
FAILED_IS_DONE | breaks | -DEIO
NO_SETTLE | breaks | -DASKS=3 -DDETERMINISTIC
NO_DROP | breaks | -DASKS=3 -DEIO -DDETERMINISTIC
ABSENT_IS_ZERO | breaks | -DDAMAGE
FENCE_UNASKED | breaks | -DFENCE"

horizon="one level ahead | holds |
two levels ahead | holds | -DAHEAD=2
nothing ahead | holds | -DAHEAD=0
any session | holds | -DANY_SESSION
TRUST_QUEUED | breaks |
FORGET | breaks |
ANY_BOOT | breaks | -DONDISK
LATE_RECORD | breaks |
CLOSE_EARLY | breaks |"

handover="old copies of one side, live | holds | -DRESTORE -DLIVE -DTAKEOVER
old copies, activations, live | holds | -DRESTORE -DACTIVATE -DBEGUN -DLIVE
old copies, takeovers, two crashes | holds | -DRESTORE -DTAKEOVER -DCRASHES=2
live and takeovers, duplicates | holds | -DLIVE -DTAKEOVER -DCHAN=2 -DDUPS=1
live and takeovers, two crashes | holds | -DLIVE -DTAKEOVER -DCRASHES=2 -DOPS=3
takeovers and fences | holds | -DTAKEOVER -DGUARD -DCRASHES=2 -DOPS=3
takeovers and fences, other key lesser | holds | -DTAKEOVER -DGUARD -DCRASHES=2 -DOPS=3 -DLESSER=1
by level on sticks, two crashes | holds | $stick -DTAKEOVER -DOPS=3 -DCRASHES=2 -DEXPIRY=0
by level on sticks, and live | holds | $stick -DLIVE -DTAKEOVER -DOPS=3
first activation, and the like | holds | -DACTIVATE -DLIVE -DTAKEOVER -DCHAN=2 -DOPS=3
a false statement | holds | -DLIE -DTAKEOVER -DCRASHES=2
disks that fail, live and takeovers | holds | -DBROKEN -DLIVE -DTAKEOVER -DCHAN=2
disks that fail, takeovers, two crashes | holds | -DBROKEN -DTAKEOVER -DCRASHES=2 -DOPS=3
NO_FENCE_FIRST | breaks | -DLIVE
NO_FLOOR | breaks | -DLIVE
CANCEL | breaks | -DLIVE
STALE_OK | breaks | -DLIVE -DTAKEOVER
EVIDENCE_GIVEN | breaks | -DLIVE -DTAKEOVER
RESUME_ALONE | breaks | -DTAKEOVER
UNFENCED | breaks | -DTAKEOVER
NO_HEAD_FLOOR | breaks | -DTAKEOVER
TWO_CLAIMS | breaks | -DTAKEOVER -DCRASHES=2
BOTH_SIGN | breaks | -DLIE -DTAKEOVER -DOPS=1
NO_CEILING | breaks | $stick -DOPS=1
CEILING_LATE | breaks | $stick -DOPS=1
CUT_BELOW_MARK | breaks | $stick -DOPS=1
NO_CUT_FLOOR | breaks | $stick -DOPS=1
LIFTED | breaks | $stick -DOPS=1
STICK_AGAIN | breaks | $stick -DTAKEOVER -DOPS=3
NO_EXPIRY | breaks | $stick -DTAKEOVER -DCRASHES=2 -DEXPIRY=0
TAKEOVER_LIFTS | breaks | $stick -DTAKEOVER
ACTIVATE_UNASKED | breaks | -DACTIVATE
TOLD_LATE | breaks | -DACTIVATE -DCHAN=2
ONE_FLAG | breaks | -DACTIVATE -DCHAN=2
NO_COPY_CHECK | breaks | -DRESTORE
NO_SEEN | breaks | -DRESTORE -DLIVE -DTAKEOVER
FORGOTTEN | breaks | -DRESTORE -DACTIVATE -DBEGUN -DLIVE
COPY_UNTOLD | breaks | -DRESTORE
SICK_SIGNS | breaks | -DBROKEN -DLIVE
SICK_GIVES | breaks | -DBROKEN -DLIVE -DCHAN=2 -DOPS=1"

cluster="two instances | holds |
questions to the owner | holds | -DASKS
a clone | holds | -DCLONE
three instances | holds | -DN=3 -DWRITES=3 -DCRASHES=0
three instances, automatic takeovers | holds | -DN=3 -DCRASHES=0 -DPOLICY
two kinds, exact marks | holds | -DKINDS=2 -DWRITES=3
two levels ahead, automatic takeovers | holds | -DAHEAD=2 -DLEVELS=4 -DCRASHES=0 -DPOLICY
a register put back, and all saw it | holds | -DRESTORE -DALL_SAW -DWRITES=3 -DCRASHES=0
NO_FLOOR | breaks |
KEEP_MARKS | breaks |
BLIND | breaks |
BLIND_TAKE | breaks |
TRUST_SENT | breaks |
SAME_LIFE | breaks |
SAME_LIFE | breaks | -DCLONE -DCRASHES=0
NO_FENCE | breaks |
ADOPT_RELEASED | breaks |
RELEASE_BELOW | breaks |
RESTORE | breaks |
NO_SEEN | breaks | -DRESTORE -DALL_SAW"

search() { # search NUMBER MODEL NAME EXPECTED FLAGS...
  local number=$1 model=$models/$2.pml name=$3 expected=$4 began
  shift 4
  [ "$expected" = holds ] || set -- "-D$name" "$@"
  mkdir "$dir/$number" && cd "$dir/$number"
  spin -a "$@" "$model" >spin.log 2>&1 && "${CC:-gcc}" -O1 -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c 2>cc.log || { cat spin.log cc.log; return 1; } >&2
  began=$(date +%s%N)
  ./pan -m1000000 >out 2>&1 || true
  local found=unclear states
  states=$(awk '/states, stored/ { print $1 }' out)
  if grep -q 'assertion violated' out; then
    found=breaks
  elif grep -q 'errors: 0' out && ! grep -Eq 'too small|out of memory|not completed|aborted' out; then
    found=holds
  fi
  printf '%-40s %12s %7.1f s  %s\n' "$name" "$states" "$((($(date +%s%N) - began) / 100000000))e-1" "$found" >row
  rm -f pan pan.* # the next one needs the room
  [ "$found" = "$expected" ] || { echo "expected: $expected" >>row; tail -n 20 out >>row; touch failed; }
}
export -f search
export dir models

i=0
rows() { # rows MODEL, its table on standard input
  while IFS='|' read -r name expected flags; do
    i=$((i + 1))
    printf '%03d\0%s\0%s\0%s\0%s\0' "$i" "$1" "$(xargs <<<"$name")" "$(xargs <<<"$expected")" "$flags"
  done
}
{ rows signpath <<<"$signpath" && rows horizon <<<"$horizon" && rows handover <<<"$handover" && rows cluster <<<"$cluster"; } |
  xargs -0 -n 5 -P "${MODELJOBS:-2}" bash -c 'set -euo pipefail; search "$1" "$2" "$3" "$4" $5' search

printf '%-40s %12s %9s  %s\n' 'searched' 'states' 'time' 'nothing signed twice'
cat "$dir"/*/row
if compgen -G "$dir/*/failed" >/dev/null; then
  echo 'error: the model does not say what it must' >&2
  exit 1
fi
