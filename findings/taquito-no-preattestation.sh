#!/bin/bash
# @taquito/local-forging 25.0.0: it forges an attestation, and knows no preattestation.
#
# Guess: the three consensus operations of a baker are known alike, and by their older names too.
# Seen:  attestation and attestation_with_dal are forged and parsed; preattestation is an "Invalid operation kind", and so are endorsement and
#        preendorsement; tag 20 is refused when it is parsed.
# So:    a test or a monitor that is built on it sees two thirds of what a baker signs. Our test vectors of preattestations come from Octez.
#
# Needs node 20 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@taquito/local-forging 25.0.0
attestation: tag 21
attestation_with_dal: tag 23
preattestation: InvalidOperationKindError
endorsement: InvalidOperationKindError
preendorsement: InvalidOperationKindError
parsed with tag 21: attestation
parsed with tag 20: refused
END

cat >program.cjs <<'END'
const { LocalForger } = require('@taquito/local-forging')
const version = JSON.parse(require('fs').readFileSync('node_modules/@taquito/local-forging/package.json')).version

async function main() {
  console.log(`@taquito/local-forging ${version}`)
  const forger = new LocalForger()
  const branch = 'BLockGenesisGenesisGenesisGenesisGenesisf79b5d1CoW2'
  const place = { slot: 3, level: 7, round: 1, block_payload_hash: 'vh2i6wpkn9bGpw47r3RhnfHiCrLvzTvQT36AmEZNPPsKqcN7yecT' }
  let bytes = ''
  for (const kind of ['attestation', 'attestation_with_dal', 'preattestation', 'endorsement', 'preendorsement']) {
    try {
      const forged = await forger.forge({ branch, contents: [{ kind, ...place, dal_attestation: '5' }] })
      if (kind === 'attestation') bytes = forged
      console.log(`${kind}: tag ${parseInt(forged.slice(64, 66), 16)}`)
    } catch (e) {
      console.log(`${kind}: ${e.name}`)
    }
  }
  console.log(`parsed with tag 21: ${(await forger.parse(bytes)).contents[0].kind}`)
  try {
    console.log(`parsed with tag 20: ${(await forger.parse(bytes.slice(0, 64) + '14' + bytes.slice(66))).contents[0].kind}`)
  } catch {
    console.log('parsed with tag 20: refused')
  }
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @taquito/local-forging@25.0.0 @taquito/utils@25.0.0 @taquito/core@25.0.0 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
