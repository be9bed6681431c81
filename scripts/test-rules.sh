#!/bin/bash
# Checks the alert rules, runs their unit tests, and parses each query of the dashboard as PromQL.
set -euo pipefail
cd "$(dirname "$0")/.."

rules=deploy/prometheus/highwater.rules.yml
tests=deploy/prometheus/highwater.rules.test.yml
dashboard=deploy/grafana/highwater.json

promtool check rules "$rules"
for alert in $(sed -n 's/^ *- alert: //p' "$rules"); do
  for end in fires 'is quiet'; do
    grep -q "name: $alert $end\$" "$tests" || { printf 'error: %s has no test "%s"\n' "$alert" "$end" >&2; exit 1; }
  done
done
promtool test rules "$tests"

# A query is an expression of a recording rule. JSON's texts are YAML's. Grafana fills in its own variables.
queries=$(mktemp --suffix=.yml)
trap 'rm -f "$queries"' EXIT
printf 'groups:\n  - name: dashboard\n    rules:\n' >"$queries"
sed -n 's/^ *"expr": \(".*"\),\?$/\1/p' "$dashboard" | sed 's/\$__rate_interval/5m/g' |
  awk '{ printf "      - {record: \"query_%d\", expr: %s}\n", NR, $0 }' >>"$queries"
[ "$(grep -c record: "$queries")" -eq "$(grep -c '"expr"' "$dashboard")" ] ||
  { echo 'error: a query of the dashboard is not on a line of its own' >&2; exit 1; }
promtool check rules "$queries"
