#!/bin/bash
# Runs every fuzz target of the module, one after the other: FUZZTIME each (10s), and never longer than FUZZBUDGET seconds in
# all (1500): with many targets each gets an equal share. Names each target as it starts. The first finding ends it.
set -euo pipefail

seconds() { # 90, 90s or 2m
  case $1 in
    *m) echo $((${1%m} * 60)) ;;
    *) echo "${1%s}" ;;
  esac
}

each=$(seconds "${FUZZTIME:-10s}")
budget=$(seconds "${FUZZBUDGET:-1500}")

targets=() names=()
while read -r first rest; do
  case $first in
    Fuzz*) names+=("$first") ;;
    ok)
      read -r package _ <<<"$rest"
      for name in ${names[@]+"${names[@]}"}; do targets+=("$package $name"); done
      names=()
      ;;
    FAIL* | "#"*)
      printf 'error: the tests do not build: %s %s\n' "$first" "$rest" >&2
      exit 1
      ;;
  esac
done < <(go test -vet=off -list '^Fuzz' ./... 2>&1 || echo "FAIL go test -list")

[ ${#targets[@]} -gt 0 ] || { echo 'error: no fuzz target was found' >&2; exit 1; }

share=$((budget / ${#targets[@]}))
[ "$each" -le "$share" ] || each=$share
[ "$each" -ge 1 ] || { echo "error: FUZZBUDGET=$budget is too short for ${#targets[@]} targets" >&2; exit 1; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  go test -vet=off -run '^$' -fuzz "^$2\$" -fuzztime "${each}s" -timeout "$((each + 120))s" "$1" 2>&1 | tee "$log"
}

for i in "${!targets[@]}"; do
  read -r package name <<<"${targets[$i]}"
  printf '[%d/%d] %s %s, %ds\n' $((i + 1)) ${#targets[@]} "$package" "$name" "$each"
  run "$package" "$name" && continue
  # Before Go 1.27 the end of the time can itself be reported as a failure, with this line alone and without any input
  # (go.dev/issue/75804). A finding always names its input.
  if grep -qx '    context deadline exceeded' "$log" && ! grep -qE 'Failing input|corpus entry|panic|^FAIL.*build' "$log"; then
    echo 'nothing found when the time was over (go.dev/issue/75804)'
    continue
  fi
  exit 1
done
