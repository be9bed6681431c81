#!/bin/bash
# A signature with a high s: octez.js 0.9.0 refuses it for secp256k1 and takes it for P-256; sotez 13.0.1 takes both.
#
# Guess: a library has one rule for both curves of ECDSA.
# Seen:  octez.js has Octez's rules: low s for secp256k1 alone. sotez has none.
# So:    a signer gives low s, always; and a signature that sotez calls good may be one that a node refuses.
#
# Needs node 20 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@tezos-x/octez.js-utils 0.9.0, sotez 13.0.1
secp256k1, low s: octez.js true, sotez true
secp256k1, high s: octez.js false, sotez true
P-256, low s: octez.js true, sotez true
P-256, high s: octez.js true, sotez true
END

cat >program.cjs <<'END'
const octez = require('@tezos-x/octez.js-utils')
const { cryptoUtils } = require('sotez')
const { secp256k1 } = require('@noble/curves/secp256k1')
const { p256 } = require('@noble/curves/nist')
const { blake2b } = require('@noble/hashes/blake2')
const bs58check = require('bs58check')
const version = (name) => JSON.parse(require('fs').readFileSync(`node_modules/${name}/package.json`)).version

const base58 = (prefix, bytes) => bs58check.encode(Buffer.concat([Buffer.from(prefix, 'hex'), Buffer.from(bytes)]))
const scalar = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex')

async function main() {
  console.log(`@tezos-x/octez.js-utils ${version('@tezos-x/octez.js-utils')}, sotez ${version('sotez')}`)
  const payload = `137a06a770${'11'.repeat(75)}`
  const digest = blake2b(Buffer.from(payload, 'hex'), { dkLen: 32 })
  const secret = new Uint8Array(32).fill(7)
  for (const [name, curve, keyPrefix, prefix] of [
    ['secp256k1', secp256k1, '03fee256', '0d7365133f'],
    ['P-256', p256, '03b28b7f', '36f02c34'],
  ]) {
    const key = base58(keyPrefix, curve.getPublicKey(secret))
    const { r, s } = curve.sign(digest, secret, { lowS: true })
    for (const [what, value] of [['low s', s], ['high s', curve.CURVE.n - s]]) {
      const signature = base58(prefix, Buffer.concat([scalar(r), scalar(value)]))
      const here = octez.verifySignature(payload, key, signature)
      console.log(`${name}, ${what}: octez.js ${here}, sotez ${await cryptoUtils.verify(payload, signature, key)}`)
    }
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @tezos-x/octez.js-utils@0.9.0 sotez@13.0.1 @noble/curves@1.9.7 @noble/hashes@1.8.0 bs58check@2.1.2 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
