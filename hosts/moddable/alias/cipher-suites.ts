// Takes the place of the SDK's module `ssl/ciphersuites`: ECDHE with AES-128-GCM, for both kinds of server key, and nothing else.
import { AES, ECDHE_RSA, GCM, SHA256 } from "ssl/constants";

const aes128Gcm = Object.freeze({
  isExportable: false,
  keyExchangeAlgorithm: ECDHE_RSA,
  cipherAlgorithm: AES,
  cipherKeySize: 16,
  cipherBlockSize: 16,
  hashAlgorithm: SHA256,
  hashSize: 32,
  encryptionMode: GCM,
  ivSize: 8,
  saltSize: 4,
});

const cipherSuites = Object.freeze([
  // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  Object.freeze({ value: Object.freeze([0xc0, 0x2b]), ...aes128Gcm }),
  // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  Object.freeze({ value: Object.freeze([0xc0, 0x2f]), ...aes128Gcm }),
]);

export default cipherSuites;
