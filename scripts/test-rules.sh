#!/bin/bash
# Checks the alert rules, runs their unit tests, and asks each query of the dashboard, and each rule, of a real
# Prometheus over the scrapes of real daemons (test/rules). Needs bin/highwater and etcd.
set -euo pipefail
cd "$(dirname "$0")/.."

rules=deploy/prometheus/highwater.rules.yml
tests=deploy/prometheus/highwater.rules.test.yml
tools=$(scripts/unpack-prometheus.sh)

"$tools/promtool" check rules "$rules"
for alert in $(sed -n 's/^ *- alert: //p' "$rules"); do
  for end in fires 'is quiet'; do
    grep -q "name: $alert $end\$" "$tests" || { printf 'error: %s has no test "%s"\n' "$alert" "$end" >&2; exit 1; }
  done
done
"$tools/promtool" test rules "$tests"

go test -count=1 -tags prometheus ./test/rules -args -binary "$PWD/bin/highwater" -prometheus "$tools/prometheus"
