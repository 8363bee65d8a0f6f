// What is signed, and by whom: each vector is right, or wrong in one thing.
import type { UpdateVector } from "./judge.js";
import {
  afrDocument,
  image,
  manifestMembers,
  ownDocument,
  type SigningKey,
  signerOf,
  signingKey,
  vector,
} from "./maker.js";

export const p256 = signingKey("P-256");
export const [first, second, third, stranger] = [0, 1, 2, 3].map(() =>
  signingKey("P-256"),
) as unknown as [SigningKey, SigningKey, SigningKey, SigningKey];
export const p384 = signingKey("P-384");
export const rsa = signingKey("RSA-2048");
export const rsa4096 = signingKey("RSA-4096");

const named = (key: SigningKey) => [signerOf(key, "signer-cert")];
const three = [first, second, third].map(key => signerOf(key));
const rsaMember = { member: "sig-sha256-rsa" };
const other = JSON.stringify({ ...manifestMembers, version: "1.4.1" });

export const oneSignature = vector(
  "a manifest of P-256",
  ownDocument({ keys: [p256] }),
  named(p256),
  "manifest",
);
export const oneFile = vector("a file of P-256", afrDocument(p256), named(p256), "file");

export const vectors: readonly UpdateVector[] = [
  oneSignature,
  vector("a manifest of P-384", ownDocument({ keys: [p384] }), named(p384), "manifest"),
  vector("a manifest of RSA-2048", ownDocument({ keys: [rsa] }), named(rsa), "manifest"),
  vector("a manifest of RSA-4096", ownDocument({ keys: [rsa4096] }), named(rsa4096), "manifest"),
  vector("two of three", ownDocument({ keys: [third, first] }), three, "manifest", 2),
  vector("one of three", ownDocument({ keys: [first] }), three, "ota/untrusted", 2),
  vector("one, twice", ownDocument({ keys: [first, first] }), three, "ota/untrusted", 2),
  vector("one and a stranger", ownDocument({ keys: [first, stranger] }), three, "ota/untrusted", 2),
  vector("a stranger", ownDocument({ keys: [stranger] }), three, "ota/untrusted"),
  vector(
    "a stranger under a known id",
    ownDocument({ keys: [{ ...stranger, keyId: first.keyId }] }),
    three,
    "ota/signature",
  ),
  vector(
    "the signature of another manifest",
    ownDocument({ keys: [p256], signed: other }),
    named(p256),
    "ota/signature",
  ),
  vector("SHA-384", ownDocument({ keys: [p256], hash: "sha384" }), named(p256), "ota/signature"),
  vector("RSA, SHA-1", ownDocument({ keys: [rsa], hash: "sha1" }), named(rsa), "ota/signature"),
  vector(
    "an EC signature under the id of an RSA key",
    ownDocument({ keys: [{ ...p256, keyId: rsa.keyId }] }),
    named(rsa),
    "ota/signature",
  ),
  vector(
    "an RSA signature under the id of an EC key",
    ownDocument({ keys: [{ ...rsa, keyId: p256.keyId }] }),
    named(p256),
    "ota/signature",
  ),
  vector(
    "signed nonsense",
    ownDocument({ keys: [p256], manifest: "{}" }),
    named(p256),
    "ota/document",
  ),
  // Keys rotate: firmware with both takes what either has signed; firmware that has only the new one, no longer the old.
  vector("the old key of two", ownDocument({ keys: [first] }), three.slice(0, 2), "manifest"),
  vector("the new key of two", ownDocument({ keys: [second] }), three.slice(0, 2), "manifest"),
  vector(
    "both keys, for old firmware",
    ownDocument({ keys: [second, first] }),
    three.slice(0, 1),
    "manifest",
  ),
  vector("the old key, later", ownDocument({ keys: [first] }), three.slice(1), "ota/untrusted"),
  oneFile,
  vector("a file of P-384", afrDocument(p384), named(p384), "file"),
  vector("a file of RSA-2048", afrDocument(rsa, rsaMember), named(rsa), "file"),
  vector("a file of RSA-4096", afrDocument(rsa4096, rsaMember), named(rsa4096), "file"),
  vector(
    "another file",
    afrDocument(p256, { over: image.subarray(1) }),
    named(p256),
    "ota/signature",
  ),
  vector(
    "a file, SHA-1",
    afrDocument(rsa, { ...rsaMember, hash: "sha1" }),
    named(rsa),
    "ota/signature",
  ),
  vector(
    "a file, told as SHA-1",
    afrDocument(rsa, { member: "sig-sha1-rsa" }),
    named(rsa),
    "ota/signature",
  ),
  vector("a file of a stranger", afrDocument(stranger), named(p256), "ota/signature"),
  vector("a file, RSA told as ECDSA", afrDocument(rsa), named(rsa), "ota/untrusted"),
  vector("a file, ECDSA told as RSA", afrDocument(p256, rsaMember), named(p256), "ota/untrusted"),
  vector(
    "a signer nobody knows",
    afrDocument(p256, { certfile: "x" }),
    named(p256),
    "ota/untrusted",
  ),
  vector(
    "a file where two have to sign",
    afrDocument(first, { certfile: "signer-cert" }),
    [signerOf(first, "signer-cert"), signerOf(second)],
    "ota/untrusted",
    2,
  ),
];
