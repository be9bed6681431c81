#!/bin/bash
# Installs what a build needs besides Go: a C compiler and libc headers (BLS, USB), pkg-config and the libusb headers (USB).
# Quiet and instant when nothing is missing. Takes further commands to have as arguments, such as `make` or `node npm`.
set -euo pipefail

die() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

command -v go >/dev/null || die "no go command in PATH" "install Go 1.26 or later from https://go.dev/dl/"

# What counts is what works, not what a package manager believes.
compiles() { printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | "${CC:-gcc}" -x c -fsyntax-only - 2>/dev/null; }

wanted=()
command -v "${CC:-gcc}" >/dev/null || wanted+=(gcc)
compiles || wanted+=(libc6-dev)
command -v pkg-config >/dev/null || wanted+=(pkg-config)
pkg-config --exists libusb-1.0 2>/dev/null || wanted+=(libusb-1.0-0-dev)
for tool in "$@"; do
  command -v "$tool" >/dev/null && continue
  case $tool in
    node) wanted+=(nodejs) ;;
    etcd) wanted+=(etcd-server) ;;
    etcdctl) wanted+=(etcd-client) ;;
    objdump) wanted+=(binutils) ;;
    qemu-aarch64-static) wanted+=(qemu-user-static) ;;
    xz) wanted+=(xz-utils) ;;
    aarch64-linux-gnu-gcc) wanted+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
    ip) wanted+=(iproute2) ;;
    losetup) wanted+=(mount) ;;
    unshare) wanted+=(util-linux) ;;
    mkfs.ext4) wanted+=(e2fsprogs) ;;
    mkfs.xfs) wanted+=(xfsprogs) ;;
    mkfs.btrfs) wanted+=(btrfs-progs) ;;
    *) wanted+=("$tool") ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || exit 0

list="${wanted[*]}"
command -v apt-get >/dev/null ||
  die "missing: $list (names of Debian packages), and this system has no apt-get" \
    "install a C compiler with its headers, pkg-config and the libusb 1.0 headers${*:+, $*} with your package manager, then run this again"

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "missing: $list, and installing them needs root" "as root: apt-get install $list"
  printf 'installing %s (sudo may ask for your password)\n' "$list" >&2
  sudo=(sudo)
else
  printf 'installing %s\n' "$list" >&2
fi

apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq "$@" </dev/null; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A source of packages that is out of reach does not matter if the others suffice: what counts is the installation.
{ apt update || true; apt install -y --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1 ||
  { cat "$log" >&2; die "could not install $list" "see apt's messages above; then: apt-get install $list"; }

pkg-config --exists libusb-1.0 && compiles || die "installed $list, yet the C compiler or libusb is not found" "run: pkg-config --libs libusb-1.0"
