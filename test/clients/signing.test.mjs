// An active instance: everything that a baker's keys sign, and each error that Taquito documents.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import test, { after } from 'node:test';
import { HttpResponseError } from '@taquito/http-utils';
import { verifySignature } from '@taquito/utils';
import * as octez from './octez.mjs';

const signatures = {};

// RemoteSigner rethrows statuses that it has no error for; 409 is one, with the signer's reason in its body.
const conflict = (err) => {
  assert.ok(err instanceof HttpResponseError, `${err}`);
  assert.equal(err.status, 409);
  const [failure] = JSON.parse(err.body);
  assert.equal(failure.kind, 'temporary');
  assert.equal(failure.id, 'failure');
  assert.ok(failure.msg.length > 20, 'a reason that a human understands');
  return true;
};

for (const [i, key] of octez.keys.entries()) {
  const signer = octez.signerFor(key.pkh);
  const level = octez.levelOf(i);

  test(`${key.pkh}: fetches the key`, async () => {
    assert.equal(await signer.publicKey(), key.public_key);
  });

  for (const [what, bytes] of octez.requests(level)) {
    test(`${key.pkh}: signs a ${what}`, async () => {
      // sign itself fetches the key, compares its hash, and verifies.
      const { prefixSig } = await signer.sign(bytes);
      assert.equal(verifySignature(bytes, key.public_key, prefixSig), true);
      const prefix = { tz1: 'edsig', tz2: 'spsig1', tz3: 'p2sig' }[key.pkh.slice(0, 3)];
      assert.ok(prefixSig.startsWith(prefix), prefixSig);
      assert.equal((await signer.sign(bytes)).prefixSig, prefixSig, 'the same bytes give the same signature');
      signatures[key.pkh + bytes] = prefixSig;
    });
  }

  test(`${key.pkh}: a watermark byte that Taquito adds itself`, async () => {
    const bytes = octez.attestation(level + 3, 0);
    const { prefixSig } = await signer.sign(bytes.slice(2), new Uint8Array([0x13]));
    assert.equal(verifySignature(bytes, key.public_key, prefixSig), true);
    signatures[key.pkh + bytes] = prefixSig;
  });

  test(`${key.pkh}: what is at or below the watermark is a conflict`, async () => {
    await assert.rejects(signer.sign(octez.block(level, 0)), conflict);
    await assert.rejects(signer.sign(octez.preattestation(octez.floor, 0)), conflict);
    await assert.rejects(signer.sign(octez.preattestation(level, 0, octez.otherValue)), conflict);
    await assert.rejects(signer.sign(octez.attestation(level + 3, 0, octez.otherValue)), conflict);
    await assert.rejects(signer.sign(octez.attestationWithDAL(level + 3, 0)), conflict);
    await assert.rejects(signer.sign(octez.block(level + 2, 3, octez.otherValue)), conflict);
    await assert.rejects(signer.sign(octez.block(level + 2, 2)), conflict);
  });

  test(`${key.pkh}: bytes that are no consensus payload are BadSigningData`, async () => {
    const good = octez.attestation(level + 4, 0);
    const bad = {
      'Michelson data': `05${good.slice(2)}`,
      'an authentication request': `0401${good}`,
      'a byte too many': `${good}00`,
      'a byte too few': good.slice(0, -2),
      'the layout of tz4': `${good.slice(0, 74)}29${good.slice(80)}`,
      'a negative level': `${good.slice(0, 80)}ffffffff${good.slice(88)}`,
      'a block cut short': octez.block(level + 4, 0).slice(0, 200),
    };
    for (const [what, bytes] of Object.entries(bad)) {
      await assert.rejects(signer.sign(bytes), { name: 'BadSigningData' }, what);
    }
    // An operation is well formed, and not allowed.
    await assert.rejects(signer.sign(`03${good.slice(2)}`), { name: 'OperationNotAuthorized' });
    signatures[key.pkh + good] = (await signer.sign(good)).prefixSig; // none of them moved the watermark
  });
}

test('a key that no device has is PublicKeyNotFoundError', async () => {
  const signer = octez.signerFor('tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb');
  await assert.rejects(signer.publicKey(), { name: 'PublicKeyNotFoundError' });
  await assert.rejects(signer.sign(octez.attestation(octez.floor + 1000, 0)), { name: 'PublicKeyNotFoundError' });
});

test('a secret key is not to be had', async () => {
  await assert.rejects(octez.signerFor(octez.keys[0].pkh).secretKey(), { name: 'ProhibitedActionError' });
});

after(() => writeFileSync(octez.stateFile, JSON.stringify(signatures)));
