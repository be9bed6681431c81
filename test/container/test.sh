#!/bin/bash
# Builds the container from the package, and lets it sign with an emulated Ledger: test/container/test.sh DEB. Needs root, and Debian's mirror.
# The images and volumes are the test's own, and go with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
. test/packages/ask.sh

[ $# -eq 1 ] && [ -f "$1" ] || die "there is no package: make test-container"
[ "$(id -u)" -eq 0 ] || die "the test makes a network of its own, and is not root: sudo make test-container"
suite=${SUITE:-trixie} mirror=${MIRROR:-http://deb.debian.org/debian} driver=vfs
! grep -qw overlay /proc/filesystems || driver=overlay
base=.cache/container/$suite.tar
scripts/install-deps.sh mmdebstrap buildah podman crun curl unshare ip
if ! [ -e "$base" ]; then
  say "making a clean root of Debian $suite"
  mkdir -p "$(dirname "$base")"
  mmdebstrap --quiet --variant=minbase "$suite" "$base.new.tar" "$mirror"
  mv "$base.new.tar" "$base"
fi

dir=$(mktemp -d)
# Layers may still be mounted when a step has failed.
trap 'podman $STORE rm -fa >/dev/null 2>&1; umount "$dir/store/overlay" 2>/dev/null; rm -rf "$dir"' EXIT
export STORE="--root $dir/store --runroot $dir/run --storage-driver $driver" IMAGE=localhost/highwater:test
# Limits that any machine can give: root in a container has no right to raise its own.
export LIMITS="--ulimit nofile=1024:1024 --ulimit nproc=4096:4096"

say "building with buildah ($driver)"
# shellcheck disable=SC2086 # options
{ podman $STORE import -q "$base" localhost/debian:base
  buildah $STORE bud --isolation chroot $LIMITS -f deploy/container/Containerfile --build-arg BASE=localhost/debian:base \
    --build-arg PACKAGE="$(basename "$1")" -t "$IMAGE" "$(dirname "$1")"; } >"$dir/build.log" 2>&1 ||
  { cat "$dir/build.log"; die "the container is not built"; }

# A network of its own: the signer's ports are free. Mounts of its own: crun takes no machine with cgroups of both versions.
DIR=$dir unshare --mount --net bash -c 'ip link set lo up
  umount /sys/fs/cgroup/unified 2>/dev/null || true
  exec test/container/inside.sh'
say "passed"
