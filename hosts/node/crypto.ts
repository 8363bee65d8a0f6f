// Keys, signatures and chance on Node: OpenSSL through node:crypto, which verifies no ECDSA over a digest that is there already:
// @noble/curves does.

import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  sign as ecdsa,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  verify,
} from "node:crypto";
import { p256, p384 } from "@noble/curves/nist.js";
import { AgentError } from "../../src/errors.js";
import type { Crypto, CurveName, HashName, RunningDigest } from "../../src/host.js";

/** The point is the last 65 bytes of a P-256 SubjectPublicKeyInfo. */
const pointBytes = 65;
const maximumRandomBytes = 256;

export function createCrypto(): Crypto {
  return {
    random,
    digest,
    startDigest,
    generateKeyPair,
    sign,
    verifyEcdsa,
    verifyEcdsaDigest,
    rsaPublic,
  };
}

function random(byteLength: number): Uint8Array {
  if (!Number.isInteger(byteLength) || byteLength < 1 || byteLength > maximumRandomBytes) {
    throw new AgentError(
      "agent/fault",
      `crypto: ${byteLength} random bytes asked, 1 to 256 allowed`,
    );
  }
  return new Uint8Array(randomBytes(byteLength));
}

function digest(hash: HashName, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(opensslName(hash)).update(bytes).digest());
}

function startDigest(hash: HashName): RunningDigest {
  const running = createHash(opensslName(hash));
  return {
    write: bytes => {
      running.update(bytes);
    },
    close: () => new Uint8Array(running.digest()),
  };
}

function verifyEcdsaDigest(
  curve: CurveName,
  publicPoint: Uint8Array,
  digest: Uint8Array,
  r: Uint8Array,
  s: Uint8Array,
): boolean {
  const signature = Uint8Array.from([...r, ...s]);
  // Either half of the order counts, as everywhere but in some currencies; a hash would be made of the digest by default.
  const options = { prehash: false, lowS: false, format: "compact" } as const;
  try {
    return (curve === "P-256" ? p256 : p384).verify(signature, digest, publicPoint, options);
  } catch {
    // What cannot be read as a point has signed nothing.
    return false;
  }
}

function verifyEcdsa(
  curve: CurveName,
  publicPoint: Uint8Array,
  hash: HashName,
  message: Uint8Array,
  r: Uint8Array,
  s: Uint8Array,
): boolean {
  const key = importPoint(curve, publicPoint);
  if (key === undefined) return false;
  const signature = Buffer.concat([r, s]);
  return verify(opensslName(hash), message, { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** OpenSSL takes only points that are on the curve. */
function importPoint(curve: CurveName, point: Uint8Array): KeyObject | undefined {
  const size = (point.length - 1) / 2;
  const [x, y] = [point.subarray(1, 1 + size), point.subarray(1 + size)].map(toBase64Url);
  try {
    return createPublicKey({ key: { kty: "EC", crv: curve, x: x!, y: y! }, format: "jwk" });
  } catch {
    // What cannot be imported has signed nothing.
    return undefined;
  }
}

function rsaPublic(modulus: Uint8Array, exponent: Uint8Array, input: Uint8Array): Uint8Array {
  const jwk = { kty: "RSA", n: toBase64Url(modulus), e: toBase64Url(exponent) };
  const key = createPublicKey({ key: jwk, format: "jwk" });
  return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, input));
}

function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

function opensslName(hash: HashName): string {
  return hash.replace("-", "").toLowerCase();
}

function generateKeyPair() {
  const pair = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "der" },
    publicKeyEncoding: { type: "spki", format: "der" },
  });
  return {
    privateKey: new Uint8Array(pair.privateKey),
    publicKey: new Uint8Array(pair.publicKey.subarray(-pointBytes)),
  };
}

function sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new AgentError("trust/algorithm", "private key: is not on P-256");
  }
  return new Uint8Array(ecdsa("sha256", message, { key, dsaEncoding: "der" }));
}
