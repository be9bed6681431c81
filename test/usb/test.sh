#!/bin/bash
# Builds the program, the emulated devices and the scenarios, and runs the scenarios in the virtual machine: all of them on a high-speed
# bus, and those that depend on it on a full-speed bus. Ends with a table of times.
#   usage: test/usb/test.sh [ARGUMENTS of the test binary, for one run]      e.g. test/usb/test.sh -test.v -test.run Replug
# Environment: LAB_SPEED=full, LAB_STORM=10m (how long devices are re-plugged at random), LAB_RACE=1 (race detector), TIMEOUT=seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
cache=$PWD/.cache/usb
"$here/install.sh" "$cache"
mkdir -p "$cache/bin" "$cache/results"
export CGO_CFLAGS=${CGO_CFLAGS:--O2 -D__BLST_PORTABLE__} TIMEOUT=${TIMEOUT:-900}
go build -trimpath ${LAB_RACE:+-race} -o "$cache/bin/" ./cmd/highwater
go build -trimpath -o "$cache/bin/" ./test/usb/gadgets/...
go test -c -trimpath -tags usblab -o "$cache/bin/lab.test" ./test/usb
table=$cache/results/table.txt
: >"$table"
status=0
# run SPEED ARGUMENTS...
run() {
  local speed=$1 options=
  shift
  [ "$speed" = high ] || options="is_high_speed=0"
  UDCS=5 HCD_OPTS=$options CONSOLE=$cache/results/console.log "$here/run-vm.sh" "$PWD" \
    env LAB_RESULTS="$cache/results" LAB_BIN="$cache/bin" LAB_CACHE="$cache" LAB_SOURCE="$PWD" LAB_SPEED="$speed" LAB_STORM="${LAB_STORM:-}" LAB_LOG="${LAB_LOG:-}" \
    "$cache/bin/lab.test" -test.timeout=$((TIMEOUT - 60))s "$@" || status=$?
}
if [ $# -gt 0 ]; then
  run "${LAB_SPEED:-high}" "$@"
else
  run high -test.v
  run full -test.v -test.run 'Discovery|AfterStart|Cut|Spare'
fi
printf '\n%s\n' 'scenario                     what                                                                  time'
cat "$table"
exit $status
