// Before `highwater activate`: keys are shown, nothing is signed.
import assert from 'node:assert/strict';
import test from 'node:test';
import { attestation, keys, levelOf, signerFor } from './octez.mjs';

test('the device offers a tz1, a tz2 and a tz3 key', () => {
  assert.deepEqual(keys.map((k) => k.pkh.slice(0, 3)).sort(), ['tz1', 'tz2', 'tz3']);
});

for (const [i, key] of keys.entries()) {
  test(`${key.pkh}: an instance that is not active answers OperationNotAuthorized`, async () => {
    const signer = signerFor(key.pkh);
    assert.equal(await signer.publicKey(), key.public_key);
    await assert.rejects(signer.sign(attestation(levelOf(i), 0)), { name: 'OperationNotAuthorized' });
  });
}
