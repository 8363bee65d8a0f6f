// Private keys and signatures in the forms that openssl and AWS use.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import test from "ava";
import { encodeSignature, isPoint, toBigInt, toBytes } from "../../../hosts/moddable/p256.js";
import { encodePrivateKey, parsePrivateKey } from "../../../hosts/moddable/pkcs8.js";
import { AgentError } from "../../../src/errors.js";
import { bitString, element, objectIdentifier, tag } from "../../../src/trust/der.js";
import { parseEcdsa } from "../../../src/trust/signature.js";
import { party, pkcs8Of } from "../../trust/maker.js";

const device = party("device");
const jwk = device.key.export({ format: "jwk" });
const scalar = new Uint8Array(Buffer.from(jwk.d!, "base64url"));
const point = new Uint8Array(device.publicKeyInfo.subarray(-65));
const p256 = objectIdentifier(1, 2, 840, 10045, 3, 1, 7);

function info(...optional: Uint8Array[]): Uint8Array {
  const key = element(
    tag.sequence,
    element(tag.integer, Uint8Array.of(1)),
    element(tag.octetString, scalar),
    ...optional,
  );
  const algorithm = element(tag.sequence, objectIdentifier(1, 2, 840, 10045, 2, 1), p256);
  const version = element(tag.integer, Uint8Array.of(0));
  return element(tag.sequence, version, algorithm, element(tag.octetString, key));
}

test("a key of Node's openssl is read", t => {
  t.deepEqual(parsePrivateKey(pkcs8Of(device)), { kind: "ec", scalar, point });
});

test("public key and parameters are optional", t => {
  const parameters = element(0xa0, p256);
  const publicKey = element(0xa1, bitString(point));
  for (const optional of [[], [parameters], [publicKey], [parameters, publicKey]]) {
    const found = optional.includes(publicKey) ? point : undefined;
    t.deepEqual(parsePrivateKey(info(...optional)), { kind: "ec", scalar, point: found });
  }
});

test("a public key that is no uncompressed point is refused", t => {
  const ill = [
    bitString(point.subarray(0, 64)),
    bitString(Uint8Array.of(2, ...point.subarray(1, 33))),
    element(tag.bitString, Uint8Array.of(1), point),
    element(tag.octetString, point),
    bitString(new Uint8Array(0)),
    new Uint8Array(0),
  ];
  for (const value of ill) {
    t.throws(() => parsePrivateKey(info(element(0xa1, value))), { code: "trust/der" });
  }
});

test("a key we write is one openssl reads, with its public key", t => {
  const der = Buffer.from(encodePrivateKey(scalar, point));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  t.deepEqual(
    createPublicKey(key).export({ type: "spki", format: "der" }),
    Buffer.from(device.publicKeyInfo),
  );
});

test("truncated keys and keys of other kinds are refused", t => {
  const der = info();
  for (let length = 0; length < der.length; length++) {
    t.throws(() => parsePrivateKey(der.subarray(0, length)), { instanceOf: AgentError });
  }
  const code = "trust/algorithm";
  t.throws(() => parsePrivateKey(pkcs8Of(party("weak", "rsa1024"))), { code });
  const edwards = generateKeyPairSync("ed25519").privateKey.export({
    type: "pkcs8",
    format: "der",
  });
  t.throws(() => parsePrivateKey(edwards), { code });
  t.throws(() => parsePrivateKey(info(element(0xa0, objectIdentifier(1, 3, 132, 0, 34)))), {
    message: /not on P-256/,
  });
});

test("signatures survive writing and reading, with their shortest form", t => {
  for (const half of [1n, 127n, 128n, 255n, 256n, 2n ** 255n, 2n ** 248n - 1n]) {
    const signature = { r: half, s: 3n };
    const halves = { r: toBytes(half, 32), s: toBytes(3n, 32) };
    t.deepEqual(parseEcdsa("P-256", encodeSignature(signature)), halves);
  }
  t.deepEqual(encodeSignature({ r: 128n, s: 1n }), Uint8Array.of(0x30, 7, 2, 2, 0, 128, 2, 1, 1));
});

test("signatures out of range or not in shortest form are refused", t => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  for (const [r, s] of [
    [0n, 1n],
    [1n, 0n],
    [order, 1n],
    [1n, order],
    [2n ** 256n - 1n, 1n],
  ] as const) {
    t.is(parseEcdsa("P-256", encodeSignature({ r, s })), undefined);
  }
  for (const bytes of [
    [0x30, 7, 2, 2, 0, 1, 2, 1, 1],
    [0x30, 6, 2, 1, 0x81, 2, 1, 1],
    [0x30, 6, 2, 1, 1, 2, 1, 1, 0],
    [0x30, 5, 2, 1, 1, 2, 0],
    [0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
  ]) {
    t.is(parseEcdsa("P-256", Uint8Array.from(bytes)), undefined);
  }
});

test("points off the curve are no points", t => {
  t.true(isPoint(point));
  t.false(isPoint(point.map((octet, i) => (i === 64 ? octet ^ 1 : octet))));
  t.false(isPoint(point.subarray(0, 64)));
  t.false(isPoint(new Uint8Array(65).fill(0).fill(4, 0, 1)));
  t.is(toBigInt(toBytes(12345n, 32)), 12345n);
});
