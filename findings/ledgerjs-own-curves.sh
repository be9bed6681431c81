#!/bin/bash
# @ledgerhq/hw-app-tezos 6.36.7: for bip25519 and tz4 the device is asked, and its answer is thrown away.
#
# Guess: a curve that the library does not know is refused before the device is asked, or passed through with the public key.
# Seen:  curves 3 (bip25519, octez-client's ledger://.../bip25519) and 4 (BLS, Baking app 2.5.1) are sent; the public key comes back and
#        an error of another sort, "Invariant Violation", takes its place.
# So:    a wallet on this library shows neither of these keys; that is no sign of a broken device.
#
# Needs node 20 or later, and npm. The device is an object that notes what it is sent.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@ledgerhq/hw-app-tezos 6.36.7
curve 0: sent 1, a tz1 address
curve 1: sent 1, a tz2 address
curve 2: sent 1, a tz3 address
curve 3: sent 1, Invariant Violation: 3 curve not supported
curve 4: sent 1, Invariant Violation: 4 curve not supported
END

cat >program.cjs <<'END'
const Tezos = require('@ledgerhq/hw-app-tezos').default
const version = JSON.parse(require('fs').readFileSync('node_modules/@ledgerhq/hw-app-tezos/package.json')).version

async function main() {
  console.log(`@ledgerhq/hw-app-tezos ${version}`)
  for (const curve of [0, 1, 2, 3, 4]) {
    let sent = 0
    const device = {
      decorateAppAPIMethods() {},
      async send() {
        sent++
        return Buffer.from('2102' + '11'.repeat(32) + '9000', 'hex')
      },
    }
    let what
    try {
      what = `a ${(await new Tezos(device).getAddress("44'/1729'/0'/0'", { curve })).address.slice(0, 3)} address`
    } catch (e) {
      what = `${e.name}: ${e.message}`
    }
    console.log(`curve ${curve}: sent ${sent}, ${what}`)
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @ledgerhq/hw-app-tezos@6.36.7 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
