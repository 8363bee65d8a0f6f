// Signatures: right ones of OpenSSL's making, and every neighbour of them.
import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  publicEncrypt,
  sign,
} from "node:crypto";
import test from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { type PublicKey, parsePublicKey, type SignatureScheme } from "../../src/trust/algorithm.js";
import { element, tag } from "../../src/trust/der.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { isSignature } from "../../src/trust/signature.js";
import { concat } from "../../src/util/bytes.js";
import { integer, sequence } from "./maker.js";

const crypto = createCrypto();
const message = Uint8Array.from([1, 2, 3]);
const hashes = ["SHA-256", "SHA-384", "SHA-512"] as const;
const opensslName = (hash: string) => hash.replace("-", "").toLowerCase();

function publicKeyOf(key: KeyObject): PublicKey {
  const info = new Uint8Array(key.export({ type: "spki", format: "der" }));
  return parsePublicKey(new DerReader(info, "key").next(tag.sequence).content)!;
}

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
/** One bit more than whole octets: the encoded message is then shorter than the modulus. */
const odd = generateKeyPairSync("rsa", { modulusLength: 2049 });
const keys = { p256, p384, rsa, odd };
type KeyName = keyof typeof keys;

function signed(
  name: KeyName,
  { kind, hash }: SignatureScheme,
  saltLength = constants.RSA_PSS_SALTLEN_DIGEST,
) {
  const key = keys[name].privateKey;
  const padding = kind === "pss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const options =
    kind === "ecdsa" ? { key } : { key, padding, ...(kind === "pss" ? { saltLength } : {}) };
  return new Uint8Array(sign(opensslName(hash), message, options));
}

const is = (name: KeyName, scheme: SignatureScheme, signature: Uint8Array, of = message) =>
  isSignature(crypto, { key: publicKeyOf(keys[name].publicKey), scheme, message: of, signature });

const cases: readonly (readonly [KeyName, SignatureScheme["kind"]])[] = [
  ["p256", "ecdsa"],
  ["p384", "ecdsa"],
  ["rsa", "pkcs1"],
  ["rsa", "pss"],
  ["odd", "pkcs1"],
  ["odd", "pss"],
];

for (const [name, kind] of cases) {
  for (const hash of hashes) {
    test(`trust signature: ${name} ${kind} ${hash}, and no change, cut or addition`, t => {
      const scheme = { kind, hash };
      for (let round = 0; round < 20; round++) t.true(is(name, scheme, signed(name, scheme)));
      const right = signed(name, scheme);
      t.false(is(name, scheme, right, Uint8Array.of(1, 2, 4)));
      for (let at = 0; at < right.length; at++) {
        const changed = right.map((octet, i) => (i === at ? octet ^ (1 << (at % 8)) : octet));
        t.false(is(name, scheme, changed), `bit in octet ${at}`);
        t.false(is(name, scheme, right.slice(0, at)), `${at} octets`);
      }
      t.false(is(name, scheme, Uint8Array.of(...right, 0)));
      t.false(is(name, scheme, Uint8Array.of(0, ...right)));
      for (const wrong of hashes.filter(other => other !== hash)) {
        t.false(is(name, { kind, hash: wrong }, right), wrong);
      }
      for (const wrong of (["ecdsa", "pkcs1", "pss"] as const).filter(other => other !== kind)) {
        t.false(is(name, { kind: wrong, hash }, right), wrong);
      }
    });
  }
}

const order = Buffer.from(
  "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  "hex",
);

