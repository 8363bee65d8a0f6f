// Documents, manifests and signatures for tests, signed by OpenSSL.
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { SignerOptions } from "../../src/ota/signers.js";
import type { UpdateVector } from "./judge.js";

export type KeyKind =
  | "P-256"
  | "P-384"
  | "P-521"
  | "RSA-2048"
  | "RSA-4096"
  | "RSA-1024"
  | "Ed25519";

export interface SigningKey {
  readonly privateKey: KeyObject;
  /** PEM, SubjectPublicKeyInfo. */
  readonly publicKey: string;
  readonly keyId: string;
}

export function signingKey(kind: KeyKind): SigningKey {
  const { privateKey, publicKey } = keyPair(kind);
  const info = publicKey.export({ type: "spki", format: "der" });
  return {
    privateKey,
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    keyId: createHash("sha256").update(info).digest("hex").slice(0, 16),
  };
}

function keyPair(kind: KeyKind) {
  if (kind === "Ed25519") return generateKeyPairSync("ed25519");
  const [family, size] = kind.split("-");
  return family === "P"
    ? generateKeyPairSync("ec", { namedCurve: kind })
    : generateKeyPairSync("rsa", { modulusLength: Number(size) });
}

export const signerOf = ({ publicKey }: SigningKey, name?: string): SignerOptions => ({
  publicKey,
  ...(name === undefined ? {} : { name }),
});

export const image = Buffer.from("the bytes of an image, whatever they are");
export const digestOf = (bytes: Uint8Array) =>
  new Uint8Array(createHash("sha256").update(bytes).digest());

export const manifestMembers = {
  format: 1,
  type: "firmware",
  product: "buoy",
  hardware: ["rev-a"],
  version: "1.4.0",
  size: image.length,
  sha256: Buffer.from(digestOf(image)).toString("hex"),
  minimumVersion: "1.2.0",
  expires: 1_900_000_000,
};

export interface SignedBy {
  readonly keys: readonly SigningKey[];
  readonly manifest?: string;
  /** What is signed instead. */
  readonly signed?: string;
  readonly hash?: string;
}

export function ownDocument({
  keys,
  manifest = JSON.stringify(manifestMembers),
  signed = manifest,
  hash = "sha256",
}: SignedBy): Uint8Array {
  const signatures = keys.map(({ keyId, privateKey }) => ({
    keyId,
    signature: sign(hash, Buffer.from(signed), privateKey).toString("base64"),
  }));
  const skerry = {
    operation: "firmware",
    manifest: Buffer.from(manifest).toString("base64"),
    signatures,
    sources: [{ stream: "fw-1", fileId: 0 }, { url: "https://host.example/fw.bin?x=y" }],
  };
  return Buffer.from(JSON.stringify({ skerry }));
}

export function afrDocument(
  key: SigningKey,
  { certfile = "signer-cert", member = "sig-sha256-ecdsa", over = image, hash = "sha256" } = {},
): Uint8Array {
  const file = {
    filepath: "fw.bin",
    filesize: image.length,
    fileid: 0,
    certfile,
    fileType: 0,
    [member]: sign(hash, over, key.privateKey).toString("base64"),
  };
  const afr_ota = { protocols: ["MQTT"], streamname: "AFR_OTA-1", files: [file] };
  return Buffer.from(JSON.stringify({ afr_ota }));
}

export function vector(
  title: string,
  document: Uint8Array,
  signers: readonly SignerOptions[],
  expected: string,
  threshold = 1,
): UpdateVector {
  const signing = { signers, threshold };
  // Not a Buffer: JSON would tell.
  return {
    title,
    document: new Uint8Array(document),
    signing,
    digest: digestOf(image),
    expected,
  };
}
