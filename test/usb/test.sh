#!/bin/bash
# Builds the program, the emulated devices and the scenarios, and runs the scenarios in the virtual machine. Arguments go to the
# test binary: test/usb/test.sh -test.run Unplug
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
cache=$PWD/.cache/usb
"$here/install.sh" "$cache"
mkdir -p "$cache/bin" "$cache/results"
export CGO_CFLAGS=${CGO_CFLAGS:--O2 -D__BLST_PORTABLE__}
go build -trimpath -o "$cache/bin/" ./cmd/highwater
go build -trimpath -o "$cache/bin/" ./test/usb/gadgets/...
go test -c -trimpath -tags usblab -o "$cache/bin/lab.test" ./test/usb
rm -f "$cache/results/table.txt"
export UDCS=${UDCS:-5} TIMEOUT=${TIMEOUT:-900} CONSOLE=$cache/results/console.log
status=0
"$here/run-vm.sh" "$cache/results" "LAB_BIN=$cache/bin LAB_CACHE=$cache LAB_SOURCE=$PWD LAB_SPEED=${LAB_SPEED:-high} LAB_STORM=${LAB_STORM:-} exec $cache/bin/lab.test -test.timeout=800s $*" || status=$?
[ ! -s "$cache/results/table.txt" ] || { echo; cat "$cache/results/table.txt"; }
exit $status
