// What the tests share: where the signer is, its keys, and payloads built from the layouts of docs/protocol.md.
import { readFileSync } from 'node:fs';
import { RemoteSigner } from '@taquito/remote-signer';
import { b58cdecode } from '@taquito/utils';

export const { HIGHWATER_URL: url, HIGHWATER_STATE: stateFile } = process.env;
const all = JSON.parse(readFileSync(process.env.HIGHWATER_KEYS, 'utf8'));
export const keys = all.filter((k) => !k.pkh.startsWith('tz4')); // the Ledger's
export const gadget = all.filter((k) => k.pkh.startsWith('tz4')); // the TezSign's
export const floor = Number(process.env.HIGHWATER_FLOOR);
const chain = Buffer.from(b58cdecode(process.env.HIGHWATER_CHAIN, new Uint8Array([87, 82, 0])));

export const signerFor = (pkh) => new RemoteSigner(pkh, url);

// The emulated device has one watermark for all its keys, as the real one does: each key gets levels above those of the key before.
export const levelOf = (index) => floor + 1 + 10 * index;

const int32 = (n) => {
  const b = Buffer.alloc(4);
  b.writeInt32BE(n);
  return b;
};
const fill = (n, byte) => Buffer.alloc(n, byte);
const hash = (byte) => fill(32, byte);

// operation is a consensus operation of a tz1, tz2 or tz3 key, with its slot.
const operation = (magic, tag, level, round, payloadHash, dal = []) =>
  Buffer.concat([
    Buffer.from([magic]), chain, hash(0x0e), Buffer.from([tag]), Buffer.from([0x00, 0x07]),
    int32(level), int32(round), payloadHash, Buffer.from(dal),
  ]).toString('hex');

export const preattestation = (level, round, value = hash(0xbf)) => operation(0x12, 0x14, level, round, value);
export const attestation = (level, round, value = hash(0xbf)) => operation(0x13, 0x15, level, round, value);
export const attestationWithDAL = (level, round, value = hash(0xbf)) => operation(0x13, 0x17, level, round, value, [0x80, 0x20]);

// operationOfTz4 is one of a tz4 key, which has no slot.
const operationOfTz4 = (magic, tag, level, round, payloadHash) =>
  Buffer.concat([
    Buffer.from([magic]), chain, hash(0x0e), Buffer.from([tag]), int32(level), int32(round), payloadHash,
  ]).toString('hex');

export const preattestationOfTz4 = (level, round, value = hash(0xbf)) => operationOfTz4(0x12, 0x28, level, round, value);
export const attestationOfTz4 = (level, round, value = hash(0xbf)) => operationOfTz4(0x13, 0x29, level, round, value);

const field = (bytes) => Buffer.concat([int32(bytes.length), bytes]);

// A payload of round 0 proposed again at a later round is still that of round 0: the round of a block is that of its fitness.
export const block = (level, round, value = hash(0xbf)) => {
  const fitness = Buffer.concat([
    field(Buffer.from([2])), field(int32(level)), field(Buffer.alloc(0)), field(int32(-1)), field(int32(round)),
  ]);
  return Buffer.concat([
    Buffer.from([0x11]), chain, int32(level), Buffer.from([24]), hash(0x0e), fill(8, 0), Buffer.from([4]), hash(0x42),
    field(fitness), hash(0x4c), value, int32(0), fill(8, 0x3f), Buffer.from([0x00]), Buffer.from([0x02]),
  ]).toString('hex');
};

export const otherValue = hash(0x01);

// requests are what each key signs, in an order that the device accepts too: at one level and round a block comes first.
export const requests = (level) => [
  ['block', block(level, 0)],
  ['preattestation', preattestation(level, 0)],
  ['attestation', attestation(level, 0)],
  ['attestation with DAL', attestationWithDAL(level + 1, 1)],
  ['reproposed block', block(level + 2, 3)],
];
