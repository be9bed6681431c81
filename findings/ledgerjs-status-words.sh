#!/bin/bash
# @ledgerhq/errors 7.0.0: what a wallet says of the Tezos Baking app points elsewhere.
#
# Guess: the refusal of a level at or below the watermark has a name of its own, and so has a message that the app cannot parse.
# Seen:  the watermark (6A80) is "Invalid data received", a key that is not the authorised one (6982) is "dongle locked", and what the app
#        cannot parse (9405) or expected after another message (917E) is UNKNOWN_ERROR.
# So:    a log line of such a program is read by its status word, not by its text: docs/devices.md has the words.
#
# Needs node 20 or later, and npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@ledgerhq/errors 7.0.0
6A80 Invalid data received
6982 Security not satisfied (dongle locked or have invalid access rights)
6985 Condition of use not satisfied (denied by the user?)
6B00 Invalid parameter received
5515 Locked device
9405 UNKNOWN_ERROR
917E UNKNOWN_ERROR
9001 UNKNOWN_ERROR
6511 UNKNOWN_ERROR
END

cat >program.cjs <<'END'
const { TransportStatusError } = require('@ledgerhq/errors')
const version = JSON.parse(require('fs').readFileSync('node_modules/@ledgerhq/errors/package.json')).version
console.log(`@ledgerhq/errors ${version}`)
for (const word of ['6A80', '6982', '6985', '6B00', '5515', '9405', '917E', '9001', '6511']) {
  const text = new TransportStatusError(parseInt(word, 16)).message
  console.log(word, text.replace(/^Ledger device: /, '').replace(/ \(0x....\)$/, ''))
}
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @ledgerhq/errors@7.0.0 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
