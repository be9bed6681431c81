#!/bin/bash
# @ledgerhq/hw-transport-webhid 6.36.0: no time-out ends a command to a Ledger, and a second command does not wait for the first.
#
# Guess: setExchangeTimeout, or abortTimeoutMs of a command ("stop the send after a given timeout"), ends a command with an error; and a
#        second command waits for its turn.
# Seen:  the transport takes both numbers and uses neither: the late answer is an answer like any other. Only an event, "unresponsive",
#        tells of the time. A second command is refused at once, before a byte is sent: with TransportRaceCondition by the transport, with
#        "busy" by hw-app-tezos.
# So:    who signs for two keys with one Ledger queues the requests, and counts the time; a signature that comes after the program gave up
#        exists all the same, and the Ledger's watermark has moved.
#
# Needs node 20 or later, and npm. The device is an object that answers each command after a while.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
@ledgerhq/hw-transport-webhid 6.36.0, hw-transport 6.36.1, hw-app-tezos 6.36.7
time-outs of 100 ms: event unresponsive, a 9000 after 600 ms: true
two commands: a 9000, TransportRaceCondition; reports sent: 1
two addresses: an address, TransportError: Ledger Device is busy (lock getAddress); reports sent: 1
END

cat >program.cjs <<'END'
const Transport = require('@ledgerhq/hw-transport-webhid').default
const Tezos = require('@ledgerhq/hw-app-tezos').default
const version = (name) => JSON.parse(require('fs').readFileSync(`node_modules/@ledgerhq/${name}/package.json`)).version

// A device with Ledger's framing: channel, 05, number of the report, then the length and the bytes.
function device(answer, after) {
  let listener
  const it = {
    opened: true, productId: 0x5011, reports: 0,
    addEventListener(_, l) { listener = l },
    removeEventListener() {},
    async sendReport(_, report) {
      it.reports++
      const out = Buffer.alloc(64)
      Buffer.from(report).copy(out, 0, 0, 3)
      out.writeUInt16BE(answer.length, 5)
      answer.copy(out, 7)
      setTimeout(() => listener({ data: new DataView(out.buffer, out.byteOffset, 64) }), after)
    },
  }
  return it
}

const say = (promise, what) => promise.then(() => what, (e) => e.name + (e.name === 'TransportError' ? `: ${e.message}` : ''))

async function main() {
  console.log(`@ledgerhq/hw-transport-webhid ${version('hw-transport-webhid')}, hw-transport ${version('hw-transport')}, ` +
    `hw-app-tezos ${version('hw-app-tezos')}`)
  let it = device(Buffer.from('9000', 'hex'), 600)
  let transport = new Transport(it)
  let event = 'no event'
  transport.on('unresponsive', () => { event = 'event unresponsive' })
  transport.setExchangeTimeout(100)
  transport.setExchangeUnresponsiveTimeout(100)
  const begin = Date.now()
  const what = await say(transport.send(0x80, 0, 0, 0, Buffer.alloc(0), [0x9000], { abortTimeoutMs: 100 }), 'a 9000')
  console.log(`time-outs of 100 ms: ${event}, ${what} after 600 ms: ${Date.now() - begin > 590}`)

  it = device(Buffer.from('9000', 'hex'), 50)
  transport = new Transport(it)
  const both = await Promise.all([say(transport.send(0x80, 0, 0, 0), 'a 9000'), say(transport.send(0x80, 0, 0, 0), 'a 9000')])
  console.log(`two commands: ${both.join(', ')}; reports sent: ${it.reports}`)

  it = device(Buffer.from('2102' + '11'.repeat(32) + '9000', 'hex'), 50)
  const app = new Tezos(new Transport(it))
  const addresses = await Promise.all(["44'/1729'/0'/0'", "44'/1729'/1'/0'"].map((path) => say(app.getAddress(path), 'an address')))
  console.log(`two addresses: ${addresses.join(', ')}; reports sent: ${it.reports}`)
}
main()
END
npm install --no-audit --no-fund --ignore-scripts --loglevel=error \
  @ledgerhq/hw-transport-webhid@6.36.0 @ledgerhq/hw-transport@6.36.1 @ledgerhq/hw-app-tezos@6.36.7 >log 2>&1 || { cat log >&2; exit 1; }
node program.cjs >seen
cat seen
diff -u expected seen
