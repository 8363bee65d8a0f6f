import { type Json, writeJson } from "../../../src/codec/json.js";
import { AgentError, type ErrorCode } from "../../../src/errors.js";
import {
  isImageTrusted,
  type ManifestCrypto,
  readManifest,
  requireSigner,
} from "../../../src/ota/manifest.js";
import type { ManifestOffer, PlainOffer } from "../../../src/ota/offer.js";
import {
  checkSigners,
  readSigner,
  type SignerOptions,
  type SigningOptions,
} from "../../../src/ota/signers.js";
import { element, objectIdentifier, tag } from "../../../src/trust/der.js";
import { toPem } from "../../../src/trust/pem.js";
import { concat, isEqual, toHex, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refusesWith } from "../harness.js";

/** Stands for a digest: as long as one, and another for other bytes. */
function digest(_: string, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(32);
  let state = 0x811c9dc5;
  for (let i = 0; i < bytes.length + 32; i++) {
    state = Math.imul(state ^ (bytes[i] ?? 0), 0x01000193) >>> 0;
    result[i % 32]! ^= state >>> 24;
  }
  // Below the order of the curve.
  result[0] = 1;
  return result;
}

let calculated = 0;
/** Everybody can sign with these keys: what is tried here is what becomes of the answers. */
const crypto: ManifestCrypto = {
  digest,
  verifyEcdsaDigest(_, point, over, r, s) {
    calculated++;
    return isEqual(over, r) && isEqual(point.subarray(1, 33), s);
  },
  rsaPublic: () => new Uint8Array(256),
};

/** A key whose x is all `byte`. */
const infoOf = (byte: number) =>
  element(
    tag.sequence,
    element(
      tag.sequence,
      objectIdentifier(1, 2, 840, 10045, 2, 1),
      objectIdentifier(1, 2, 840, 10045, 3, 1, 7),
    ),
    element(tag.bitString, concat([Uint8Array.of(0, 4), new Uint8Array(64).fill(byte)])),
  );
const signer = (byte: number, name?: string): SignerOptions => ({
  publicKey: toPem(infoOf(byte), "PUBLIC KEY"),
  ...(name === undefined ? {} : { name }),
});
const keyId = (byte: number) => readSigner(signer(byte), crypto).keyId;
const signedBy = (byte: number, over: Uint8Array) =>
  element(
    tag.sequence,
    element(tag.integer, over),
    element(tag.integer, new Uint8Array(32).fill(byte)),
  );

const image = toHex(new Uint8Array(32).fill(0xa5));
const members: { readonly [name: string]: Json | undefined } = {
  format: 1,
  type: "firmware",
  product: "buoy",
  hardware: ["rev-a", "rev-b"],
  version: "1.4.0",
  size: 340_000,
  sha256: image,
};
const bytesOf = (change: typeof members = {}) => toUtf8(writeJson({ ...members, ...change }));
const offer = (manifest: Uint8Array, ...keys: readonly number[]): ManifestOffer => ({
  kind: "manifest",
  manifest,
  signatures: keys.map(byte => ({
    keyId: keyId(byte),
    signature: signedBy(byte, digest("", manifest)),
  })),
  sources: [],
});
const of = (threshold: number, ...keys: readonly number[]): SigningOptions => ({
  signers: keys.map(byte => signer(byte)),
  threshold,
});
const read = (bytes: Uint8Array) => readManifest(offer(bytes, 1), of(1, 1), crypto);

function refused(code: ErrorCode, part: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    equal(error.code, code, `${part}: ${error.message}`);
    equal(error.message.includes(part), true, `"${part}" in "${error.message}"`);
    return;
  }
  throw new Error(`nothing was refused: ${part}`);
}

check("ota manifest: what is signed is read", () => {
  const manifest = read(bytesOf());
  equal(manifest.type, "firmware");
  equal(manifest.product, "buoy");
  equal(manifest.hardware.join(), "rev-a,rev-b");
  equal(manifest.version, "1.4.0");
  equal(manifest.size, 340_000);
  equal(toHex(manifest.sha256), image);
  equal(manifest.minimumVersion, undefined);
  equal(manifest.expires, undefined);
  const more = read(
    bytesOf({
      type: "script",
      hardware: [],
      minimumVersion: "1.4.0",
      expires: 1_900_000_000,
      extra: { deep: [1, { format: 2 }] },
      sha256: "0123456789abcdef".repeat(4),
    }),
  );
  equal(more.type, "script");
  equal(more.hardware.length, 0);
  equal(more.minimumVersion, "1.4.0");
  equal(more.expires, 1_900_000_000);
  equal(toHex(more.sha256), "0123456789abcdef".repeat(4));
});

