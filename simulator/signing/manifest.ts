// The signed manifest of an update: the bytes that are signed are carried as they are, so that nobody has to make them again.

import { isSignedBy, SigningError, type SigningKey } from "./signing-key.js";

export interface ManifestFields {
  readonly type: "firmware" | "script";
  readonly product: string;
  /** Boards that it runs on, at least one. */
  readonly hardware: readonly string[];
  /** `major.minor.patch`. */
  readonly version: string;
  /** Bytes of the image. */
  readonly size: number;
  /** Of the image, lower-case hex. */
  readonly sha256: string;
  readonly minimumVersion?: string;
  /** Epoch seconds. */
  readonly expires?: number;
}

export interface ManifestSignature {
  /** 16 hex digits. */
  readonly keyId: string;
  /** Base64: DER for ECDSA, PKCS#1 v1.5 for RSA, over SHA-256. */
  readonly signature: string;
}

export interface SignedManifest {
  /** Base64 of exactly the bytes that are signed. */
  readonly manifest: string;
  readonly signatures: readonly ManifestSignature[];
}

/** Assumed: what a device has to be ready for. */
const signaturesMax = 8;
const hardwareMax = 16;
const nameCharacters = 64;

/** @throws SigningError naming the field and the value */
export function manifestBytes(fields: ManifestFields): Uint8Array {
  checkFields(fields);
  const { type, product, hardware, version, size, sha256, minimumVersion, expires } = fields;
  // In this order; members that are undefined are left out.
  const manifest = {
    format: 1,
    type,
    product,
    hardware,
    version,
    size,
    sha256,
    minimumVersion,
    expires,
  };
  return Buffer.from(JSON.stringify(manifest));
}

/** @throws SigningError */
export function signManifest(fields: ManifestFields, keys: readonly SigningKey[]): SignedManifest {
  const bytes = manifestBytes(fields);
  const manifest = Buffer.from(bytes).toString("base64");
  return keys.reduce(addSignature, { manifest, signatures: [] } as SignedManifest);
}

/** Another signer's signature over the same bytes. @throws SigningError */
export function addSignature(signed: SignedManifest, key: SigningKey): SignedManifest {
  const { manifest, signatures } = signed;
  const { keyId } = key;
  if (signatures.some(each => each.keyId === keyId)) {
    throw new SigningError(`The manifest is signed with key ${keyId} already.`);
  }
  if (signatures.length >= signaturesMax) {
    throw new SigningError(`The manifest has ${signaturesMax} signatures: no more are taken.`);
  }
  const signature = Buffer.from(key.sign(Buffer.from(manifest, "base64"))).toString("base64");
  return { manifest, signatures: [...signatures, { keyId, signature }] };
}

/** @param publicKey SubjectPublicKeyInfo, PEM */
export function verifySignature(signed: SignedManifest, keyId: string, publicKey: string): boolean {
  const found = signed.signatures.find(each => each.keyId === keyId);
  if (found === undefined) return false;
  const signature = Buffer.from(found.signature, "base64");
  return isSignedBy(publicKey, Buffer.from(signed.manifest, "base64"), signature);
}

/** @param source where the text comes from @throws SigningError */
export function parseSignedManifest(text: string, source: string): SignedManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SigningError(`${source} is not JSON.`, { cause });
  }
  if (!isSignedManifest(value)) {
    const message = `${source} is no signed manifest: it needs "manifest", base64, and "signatures", a list of keyId and signature.`;
    throw new SigningError(message);
  }
  const { manifest, signatures } = value;
  return { manifest, signatures: signatures.map(({ keyId, signature }) => ({ keyId, signature })) };
}

function isSignedManifest(value: unknown): value is SignedManifest {
  const { manifest, signatures } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (typeof manifest !== "string" || !isBase64(manifest)) return false;
  if (!Array.isArray(signatures)) return false;
  return signatures.every(
    ({ keyId, signature } = {}) =>
      /^[0-9a-f]{16}$/.test(keyId) && typeof signature === "string" && isBase64(signature),
  );
}

function isBase64(text: string): boolean {
  return text !== "" && Buffer.from(text, "base64").toString("base64") === text;
}

function checkFields(fields: ManifestFields): void {
  const { type, product, hardware, version, size, sha256, minimumVersion, expires } = fields;
  if (type !== "firmware" && type !== "script") refuse("type", type, "firmware or script");
  checkName("product", product);
  if (hardware.length < 1 || hardware.length > hardwareMax) {
    refuse("hardware", `${hardware.length} names`, `1 to ${hardwareMax} names`);
  }
  for (const name of hardware) checkName("hardware", name);
  if (new Set(hardware).size < hardware.length) {
    refuse("hardware", hardware.join(), "names that differ");
  }
  const numbers = numbersOf("version", version);
  if (!Number.isSafeInteger(size) || size < 1) refuse("size", size, "a number of bytes above 0");
  if (!/^[0-9a-f]{64}$/.test(sha256)) refuse("sha256", sha256, "64 lower-case hex digits");
  if (
    minimumVersion !== undefined &&
    isAbove(numbersOf("minimumVersion", minimumVersion), numbers)
  ) {
    refuse("minimumVersion", minimumVersion, `at most the version ${version}`);
  }
  if (expires !== undefined && (!Number.isSafeInteger(expires) || expires < 1)) {
    refuse("expires", expires, "epoch seconds");
  }
}

function checkName(field: string, name: string): void {
  const pattern = new RegExp(`^[A-Za-z0-9._-]{1,${nameCharacters}}$`);
  if (!pattern.test(name)) refuse(field, name, `1 to ${nameCharacters} of A-Z a-z 0-9 . _ -`);
}

function numbersOf(field: string, version: string): number[] {
  const match = /^(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})$/.exec(version);
  if (match === null) refuse(field, version, "major.minor.patch, as 1.5.0");
  return match.slice(1).map(Number);
}

function isAbove(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((number, index) => number !== other[index]);
  return at >= 0 && (one[at] ?? 0) > (other[at] ?? 0);
}

function refuse(field: string, value: unknown, needed: string): never {
  throw new SigningError(`The manifest's ${field} is "${value}": it needs ${needed}.`);
}
