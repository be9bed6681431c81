#!/bin/bash
# conseiljs 5.3.0: a P-256 signature that is read from its text has 63 bytes.
#
# Guess: a signature of any curve, written and read again, is the same 64 bytes.
# Seen:  the first byte of a p2sig is gone: as many bytes are cut as the word "p2sig" has letters, and its prefix has four. The words
#        edsig and spsig fit by chance.
# So:    a tz3 signature that conseil passes on is refused as too short or as forged; the signer's answer was whole.
#
# Needs node 20 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
conseiljs 5.3.0
edsig: 64 bytes, the same: true
spsig: 64 bytes, the same: true
p2sig: 63 bytes, the same: false
END

cat >program.cjs <<'END'
const { TezosMessageUtils } = require('conseiljs')
const version = JSON.parse(require('fs').readFileSync('node_modules/conseiljs/package.json')).version

console.log(`conseiljs ${version}`)
const signature = Buffer.from([...Array(64).keys()])
for (const curve of ['edsig', 'spsig', 'p2sig']) {
  const text = TezosMessageUtils.readSignatureWithHint(signature, curve)
  const back = TezosMessageUtils.writeSignatureWithHint(text, curve)
  console.log(`${curve}: ${back.length} bytes, the same: ${signature.equals(back)}`)
}
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  conseiljs@5.3.0 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
