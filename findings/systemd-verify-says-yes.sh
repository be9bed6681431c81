#!/bin/bash
# systemd-analyze of Debian 12 (systemd 252): "verify" exits 0 although it says that a line of hardening is ignored, and says nothing of a
# user or a group that is not there, nor of a rule for USB that PrivateDevices makes void.
#
# Guess: verify fails for a line that systemd will ignore, and speaks of PrivateDevices beside a rule for USB, of an unknown user and group.
# Seen:  a memory limit, an address family or a directive that is misspelt leaves a warning and the status 0; with --recursive-errors=no the
#        status is 1. The rest is silent in both ways.
# So:    a check of a unit file uses --recursive-errors=no; whether the user exists and the device opens is found out under the unit alone.
#
# Needs systemd-analyze 252 or later (Debian's package systemd); no running systemd.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
MemoryMax=lots: status 0, strict 1, a warning
RestrictAddressFamilies=AF_UNIX AF_NETLNK: status 0, strict 1, a warning
ProtectSystm=strict: status 0, strict 1, a warning
PrivateDevices=yes DeviceAllow=char-usb_device rw: status 0, strict 0, silent
User=no-such-user-here: status 0, strict 0, silent
SupplementaryGroups=no-such-group-here: status 0, strict 0, silent
END

verify() { # verify [FLAG]: the status, and the warnings in the file
  local status=0
  SYSTEMD_LOG_LEVEL=warning systemd-analyze verify "$@" ./signer.service >log 2>&1 || status=$?
  grep 'signer.service' log >warnings || true
  echo "$status"
}

systemd-analyze --version | sed -n 's/^systemd \([0-9]*\).*/systemd \1/p'
for lines in 'MemoryMax=lots' 'RestrictAddressFamilies=AF_UNIX AF_NETLNK' 'ProtectSystm=strict' \
  'PrivateDevices=yes|DeviceAllow=char-usb_device rw' 'User=no-such-user-here' 'SupplementaryGroups=no-such-group-here'; do
  printf '[Service]\nExecStart=/bin/true\n%s\n' "${lines//|/$'\n'}" >signer.service
  strict=$(verify --recursive-errors=no)
  status=$(verify)
  said=silent
  [ ! -s warnings ] || said='a warning'
  printf '%s: status %s, strict %s, %s\n' "${lines//|/ }" "$status" "$strict" "$said"
done >seen
cat seen
diff -u expected seen