check(
  "ota manifest: what is signed but is no manifest is refused, with where and which value",
  () => {
    const cases: readonly (readonly [string, typeof members])[] = [
      ["manifest.format is missing", { format: undefined }],
      ["manifest.format is 2", { format: 2 }],
      ["manifest.format is not a integer", { format: "1" }],
      ["manifest.type null", { type: undefined }],
      ['manifest.type "model"', { type: "model" }],
      ["manifest.type is not a string", { type: 1 }],
      ["manifest.product is missing", { product: undefined }],
      ['manifest.product ""', { product: "" }],
      ['manifest.product "a b"', { product: "a b" }],
      ['manifest.product "bóya"', { product: "bóya" }],
      ["manifest.product", { product: "p".repeat(65) }],
      ["manifest.hardware is missing", { hardware: undefined }],
      ["manifest.hardware is not an array", { hardware: "rev-a" }],
      ["manifest.hardware[1] is not a string", { hardware: ["a", 1] }],
      ["manifest.hardware[0] is missing", { hardware: [null] }],
      ['manifest.hardware[0] ""', { hardware: [""] }],
      ["manifest.hardware has more than 16", { hardware: new Array(17).fill("a") }],
      ["manifest.version is missing", { version: undefined }],
      ["manifest.version", { version: "1".repeat(65) }],
      ["manifest.size is missing", { size: undefined }],
      ["manifest.size is 0", { size: 0 }],
      ["manifest.size is 16777217", { size: 16_777_217 }],
      ["manifest.size is not a integer", { size: "340000" }],
      ["manifest.sha256 is missing", { sha256: undefined }],
      ["manifest.sha256", { sha256: image.slice(1) }],
      ["manifest.sha256", { sha256: image.toUpperCase() }],
      ['manifest.minimumVersion "1.4.1" is not at or below "1.4.0"', { minimumVersion: "1.4.1" }],
      ['manifest.minimumVersion "1.4"', { minimumVersion: "1.4" }],
      ["manifest.minimumVersion", { minimumVersion: "1.0.0", version: "2026-01" }],
      ["manifest.minimumVersion is not a string", { minimumVersion: 1 }],
      ["manifest.expires is -1", { expires: -1 }],
      ["manifest.expires is not a integer", { expires: 1.5 }],
      ["manifest.expires is 253402300800", { expires: 253_402_300_800 }],
    ];
    for (const [part, change] of cases) refused("ota/document", part, () => read(bytesOf(change)));
    for (const text of ["", "{}", "[]", "null", "7", '{"format":1', '{"format":1}{'])
      refused("ota/document", "manifest", () => read(toUtf8(text)));
    refused("ota/document", "UTF-8", () => read(Uint8Array.of(0x7b, 0x22, 0xc0, 0x22)));
  },
);

check("ota manifest: two members of one name are refused, however they are written", () => {
  const text = writeJson(members);
  const doubled = (more: string) => toUtf8(text.replace("{", `{${more},`));
  refused("ota/document", 'two members "size"', () => read(doubled('"size":1')));
  refused("ota/document", 'two members "size"', () => read(doubled('"\\u0073ize":1')));
  refused("ota/document", 'two members "x"', () => read(doubled('"x":1,"x":{}')));
  const many = Array.from({ length: 26 }, (_, i) => `"x${i}":0`).join();
  refused("ota/document", "more than 32 members", () => read(doubled(many)));
});

check("ota manifest: signatures come first, whatever is signed", () => {
  for (const text of ["", "{", "[".repeat(3000), writeJson(members)]) {
    const bytes = toUtf8(text);
    refused("ota/untrusted", "0 known keys, 1 needed", () =>
      readManifest(offer(bytes, 2), of(1, 1), crypto),
    );
    const wrong = { ...offer(bytes, 1), manifest: toUtf8(`${text} `) };
    refused("ota/signature", keyId(1), () => readManifest(wrong, of(1, 1), crypto));
  }
});

check("ota manifest: distinct keys are counted", () => {
  const bytes = bytesOf();
  const accepted = (signing: SigningOptions, ...keys: readonly number[]) => {
    try {
      return readManifest(offer(bytes, ...keys), signing, crypto).version;
    } catch (error) {
      return (error as AgentError).code;
    }
  };
  const twoOfThree = of(2, 1, 2, 3);
  equal(accepted(twoOfThree, 1, 2), "1.4.0");
  equal(accepted(twoOfThree, 3, 1), "1.4.0");
  equal(accepted(twoOfThree, 9, 3, 8, 2), "1.4.0", "unknown keys are passed over");
  equal(accepted(twoOfThree, 1, 2, 3), "1.4.0");
  equal(accepted(twoOfThree, 1), "ota/untrusted");
  equal(accepted(twoOfThree, 2, 2, 2, 2), "ota/untrusted", "one key is one, however often");
  equal(accepted(twoOfThree, 8, 9), "ota/untrusted");
  equal(accepted(twoOfThree), "ota/untrusted");
  equal(accepted(of(1, 1, 2, 3), 3), "1.4.0");
  equal(accepted(of(3, 1, 2, 3), 1, 2), "ota/untrusted");
  equal(accepted({ signers: [signer(1)] }, 1), "1.4.0", "one is enough by default");
  equal(accepted(of(1, 1), ...new Array(8).fill(1)), "1.4.0");
  equal(accepted(of(1, 1), ...new Array(9).fill(1)), "ota/document");
});

