#!/bin/bash
# Lets @taquito/remote-signer speak to a real highwater: bin/highwater as processes, from nothing, with an emulated Ledger and an
# emulated TezSign.
# Installs Node from Debian or Ubuntu if it is missing, and the packages of test/clients as its lock file pins them.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

scripts/install-deps.sh node npm
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 18 ] || { printf 'error: node %s is too old\nhint: these tests need node 18 or later\n' "$(node --version)" >&2; exit 1; }
[ -x bin/highwater ] || { printf 'error: there is no bin/highwater\nhint: make build\n' >&2; exit 1; }

cd test/clients
if ! cmp -s package-lock.json node_modules/.highwater-lock; then
  npm ci --no-audit --no-fund --loglevel=error </dev/null >&2
  cp package-lock.json node_modules/.highwater-lock
fi

dir=$(mktemp -d)
runtime=$(mktemp -d -p /dev/shm) # a tmpfs: what a killed signer signed last is found there
daemon=
stop() { # stop SIGNAL
  [ -n "$daemon" ] || return 0
  kill -s "$1" "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  daemon=
}
finish() {
  status=$?
  stop TERM
  [ "$status" -eq 0 ] || { echo '--- log of the signer' >&2; tail -n 60 "$dir/log" >&2 || true; }
  rm -rf "$dir" "$runtime"
}
trap finish EXIT

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
export HIGHWATER_CONFIG=$dir/highwater.toml
export HIGHWATER_URL=http://127.0.0.1:$port HIGHWATER_CHAIN=NetXnHfVqm9iesp HIGHWATER_FLOOR=1000
export HIGHWATER_KEYS=$dir/keys.json HIGHWATER_STATE=$dir/signatures.json

cat >"$HIGHWATER_CONFIG" <<TOML
state_dir = "$dir/state"
chain     = "$HIGHWATER_CHAIN"

[store]
runtime_dir = "$runtime"

[server]
listen = "127.0.0.1:$port"

[admin]
socket = "$dir/admin.sock"

[monitor]
listen = ""

[[device]]
name      = "left"
kind      = "ledger"
transport = "sim"

[device.sim]
seed   = "zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra zebra"
curves = ["ed25519", "secp256k1", "P-256"]

[[device]]
name      = "gadget"
kind      = "tezsign"
serial    = "ts-1"
transport = "sim"

[device.sim]
seed = "a gadget"
keys = ["consensus"]
TOML

highwater() { "$root/bin/highwater" "$@" </dev/null; }

start() { # returns when the signer says that it has started; tail ends with it
  touch "$dir/log"
  local from=$(($(wc -l <"$dir/log") + 1))
  "$root/bin/highwater" serve </dev/null >>"$dir/log" 2>&1 &
  daemon=$!
  timeout 60 grep -q -m1 msg=started < <(tail -n "+$from" -f --pid="$daemon" "$dir/log") && return 0
  printf 'error: highwater serve does not start\n' >&2
  return 1
}

echo '== from nothing'
highwater init --yes
highwater hwm set --all --level "$HIGHWATER_FLOOR"
start
highwater keys list --json >"$HIGHWATER_KEYS"

echo '== standby'
node --test --test-reporter=spec standby.test.mjs

echo '== active'
highwater activate --yes
node --test --test-reporter=spec signing.test.mjs

echo '== killed and started again'
stop KILL
start
node --test --test-reporter=spec restart.test.mjs

echo '== a tz4 key, and what Taquito loses'
node --test --test-reporter=spec tz4.test.mjs

echo '== octez.js as a judge'
node --test --test-reporter=spec octezjs.test.mjs
stop TERM
