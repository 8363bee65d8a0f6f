// Keys, signatures and digests on the SDK's arithmetic; randomness from the system.
import { Digest } from "crypt";
import Curve from "curve";
import HMAC from "hmac";
import Modular from "modular";
import type { Crypto, KeyPair } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import { encodeSignature, isScalar, p256, scalarBytes, toBigInt, toBytes } from "./p256.js";
import { encodePrivateKey, parsePrivateKey } from "./pkcs8.js";
import { randomBytes } from "./random.js";

export class NativeCrypto implements Crypto {
  random(byteLength: number): Uint8Array {
    return randomBytes(byteLength);
  }

  sha256(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }

  generateKeyPair(): KeyPair {
    const scalar = randomScalar();
    const curve = new Curve("secp256r1");
    const { X, Y } = curve.ec.mul(curve.G, toBigInt(scalar));
    const publicKey = concat([Uint8Array.of(4), toBytes(X, scalarBytes), toBytes(Y, scalarBytes)]);
    return { privateKey: encodePrivateKey(scalar, publicKey), publicKey };
  }

  sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
    return signDigest(privateKey, sha256(message));
  }
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(new Digest("SHA256").process(...parts));
}

/**
 * ECDSA on P-256 with the nonce of RFC 6979, so that no signature depends on the generator.
 *
 * @param privateKey  PKCS#8, DER
 * @param digest      SHA-256 of the message
 * @returns           the signature as strict DER
 * @throws            AgentError "trust/der" when the key cannot be read
 */
export function signDigest(privateKey: Uint8Array, digest: Uint8Array): Uint8Array {
  const scalar = parsePrivateKey(privateKey);
  const key = toBigInt(scalar);
  const hash = toBigInt(digest) % p256.order;
  const curve = new Curve("secp256r1");
  const nonces = new Nonces(scalar, toBytes(hash, scalarBytes));
  for (;;) {
    const nonce = nonces.next();
    const r = curve.ec.mul(curve.G, nonce).X % p256.order;
    const inverse = new Modular(p256.order).mulinv(nonce);
    const s = (inverse * (hash + r * key)) % p256.order;
    if (isScalar(r) && isScalar(s)) return encodeSignature({ r, s });
  }
}

/** Candidates for k. @see RFC 6979 3.2 */
class Nonces {
  #key: Uint8Array = new Uint8Array(scalarBytes);
  #value: Uint8Array = new Uint8Array(scalarBytes).fill(1);

  constructor(scalar: Uint8Array, hash: Uint8Array) {
    this.#update(0, scalar, hash);
    this.#update(1, scalar, hash);
  }

  next(): bigint {
    for (;;) {
      this.#value = hmac(this.#key, this.#value);
      const candidate = toBigInt(this.#value);
      this.#update(0);
      if (isScalar(candidate)) return candidate;
    }
  }

  #update(separator: number, ...seed: Uint8Array[]): void {
    this.#key = hmac(this.#key, this.#value, Uint8Array.of(separator), ...seed);
    this.#value = hmac(this.#key, this.#value);
  }
}

function hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(new HMAC(new Digest("SHA256"), key).process(concat(parts)));
}

function randomScalar(): Uint8Array {
  for (;;) {
    const scalar = randomBytes(scalarBytes);
    if (isScalar(toBigInt(scalar))) return scalar;
  }
}
