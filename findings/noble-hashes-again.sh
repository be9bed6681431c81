#!/bin/bash
# @noble/curves 2.4.0: secp256k1 and P-256 hash a digest that they are given once more; 1.9.7 did not.
#
# Guess: sign(digest, key) signs the digest, as its predecessor did and as the word says in most libraries.
# Seen:  2.x signs SHA-256 of it, unless told { prehash: false }; the same call of 1.9.7 gives the other signature. verify goes the same
#        way, so that a round trip within one release shows nothing.
# So:    who checks a tz2 or tz3 signature with it passes the BLAKE2b digest and prehash: false; else every good signature looks forged.
#
# Needs node 20.19 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@noble/curves 2.4.0 and 1.9.7
secp256k1: the default is that of 1.9.7: false; with prehash: false it is: true
secp256k1: a signature of 1.9.7 verifies: false; with prehash: false: true
P-256: the default is that of 1.9.7: false; with prehash: false it is: true
P-256: a signature of 1.9.7 verifies: false; with prehash: false: true
END

cat >program.cjs <<'END'
const { readFileSync } = require('fs')
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version
const hex = (b) => Buffer.from(b).toString('hex')

async function main() {
  console.log(`@noble/curves ${version('@noble/curves')} and ${version('old')}`)
  const key = new Uint8Array(32).fill(7)
  const digest = new Uint8Array(32).fill(9) // what BLAKE2b made of a block
  const curves = {
    secp256k1: [(await import('@noble/curves/secp256k1.js')).secp256k1, (await import('old/secp256k1')).secp256k1],
    'P-256': [(await import('@noble/curves/nist.js')).p256, (await import('old/nist')).p256],
  }
  for (const [name, [now, before]] of Object.entries(curves)) {
    const old = before.sign(digest, key, { lowS: true }).toCompactRawBytes()
    const same = (more) => hex(now.sign(digest, key, { lowS: true, ...more })) === hex(old)
    const good = (more) => now.verify(old, digest, now.getPublicKey(key), more)
    console.log(`${name}: the default is that of 1.9.7: ${same({})}; with prehash: false it is: ${same({ prehash: false })}`)
    console.log(`${name}: a signature of 1.9.7 verifies: ${good({})}; with prehash: false: ${good({ prehash: false })}`)
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @noble/curves@2.4.0 old@npm:@noble/curves@1.9.7 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
