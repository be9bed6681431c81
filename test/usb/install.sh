#!/bin/bash
# Installs what the USB laboratory needs into the directory CACHE (default .cache/usb): QEMU and a few tools as Debian packages, and,
# without installing them, Debian's stock kernel with the modules of a software USB bus, and udev. Instant when nothing is missing.
#   usage: test/usb/install.sh [CACHE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../../.cache/usb}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

PATH=$PATH:/usr/sbin:/sbin
wanted=()
command -v qemu-system-x86_64 >/dev/null || wanted+=(qemu-system-x86)
busybox --list 2>/dev/null | grep -q '^switch_root$' || wanted+=(busybox-static)
command -v cpio >/dev/null || wanted+=(cpio)
command -v modprobe >/dev/null || wanted+=(kmod)
command -v lsusb >/dev/null || wanted+=(usbutils)
command -v xz >/dev/null || wanted+=(xz-utils)
command -v ip >/dev/null || wanted+=(iproute2)

# The modules that the guest loads; the rest of the kernel's is thrown away.
modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay udc-core dummy_hcd libcomposite usb_f_fs usbhid hid-generic usbmon configfs unix)
read -ra more <<<"${MODULES:-}" # others that a caller wants
modules+=("${more[@]}")
have_kernel() { compgen -G "$cache/kernel/boot/vmlinuz-*" >/dev/null && compgen -G "$cache/kernel/lib/modules/*/modules.dep" >/dev/null; }
have_udev() { [ -x "$cache/udev/bin/udevadm" ]; }
[ ${#wanted[@]} -eq 0 ] && have_kernel && have_udev && exit 0

command -v apt-get >/dev/null || die "the USB laboratory is made of Debian packages, and this system has no apt-get" "run it on Debian, or in a Debian container"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "missing: ${wanted[*]}, and installing them needs root" "as root: apt-get install ${wanted[*]}"
  sudo=(sudo)
fi
log=$(mktemp)
tmp=$(mktemp -d)
trap 'rm -rf "$log" "$tmp"' EXIT
chmod 755 "$tmp"
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq "$@" </dev/null >"$log" 2>&1 ||
  { cat "$log" >&2; die "apt-get $1 failed" "see apt's messages above"; }; }
apt update
if [ ${#wanted[@]} -gt 0 ]; then
  printf 'installing %s\n' "${wanted[*]}" >&2
  apt install -y --no-install-recommends "${wanted[@]}"
fi

# fetch PACKAGE DIR: unpacks a package without installing it.
fetch() {
  printf 'fetching %s\n' "$1" >&2
  mkdir -p "$tmp/deb" "$2"
  (cd "$tmp/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1" >"$log" 2>&1) || { cat "$log" >&2; die "could not download $1" "see apt's messages above"; }
  dpkg -x "$tmp"/deb/"$1"_*.deb "$2"
}

if ! have_kernel; then
  # The stock kernel: the cloud kernel has no USB modules.
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9.-]*-amd64\)$/\1/p' | head -1)
  [ -n "$package" ] || die "there is no package linux-image-amd64" "the laboratory needs Debian's own package archive"
  fetch "$package" "$tmp/kernel"
  root=$tmp/kernel
  [ -d "$root/lib/modules" ] || root=$tmp/kernel/usr
  version=$(ls "$root/lib/modules")
  depmod -b "$root" "$version"
  out=$tmp/out/lib/modules/$version
  mkdir -p "$out" "$tmp/out/boot"
  cp "$tmp"/kernel/boot/vmlinuz-* "$tmp/out/boot/"
  cp "$root/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$out/"
  for m in "${modules[@]}"; do modprobe -d "$root" -S "$version" --show-depends "$m" 2>/dev/null || true; done |
    awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
      to=$out/${file#*"/lib/modules/$version/"}
      mkdir -p "$(dirname "$to")"
      case $file in
        *.xz) xz -dc "$file" >"${to%.xz}" ;;
        *) cp "$file" "$to" ;;
      esac
    done
  depmod -b "$tmp/out" "$version"
  rm -rf "$cache/kernel"
  mv "$tmp/out" "$cache/kernel"
fi

if ! have_udev; then
  fetch udev "$tmp/udev"
  [ -x "$tmp/udev/bin/udevadm" ] || die "the package udev has no bin/udevadm" "look at what it has: dpkg -L udev"
  rm -rf "$cache/udev"
  mv "$tmp/udev" "$cache/udev"
fi
have_kernel && have_udev || die "the kernel or udev is not where it should be in $cache" "remove $cache and run this again"
