// What `skerry sign` does: reads image and keys, writes what was asked for, and says all of it.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { afrOtaFile } from "./job-document.js";
import {
  addSignature,
  type ManifestFields,
  parseSignedManifest,
  signManifest,
} from "./manifest.js";
import { readSigningKey, SigningError, type SigningKey, signatureMember } from "./signing-key.js";

export interface SignOptions {
  readonly image: string;
  /** Files. */
  readonly keys: readonly string[];
  /** Writes a signed manifest. */
  readonly manifest?: ManifestOptions;
  /** Writes an entry for `files` of an `afr_ota` document. */
  readonly entry?: EntryOptions;
  readonly nowMs: number;
  say(text: string): void;
}

export interface ManifestOptions
  extends Pick<ManifestFields, "type" | "product" | "hardware" | "version" | "minimumVersion"> {
  /** ISO 8601. */
  readonly expires?: string;
  /** File to write. */
  readonly out: string;
}

export interface EntryOptions {
  readonly out: string;
  readonly filePath: string;
  readonly certificatePath: string;
  readonly fileId: number;
  readonly fileType?: number;
}

/** @throws SigningError before anything is written */
export function signImage(options: SignOptions): void {
  const { image, manifest, entry, nowMs, say } = options;
  const keys = readKeys(options.keys);
  const bytes = readBytes(image, "image");
  if (bytes.length === 0) throw new SigningError(`The image ${image} is empty.`);
  const size = bytes.length;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const [first, ...others] = keys;
  if (entry !== undefined && others.length > 0) {
    throw new SigningError("An afr_ota entry holds one signature: give one key.");
  }
  const signed = manifest && signManifest(fieldsOf(manifest, size, sha256, nowMs), keys);
  say(`file       ${image}`);
  say(`size       ${size} bytes`);
  say(`sha256     ${sha256}`);
  for (const key of keys) sayKey(key, base64(key.sign(bytes)), say);
  if (entry !== undefined && first !== undefined) {
    const member = signatureMember(first.algorithm);
    const signature = { member, base64: base64(first.sign(bytes)) };
    const { filePath, certificatePath, fileId, fileType } = entry;
    const file = { filePath, certificatePath, fileId, fileType, fileSize: size, signature };
    write(entry.out, afrOtaFile(file));
    say(`entry      ${entry.out}`);
  }
  if (manifest === undefined || signed === undefined) return;
  write(manifest.out, signed);
  say(`manifest   ${manifest.out}`);
  say(`signed     ${Buffer.from(signed.manifest, "base64").toString()}`);
  for (const { keyId } of signed.signatures) say(`signer     ${keyId}`);
}

/** Adds a signature to a manifest in its file. @throws SigningError, and the file is as it was */
export function addSignatures(
  path: string,
  keys: readonly string[],
  say: SignOptions["say"],
): void {
  const before = parseSignedManifest(readBytes(path, "manifest").toString(), path);
  const after = readKeys(keys).reduce(addSignature, before);
  write(path, after);
  say(`manifest   ${path}`);
  say(`signed     ${Buffer.from(after.manifest, "base64").toString()}`);
  for (const { keyId } of after.signatures) {
    const isNew = !before.signatures.some(each => each.keyId === keyId);
    say(`signer     ${keyId}${isNew ? ", added" : ""}`);
  }
}

function sayKey(
  { keyId, algorithm }: SigningKey,
  signature: string,
  say: SignOptions["say"],
): void {
  say(`key        ${keyId}`);
  say(`algorithm  ${signatureMember(algorithm)}`);
  say(`signature  ${signature}`);
}

function fieldsOf(
  { expires, out: _out, ...fields }: ManifestOptions,
  size: number,
  sha256: string,
  nowMs: number,
): ManifestFields {
  if (expires === undefined) return { ...fields, size, sha256 };
  const at = /^\d{4}-\d\d-\d\d/.test(expires) ? Date.parse(expires) : Number.NaN;
  if (Number.isNaN(at)) {
    const message = `The expiry "${expires}" is not an ISO 8601 time, as 2027-01-31T00:00:00Z.`;
    throw new SigningError(message);
  }
  if (at <= nowMs) throw new SigningError(`The expiry "${expires}" is in the past.`);
  return { ...fields, size, sha256, expires: Math.floor(at / 1000) };
}

function readKeys(paths: readonly string[]): SigningKey[] {
  if (paths.length === 0) throw new SigningError("No key: name a PEM file with --key.");
  return paths.map(path => readSigningKey(readBytes(path, "key").toString(), path));
}

function readBytes(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    throw new SigningError(`The ${what} ${path} cannot be read: ${why}.`, { cause });
  }
}

/** Beside it first: a manifest that others have signed is not lost half way. */
function write(path: string, value: object): void {
  const beside = `${path}.new`;
  try {
    writeFileSync(beside, `${JSON.stringify(value, undefined, 2)}\n`);
    renameSync(beside, path);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code;
    throw new SigningError(`The file ${path} cannot be written: ${why}.`, { cause });
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
