#!/bin/bash
# The steps of test.sh with the image that it has built, in a network of their own: $IMAGE, with the options for podman in $STORE and $LIMITS.
set -euo pipefail
. test/packages/ask.sh

# hw COMMAND…: as the head of the Containerfile says, without USB.
hw() {
  # shellcheck disable=SC2086 # options
  podman $STORE run --cgroups=disabled $LIMITS --network host --read-only --cap-drop all --security-opt no-new-privileges \
    -v highwater-config:/etc/highwater:U -v highwater-state:/var/lib/highwater:U --tmpfs /run/highwater:mode=1777 "$@"
}

# serve NAME: sets pid, the signer's process.
serve() {
  hw --name "$1" --pidfile "$DIR/$1.pid" "$IMAGE" >"$DIR/$1.log" 2>&1 &
  for _ in $(seq 300); do
    curl -sf -m 5 http://127.0.0.1:6732/authorized_keys >/dev/null && pid=$(cat "$DIR/$1.pid") && return
    sleep 0.1
  done
  cat "$DIR/$1.log"
  die "the signer does not listen"
}

# field NAME: of the process.
field() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$pid/status"; }

say "version, init, check, activate"
has "$(hw --rm "$IMAGE" version)" "highwater "
hw --rm "$IMAGE" init --yes --chain shadownet --store-only
sed -i 's/^transport = "usb"/transport = "sim"/' "$DIR/store/volumes/highwater-config/_data/highwater.toml" # in the place of a real one
has "$(hw --rm "$IMAGE" check 2>&1 || true)" activate # no node and no role yet: its findings say so
hw --rm "$IMAGE" activate --yes --level 1000
key=$(hw --rm "$IMAGE" keys list --json | grep -oE 'tz[1-4][A-Za-z0-9]{33}' | head -1)

say "serve"
serve first
signs 1001
refuses 1001
[ "$(field Uid)" != 0 ] || die "the signer is root"
[ "$((16#$(field CapEff)))" -eq 0 ] && [ "$(field NoNewPrivs)" = 1 ] || die "the signer has capabilities, or can get some"
awk '$5 == "/" && $6 ~ /^ro(,|$)/ { ro = 1 } END { exit !ro }' "/proc/$pid/mountinfo" || die "the container's root is writable"
! awk '$5 == "/var/lib/highwater" && $6 ~ /^ro(,|$)/ { exit 1 }' "/proc/$pid/mountinfo" && die "the state is read-only"

say "a second container beside the first one, and after it"
has "$(hw --rm "$IMAGE" serve 2>&1 || true)" "the state directory is in use"
kill -TERM "$pid"
wait
serve second
refuses 1001
signs 1002
kill -TERM "$pid"
wait
