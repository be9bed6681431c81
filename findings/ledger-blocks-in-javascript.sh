#!/bin/bash
# A block of 234 bytes for a Ledger: hw-app-tezos 6.36.7 and sotez 13.0.1 cut it in two, and sotez writes the first byte in decimal.
#
# Guess: the path, then the block in one command (an APDU holds 255 bytes), and its first byte is 11.
# Seen:  both cut after 230 bytes. sotez sends 17 where the watermark byte 0x11 was asked for: as decimal digits, read as hexadecimal.
# So:    the Baking app, which takes no payload in parts, signs no such block for these libraries; neither its version nor its set-up is
#        the cause. With 11, 12 and 13 sotez reaches no baking app at all: its bytes say 17, 18 and 19.
#
# Needs node 20 or later, and npm. The device is an object that notes what it is sent.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@ledgerhq/hw-app-tezos 6.36.7: the path, then 230 bytes that begin with 11, 4 bytes that begin with 00
sotez 13.0.1: the path, then 230 bytes that begin with 17, 4 bytes that begin with 00
END

cat >program.cjs <<'END'
const Tezos = require('@ledgerhq/hw-app-tezos').default
const { ledger } = require('sotez')
const version = (name) => JSON.parse(require('fs').readFileSync(`node_modules/${name}/package.json`)).version

let sent = []
const device = {
  decorateAppAPIMethods() {},
  setScrambleKey() {},
  close() {},
  async send(cla, ins, p1, p2, data) {
    sent.push(`${data.length} bytes that begin with ${data.subarray(0, 1).toString('hex')}`)
    return Buffer.from('11'.repeat(64) + '9000', 'hex')
  },
}

async function main() {
  const path = "44'/1729'/0'/0'"
  const block = `7a06a770${'00'.repeat(229)}`
  const say = (name) => {
    console.log(`${name} ${version(name)}: the path, then ${sent.slice(1).join(', ')}`)
    sent = []
  }
  await new Tezos(device).signOperation(path, `11${block}`)
  say('@ledgerhq/hw-app-tezos')
  const transport = { create: async () => device }
  await ledger.signOperation({ transport, path, rawTxHex: block, magicBytes: new Uint8Array([0x11]) })
  say('sotez')
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @ledgerhq/hw-app-tezos@6.36.7 sotez@13.0.1 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
