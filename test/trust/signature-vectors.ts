// Signatures that OpenSSL has made, and ones that are wrong in one place, for every engine.
import { constants, createHash, privateEncrypt, sign } from "node:crypto";
import type { HashName } from "../../src/host.js";
import type { SignatureScheme } from "../../src/trust/algorithm.js";
import { DerReader } from "../../src/trust/der-reader.js";
import { concat } from "../../src/util/bytes.js";
import { integer, type Party, party, rsaKeyInfo, sequence } from "./maker.js";
import { rsa3072, rsa4096 } from "./rsa-keys.js";
import type { SignatureVector, Verdict } from "./signature-judge.js";

const p256 = party("P-256");
const p384 = party("P-384", "p384");
const rsa2048 = party("RSA-2048", "rsa");
const rsa2049 = party("RSA-2049", "rsa2049");
const rsaParties = [rsa2048, rsa2049, rsa3072, rsa4096];
const hashes = ["SHA-256", "SHA-384", "SHA-512"] as const;
const message = Uint8Array.from([1, 2, 3]);
const hashName = (hash: HashName) => hash.replace("-", "").toLowerCase();

const cut = (bytes: Uint8Array, from: number) => bytes.slice(from);
const zero = Uint8Array.of(0);

function signed({ key }: Party, { kind, hash }: SignatureScheme, of = message): Uint8Array {
  const padding = kind === "pss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  const how =
    kind === "ecdsa" ? { key } : kind === "pss" ? { key, padding, saltLength } : { key, padding };
  return new Uint8Array(sign(hashName(hash), of, how));
}

const vector = (
  title: string,
  expected: Verdict,
  { publicKeyInfo }: Pick<Party, "publicKeyInfo">,
  scheme: SignatureScheme,
  signature: Uint8Array,
  of = message,
): SignatureVector => ({ title, expected, key: publicKeyInfo, scheme, message: of, signature });

/** One for every key, scheme and hash. */
export function rightSignatures(): SignatureVector[] {
  const one = (who: Party, kind: SignatureScheme["kind"], hash: HashName) =>
    vector(
      `${who.name} ${kind} ${hash}`,
      "right",
      who,
      { kind, hash },
      signed(who, { kind, hash }),
    );
  return hashes.flatMap(hash => [
    one(p256, "ecdsa", hash),
    one(p384, "ecdsa", hash),
    ...rsaParties.flatMap(who => [one(who, "pkcs1", hash), one(who, "pss", hash)]),
  ]);
}

/** Modulus as a number's octets, without the sign. */
function modulusOf({ publicKeyInfo }: Party): Uint8Array {
  const info = new DerReader(publicKeyInfo, "key").enter(0x30);
  info.next();
  return new DerReader(info.bits(), "key").enter(0x30).unsigned();
}

const toNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);

function toBytes(value: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex"));
}

/** A signature with a zero in front is one of 256: messages are tried until there is one. */
function withLeadingZero(who: Party, scheme: SignatureScheme) {
  for (let count = 0; ; count++) {
    const of = Uint8Array.of(count & 255, count >> 8);
    const signature = signed(who, scheme, of);
    if (signature[0] === 0) return { of, signature };
  }
}

/** A signature that is still as long as the modulus when the modulus is added to it. */
function withRoomAbove(who: Party, scheme: SignatureScheme) {
  const modulus = toNumber(modulusOf(who));
  for (let count = 0; ; count++) {
    const of = Uint8Array.of(count & 255, count >> 8);
    const sum = toNumber(signed(who, scheme, of)) + modulus;
    if (sum < 1n << 2048n) return { of, signature: toBytes(sum, 256) };
  }
}

interface PssShape {
  readonly mask?: HashName;
  readonly salt?: number;
  readonly trailer?: number;
  readonly separator?: number;
}

/** PSS by hand, so that each part can be another. @see RFC 8017 9.1.1 */
function pss(who: Party, { mask = "SHA-256", salt = 32, trailer = 0xbc, separator = 1 }: PssShape) {
  const digest = (hash: HashName, ...parts: Uint8Array[]) =>
    new Uint8Array(createHash(hashName(hash)).update(concat(parts)).digest());
  const chosen = new Uint8Array(salt).fill(7);
  const seed = digest("SHA-256", new Uint8Array(8), digest("SHA-256", message), chosen);
  const block = new Uint8Array(256 - 33);
  block.set(chosen, block.length - salt);
  block[block.length - salt - 1] = separator;
  const stream: Uint8Array[] = [];
  for (let i = 0; i < 7; i++) stream.push(digest(mask, seed, Uint8Array.of(0, 0, 0, i)));
  const masked = concat(stream).subarray(0, block.length);
  const hidden = block.map((octet, i) => octet ^ masked[i]!);
  hidden[0]! &= 0x7f;
  const encoded = concat([hidden, seed, Uint8Array.of(trailer)]);
  const how = { key: who.key, padding: constants.RSA_NO_PADDING };
  return new Uint8Array(privateEncrypt(how, encoded));
}

