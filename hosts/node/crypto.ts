// Keys, signatures and chance on Node: OpenSSL through node:crypto.

import {
  createHash,
  createPrivateKey,
  sign as ecdsa,
  generateKeyPairSync,
  randomBytes,
} from "node:crypto";
import { AgentError } from "../../src/errors.js";
import type { Crypto } from "../../src/host.js";

/** The point is the last 65 bytes of a P-256 SubjectPublicKeyInfo. */
const pointBytes = 65;
const maximumRandomBytes = 256;

export function createCrypto(): Crypto {
  return { random, sha256, generateKeyPair, sign };
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

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
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
  return new Uint8Array(ecdsa("sha256", message, { key, dsaEncoding: "der" }));
}
