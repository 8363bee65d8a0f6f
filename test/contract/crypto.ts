// What every host's cryptography must do. Another implementation checks the signatures: the subject names it.

import type { TestFn } from "ava";
import type { Crypto } from "../../src/host.js";
import { assert, type ContractCase, register, same, sameBytes, thrown } from "./case.js";
import { ecdsaVectors, rsaVector } from "./crypto-vectors.js";

export interface CryptoSubject {
  readonly crypto: Crypto;
  /** Checks a DER signature of SHA-256 over `message` with an uncompressed P-256 point, by means of its own. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

const ascii = (text: string) => Uint8Array.from(text, letter => letter.charCodeAt(0));
const fromHex = (text: string) =>
  Uint8Array.from(text.match(/../g) ?? [], pair => Number.parseInt(pair, 16));

const flipped = (bytes: Uint8Array, at: number) =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

const abc384 =
  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
  "8086072ba1e7cc2358baeca134c825a7";
const abc512 =
  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

export const cryptoCases: readonly ContractCase<CryptoSubject>[] = [
  {
    title: "digests of abc and of nothing are those of FIPS 180",
    run({ crypto }) {
      const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
      const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
      const sha256 = (bytes: Uint8Array) => crypto.digest("SHA-256", bytes);
      sameBytes(sha256(ascii("abc")), fromHex(abc), "abc");
      sameBytes(sha256(new Uint8Array(0)), fromHex(empty), "nothing");
      sameBytes(sha256(ascii("xabcx").subarray(1, 4)), fromHex(abc), "a view");
      sameBytes(crypto.digest("SHA-384", ascii("abc")), fromHex(abc384), "SHA-384");
      sameBytes(crypto.digest("SHA-512", ascii("abc")), fromHex(abc512), "SHA-512");
    },
  },
  {
    title: "random bytes have the length asked for and do not repeat",
    run({ crypto }) {
      for (const length of [1, 16, 256]) same(crypto.random(length).length, length, "length");
      const first = crypto.random(32).join();
      assert(crypto.random(32).join() !== first, "two draws are equal");
      for (const length of [0, 257, 1.5]) thrown(() => crypto.random(length), `${length} bytes`);
    },
  },
  {
    title: "a key pair signs, and its public key verifies that message only",
    run({ crypto, verify }) {
      const { privateKey, publicKey } = crypto.generateKeyPair();
      same(publicKey.length, 65, "public key length");
      same(publicKey[0], 4, "public key form");
      for (const message of [ascii("claim"), new Uint8Array(0), new Uint8Array(3000).fill(5)]) {
        const signature = crypto.sign(privateKey, message);
        same(signature[0], 0x30, "signature form");
        assert(verify(publicKey, message, signature), `a message of ${message.length} bytes`);
        assert(!verify(publicKey, ascii("other"), signature), "another message");
      }
      const other = crypto.generateKeyPair();
      assert(other.publicKey.join() !== publicKey.join(), "two key pairs are equal");
    },
  },
  {
    title: "a digest in parts is that of the whole, also of several at a time",
    run({ crypto }) {
      const whole = new Uint8Array(3000).map((_, i) => i * 7);
      for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
        const [running, other] = [crypto.startDigest(hash), crypto.startDigest(hash)];
        for (let at = 0; at < whole.length; at += 700) running.write(whole.subarray(at, at + 700));
        other.write(new Uint8Array(0));
        sameBytes(running.close(), crypto.digest(hash, whole), hash);
        sameBytes(other.close(), crypto.digest(hash, new Uint8Array(0)), `${hash} of nothing`);
      }
    },
  },
  {
    title: "ECDSA of both curves and every hash is verified, and no neighbour of it",
    run({ crypto }) {
      for (const { curve, hash, point, signature } of ecdsaVectors) {
        const [key, both] = [fromHex(point), fromHex(signature)];
        const is = (message: Uint8Array, publicPoint = key, halves = both) => {
          const [r, s] = [halves.slice(0, halves.length / 2), halves.slice(halves.length / 2)];
          const answer = crypto.verifyEcdsa(curve, publicPoint, hash, message, r, s);
          const digest = crypto.digest(hash, message);
          const again = crypto.verifyEcdsaDigest(curve, publicPoint, digest, r, s);
          same(again, answer, `${curve} ${hash}: over the digest`);
          return answer;
        };
        const label = `${curve} ${hash}`;
        assert(is(ascii("abc")), label);
        assert(!is(ascii("abd")), `${label}: another message`);
        assert(!is(ascii("abc"), key, flipped(both, both.length - 1)), `${label}: another s`);
        assert(!is(ascii("abc"), key, flipped(both, 5)), `${label}: another r`);
        assert(!is(ascii("abc"), flipped(key, key.length - 1)), `${label}: off the curve`);
        assert(!is(ascii("abc"), new Uint8Array(key.length).fill(4, 0, 1)), `${label}: x = y = 0`);
        assert(
          !is(ascii("abc"), new Uint8Array(key.length).fill(255).fill(4, 0, 1)),
          `${label}: p`,
        );
      }
    },
  },
  {
    title: "the RSA public operation is that of OpenSSL, padded to the modulus",
    run({ crypto }) {
      const [modulus, exponent] = [fromHex(rsaVector.modulus), fromHex(rsaVector.exponent)];
      const output = crypto.rsaPublic(modulus, exponent, fromHex(rsaVector.input));
      sameBytes(output, fromHex(rsaVector.output), "a signature opened");
      const one = new Uint8Array(modulus.length).fill(1, -1);
      sameBytes(crypto.rsaPublic(modulus, exponent, one), one, "one");
    },
  },
  {
    title: "a private key that does not parse is refused",
    run({ crypto }) {
      thrown(() => crypto.sign(Uint8Array.of(1, 2, 3), ascii("x")), "a key of three bytes");
    },
  },
];

export function cryptoContract(test: TestFn, label: string, open: () => CryptoSubject): void {
  register(test, label, cryptoCases, open);
}
