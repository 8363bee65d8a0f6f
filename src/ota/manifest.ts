// Who vouches for an image. A manifest is read only after enough signers have signed its very bytes.
import { readJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { Crypto } from "../host.js";
import { limits } from "../limits.js";
import { isDigestSignature } from "../trust/signature.js";
import { deepFreeze, lean } from "../util/machine.js";
import type { ManifestOffer, ManifestSignature, PlainOffer } from "./offer.js";
import {
  asDocument,
  fail,
  imageSize,
  inRange,
  isVisible,
  present,
  shortText,
  textsOf,
  told,
} from "./reading.js";
import { readSigner, type SignerOptions, type SigningOptions, signersNamed } from "./signers.js";
import { parseVersion } from "./version.js";

export interface Manifest {
  readonly type: "firmware" | "script";
  /** 1 to 64 visible ASCII characters, as the names of hardware and the version. */
  readonly product: string;
  /** Boards the image runs on, up to 16; empty: all of the product's. */
  readonly hardware: readonly string[];
  readonly version: string;
  /** Bytes. */
  readonly size: number;
  /** Of the whole image, 32 bytes. */
  readonly sha256: Uint8Array;
  /** Semantic version below which nothing is to be installed once this image has been confirmed. */
  readonly minimumVersion?: string | undefined;
  /** Epoch seconds; from then on the manifest is not taken. */
  readonly expires?: number | undefined;
}

/** What is calculated elsewhere. */
export type ManifestCrypto = Pick<Crypto, "digest" | "verifyEcdsaDigest" | "rsaPublic">;

const manifestShape = deepFreeze({
  format: "integer",
  type: "string",
  product: "string",
  hardware: "raw",
  version: "string",
  size: "integer",
  sha256: "string",
  minimumVersion: "string",
  expires: "integer",
} as const);
const format = 1;
const maxHardware = 16;
/** Members, known or not. */
const maxMembers = 32;

/**
 * Signatures first: at most as many are calculated as the offer has, 8.
 *
 * @throws AgentError "ota/untrusted" when too few of the signers have signed; "ota/signature" when one of them has, and it is wrong;
 *         "ota/document" when what they have signed is no manifest, or there are too many signatures
 */
export function readManifest(
  { manifest, signatures }: ManifestOffer,
  signing: SigningOptions,
  crypto: ManifestCrypto,
): Manifest {
  if (signatures.length > limits.signatures)
    fail(`manifest has ${signatures.length} signatures, at most ${limits.signatures} are taken`);
  checkSignatures(manifest, signatures, signing, crypto);
  return parseManifest(manifest);
}

function checkSignatures(
  manifest: Uint8Array,
  signatures: readonly ManifestSignature[],
  { signers, threshold = 1 }: SigningOptions,
  crypto: ManifestCrypto,
): void {
  const digest = crypto.digest("SHA-256", manifest);
  let right = 0;
  const wrong: string[] = [];
  // By signer, one in memory at a time: a key counts once, whatever is signed with it.
  for (const signer of signers) {
    const { keyId, key } = readSigner(signer, crypto);
    const own = signatures.filter(each => each.keyId === keyId);
    const isRight = own.some(({ signature }) =>
      isDigestSignature(crypto, { key, hash: "SHA-256", digest, signature }),
    );
    if (isRight) right++;
    else if (own.length > 0) wrong.push(keyId);
    if (right >= threshold) return;
  }
  if (wrong.length > 0)
    throw new AgentError("ota/signature", `manifest: signature of key ${wrong.join()} is wrong`);
  const ids = signatures.map(each => each.keyId).join();
  throw new AgentError(
    "ota/untrusted",
    `manifest: signed by ${right} known keys, ${threshold} needed; signatures are of ${ids}`,
  );
}

/** Of bytes that are trusted. @throws AgentError "ota/document" */
function parseManifest(bytes: Uint8Array): Manifest {
  return asDocument(() => {
    checkMembers(bytes);
    const read = readJson(bytes, manifestShape, "manifest");
    const { type } = read;
    inRange(read.format, format, format, "manifest.format");
    if (type !== "firmware" && type !== "script")
      return fail(`manifest.type ${told(type ?? null)} is not firmware or script`);
    const { minimumVersion, expires } = read;
    if (minimumVersion !== undefined && parseVersion(minimumVersion) === undefined)
      fail(`manifest.minimumVersion ${told(minimumVersion)} is no semantic version`);
    const latest = Math.floor(limits.latestTime / 1000);
    return lean({
      type,
      product: name(read.product, "manifest.product"),
      hardware: textsOf(read.hardware, maxHardware, "manifest.hardware").map((each, i) =>
        name(each, `manifest.hardware[${i}]`),
      ),
      version: name(read.version, "manifest.version"),
      size: imageSize(read.size, "manifest.size"),
      sha256: digestOf(read.sha256, "manifest.sha256"),
      minimumVersion,
      expires: expires === undefined ? undefined : inRange(expires, 0, latest, "manifest.expires"),
    });
  });
}

/** Which of two members of one name counts would be a matter of the reader: no such manifest is taken. */
function checkMembers(bytes: Uint8Array): void {
  const names: string[] = [];
  readJson(bytes, {}, "manifest", {
    onOther(_, member) {
      if (names.includes(member)) fail(`manifest has two members ${told(member)}`);
      if (names.length >= maxMembers) fail(`manifest has more than ${maxMembers} members`);
      names.push(member);
    },
  });
}

function name(value: string | undefined, where: string): string {
  const text = shortText(value, limits.nameBytes, where);
  return isVisible(text) ? text : fail(`${where} ${told(text)} is not visible ASCII`);
}

function digestOf(value: string | undefined, where: string): Uint8Array {
  const text = present(value, where);
  if (!/^[0-9a-f]{64}$/.test(text)) fail(`${where} ${told(text)} is not 64 hexadecimal digits`);
  const digest = new Uint8Array(32);
  for (let i = 0; i < 32; i++) digest[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return digest;
}

/**
 * Whether the file is one that a signer vouches for, as AWS's documents say it.
 *
 * @param digest  SHA-256 of the file as it was read back
 * @throws        AgentError "ota/untrusted" when the document names a signer that is not known
 */
export function isImageTrusted(
  { signer: named, algorithm, signature }: PlainOffer,
  digest: Uint8Array,
  signers: readonly SignerOptions[],
  crypto: ManifestCrypto,
): boolean {
  return signersNamed(signers, named).some(signer => {
    const { key } = readSigner(signer, crypto);
    if ((key.kind === "ec") !== (algorithm === "ecdsa")) return false;
    return isDigestSignature(crypto, { key, hash: "SHA-256", digest, signature });
  });
}
