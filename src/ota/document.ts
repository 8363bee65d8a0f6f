// Reads what a job document offers: AWS's `afr_ota` and our own `skerry`. Nothing is believed yet, all of it is bounded.
import { type Read, readElements, readJson, unsupported } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { deepFreeze, lean } from "../util/machine.js";
import type { ManifestOffer, ManifestSignature, Offer, OfferSource, PlainOffer } from "./offer.js";
import {
  asDocument,
  base64,
  fail,
  fromDigits,
  imageSize,
  inRange,
  isVisible,
  present,
  shortText,
  textsOf,
  told,
} from "./reading.js";

const documentShape = deepFreeze({
  afr_ota: { protocols: "raw", streamname: "string", files: "raw" },
  skerry: { operation: "string", manifest: "string", signatures: "raw", sources: "raw" },
} as const);
const fileShape = deepFreeze({
  filepath: "string",
  filesize: "scalar",
  fileid: "integer",
  certfile: "string",
  fileType: "integer",
  update_data_url: "string",
  auth_scheme: "string",
  "sig-sha256-ecdsa": "string",
  "sig-sha256-rsa": "string",
} as const);
const signatureShape = deepFreeze({ keyId: "string", signature: "string" } as const);
const sourceShape = deepFreeze({ stream: "string", fileId: "integer", url: "string" } as const);

type Plain = Read<typeof documentShape.afr_ota>;
type File = Read<typeof fileShape>;
type Own = Read<typeof documentShape.skerry>;

/** How S3 is asked with a link that has the rights in it. */
const presigned = "aws.s3.presigned";
/** Entries of `protocols`, known or not. */
const maxProtocols = 8;
/** Characters of `filepath` and `certfile`. */
const maxPath = 256;

/**
 * @param document  JSON, UTF-8; at most `limits.offerBytes`
 * @throws          AgentError "ota/document" when a member is missing, of another type or out of range, or when there is not exactly
 *                  one file; "ota/untrusted" when there is no signature; "ota/signature" when its algorithm is not taken
 * @see             README.md "Documents"
 */
export function readOffer(document: Uint8Array): Offer {
  if (document.length > limits.offerBytes)
    fail(`document of ${document.length} bytes, at most ${limits.offerBytes} are taken`);
  return asDocument(() => {
    const read = present(readJson(document, documentShape, "document"), "document");
    const { afr_ota: plain, skerry: own } = read;
    if (plain && own) fail("document has both afr_ota and skerry");
    if (plain) return readPlain(plain);
    return own ? readOwn(own) : fail("document has neither afr_ota nor skerry");
  });
}

function readPlain({ protocols, streamname, files }: Plain): PlainOffer {
  const [first] = readElements(present(files, "afr_ota.files"), 1, "afr_ota.files");
  const where = "afr_ota.files[0]";
  const { file, others } = readFile(present(first, where), where);
  // Nothing is made of it, but every document has it, and FreeRTOS refuses one that has not.
  shortText(file.filepath, maxPath, `${where}.filepath`);
  const { certfile } = file;
  return lean({
    kind: "plain",
    size: readSize(file.filesize, `${where}.filesize`),
    signer: certfile === undefined ? undefined : shortText(certfile, maxPath, `${where}.certfile`),
    ...readSignature(file, others, where),
    fileType: byte(file.fileType ?? 0, `${where}.fileType`),
    sources: readProtocols(protocols, streamname, file),
  });
}

/** @returns the file, and what signatures it has besides those that are taken */
function readFile(element: Uint8Array, where: string): { file: File; others: readonly string[] } {
  const others: string[] = [];
  const file = readJson(element, fileShape, where, {
    onOther(_, name) {
      if (name.startsWith("sig-") && others.length < maxProtocols) others.push(name);
    },
  });
  // With a judge an object of another kind is not refused by the reader.
  if (typeof file !== "object") fail(`${where} is not an object`);
  return { file, others };
}

function readSize(value: File["filesize"], where: string): number {
  if (value === undefined || value === null) return imageSize(undefined, where);
  const size = typeof value === "string" ? fromDigits(value) : value;
  if (typeof size === "number") return imageSize(size, where);
  return fail(`${where}${value === unsupported ? "" : ` ${told(value)}`} is no number`);
}

function readSignature(
  file: File,
  others: readonly string[],
  where: string,
): Pick<PlainOffer, "algorithm" | "signature"> {
  const { "sig-sha256-ecdsa": ecdsa, "sig-sha256-rsa": rsa } = file;
  if (ecdsa !== undefined && rsa !== undefined) fail(`${where} has two signatures`);
  if (ecdsa === undefined && rsa === undefined) throw withoutSignature(others, where);
  const algorithm = ecdsa === undefined ? "rsa" : "ecdsa";
  const name = `${where}.sig-sha256-${algorithm}`;
  return { algorithm, signature: base64(ecdsa ?? rsa, limits.signatureBytes, name) };
}

