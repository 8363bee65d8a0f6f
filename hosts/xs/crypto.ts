// Keys, signatures and chance in the guest are the owner's; private keys pass as the owner's host gives them.

import type { Crypto } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import type { Bridge } from "./bridge.js";

export function createCrypto(bridge: Bridge): Crypto {
  return {
    random: byteLength => bridge.request("crypto.random", [byteLength]).bytes,
    digest: (hash, bytes) => bridge.request("crypto.digest", [hash], bytes).bytes,
    startDigest: hash => {
      const id = bridge.request("crypto.startDigest", [hash]).value as number;
      return {
        write: bytes => {
          bridge.request("crypto.writeDigest", [id], bytes);
        },
        close: () => bridge.request("crypto.closeDigest", [id]).bytes,
      };
    },
    generateKeyPair: () => {
      const { value, bytes } = bridge.request("crypto.generateKeyPair");
      const length = value as number;
      return { privateKey: bytes.slice(0, length), publicKey: bytes.slice(length) };
    },
    sign: (privateKey, message) =>
      bridge.request("crypto.sign", [privateKey.length], concat([privateKey, message])).bytes,
    verifyEcdsa: (curve, publicPoint, hash, message, r, s) => {
      const lengths = [publicPoint.length, r.length, s.length];
      const bytes = concat([publicPoint, r, s, message]);
      return bridge.request("crypto.verifyEcdsa", [curve, hash, ...lengths], bytes).value === true;
    },
    verifyEcdsaDigest: (curve, publicPoint, digest, r, s) => {
      const lengths = [publicPoint.length, r.length, s.length];
      const bytes = concat([publicPoint, r, s, digest]);
      return bridge.request("crypto.verifyEcdsaDigest", [curve, ...lengths], bytes).value === true;
    },
    rsaPublic: (modulus, exponent, input) => {
      const lengths = [modulus.length, exponent.length];
      return bridge.request("crypto.rsaPublic", lengths, concat([modulus, exponent, input])).bytes;
    },
  };
}
