#!/bin/bash
# Runs every fuzz target of the module: FUZZTIME each (10s), one on each processor at a time, and never longer than FUZZBUDGET
# seconds in all (1500): with many targets each gets an equal share. A line a target when it is done; the first finding ends it, and
# so does a target that was hardly run.
set -euo pipefail

seconds() { # 90, 90s or 2m
  case $1 in
    *m) echo $((${1%m} * 60)) ;;
    *) echo "${1%s}" ;;
  esac
}

# One target, called by xargs below: NUMBER PACKAGE NAME. 255 makes xargs start no more of them.
if [ "${1:-}" = --one ]; then
  number=$2 package=$3 name=$4
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  status=0
  # An input that is new is made smaller, for a minute by default: a parser of long inputs would be given nothing else.
  go test -vet=off -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZEACH}s" -fuzzminimizetime 1s -parallel 1 -timeout "$((FUZZEACH + 300))s" "$package" \
    >"$log" 2>&1 || status=$?
  # Before Go 1.27 the end of the time can itself be reported as a failure, with this line alone and without any input
  # (go.dev/issue/75804). A finding always names its input.
  if [ $status -ne 0 ] && grep -qx '    context deadline exceeded' "$log" && ! grep -qE 'Failing input|corpus entry|panic|^FAIL.*build' "$log"; then
    status=0
  fi
  what="[$number/$FUZZTARGETS] $package $name"
  if [ $status -ne 0 ]; then
    printf '%s failed:\n%s\n' "$what" "$(cat "$log")"
    exit 255
  fi
  last=$(grep '^fuzz: elapsed: .* execs: ' "$log" | tail -n 1 | sed 's/^fuzz: elapsed: //')
  execs=$(sed -n 's/.* execs: \([0-9]*\) .*/\1/p' <<<"$last")
  if [ "${execs:-0}" -lt "$FUZZEACH" ]; then
    printf '%s ran %s times in %s seconds:\n%s\n' "$what" "${execs:-0}" "$FUZZEACH" "$(cat "$log")"
    exit 255
  fi
  printf '%s: %s executions, %s\n' "$what" "$execs" "${last##*, }"
  exit 0
fi

each=$(seconds "${FUZZTIME:-10s}")
budget=$(seconds "${FUZZBUDGET:-1500}")
jobs=$(nproc)

list=$("$(dirname "$0")"/fuzz-targets.sh)
mapfile -t targets <<<"$list"

share=$((budget * jobs / ${#targets[@]}))
[ "$each" -le "$share" ] || each=$share
[ "$each" -ge 1 ] || { echo "error: FUZZBUDGET=$budget is too short for ${#targets[@]} targets" >&2; exit 1; }

printf '%d targets, %ds each, %d at a time\n' ${#targets[@]} "$each" "$jobs"
export FUZZEACH=$each FUZZTARGETS=${#targets[@]}
for i in "${!targets[@]}"; do
  printf '%d %s\n' $((i + 1)) "${targets[$i]}"
done | xargs -P "$jobs" -L 1 "$0" --one
