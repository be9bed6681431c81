#!/bin/bash
# @taquito/local-forging 25.0.0: parse gives the DAL bits of an attestation as "1.18…e+21" from bit 70 on, and forge refuses that text.
#
# Guess: parse gives back the decimal digits that were forged, as a node writes them, and forge takes them again.
# Seen:  up to bit 69 so it is. Above, the number comes in exponent form: all digits are there, and the text is another. forge of the same
#        package does not take it (with bignumber.js 10.0.2; 9.3.1, beside release 24.2.0, took it).
# So:    who compares a parsed attestation with a node's answer writes both as plain digits first; a network has 160 slots, and the lags
#        multiply them.
#
# Needs node 20 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@taquito/local-forging 25.0.0
bit 69: 590295810358705651712 is parsed as 590295810358705651712
  forge takes it again: the same bytes
bit 70: 1180591620717411303424 is parsed as 1.180591620717411303424e+21
  forge takes it again: Not a base 10 number
bit 159: 730750818665451459101842416358141509827966271488 is parsed as 7.30750818665451459101842416358141509827966271488e+47
  forge takes it again: Not a base 10 number
END

cat >program.cjs <<'END'
const { LocalForger } = require('@taquito/local-forging')
const version = JSON.parse(require('fs').readFileSync('node_modules/@taquito/local-forging/package.json')).version

async function main() {
  console.log(`@taquito/local-forging ${version}`)
  const forger = new LocalForger()
  for (const bit of [69n, 70n, 159n]) {
    const bits = (2n ** bit).toString()
    const attestation = {
      kind: 'attestation_with_dal', slot: 7, level: 1000, round: 0, dal_attestation: bits,
      block_payload_hash: 'vh1g87ZG6scSYxKhspAUzprQVuLAyoa5qMBKcUfjgnQGnFb3dJcG',
    }
    const branch = 'BLzyjjHKEKMULtvkpSHxuZxx6ei6fpntH2BTkYZiLgs8zLVstvX'
    const bytes = await forger.forge({ branch, contents: [attestation] })
    const back = await forger.parse(bytes)
    console.log(`bit ${bit}: ${bits} is parsed as ${back.contents[0].dal_attestation}`)
    let again
    try {
      again = await forger.forge(back)
    } catch (e) {
      again = /Not a base 10 number/.exec(e.message)?.[0] ?? e.message
    }
    console.log(`  forge takes it again: ${again === bytes ? 'the same bytes' : again}`)
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @taquito/local-forging@25.0.0 bignumber.js@10.0.2 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
