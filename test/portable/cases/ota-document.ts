import { type Json, writeJson } from "../../../src/codec/json.js";
import { AgentError, type ErrorCode } from "../../../src/errors.js";
import { readOffer } from "../../../src/ota/document.js";
import type { OfferSource } from "../../../src/ota/offer.js";
import { toBase64, toHex, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal } from "../harness.js";

type Members = { readonly [name: string]: Json | undefined };

const signature = toBase64(Uint8Array.of(0x30, 6, 2, 1, 1, 2, 1, 2));
const url = "https://bucket.s3.eu-west-1.amazonaws.com/fw.bin?X-Amz-Signature=5ec3e7";
const file: Members = {
  filepath: "fw.bin",
  filesize: 340000,
  fileid: 0,
  certfile: "signer-cert",
  fileType: 0,
  "sig-sha256-ecdsa": signature,
};
const afr = (change: Members = {}, changeFile: Members = {}): Json => ({
  afr_ota: {
    protocols: ["MQTT"],
    streamname: "AFR_OTA-1111",
    files: [{ ...file, ...changeFile }],
    ...change,
  },
});
const voucher: Members = { keyId: "0123456789abcdef", signature };
const own = (change: Members = {}): Json => ({
  skerry: {
    operation: "firmware",
    manifest: toBase64(toUtf8("{}")),
    signatures: [{ ...voucher }],
    sources: [{ stream: "fw-1_4", fileId: 3 }, { url }],
    ...change,
  },
});

const read = (document: Json) => readOffer(toUtf8(writeJson(document)));
const plain = (document: Json) => {
  const offer = read(document);
  if (offer.kind !== "plain") throw new Error("not plain");
  return offer;
};
const places = (sources: readonly OfferSource[]) =>
  sources
    .map(source => ("url" in source ? source.url : `${source.stream}:${source.fileId}`))
    .join(" ");

function refused(code: ErrorCode, part: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    equal(error.code, code, part);
    equal(error.message.includes(part), true, `"${part}" in "${error.message}"`);
    equal(error.message.length < 200, true, `length of "${error.message}"`);
    return;
  }
  throw new Error(`nothing was refused: ${part}`);
}

check("ota document: what AWS writes", () => {
  const offer = plain(afr());
  equal(offer.size, 340000);
  equal(offer.signer, "signer-cert");
  equal(offer.algorithm, "ecdsa");
  equal(toHex(offer.signature), "3006020101020102");
  equal(offer.fileType, 0);
  equal(places(offer.sources), "AFR_OTA-1111:0");
  const { certfile: _, fileType: __, ...bare } = file;
  const least = plain(afr({ files: [bare] }));
  equal(least.signer, undefined);
  equal(least.fileType, 0);
});

check(
  "ota document: a quoted size, an RSA signature, another file id, members nobody knows",
  () => {
    const change = {
      "sig-sha256-ecdsa": undefined,
      "sig-sha256-rsa": toBase64(new Uint8Array(512)),
    };
    const offer = plain(
      afr(
        { more: [{}] },
        { ...change, filesize: "16777216", fileid: 255, fileType: 255, attr: 3, x: {} },
      ),
    );
    equal(offer.size, 16_777_216);
    equal(offer.algorithm, "rsa");
    equal(offer.signature.length, 512);
    equal(offer.fileType, 255);
    equal(places(offer.sources), "AFR_OTA-1111:255");
    equal(plain(afr({}, { filesize: 1 })).size, 1);
    // One that is taken is enough.
    equal(plain(afr({}, { "sig-sha1-rsa": signature })).algorithm, "ecdsa");
  },
);

check("ota document: sources in the order of the protocols", () => {
  const http = { update_data_url: url, auth_scheme: "aws.s3.presigned" };
  const of = (protocols: Json, change: Members = {}) =>
    places(plain(afr({ protocols, ...change }, http)).sources);
  equal(of(["MQTT", "HTTP"]), `AFR_OTA-1111:0 ${url}`);
  equal(of(["HTTP", "MQTT"]), `${url} AFR_OTA-1111:0`);
  equal(of(["HTTP"], { streamname: undefined }), url);
  equal(of(["BLE", "MQTT", "MQTT"]), "AFR_OTA-1111:0");
  const noScheme = afr({ protocols: ["HTTP"] }, { update_data_url: url });
  equal(places(plain(noScheme).sources), url);
});