export function wrongSignatures(): SignatureVector[] {
  const pkcs1 = { kind: "pkcs1", hash: "SHA-256" } as const;
  const mgf = { kind: "pss", hash: "SHA-256" } as const;
  const ecdsa = { kind: "ecdsa", hash: "SHA-256" } as const;
  const right = signed(rsa2048, pkcs1);
  const modulus = modulusOf(rsa2048);
  const short = withLeadingZero(rsa2048, pkcs1);
  const above = withRoomAbove(rsa2048, pkcs1);
  const f4 = Uint8Array.of(1, 0, 1);
  const keyOf = (own: Uint8Array, exponent = f4) => ({
    publicKeyInfo: rsaKeyInfo(concat([zero, own]), exponent),
  });
  const e3 = party("e = 3", "rsa3");
  const small = party("RSA-2047", "rsa2047");
  const made = (title: string, shape: PssShape, expected: Verdict = "wrong") =>
    vector(`PSS: ${title}`, expected, rsa2048, mgf, pss(rsa2048, shape));
  const other = party("another P-256");
  const halves = new DerReader(signed(p256, ecdsa), "signature").enter(0x30);
  const [r, s] = [halves.unsigned(), halves.unsigned()];
  return [
    vector("signature with a zero in front", "right", rsa2048, pkcs1, short.signature, short.of),
    vector("its zero left out", "wrong", rsa2048, pkcs1, cut(short.signature, 1), short.of),
    vector("a zero in front of it", "wrong", rsa2048, pkcs1, concat([zero, right])),
    vector("signature plus modulus", "wrong", rsa2048, pkcs1, above.signature, above.of),
    vector("signature equal to the modulus", "wrong", rsa2048, pkcs1, modulus),
    vector(
      "signature one below the modulus",
      "wrong",
      rsa2048,
      pkcs1,
      toBytes(toNumber(modulus) - 1n, 256),
    ),
    vector("signature 0", "wrong", rsa2048, pkcs1, new Uint8Array(256)),
    vector("signature 1", "wrong", rsa2048, pkcs1, toBytes(1n, 256)),
    vector("no signature", "wrong", rsa2048, pkcs1, new Uint8Array(0)),
    vector("another key", "wrong", rsa2049, pkcs1, right),
    vector("exponent 3", "no key", e3, pkcs1, signed(e3, pkcs1)),
    vector("modulus of 2047 bits", "no key", small, pkcs1, signed(small, pkcs1)),
    vector("even modulus", "no key", keyOf(toBytes(toNumber(modulus) - 1n, 256)), pkcs1, right),
    vector("another exponent", "wrong", keyOf(modulus, Uint8Array.of(1, 0, 3)), pkcs1, right),
    made("as it should be", {}, "right"),
    made("no salt", { salt: 0 }),
    made("salt of 20 octets", { salt: 20 }),
    made("salt an octet shorter", { salt: 31 }),
    made("salt an octet longer", { salt: 33 }),
    made("SHA-384 in the mask", { mask: "SHA-384" }),
    made("SHA-512 in the mask", { mask: "SHA-512" }),
    made("another trailer", { trailer: 0xcc }),
    made("another separator", { separator: 2 }),
    vector("ECDSA of another key", "wrong", other, ecdsa, signed(p256, ecdsa)),
    vector("ECDSA halves changed over", "wrong", p256, ecdsa, sequence(positive(s), positive(r))),
    vector("ECDSA halves below zero", "wrong", p256, ecdsa, sequence(integer(0xff), integer(0xff))),
    vector("ECDSA halves zero", "wrong", p256, ecdsa, sequence(integer(0), integer(0))),
  ];
}

function positive(magnitude: Uint8Array): Uint8Array {
  return integer(...(magnitude[0]! >= 0x80 ? [0] : []), ...magnitude);
}
