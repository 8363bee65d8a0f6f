// The other implementation that the crypto contract asks: OpenSSL, told the public key as a JWK.

import { createPublicKey, verify } from "node:crypto";

export function verifySignature(point: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  const base64 = (from: number) =>
    Buffer.from(point.subarray(from, from + 32)).toString("base64url");
  const key = createPublicKey({
    key: { kty: "EC", crv: "P-256", x: base64(1), y: base64(33) },
    format: "jwk",
  });
  return verify("sha256", message, { key, dsaEncoding: "der" }, signature);
}
