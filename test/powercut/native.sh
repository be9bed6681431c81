#!/bin/bash
# Tells whether this machine can do what the suite needs: native.sh DIR, as root, in a mount namespace of its own.
set -euo pipefail
[ -c /dev/fuse ] || { echo "no /dev/fuse" >&2; exit 1; }
dir=$(mktemp -d "$1/native.XXXXXX")
finish() { umount -q "$dir/inner" "$dir/outer" || true; rm -rf "$dir"; }
trap finish EXIT
mkdir "$dir/outer" "$dir/inner"
truncate -s 1G "$dir/image"
mkfs.xfs -q -m reflink=1 "$dir/image"
mount -o loop "$dir/image" "$dir/outer"
for fs in ext4 xfs btrfs; do
  truncate -s 320M "$dir/outer/$fs"
  case $fs in ext4) sectors=(-b 4096) ;; xfs) sectors=(-s size=4096) ;; *) sectors=() ;; esac
  "mkfs.$fs" -q "${sectors[@]}" "$dir/outer/$fs"
  loop=$(losetup --find --show --direct-io=on --sector-size 4096 "$dir/outer/$fs")
  mount "$loop" "$dir/inner" || { losetup -d "$loop"; exit 1; }
  losetup -d "$loop"
  cp --reflink=always "$dir/outer/$fs" "$dir/outer/clone"
  umount "$dir/inner"
done
