#!/bin/bash
# Prints the directory of prometheus and promtool. Debian's package is unpacked into bin/tools, and not installed: its
# installation would start and enable a service. Instant when both are in PATH, or unpacked before.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

if found=$(command -v prometheus) && command -v promtool >/dev/null; then
  dirname "$found"
  exit 0
fi
into=$PWD/bin/tools/prometheus
if [ ! -x "$into/usr/bin/prometheus" ]; then
  command -v apt-get >/dev/null ||
    die 'no prometheus and promtool in PATH, and this system has no apt-get' 'install Prometheus 2.42 or later'
  printf 'unpacking prometheus into bin/tools\n' >&2
  fetched=$(mktemp -d)
  trap 'rm -rf "$fetched"' EXIT
  fetch() { (cd "$fetched" && apt-get -qq download prometheus) >"$fetched/log" 2>&1; }
  # The lists of packages may be missing or old, and only root renews them.
  fetch || { [ "$(id -u)" -ne 0 ] || apt-get -o DPkg::Lock::Timeout=120 -qq update >/dev/null 2>&1 || true; fetch; } ||
    { cat "$fetched/log" >&2; die 'no package prometheus' 'as root: apt-get update; then the same command again'; }
  dpkg-deb -x "$fetched"/prometheus_*.deb "$fetched/root"
  mkdir -p "$(dirname "$into")"
  rm -rf "$into"
  mv "$fetched/root" "$into"
fi
echo "$into/usr/bin"