function withoutSignature([other]: readonly string[], where: string): AgentError {
  return other === undefined
    ? new AgentError("ota/untrusted", `${where} is unsigned`)
    : new AgentError(
        "ota/signature",
        `${where}: algorithm ${told(other)} is not taken, only sig-sha256-ecdsa and sig-sha256-rsa`,
      );
}

/** In the document's order; protocols that are unknown here are passed over, as long as one is left. */
function readProtocols(
  protocols: Uint8Array | undefined,
  streamname: string | undefined,
  file: File,
): readonly OfferSource[] {
  const where = "afr_ota.protocols";
  const names = textsOf(protocols, maxProtocols, where);
  const isKnown = (name: string, i: number) =>
    (name === "MQTT" || name === "HTTP") && names.indexOf(name) === i;
  const sources = names
    .filter(isKnown)
    .map(name => (name === "MQTT" ? streamOf(streamname, file) : presignedLinkOf(file)));
  if (sources.length === 0) fail(`${where} ${told(names.join())} names neither MQTT nor HTTP`);
  return sources;
}

function streamOf(streamname: string | undefined, { fileid }: File): OfferSource {
  return {
    stream: streamName(streamname, "afr_ota.streamname"),
    fileId: byte(fileid, "afr_ota.files[0].fileid"),
  };
}

function presignedLinkOf({ update_data_url, auth_scheme }: File): OfferSource {
  const where = "afr_ota.files[0]";
  if (auth_scheme !== undefined && auth_scheme !== presigned)
    fail(`${where}.auth_scheme ${told(auth_scheme)} is not ${presigned}`);
  return { url: link(update_data_url, `${where}.update_data_url`) };
}

function readOwn({ operation, manifest, signatures, sources }: Own): ManifestOffer {
  if (present(operation, "skerry.operation") !== "firmware")
    fail(`skerry.operation ${told(operation!)} is not firmware`);
  const bytes = base64(manifest, limits.manifestBytes, "skerry.manifest");
  const vouchers =
    signatures === undefined
      ? []
      : readElements(signatures, limits.signatures, "skerry.signatures").map(readVoucher);
  if (vouchers.length === 0) throw new AgentError("ota/untrusted", "skerry.manifest is unsigned");
  const where = "skerry.sources";
  const places = readElements(present(sources, where), limits.sources, where);
  if (places.length === 0) fail(`${where} is empty`);
  return {
    kind: "manifest",
    manifest: bytes,
    signatures: vouchers,
    sources: places.map(readSource),
  };
}

function readVoucher(element: Uint8Array, i: number): ManifestSignature {
  const where = `skerry.signatures[${i}]`;
  const read = present(readJson(element, signatureShape, where), where);
  const keyId = present(read.keyId, `${where}.keyId`);
  if (!/^[0-9a-f]{16}$/.test(keyId))
    fail(`${where}.keyId ${told(keyId)} is not 16 hexadecimal digits`);
  const signature = base64(read.signature, limits.signatureBytes, `${where}.signature`);
  return { keyId, signature };
}

function readSource(element: Uint8Array, i: number): OfferSource {
  const where = `skerry.sources[${i}]`;
  const { stream, fileId, url } = present(readJson(element, sourceShape, where), where);
  if (stream !== undefined && url !== undefined) fail(`${where} has both stream and url`);
  if (stream === undefined) return { url: link(url, `${where}.url`) };
  return {
    stream: streamName(stream, `${where}.stream`),
    fileId: byte(fileId, `${where}.fileId`),
  };
}

function byte(value: number | undefined, where: string): number {
  return inRange(value, 0, 255, where);
}

function streamName(value: string | undefined, where: string): string {
  const name = present(value, where);
  if (!/^[a-zA-Z0-9_-]{1,128}$/.test(name))
    fail(`${where} ${told(name)} is not 1 to 128 of a-z A-Z 0-9 _ -`);
  return name;
}

function link(value: string | undefined, where: string): string {
  const url = present(value, where);
  const isLink = url.length <= limits.linkBytes && /^https:\/\/[^/]/.test(url) && isVisible(url);
  // What stands behind "?" may be what the link is worth: it is not told.
  if (!isLink)
    fail(
      `${where} ${told(url.split("?", 1)[0]!)} is not https:// and at most ${limits.linkBytes} visible characters`,
    );
  return url;
}
