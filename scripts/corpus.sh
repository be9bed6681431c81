#!/bin/bash
# Keeps what fuzzing found: of the inputs in Go's fuzz cache, those that reach code which neither the seeds in the tests nor what is kept
# already reach, under testdata/fuzz beside each target. There they are seeds of the next search, and cases of every `go test`.
#
# The cache has hundreds for a target, most of them for the sake of an edge taken twice instead of once. So the fewest are kept that still
# reach every statement: the one that adds most first, the smaller of two that add as much, until none adds anything. The statements are
# those of the whole module.
#
# ONLY=text does it for targets whose name contains it. Inputs of more than 4 KiB are left where they are.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=$(go env GOCACHE)/fuzz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A line for each statement that the tests of this name reach.
reach() { # reach BINARY DIR TESTS
  (cd "$2" && "$1" -test.run "$3" -test.coverprofile "$work/profile" >"$work/log" 2>&1) || { cat "$work/log" >&2; return 1; }
  awk 'NR > 1 && $NF > 0 { print $1 }' "$work/profile"
}

total=0
while read -r package name; do
  [[ "$package $name" == *"${ONLY:-}"* ]] || continue
  dir=./${package#*/} found=$cache/$package/$name
  compgen -G "$found/*" >/dev/null || continue
  kept=$dir/testdata/fuzz/$name
  binary=$work/${package//\//-}.test
  [ -x "$binary" ] || go test -c -cover -covermode=set -coverpkg=./... -o "$binary" "$package" 2>/dev/null
  rm -rf "$work/reach" && mkdir -p "$work/reach" "$kept"
  reach "$binary" "$dir" "^$name\$" >"$work/known"
  for input in "$found"/*; do
    file=$(basename "$input")
    [ "$(stat -c %s "$input")" -le 4096 ] && [ ! -e "$kept/$file" ] || continue
    cp "$input" "$kept/$file"
    if reach "$binary" "$dir" "^$name\$/^$file\$" >"$work/reach/$(stat -c '%010s' "$input")-$file"; then
      rm "$kept/$file"
    else
      echo "error: $kept/$file: a test fails on it; it stays there" >&2
      exit 1
    fi
  done
  count=0
  while read -r file; do
    cp "$found/${file#*-}" "$kept/"
    count=$((count + 1))
  done < <(cd "$work/reach" && compgen -G '*' >/dev/null || exit 0; awk '
    FILENAME == "../known" { known[$1] = 1; next }
    FILENAME != last { last = order[++n] = FILENAME }
    !($1 in known) { has[FILENAME, $1] = 1 }
    END {
      for (;;) {
        best = ""; most = 0
        for (i = 1; i <= n; i++) gain[order[i]] = 0
        for (pair in has) { split(pair, p, SUBSEP); if (!(p[2] in known)) gain[p[1]]++ }
        for (i = 1; i <= n; i++) if (gain[order[i]] > most) { most = gain[order[i]]; best = order[i] }
        if (best == "") exit
        print best
        for (pair in has) { split(pair, p, SUBSEP); if (p[1] == best) known[p[2]] = 1 }
      }
    }' ../known *)
  rmdir -p --ignore-fail-on-non-empty "$kept" 2>/dev/null || true
  total=$((total + count))
  printf '%-32s %-28s %3d kept of %d found\n' "$package" "$name" "$count" "$(find "$found" -type f | wc -l)"
done < <(scripts/fuzz-targets.sh)
printf '%d kept\n' "$total"
