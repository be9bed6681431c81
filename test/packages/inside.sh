#!/bin/bash
# The steps of test.sh, inside the Debian root: inside.sh install, then inside.sh use.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

state=/var/lib/highwater config=/etc/highwater/highwater.toml unit=/usr/lib/systemd/system/highwater.service calls=/test/systemctl.calls
# shellcheck source=test/packages/ask.sh
. /test/ask.sh
as_signer() { runuser -u highwater -- highwater "$@"; }

# install: command one of five.
install_package() {
  say "apt-get install"
  apt-get -qq update
  apt-get -qq install -y /test/first.deb >/test/install.log 2>&1 || { cat /test/install.log; die "the package does not install"; }
  has "$(cat /test/install.log)" "highwater: the next steps:"
}

first_run() {
  say "init, check, activate, serve"
  as_signer init --yes --chain shadownet --store-only
  sed -i 's/^transport = "usb"/transport = "sim"/' "$config" # an emulated Ledger in the place of a real one
  as_signer check >/test/check.log 2>&1 || true             # no node and no role yet: its findings say so
  has "$(cat /test/check.log)" activate
  as_signer activate --yes --level 1000
}

# serve: what "systemctl enable --now" starts, by the unit's own line and user.
serve() {
  install -d -o highwater -g highwater -m 750 /run/highwater
  local line
  line=$(sed -n 's/^ExecStart=//p' "$unit")
  # shellcheck disable=SC2086 # words of a command line
  runuser -u highwater -- $line >>/test/serve.log 2>&1 &
  for _ in $(seq 200); do
    curl -sf -m 5 http://127.0.0.1:6732/authorized_keys >/dev/null && pgrep_signer && return
    sleep 0.1
  done
  cat /test/serve.log
  die "the signer does not listen"
}

# pgrep_signer sets pid: the signer's process, with the unit's program. Under emulation the emulator stands before the program.
pgrep_signer() {
  local p line want
  want="$(sed -n 's/^ExecStart=//p' "$unit" 2>/dev/null || true) "
  for p in /proc/[0-9]*; do
    line=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)
    case $line in
      "$want") [ "$(cut -d' ' -f2 <"$p/stat")" = "(highwater)" ] || continue ;; # not a process that becomes the signer
      /*/qemu-*" $want") [[ $line != *runuser* ]] || continue ;;
      *) continue ;;
    esac
    pid=${p#/proc/}
    return 0
  done
  return 1
}

files() {
  say "files, owners, unit, rules"
  [ "$(stat -c '%U %G %a' $state)" = "highwater highwater 700" ] || die "the owner or mode of $state"
  [ "$(stat -c '%U %G %a' /etc/highwater)" = "highwater highwater 750" ] || die "the owner or mode of /etc/highwater"
  [ "$(stat -c '%U %a' $unit)" = "root 644" ] || die "the owner or mode of the unit"
  [ "$(getent passwd highwater | cut -d: -f7)" = /usr/sbin/nologin ] || die "the signer's user can log in"
  systemd-analyze verify --man=no $unit
  udevadm verify --no-summary /usr/lib/udev/rules.d/70-highwater-*.rules
  [ ! -e /etc/systemd/system/multi-user.target.wants/highwater.service ] || die "the installation has enabled the unit"
  bash -n /usr/share/bash-completion/completions/highwater
  gzip -t /usr/share/man/man1/highwater.1.gz /usr/share/man/man1/highwater-serve.1.gz
  # needrestart evaluates its files as Perl.
  perl -e 'our %nrconf; open F, shift or die $!; local $/; eval <F>; die $@ if $@;
    for (keys %{$nrconf{override_rc}}) { exit 0 if "highwater.service" =~ /$_/ && !$nrconf{override_rc}{$_} }
    die "needrestart would restart the signer"' /etc/needrestart/conf.d/highwater.conf
}

# with_systemctl: a machine with systemd, as the package's scripts see it. Each call is written down; the signer counts as active.
with_systemctl() {
  mkdir -p /run/systemd/system
  rm -f /usr/bin/systemctl
  printf '#!/bin/sh\necho "$*" >>%s\n' $calls >/usr/bin/systemctl
  chmod 755 /usr/bin/systemctl
  : >$calls
}

upgrade() {
  say "upgrade of a signing instance"
  local before=$pid log
  log=$(apt-get -qq install -y /test/next.deb 2>&1) || die "the upgrade fails: $log"
  has "$log" "the signer was not restarted"
  has "$log" "highwater wait-window --alone && systemctl restart highwater"
  has "$(dpkg-query -W -f '${Version}' highwater)" +next
  lacks "$(cat $calls)" start
  lacks "$(cat $calls)" stop
  kill -0 "$before" || die "the upgrade has ended the signer"
  signs 1003
}

remove_and_purge() {
  say "remove, purge, installation anew"
  local log
  : >$calls
  log=$(apt-get -qq remove -y highwater 2>&1) || die "the removal fails: $log"
  has "$(cat $calls)" "stop highwater.service"
  kill "$pid" # as systemd does for the stubbed systemctl
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  [ -e $state/marks.db ] && [ -e $config ] || die "the removal has taken marks or configuration"
  log=$(apt-get -qq purge -y highwater 2>&1) || die "the purge fails: $log"
  has "$log" "/var/lib/highwater and /etc/highwater stay"
  [ ! -e /usr/bin/highwater ] && [ ! -e /etc/needrestart/conf.d/highwater.conf ] || die "the purge has left files"
  [ "$(stat -c '%U %a' $state/marks.db)" = "highwater 600" ] && [ -e $config ] || die "the purge has taken marks or configuration"
  apt-get -qq install -y /test/first.deb >/dev/null 2>&1
  serve
  refuses 1003
  signs 1004
  kill "$pid"
}

use() {
  first_run
  serve
  key=$(as_signer keys list --json | grep -oE 'tz[1-4][A-Za-z0-9]{33}' | head -1)
  signs 1001
  date +%s >/test/signed
  signs 1001 # the same question: the same signature
  refuses 1001
  signs 1002
  files
  with_systemctl
  upgrade
  remove_and_purge
}

case $1 in
  install) install_package ;;
  use) use ;;
esac
