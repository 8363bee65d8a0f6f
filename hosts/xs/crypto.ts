// Keys, signatures and chance in the guest are the owner's; private keys pass as the owner's host gives them.

import type { Crypto } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import type { Bridge } from "./bridge.js";

export function createCrypto(bridge: Bridge): Crypto {
  return {
    random: byteLength => bridge.request("crypto.random", [byteLength]).bytes,
    sha256: bytes => bridge.request("crypto.sha256", [], bytes).bytes,
    generateKeyPair: () => {
      const { value, bytes } = bridge.request("crypto.generateKeyPair");
      const length = value as number;
      return { privateKey: bytes.slice(0, length), publicKey: bytes.slice(length) };
    },
    sign: (privateKey, message) =>
      bridge.request("crypto.sign", [privateKey.length], concat([privateKey, message])).bytes,
  };
}
