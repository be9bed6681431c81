// After a SIGKILL and a new start: what was signed last comes back byte for byte, and nothing else is signed in its place.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as octez from './octez.mjs';

const signatures = JSON.parse(readFileSync(octez.stateFile, 'utf8'));

for (const [i, key] of octez.keys.entries()) {
  const signer = octez.signerFor(key.pkh);
  const level = octez.levelOf(i);
  const last = [
    [octez.block(level + 2, 3), octez.block(level + 2, 3, octez.otherValue)],
    [octez.preattestation(level, 0), octez.preattestation(level, 0, octez.otherValue)],
    [octez.attestation(level + 4, 0), octez.attestation(level + 4, 0, octez.otherValue)],
  ];
  test(`${key.pkh}: remembers`, async () => {
    for (const [same, other] of last) {
      const before = signatures[key.pkh + same];
      assert.ok(before, 'the signing test signed this');
      await assert.rejects(signer.sign(other), { status: 409 });
      assert.equal((await signer.sign(same)).prefixSig, before);
    }
  });
}

// Above everything that the device has signed: the emulated one, too, has one watermark for all its keys.
for (const [i, key] of octez.keys.entries()) {
  test(`${key.pkh}: goes on`, async () => {
    await octez.signerFor(key.pkh).sign(octez.attestation(octez.levelOf(octez.keys.length) + i, 0));
  });
}
