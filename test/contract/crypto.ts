// What every host's cryptography must do. Another implementation checks the signatures: the subject names it.

import type { TestFn } from "ava";
import type { Crypto } from "../../src/host.js";
import { assert, type ContractCase, register, same, sameBytes, thrown } from "./case.js";

export interface CryptoSubject {
  readonly crypto: Crypto;
  /** Checks a DER signature of SHA-256 over `message` with an uncompressed P-256 point, by means of its own. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

const ascii = (text: string) => Uint8Array.from(text, letter => letter.charCodeAt(0));
const fromHex = (text: string) =>
  Uint8Array.from(text.match(/../g) ?? [], pair => Number.parseInt(pair, 16));

export const cryptoCases: readonly ContractCase<CryptoSubject>[] = [
  {
    title: "SHA-256 of abc and of nothing are those of FIPS 180",
    run({ crypto }) {
      const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
      const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
      sameBytes(crypto.sha256(ascii("abc")), fromHex(abc), "abc");
      sameBytes(crypto.sha256(new Uint8Array(0)), fromHex(empty), "nothing");
      sameBytes(crypto.sha256(ascii("xabcx").subarray(1, 4)), fromHex(abc), "a view");
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
    title: "a private key that does not parse is refused",
    run({ crypto }) {
      thrown(() => crypto.sign(Uint8Array.of(1, 2, 3), ascii("x")), "a key of three bytes");
    },
  },
];

export function cryptoContract(test: TestFn, label: string, open: () => CryptoSubject): void {
  register(test, label, cryptoCases, open);
}