check("ota document: what AWS does not write is refused, with what, where and which value", () => {
  const bad = "ota/document";
  const withHttp = (change: Members) => () =>
    read(afr({ protocols: ["HTTP"] }, { update_data_url: url, ...change }));
  const cases: readonly (readonly [string, () => unknown])[] = [
    ["neither afr_ota nor skerry", () => read({ operation: "reboot" })],
    ["neither afr_ota nor skerry", () => read({ afr_ota: null })],
    ["both afr_ota and skerry", () => read({ ...(afr() as object), ...(own() as object) })],
    ["document.afr_ota is not an object", () => read({ afr_ota: 7 })],
    ["document is not an object", () => read([])],
    ["afr_ota.protocols is missing", () => read(afr({ protocols: undefined }))],
    ["afr_ota.protocols is not an array", () => read(afr({ protocols: "MQTT" }))],
    ["afr_ota.protocols[0] is not a string", () => read(afr({ protocols: [1] }))],
    ['"BLE" names neither', () => read(afr({ protocols: ["BLE"] }))],
    ['"" names neither', () => read(afr({ protocols: [] }))],
    ["more than 8", () => read(afr({ protocols: "123456789".split("") }))],
    ["afr_ota.streamname is missing", () => read(afr({ streamname: undefined }))],
    ["afr_ota.streamname is not a string", () => read(afr({ streamname: 1 }))],
    ['afr_ota.streamname "a/b"', () => read(afr({ streamname: "a/b" }))],
    ['afr_ota.streamname ""', () => read(afr({ streamname: "" }))],
    ["afr_ota.streamname", () => read(afr({ streamname: "s".repeat(129) }))],
    ["afr_ota.files is missing", () => read(afr({ files: undefined }))],
    ["afr_ota.files is not an array", () => read(afr({ files: {} }))],
    ["afr_ota.files[0] is missing", () => read(afr({ files: [] }))],
    ["afr_ota.files[0] is not an object", () => read(afr({ files: [null] }))],
    ["afr_ota.files[0] is not an object", () => read(afr({ files: [[]] }))],
    ["afr_ota.files has more than 1 elements", () => read(afr({ files: [file, file] }))],
    ["files[0].filepath is missing", () => read(afr({}, { filepath: undefined }))],
    ['files[0].filepath ""', () => read(afr({}, { filepath: "" }))],
    ["files[0].filepath is not a string", () => read(afr({}, { filepath: 1 }))],
    ["files[0].filesize is missing", () => read(afr({}, { filesize: undefined }))],
    ["files[0].filesize is missing", () => read(afr({}, { filesize: null }))],
    ["files[0].filesize is 0", () => read(afr({}, { filesize: 0 }))],
    ["files[0].filesize is -1", () => read(afr({}, { filesize: -1 }))],
    ["files[0].filesize is 1.5", () => read(afr({}, { filesize: 1.5 }))],
    ["files[0].filesize is 16777217", () => read(afr({}, { filesize: 16_777_217 }))],
    ["files[0].filesize is 1e+300", () => read(afr({}, { filesize: 1e300 }))],
    ["files[0].filesize true", () => read(afr({}, { filesize: true }))],
    ["files[0].filesize", () => read(afr({}, { filesize: [1] }))],
    ['files[0].filesize ""', () => read(afr({}, { filesize: "" }))],
    ['files[0].filesize "0x10"', () => read(afr({}, { filesize: "0x10" }))],
    ['files[0].filesize " 5"', () => read(afr({}, { filesize: " 5" }))],
    ["files[0].fileid is missing", () => read(afr({}, { fileid: undefined }))],
    ["files[0].fileid is 256", () => read(afr({}, { fileid: 256 }))],
    ["files[0].fileid is -1", () => read(afr({}, { fileid: -1 }))],
    ["files[0].fileid is not a integer", () => read(afr({}, { fileid: "0" }))],
    ["files[0].certfile is not a string", () => read(afr({}, { certfile: {} }))],
    ["files[0].certfile", () => read(afr({}, { certfile: "c".repeat(257) }))],
    ["files[0].fileType is 256", () => read(afr({}, { fileType: 256 }))],
    ["two signatures", () => read(afr({}, { "sig-sha256-rsa": signature }))],
    ["sig-sha256-ecdsa is not a string", () => read(afr({}, { "sig-sha256-ecdsa": 1 }))],
    ['sig-sha256-ecdsa ""', () => read(afr({}, { "sig-sha256-ecdsa": "" }))],
    ['sig-sha256-ecdsa "AQ"', () => read(afr({}, { "sig-sha256-ecdsa": "AQ" }))],
    ["sig-sha256-ecdsa", () => read(afr({}, { "sig-sha256-ecdsa": "A".repeat(9000) }))],
    [
      "sig-sha256-ecdsa",
      () => read(afr({}, { "sig-sha256-ecdsa": toBase64(new Uint8Array(513)) })),
    ],
    ["update_data_url is missing", withHttp({ update_data_url: undefined })],
    ['update_data_url "http://host/fw"', withHttp({ update_data_url: "http://host/fw?secret" })],
    ['update_data_url "https:///fw"', withHttp({ update_data_url: "https:///fw" })],
    ['update_data_url "https://"', withHttp({ update_data_url: "https://" })],
    ["update_data_url", withHttp({ update_data_url: "https://host/a b" })],
    ["update_data_url", withHttp({ update_data_url: "https://host/\r\nHost: x" })],
    ["update_data_url", withHttp({ update_data_url: "https://hést/" })],
    ["update_data_url", withHttp({ update_data_url: `https://h/${"x".repeat(2039)}` })],
    ['auth_scheme "basic"', withHttp({ auth_scheme: "basic" })],
  ];
  for (const [part, work] of cases) refused(bad, part, work);
  equal(withHttp({ update_data_url: `https://h/${"x".repeat(2038)}` })() !== undefined, true);
  for (const text of ["", "{", "null", '{"afr_ota":{}', '\ufeff{"afr_ota":{}}'])
    refused(bad, "document", () => readOffer(toUtf8(text)));
  refused(bad, "UTF-8", () => readOffer(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)));
  refused(bad, "nesting", () => readOffer(toUtf8(`{"a":${"[".repeat(5000)}`)));
  const long = `{"a":"${"x".repeat(12_280)}"}`;
  refused(bad, "document has neither", () => readOffer(toUtf8(long)));
  refused(bad, "document of 12289 bytes", () => readOffer(toUtf8(`${long} `)));
  // What a link is worth is not told.
  refused(bad, '"http://host/fw"', withHttp({ update_data_url: "http://host/fw?secret" }));
});

