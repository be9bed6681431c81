#!/bin/bash
# Prints every fuzz target of the module, a line each: its package and its name.
set -euo pipefail

names=() found=0
while read -r first rest; do
  case $first in
    Fuzz*) names+=("$first") ;;
    ok)
      read -r package _ <<<"$rest"
      for name in ${names[@]+"${names[@]}"}; do
        printf '%s %s\n' "$package" "$name"
        found=1
      done
      names=()
      ;;
    FAIL* | "#"*)
      printf 'error: the tests do not build: %s %s\n' "$first" "$rest" >&2
      exit 1
      ;;
  esac
done < <(go test -vet=off -list '^Fuzz' ./... 2>&1 || echo "FAIL go test -list")

[ $found = 1 ] || { echo 'error: no fuzz target was found' >&2; exit 1; }