test("trust signature: ECDSA halves out of range or not in their one encoding", t => {
  const scheme = { kind: "ecdsa", hash: "SHA-256" } as const;
  const big = (octets: Uint8Array) => integer(0, ...octets);
  const below = order.map((octet, i) => (i === 31 ? octet - 1 : octet));
  const above = order.map((octet, i) => (i === 31 ? octet + 1 : octet));
  const halves = [
    integer(0),
    integer(1),
    integer(0xff),
    integer(),
    big(order),
    big(below),
    big(above),
  ];
  halves.push(
    big(new Uint8Array(32).fill(255)),
    big(new Uint8Array(33).fill(1)),
    integer(0, 1),
    integer(0, 0),
  );
  const right = new DerReader(signed("p256", scheme), "signature").enter(tag.sequence);
  const [r, s] = [right.next().encoded, right.next().encoded];
  for (const half of halves) {
    for (const pair of [sequence(half, half), sequence(half, s), sequence(r, half)]) {
      t.false(is("p256", scheme, pair), Buffer.from(pair).toString("hex"));
    }
  }
  t.true(is("p256", scheme, sequence(r, s)));
  t.false(is("p256", scheme, sequence(s, r)));
  t.false(is("p256", scheme, sequence(r, s, integer(1))));
  t.false(is("p256", scheme, sequence(r)));
  t.false(is("p256", scheme, concat([r, s])));
  t.false(is("p256", scheme, element(0x31, r, s)));
  t.false(is("p256", scheme, concat([Uint8Array.of(0x30, 0x81, r.length + s.length), r, s])));
  t.false(is("p256", scheme, concat([Uint8Array.of(0x30, 0x80), r, s, Uint8Array.of(0, 0)])));
});

/** The private operation on an encoded message of the test's own making. */
function forged(encoded: Uint8Array): Uint8Array {
  const options = { key: rsa.privateKey, padding: constants.RSA_NO_PADDING };
  return new Uint8Array(privateEncrypt(options, encoded));
}

const opened = (signature: Uint8Array) =>
  new Uint8Array(
    publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_NO_PADDING }, signature),
  );

test("trust signature: PKCS#1 v1.5 encodings that are right but for one octet", t => {
  const scheme = { kind: "pkcs1", hash: "SHA-256" } as const;
  const right = opened(signed("rsa", scheme));
  t.true(is("rsa", scheme, forged(right)));
  for (let at = 1; at < right.length; at++) {
    const changed = right.map((octet, i) => (i === at ? octet ^ 1 : octet));
    t.false(is("rsa", scheme, forged(changed)), `octet ${at}`);
  }
  const info = right.subarray(-51);
  const short = concat([Uint8Array.of(0, 1, ...new Uint8Array(8).fill(255), 0), info]);
  t.false(
    is("rsa", scheme, forged(concat([short, new Uint8Array(256 - short.length)]))),
    "garbage behind",
  );
  t.false(
    is("rsa", scheme, forged(concat([new Uint8Array(256 - short.length), short]))),
    "short padding",
  );
  // DigestInfo without the NULL, the other encoding that some take.
  const bare = concat([
    Uint8Array.of(0x30, 0x2f, 0x30, 0x0b),
    info.subarray(4, 15),
    info.subarray(17),
  ]);
  const padding = new Uint8Array(256 - bare.length - 3).fill(255);
  t.false(
    is("rsa", scheme, forged(concat([Uint8Array.of(0, 1), padding, Uint8Array.of(0), bare]))),
  );
});

test("trust signature: PSS encodings that are right but for one octet, and other salts", t => {
  const scheme = { kind: "pss", hash: "SHA-256" } as const;
  const right = opened(signed("rsa", scheme));
  t.true(is("rsa", scheme, forged(right)));
  for (let at = 0; at < right.length; at++) {
    const changed = right.map((octet, i) => (i === at ? octet ^ (at === 0 ? 0x40 : 1) : octet));
    t.false(is("rsa", scheme, forged(changed)), `octet ${at}`);
  }
  for (const salt of [0, 20, 31, 33, 64])
    t.false(is("rsa", scheme, signed("rsa", scheme, salt)), `${salt}`);
});

test("trust signature: an RSA signature not below the modulus", t => {
  const scheme = { kind: "pkcs1", hash: "SHA-256" } as const;
  const key = publicKeyOf(rsa.publicKey);
  if (key.kind !== "rsa") return t.fail();
  t.false(is("rsa", scheme, key.modulus));
  t.false(is("rsa", scheme, new Uint8Array(256).fill(255)));
  t.false(is("rsa", scheme, new Uint8Array(256)));
  const small = forged(opened(signed("rsa", scheme)));
  const sum =
    BigInt(`0x${Buffer.from(small).toString("hex")}`) +
    BigInt(`0x${Buffer.from(key.modulus).toString("hex")}`);
  const hex = sum.toString(16);
  t.false(
    is(
      "rsa",
      scheme,
      Uint8Array.from(Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex")),
    ),
  );
});
