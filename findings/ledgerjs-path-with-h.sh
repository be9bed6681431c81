#!/bin/bash
# @ledgerhq/hw-app-tezos 6.36.7: Octez's way to write a Ledger's path asks for another key.
#
# Guess: 44h/1729h/0h/0h, as octez-client prints paths (ledger://.../ed25519/0h/0h), is hardened like 44'/1729'/0'/0', or is refused.
# Seen:  the h is passed over, and the device is asked for the unhardened 44/1729/0/0: another address, without an error; a mixed path is
#        half of each.
# So:    a path is written with apostrophes for this library, and the address is compared with octez-client's before a key gets funds.
#
# Needs node 20 or later, and npm. The device is an object that notes what it is sent.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@ledgerhq/hw-app-tezos 6.36.7
44'/1729'/0'/0' is sent as 048000002c800006c18000000080000000
44h/1729h/0h/0h is sent as 040000002c000006c10000000000000000
44'/1729'/0h/0h is sent as 048000002c800006c10000000000000000
END

cat >program.cjs <<'END'
const Tezos = require('@ledgerhq/hw-app-tezos').default
const version = JSON.parse(require('fs').readFileSync('node_modules/@ledgerhq/hw-app-tezos/package.json')).version

async function main() {
  console.log(`@ledgerhq/hw-app-tezos ${version}`)
  for (const path of ["44'/1729'/0'/0'", '44h/1729h/0h/0h', "44'/1729'/0h/0h"]) {
    let sent = ''
    const device = {
      decorateAppAPIMethods() {},
      async send(cla, ins, p1, p2, data) {
        sent = data.toString('hex')
        return Buffer.from('2102' + '11'.repeat(32) + '9000', 'hex')
      },
    }
    await new Tezos(device).getAddress(path)
    console.log(`${path} is sent as ${sent}`)
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @ledgerhq/hw-app-tezos@6.36.7 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
