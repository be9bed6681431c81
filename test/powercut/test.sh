#!/bin/bash
# Builds the program and the suite, and runs the suite as root where the kernel can loop-mount ext4, XFS and btrfs and has FUSE: here, or else in the
# virtual machine of test/usb. Fails if neither works. Arguments go to the test binary: test/powercut/test.sh -test.run Control -cuts 50
#
# VM=1 takes the virtual machine in any case. LOG=file keeps the output.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
export PATH=$PATH:/usr/sbin:/sbin
cache=$PWD/.cache/powercut
mkdir -p "$cache"

scripts/install-deps.sh losetup mkfs.ext4 mkfs.xfs mkfs.btrfs strace unshare
export CGO_CFLAGS=${CGO_CFLAGS:--O2 -D__BLST_PORTABLE__}
go build -trimpath -o "$cache/highwater" ./cmd/highwater
test/harness/forgetful.sh "$cache/highwater-forgetful"
go test -c -trimpath -tags powercut -o "$cache/powercut.test" ./test/powercut

# In a mount namespace of its own: what the test mounts goes away with it, and the loop devices with the mounts.
suite=("$cache/powercut.test" -binary "$cache/highwater" -forgetful "$cache/highwater-forgetful" -test.v -test.timeout 60m)
native() { unshare -m "$here/native.sh" "$cache"; }

if [ -z "${VM:-}" ] && why=$(native 2>&1); then
  exec unshare -m "${suite[@]}" "$@"
fi
printf 'not on this kernel (%s): in a virtual machine\n' "${why:-VM=1}" >&2
export CACHE=$cache/vm MODULES="loop ext4 xfs btrfs crc32c_generic fuse"
test/usb/install.sh "$CACHE"
export MEM=${MEM:-3072} TIMEOUT=${TIMEOUT:-3600} CONSOLE=$cache/console.log
# Emulated, everything takes several times as long.
exec test/usb/run-vm.sh "$cache" "for m in $MODULES; do modprobe \$m; done; exec $(printf '%q ' "${suite[@]}" -cuts "${CUTS:-3}" "$@")"
