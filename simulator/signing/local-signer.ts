// The signer of a local cloud's firmware: one key in the state folder, made on the first start, and the profile that signs with it.

import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SigningProfile } from "../cloud/code-signing.js";
import { readSigningKey, type SigningKey } from "./signing-key.js";

/** Of the profile, and what documents name the signer by. */
export const localSignerName = "skerry";

export interface LocalSigner {
  /** Of the key: PKCS#8, PEM. Another may be put there; the next start takes it. */
  readonly path: string;
  readonly key: SigningKey;
  readonly profile: SigningProfile;
}

/** @throws SigningError for a file that holds no such key; it stays as it is */
export function openLocalSigner(state: string): LocalSigner {
  const path = join(state, "signing-key.pem");
  if (!existsSync(path)) makeKey(path);
  const pem = readFileSync(path, "utf8");
  const key = readSigningKey(pem, path);
  const profile = {
    key: pem,
    certificatePathOnDevice: localSignerName,
    hashAlgorithm: "SHA256",
    signatureAlgorithm: key.algorithm === "rsa" ? "RSA" : "ECDSA",
  } as const;
  return { path, key, profile };
}

/** Beside it first: a cut leaves no half of a key. */
function makeKey(path: string): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(`${path}.new`, privateKey.export({ type: "pkcs8", format: "pem" }), {
    mode: 0o600,
  });
  renameSync(`${path}.new`, path);
}