check("ota document: unsigned, or signed with what is not taken", () => {
  const none = { "sig-sha256-ecdsa": undefined };
  refused("ota/untrusted", "unsigned", () => read(afr({}, none)));
  refused("ota/untrusted", "unsigned", () => read(afr({}, { "sig-sha256-ecdsa": null })));
  for (const name of ["sig-sha1-rsa", "sig-sha1-ecdsa", "sig-sha256-ed25519", "sig-"])
    refused("ota/signature", `algorithm "${name}"`, () =>
      read(afr({}, { ...none, [name]: signature })),
    );
  refused("ota/signature", `algorithm "sig-${"x".repeat(36)}"…`, () =>
    read(afr({}, { ...none, [`sig-${"x".repeat(5000)}`]: signature })),
  );
  refused("ota/untrusted", "unsigned", () => read(own({ signatures: [] })));
  refused("ota/untrusted", "unsigned", () => read(own({ signatures: undefined })));
});

check("ota document: ours", () => {
  const offer = read(own());
  if (offer.kind !== "manifest") throw new Error("no manifest");
  equal(toHex(offer.manifest), "7b7d");
  equal(offer.signatures.length, 1);
  equal(offer.signatures[0]!.keyId, "0123456789abcdef");
  equal(toHex(offer.signatures[0]!.signature), "3006020101020102");
  equal(places(offer.sources), `fw-1_4:3 ${url}`);
  const eight = Array.from({ length: 8 }, () => voucher as Json);
  const many = read(own({ signatures: eight, sources: [{ url }, { url }, { url }, { url }] }));
  equal(many.kind === "manifest" && many.signatures.length, 8);
  equal(many.sources.length, 4);
});

check("ota document: ours, wrong", () => {
  const signed = (change: Members) => own({ signatures: [{ ...voucher, ...change }] });
  const from = (...sources: Json[]) => own({ sources });
  const cases: readonly (readonly [string, Json])[] = [
    ["skerry.operation is missing", own({ operation: undefined })],
    ['skerry.operation "reboot"', own({ operation: "reboot" })],
    ["skerry.operation is not a string", own({ operation: 1 })],
    ["skerry.manifest is missing", own({ manifest: undefined })],
    ['skerry.manifest "{}"', own({ manifest: "{}" })],
    ['skerry.manifest ""', own({ manifest: "" })],
    ["skerry.manifest", own({ manifest: toBase64(new Uint8Array(4097)) })],
    ["skerry.signatures is not an array", own({ signatures: {} })],
    ["skerry.signatures has more than 8", own({ signatures: new Array(9).fill(voucher) })],
    ["skerry.signatures[0] is not an object", own({ signatures: ["x"] })],
    ["skerry.signatures[0] is missing", own({ signatures: [null] })],
    ["signatures[0].keyId is missing", signed({ keyId: undefined })],
    ['signatures[0].keyId "0123456789ABCDEF"', signed({ keyId: "0123456789ABCDEF" })],
    ['signatures[0].keyId "0123456789abcde"', signed({ keyId: "0123456789abcde" })],
    ["signatures[0].signature is missing", signed({ signature: undefined })],
    ["signatures[0].signature", signed({ signature: toBase64(new Uint8Array(513)) })],
    ["skerry.sources is missing", own({ sources: undefined })],
    ["skerry.sources is empty", from()],
    ["skerry.sources has more than 4", own({ sources: new Array(5).fill({ url }) })],
    ["skerry.sources[0].url is missing", from({})],
    ["skerry.sources[0] is missing", from(null)],
    ["skerry.sources[1] has both", from({ url }, { url, stream: "s", fileId: 0 })],
    ["skerry.sources[0].fileId is missing", from({ stream: "s" })],
    ["skerry.sources[0].fileId is 256", from({ stream: "s", fileId: 256 })],
    ['skerry.sources[0].stream "s p"', from({ stream: "s p", fileId: 0 })],
    ['skerry.sources[0].url "ftp://x"', from({ url: "ftp://x" })],
  ];
  for (const [part, document] of cases) refused("ota/document", part, () => read(document));
});

check("ota document: a file id that is minus zero is zero", () => {
  const text = writeJson(afr()).replace('"fileid":0', '"fileid":-0');
  const [source] = readOffer(toUtf8(text)).sources;
  equal(source !== undefined && "fileId" in source && source.fileId, 0);
});
