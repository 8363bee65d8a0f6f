// Keys, signatures and digests on the SDK's arithmetic; randomness from the system.
import { Digest } from "crypt";
import Curve from "curve";
import ECDSA from "ecdsa";
import HMAC from "hmac";
import Modular from "modular";
import Mont from "mont";
import { AgentError } from "../../src/errors.js";
import type { Crypto, CurveName, HashName, KeyPair, RunningDigest } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import type { KeyArithmetic } from "./client-identity.js";
import { isOnCurve, toPoint } from "./curve-point.js";
import { encodeSignature, isScalar, p256, scalarBytes, toBigInt, toBytes } from "./p256.js";
import { encodePrivateKey, parsePrivateKey } from "./pkcs8.js";
import { randomBytes } from "./random.js";

export class NativeCrypto implements Crypto {
  random(byteLength: number): Uint8Array {
    return randomBytes(byteLength);
  }

  digest(hash: HashName, bytes: Uint8Array): Uint8Array {
    return digest(hash, bytes);
  }

  startDigest(hash: HashName): RunningDigest {
    const running = new Digest(digestName(hash));
    return {
      write: bytes => running.write(bytes),
      close: () => new Uint8Array(running.close()),
    };
  }

  generateKeyPair(): KeyPair {
    const scalar = randomScalar();
    const publicKey = pointOf(scalar);
    return { privateKey: encodePrivateKey(scalar, publicKey), publicKey };
  }

  sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
    const key = parsePrivateKey(privateKey);
    if (key.kind !== "ec") throw new AgentError("trust/algorithm", "private key: is not an EC key");
    return signEcdsa(key.scalar, sha256(message));
  }

  verifyEcdsa(
    curve: CurveName,
    publicPoint: Uint8Array,
    hash: HashName,
    message: Uint8Array,
    r: Uint8Array,
    s: Uint8Array,
  ): boolean {
    return verifyDigest(curve, publicPoint, digest(hash, message), concat([r, s]));
  }

  verifyEcdsaDigest(
    curve: CurveName,
    publicPoint: Uint8Array,
    digest: Uint8Array,
    r: Uint8Array,
    s: Uint8Array,
  ): boolean {
    return verifyDigest(curve, publicPoint, digest, concat([r, s]));
  }

  rsaPublic(modulus: Uint8Array, exponent: Uint8Array, input: Uint8Array): Uint8Array {
    // The SDK's own conversions: by way of text they would take as long as the power does.
    const [n, e, base] = [modulus, exponent, input].map(each =>
      BigInt.fromArrayBuffer(bufferOf(each)),
    ) as [bigint, bigint, bigint];
    const power = new Modular(n).exp(base, e);
    return new Uint8Array(ArrayBuffer.fromBigInt(power, modulus.length));
  }
}

function digest(hash: HashName, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(new Digest(digestName(hash)).process(bytes));
}

function digestName(hash: HashName): "SHA256" | "SHA384" | "SHA512" {
  return hash === "SHA-256" ? "SHA256" : hash === "SHA-384" ? "SHA384" : "SHA512";
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return digest("SHA-256", bytes);
}

/** @param signature both halves, each as long as the order and in range */
function verifyDigest(
  name: CurveName,
  point: Uint8Array,
  hash: Uint8Array,
  signature: Uint8Array,
): boolean {
  const curve = new Curve(name === "P-256" ? "secp256r1" : "secp384r1");
  const size = signature.length / 2;
  if (!isOnCurve(curve.ec, size, point)) return false;
  const ecdsa = new ECDSA(toPoint(point), curve);
  return ecdsa.verify(bufferOf(hash.subarray(0, size)), bufferOf(signature));
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

export const keyArithmetic: KeyArithmetic = Object.freeze({
  pointOf,
  signEcdsa,
  power: (base: bigint, exponent: bigint, modulus: bigint) =>
    // Bit by bit: of the two methods the one with fewer temporaries.
    new Mont({ m: modulus, method: Mont.prototype.LR }).exp(base, exponent),
});

function pointOf(scalar: Uint8Array): Uint8Array {
  const curve = new Curve("secp256r1");
  const { X, Y } = curve.ec.mul(curve.G, toBigInt(scalar));
  return concat([Uint8Array.of(4), toBytes(X, scalarBytes), toBytes(Y, scalarBytes)]);
}

/**
 * ECDSA on P-256 with the nonce of RFC 6979, so that no signature depends on the generator.
 *
 * @param digest  SHA-256 of the message
 * @returns       the signature as strict DER
 */
function signEcdsa(scalar: Uint8Array, digest: Uint8Array): Uint8Array {
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
