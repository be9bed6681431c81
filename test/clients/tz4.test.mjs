// A TezSign's tz4 key, asked as octez asks and checked by noble, which has nothing in common with Octez's library or Highwater's. Then the
// signatures that Taquito loses.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import test from 'node:test';
import { RemoteSigner } from '@taquito/remote-signer';
import { bls12_381 } from '@noble/curves/bls12-381';
import { secp256k1 } from '@noble/curves/secp256k1';
import { blake2b } from '@noble/hashes/blake2';
import { b58cdecode } from '@taquito/utils';
import * as octez from './octez.mjs';

const [key] = octez.gadget;
const level = octez.floor + 1;
const bls = bls12_381.longSignatures; // keys in G1, signatures in G2
const payload = (base58, prefixBytes) => Buffer.from(b58cdecode(base58, new Uint8Array(prefixBytes)));
const publicKey = payload(key.public_key, 4); // BLpk
const domain = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';

const verifies = (signature, hex) =>
  bls.verify(bls.Signature.fromBytes(payload(signature, 4)), bls.hash(Buffer.from(hex, 'hex'), domain), publicKey);

const headers = { 'Content-Type': 'application/json' };
const post = (bytes) => fetch(`${octez.url}/keys/${key.pkh}`, { method: 'POST', body: JSON.stringify(bytes), headers });

const signed = async (bytes) => {
  const answer = await post(bytes);
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).signature;
};

const requests = [
  ['block', octez.block(level, 0)],
  ['preattestation', octez.preattestationOfTz4(level, 0)],
  ['attestation', octez.attestationOfTz4(level, 0)],
];

for (const [what, bytes] of requests) {
  test(`${key.pkh}: noble verifies the signature: ${what}`, async () => {
    const signature = await signed(bytes);
    assert.ok(signature.startsWith('BLsig'), signature);
    assert.equal(verifies(signature, bytes), true);
    assert.equal(verifies(signature, bytes.slice(0, -2) + '00'), false, 'and of these bytes only');
    assert.equal(await signed(bytes), signature, 'the same bytes give the same signature');
  });
}

// A pair of Octez's texts, from the tests of @taquito/signer (packages/taquito-signer/test/bls.spec.ts).
test('the secret of a BLsk is little-endian: noble makes its BLpk of the reversed bytes only', () => {
  const secret = payload('BLsk2jjZe6wQH9TwtBzJwL7xLePfEgUxsV6BfwDP8dGfsosgnekSgC', 4);
  const wanted = payload('BLpk1wMU34nS7N96D2owyejLxQtwZwLARLg6tdTFMP5N8fz6yCiLogfFXkYo9ZHnZ95Kba3D3cvt', 4);
  const made = (bytes) => Buffer.from(bls.getPublicKey(bytes).toBytes());
  assert.deepEqual(made(Buffer.from(secret).reverse()), wanted);
  assert.notDeepEqual(made(secret), wanted, 'a valid key, and a different address');
});

test(`${key.pkh}: Taquito throws the signature away, and it can still be had`, async () => {
  const bytes = octez.attestationOfTz4(level + 1, 0);
  await assert.rejects(octez.signerFor(key.pkh).sign(bytes), { name: 'InvalidSignatureError' });
  // The mark has moved: other bytes for the place are refused, and the same bytes still get the signature.
  assert.equal((await post(octez.attestationOfTz4(level + 1, 0, octez.otherValue))).status, 409);
  assert.equal(verifies(await signed(bytes), bytes), true);
});

// With a signer whose GET fails after the POST, Taquito loses a signature that was made.
test('a GET that fails after the POST loses the signature, until the same bytes are asked again', async () => {
  const tz1 = octez.keys.find((k) => k.pkh.startsWith('tz1'));
  const bytes = octez.attestation(octez.levelOf(octez.keys.length + 1), 0);
  let signature;
  const between = createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.writeHead(503).end();
      return;
    }
    const parts = [];
    for await (const part of request) parts.push(part);
    const answer = await fetch(octez.url + request.url, { method: 'POST', body: Buffer.concat(parts), headers });
    const text = await answer.text();
    ({ signature } = JSON.parse(text));
    response.writeHead(answer.status, headers).end(text);
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  try {
    const behind = new RemoteSigner(tz1.pkh, `http://127.0.0.1:${between.address().port}`);
    await assert.rejects(behind.sign(bytes), { status: 503 });
  } finally {
    between.closeAllConnections();
    between.close();
  }
  assert.equal((await octez.signerFor(tz1.pkh).sign(bytes)).prefixSig, signature);
});

test("a refusal's reason is in the cause of Taquito's error", async () => {
  const tz1 = octez.keys.find((k) => k.pkh.startsWith('tz1'));
  const transaction = `03${octez.attestation(octez.floor + 900, 0).slice(2)}`;
  await assert.rejects(octez.signerFor(tz1.pkh).sign(transaction), (err) => {
    assert.equal(err.name, 'OperationNotAuthorized');
    assert.ok(!err.message.includes('highwater'), 'the message has no word of ours');
    assert.match(err.cause.body, /baking|consensus|sign/);
    return true;
  });
});

// Octez refuses a high s of secp256k1, and so does noble.
test('each of 40 signatures of a tz2 key has a low s', async () => {
  const tz2 = octez.keys.find((k) => k.pkh.startsWith('tz2'));
  const tz2Key = payload(tz2.public_key, 4); // sppk
  for (let i = 0; i < 40; i++) {
    const bytes = octez.attestation(octez.levelOf(octez.keys.length + 2) + i, 0);
    const { prefixSig } = await octez.signerFor(tz2.pkh).sign(bytes);
    const signature = secp256k1.Signature.fromBytes(payload(prefixSig, 5)); // spsig1
    const digest = blake2b(Buffer.from(bytes, 'hex'), { dkLen: 32 });
    assert.equal(signature.hasHighS(), false, `signature ${i} has a high s`);
    assert.equal(secp256k1.verify(signature.toBytes(), digest, tz2Key), true);
    const high = new secp256k1.Signature(signature.r, secp256k1.Point.Fn.ORDER - signature.s);
    assert.equal(secp256k1.verify(high.toBytes(), digest, tz2Key), false, 'noble takes a high s');
  }
});
