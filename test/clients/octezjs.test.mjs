// octez.js as a judge of signatures, and what the addresses are that it does not know.
import assert from 'node:assert/strict';
import test from 'node:test';
import { b58cdecode, b58cencode } from '@taquito/utils';
import octezjs from '@tezos-x/octez.js-utils';
import * as octez from './octez.mjs';

const { validateKeyHash, ValidationResult, verifySignature } = octezjs;
const headers = { 'Content-Type': 'application/json' };

const sign = async (pkh, bytes) => {
  const answer = await fetch(`${octez.url}/keys/${pkh}`, { method: 'POST', body: JSON.stringify(bytes), headers });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).signature;
};

for (const [i, key] of [...octez.keys, ...octez.gadget].entries()) {
  test(`${key.pkh}: octez.js verifies the signature`, async () => {
    const of = key.pkh.startsWith('tz4') ? octez.attestationOfTz4 : octez.attestation;
    const bytes = of(octez.floor + 200 + i, 0);
    const signature = await sign(key.pkh, bytes);
    assert.equal(verifySignature(bytes, key.public_key, signature), true);
    const others = of(octez.floor + 300, 0);
    assert.equal(verifySignature(others, key.public_key, signature), false, 'and of these bytes only');
  });
}

const curves = {
  tz2: { prefix: [13, 115, 101, 19, 63], takesHigh: false,
    order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n },
  tz3: { prefix: [54, 240, 44, 52], takesHigh: true,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n },
};

const rawOf = (text, { prefix }) => Buffer.from(b58cdecode(text, new Uint8Array(prefix)));
const sOf = (text, curve) => BigInt(`0x${rawOf(text, curve).subarray(32).toString('hex')}`);

// otherS is the same signature with n - s in the place of s.
const otherS = (text, curve) => {
  const { prefix, order } = curve;
  const raw = rawOf(text, curve);
  const s = order - sOf(text, curve);
  raw.write(s.toString(16).padStart(64, '0'), 32, 'hex');
  return b58cencode(raw, new Uint8Array(prefix));
};

for (const [name, curve] of Object.entries(curves)) {
  test(`octez.js ${curve.takesHigh ? 'takes' : 'refuses'} a high s of a ${name} key`, async () => {
    const key = octez.keys.find((k) => k.pkh.startsWith(name));
    const bytes = octez.attestation(octez.floor + 400 + Number(curve.takesHigh), 0);
    const low = await sign(key.pkh, bytes);
    const high = otherS(low, curve);
    assert.ok(sOf(low, curve) < sOf(high, curve), 'the answer of the signer has the low s');
    assert.equal(verifySignature(bytes, key.public_key, low), true);
    assert.equal(verifySignature(bytes, key.public_key, high), curve.takesHigh);
  });
}

test('octez.js knows tz4 addresses and no tz5 address', () => {
  const address = (last) => b58cencode(new Uint8Array(20), new Uint8Array([6, 161, last]));
  assert.equal(validateKeyHash(address(166)), ValidationResult.VALID);
  assert.equal(validateKeyHash(address(169)), ValidationResult.NO_PREFIX_MATCHED);
});
