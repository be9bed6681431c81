#!/bin/bash
# Runs a command in a throw-away virtual machine with a software USB bus (dummy_hcd and configfs gadgets).
#   usage: [ENV=..] test/usb/run-vm.sh SHAREDIR COMMAND [ARGS...]
# The guest's / is this machine's / (read-only over 9p, with a tmpfs over it), so every tool and library here is there too; SHAREDIR is
# mounted read-write at the same path, and is the command's working directory; /tmp and /run are fresh. Prints what the command prints,
# exits with its status (125: the machine itself failed). Needs no root, no KVM, no disk image, no network; test/usb/install.sh first.
# Environment:
#   CACHE=dir      where install.sh put kernel/           [.cache/usb]
#   UDCS=n         devices that can be connected at once  [2]      HCD_OPTS="is_high_speed=0" makes them full speed
#   USBMON=1       load usbmon                            VERBOSE=1 print times   CONSOLE=file of the kernel's messages
#   ACCEL=kvm|tcg  [kvm where it works]   MEM=MiB [1536]  CPUS=n [2]   TIMEOUT=s [600]   BOOT_TIMEOUT=s [120]
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,11s/^# \?//p' "$0"; exit 64; }
share=$(cd "$1" && pwd); shift
cache=$(cd "${CACHE:-$here/../../.cache/usb}" && pwd) || exit 125
kernel=$(compgen -G "$cache/kernel/boot/vmlinuz-*") || { echo "run-vm: no kernel in $cache; run test/usb/install.sh" >&2; exit 125; }
if [ -z "${ACCEL:-}" ]; then
  # Only where the CPU offers real virtualisation: some hosts have a /dev/kvm that opens and yet cannot boot a stock kernel.
  ACCEL=tcg
  if grep -qE '^flags.*\b(vmx|svm)\b' /proc/cpuinfo && (: <>/dev/kvm) 2>/dev/null; then ACCEL=kvm; fi
fi
cpu=max; [ "$ACCEL" = kvm ] && cpu=host,arch-capabilities=off
initrd=$cache/initrd.gz
for source in "$kernel" "$here/vm/init" "$here/vm/mkinitrd.sh"; do
  [ "$initrd" -nt "$source" ] || rm -f "$initrd"
done
if [ ! -s "$initrd" ]; then
  "$here/vm/mkinitrd.sh" "$initrd.$$" "$cache/kernel" && mv "$initrd.$$" "$initrd" || exit 125
fi
ctl=$(mktemp -d); trap 'rm -rf "$ctl"' EXIT
console=${CONSOLE:-$ctl/console.log}
cp "$here/vm/stage2" "$ctl/"; chmod 755 "$ctl/stage2"
{
  printf 'SHARE=%q\n' "$share"
  for v in UDCS USBMON HCD_OPTS GUEST_ENV; do printf '%s=%q\n' "$v" "${!v:-}"; done
  if [ $# -eq 1 ]; then printf 'CMD=%q\n' "$1"; else printf 'CMD=%q\n' "$(printf '%q ' "$@")"; fi
} >"$ctl/env"
start=$(date +%s.%N)
machine() {
  exec timeout --foreground -k 5 "${TIMEOUT:-600}" qemu-system-x86_64 -M q35 -accel "$ACCEL" -cpu "$cpu" -smp "${CPUS:-2}" -m "${MEM:-1536}" \
    -nodefaults -no-user-config -no-reboot -display none -monitor none \
    -kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 loglevel=4 panic=-1 tsc=reliable no_timer_check" \
    -chardev file,id=con,path="$console" -serial chardev:con \
    -device virtio-serial -chardev file,id=out,path="$ctl/out.fifo" -device virtserialport,chardev=out,name=out \
    -virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap \
    -virtfs local,path="$ctl",mount_tag=ctl,security_model=none \
    -virtfs local,path="$share",mount_tag=share,security_model=none,multidevs=remap \
    </dev/null
}
mkfifo "$ctl/out.fifo"
exec 8<>"$ctl/out.fifo" # keeps the pipe open between two attempts
cat "$ctl/out.fifo" 8>&- & reader=$!
# An emulated machine with two processors hangs now and then while it boots; it is given another chance.
for attempt in 1 2 3; do
  machine 8>&- & qemu=$!
  trap 'kill $qemu 2>/dev/null; rm -rf "$ctl"' EXIT
  for ((tick = 0; tick < ${BOOT_TIMEOUT:-120} * 2; tick++)); do
    [ ! -s "$ctl/times" ] && kill -0 $qemu 2>/dev/null || break
    sleep 0.5
  done
  [ ! -s "$ctl/times" ] && kill -0 $qemu 2>/dev/null || break
  echo "run-vm: the machine does not boot, attempt $attempt" >&2
  kill $qemu; wait $qemu
done
wait $qemu
machine=$?
exec 8>&-; wait "$reader"
if [ -n "${VERBOSE:-}" ]; then
  { cat "$ctl/times"; echo "host: $(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }') s in all, accelerator $ACCEL"; } >&2
fi
status=$(cat "$ctl/status" 2>/dev/null)
if [ -z "$status" ]; then
  echo "run-vm: the guest gave no status (QEMU ended with $machine); the end of its console:" >&2
  tail -40 "$console" >&2
  exit 125
fi
exit "$status"
