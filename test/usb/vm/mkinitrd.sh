#!/bin/sh
# mkinitrd.sh OUT KERNEL : an initramfs of busybox, vm/init and the modules under KERNEL (as install.sh left them).
set -eu
out=$1; kernel=$2; here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for d in bin proc sys dev tmp new lib; do mkdir "$dir/$d"; done
cp "$(command -v busybox)" "$dir/bin/busybox"
cp -r "$kernel/lib/modules" "$dir/lib/"
cp "$here/init" "$dir/init"
chmod 755 "$dir/init"
(cd "$dir" && find . | cpio -o -H newc --quiet | gzip -1) >"$out"