check("ota manifest: a wrong signature of a known key harms none that is right", () => {
  const right = offer(bytesOf(), 1, 2);
  const [one, two] = right.signatures;
  const wrong = { keyId: keyId(1), signature: two!.signature };
  const of2 = (signatures: ManifestOffer["signatures"], threshold = 2) =>
    readManifest({ ...right, signatures }, of(threshold, 1, 2), crypto).version;
  equal(of2([wrong, one!, two!]), "1.4.0");
  equal(of2([wrong, two!], 1), "1.4.0");
  refused("ota/signature", `${keyId(1)} is wrong`, () => of2([wrong, two!]));
  calculated = 0;
  refused("ota/signature", keyId(1), () => of2(new Array(8).fill(wrong)));
  equal(calculated, 8, "signatures calculated");
});

const plain = (named?: string, algorithm: "ecdsa" | "rsa" = "ecdsa", byte = 1): PlainOffer => ({
  kind: "plain",
  size: 3,
  signer: named,
  algorithm,
  signature: signedBy(byte, digest("", Uint8Array.of(7))),
  fileType: 0,
  sources: [],
});

check("ota manifest: a file is the signer's whom the document names, or anybody's", () => {
  const signing = { signers: [signer(1, "signer-cert"), signer(2, "other"), signer(3)] };
  const over = digest("", Uint8Array.of(7));
  const is = (...args: Parameters<typeof plain>) =>
    isImageTrusted(plain(...args), over, signing, crypto);
  equal(is("signer-cert"), true);
  equal(is("other"), false, "the signature is of signer-cert");
  equal(is("other", "ecdsa", 2), true);
  equal(is(undefined), true);
  equal(is(undefined, "ecdsa", 3), true);
  equal(is(undefined, "ecdsa", 4), false);
  const other = digest("", Uint8Array.of(8));
  equal(isImageTrusted(plain(), other, signing, crypto), false, "another file");
  refused("ota/untrusted", 'signer "stranger" is not known', () => is("stranger"));
  refused("ota/untrusted", 'signer "', () => is("x".repeat(256)));
  refused("ota/untrusted", "is rsa", () => is("signer-cert", "rsa"));
  refused("ota/untrusted", "is rsa", () => is(undefined, "rsa"));
  refused("ota/untrusted", "2 needed", () =>
    requireSigner(plain(), { ...signing, threshold: 2 }, crypto),
  );
  requireSigner(plain("other"), signing, crypto);
});

check("ota manifest: signers are checked with the options", () => {
  const refusedOptions = (part: string, options: unknown) =>
    refusesWith(part, () => checkSigners(options as SigningOptions, "firmware"));
  const list = "options.firmware.signers";
  refusedOptions(`${list} are not 1 to 8`, {});
  refusedOptions(`${list} are not 1 to 8`, { signers: [] });
  refusedOptions(`${list} are not 1 to 8`, of(1, ...Array.from({ length: 9 }, (_, i) => i + 1)));
  refusedOptions(`${list}[2] has the key of ${list}[0]`, of(1, 1, 2, 1));
  refusedOptions(`${list}[1].name "a" is that of ${list}[0]`, {
    signers: [signer(1, "a"), signer(2, "a")],
  });
  refusedOptions(`${list}[0].name is not 1 to 256`, { signers: [signer(1, "")] });
  refusedOptions(`${list}[1] has to have either`, { signers: [signer(1), {}] });
  const both = { ...signer(2), certificate: "" };
  refusedOptions(`${list}[1] has to have either`, { signers: [signer(1), both] });
  const key = (publicKey: string) => ({ signers: [{ publicKey }] });
  refusedOptions(`${list}[0].publicKey`, key(""));
  refusedOptions(`${list}[0].publicKey`, key(signer(1).publicKey! + signer(2).publicKey!));
  refusedOptions(`${list}[0].publicKey`, key(toPem(infoOf(1), "CERTIFICATE")));
  refusedOptions(`${list}[0].certificate`, {
    signers: [{ certificate: toPem(infoOf(1), "CERTIFICATE") }],
  });
  refusedOptions("public key", key(toPem(concat([infoOf(1), infoOf(2)]), "PUBLIC KEY")));
  refusedOptions("public key", key(toPem(infoOf(1).subarray(1), "PUBLIC KEY")));
  const compressed = infoOf(1).slice();
  compressed[compressed.length - 65] = 2;
  refusedOptions("is not taken", key(toPem(compressed, "PUBLIC KEY")));
  for (const threshold of [0, 3, 1.5, -1, Number.NaN])
    refusedOptions(`options.firmware.threshold ${threshold}`, of(threshold, 1, 2));
  const right = of(2, 1, 2);
  equal(checkSigners(right, "firmware"), right);
  const most = of(8, ...Array.from({ length: 8 }, (_, i) => i + 1));
  equal(checkSigners(most, "firmware"), most);
});
