// Who vouches for an image. A manifest is read only after enough signers have signed its very bytes.
import { readJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { Crypto } from "../host.js";
import { limits } from "../limits.js";
import { isDigestSignature } from "../trust/signature.js";
import { toUtf8 } from "../util/bytes.js";
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
import { readSigner, type Signer, type SigningOptions, signersNamed } from "./signers.js";
import { compareVersions } from "./version.js";

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
  throw untrusted(
    `manifest: signed by ${right} known keys, ${threshold} needed; signatures are of ${ids}`,
  );
}

/** Of bytes that are trusted. @throws AgentError "ota/document" */
function parseManifest(bytes: Uint8Array): Manifest {
  return asDocument(() => {
    checkMembers(bytes);
    const read = present(readJson(bytes, manifestShape, "manifest"), "manifest");
    const { type } = read;
    inRange(read.format, format, format, "manifest.format");
    if (type !== "firmware" && type !== "script")
      return fail(`manifest.type ${told(type ?? null)} is not firmware or script`);
    const { minimumVersion, expires } = read;
    const version = name(read.version, "manifest.version");
    if (minimumVersion !== undefined) checkMinimum(minimumVersion, version);
    const latest = Math.floor(limits.latestTime / 1000);
    return lean({
      type,
      product: name(read.product, "manifest.product"),
      hardware: textsOf(read.hardware, maxHardware, "manifest.hardware").map((each, i) =>
        name(each, `manifest.hardware[${i}]`),
      ),
      version,
      size: imageSize(read.size, "manifest.size"),
      sha256: digestOf(read.sha256, "manifest.sha256"),
      minimumVersion,
      expires: expires === undefined ? undefined : inRange(expires, 0, latest, "manifest.expires"),
    });
  });
}

/** The image would be below its own floor. */
function checkMinimum(minimum: string, version: string): void {
  const order = compareVersions(version, minimum);
  if (order === undefined || order < 0)
    fail(`manifest.minimumVersion ${told(minimum)} is not at or below ${told(version)}`);
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
  for (const [i, code] of toUtf8(text).entries())
    digest[i >> 1] = (digest[i >> 1]! << 4) | (code < 58 ? code - 48 : code - 87);
  return digest;
}

/**
 * Before anything is downloaded: somebody has to be known who could have signed the file.
 *
 * @throws AgentError "ota/untrusted" when the document names a signer that is not known, or one whose key is of another kind than the
 *         signature, and where more than one signature is needed
 */
export function requireSigner(
  { signer: name, algorithm }: PlainOffer,
  { signers, threshold = 1 }: SigningOptions,
  crypto: ManifestCrypto,
): void {
  if (threshold > 1)
    throw untrusted(`file: one signature, ${threshold} needed: only a manifest can have them`);
  const named = signersNamed(signers, name);
  if (!named.some(signer => isOfKind(readSigner(signer, crypto), algorithm)))
    throw untrusted(`file: the signature is ${algorithm}, and no key of the signer is`);
}

function untrusted(reason: string): AgentError {
  return new AgentError("ota/untrusted", reason);
}

function isOfKind({ key }: Signer, algorithm: PlainOffer["algorithm"]): boolean {
  return (key.kind === "ec") === (algorithm === "ecdsa");
}

/**
 * Whether the file is one that a signer vouches for, as AWS's documents say it.
 *
 * @param digest  SHA-256 of the file as it was read back
 * @throws        AgentError "ota/untrusted", as `requireSigner`
 */
export function isImageTrusted(
  offer: PlainOffer,
  digest: Uint8Array,
  signing: SigningOptions,
  crypto: ManifestCrypto,
): boolean {
  requireSigner(offer, signing, crypto);
  const { signer: name, algorithm, signature } = offer;
  return signersNamed(signing.signers, name).some(each => {
    const signer = readSigner(each, crypto);
    if (!isOfKind(signer, algorithm)) return false;
    return isDigestSignature(crypto, { key: signer.key, hash: "SHA-256", digest, signature });
  });
}
