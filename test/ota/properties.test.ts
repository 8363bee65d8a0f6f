// What holds for any version and any document.
import test from "ava";
import fc from "fast-check";
import { AgentError } from "../../src/errors.js";
import { readOffer } from "../../src/ota/document.js";
import type { Offer } from "../../src/ota/offer.js";
import {
  compareVersions,
  parseVersion,
  printAfrVersion,
  readAfrVersion,
  toAfrVersion,
} from "../../src/ota/version.js";

const number = fc
  .oneof(fc.nat(3), fc.nat(70_000), fc.bigInt({ min: 0n, max: 10n ** 17n }))
  .map(String);
const letters = fc.string({
  unit: fc.constantFrom(..."09azAZ-"),
  minLength: 1,
  maxLength: 4,
});
const identifier = fc.oneof(
  number,
  letters.filter(text => !/^0\d+$/.test(text)),
);
const versionParts = fc.record({
  core: fc.tuple(number, number, number),
  pre: fc.array(identifier, { maxLength: 3 }),
  build: fc.array(letters, { maxLength: 2 }),
});
type Parts = typeof versionParts extends fc.Arbitrary<infer P> ? P : never;

const written = ({ core, pre, build }: Parts) =>
  core.join(".") +
  (pre.length > 0 ? `-${pre.join(".")}` : "") +
  (build.length > 0 ? `+${build.join(".")}` : "");
const isShort = (parts: Parts) => written(parts).length <= 64;
const version = versionParts.filter(isShort);

/** semver.org's own expression. */
const suggested =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/;

/** The same order, thought of otherwise: numbers as numbers, everything as one list. */
function modelOrder(a: Parts, b: Parts): number {
  const cores = a.core.map((text, i) => BigInt(text) - BigInt(b.core[i]!));
  const first = cores.find(difference => difference !== 0n);
  if (first !== undefined) return first < 0n ? -1 : 1;
  if (a.pre.length === 0 || b.pre.length === 0)
    return Math.sign(Number(a.pre.length === 0) - Number(b.pre.length === 0));
  for (const [i, left] of a.pre.entries()) {
    const right = b.pre[i];
    if (right === undefined) return 1;
    if (left === right) continue;
    const [isLeft, isRight] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isLeft && isRight) return BigInt(left) < BigInt(right) ? -1 : 1;
    if (isLeft || isRight) return isLeft ? -1 : 1;
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  }
  return a.pre.length < b.pre.length ? -1 : 0;
}

test("ota version: orders as the model does, both ways", t => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      const order = compareVersions(written(a), written(b))!;
      t.is(Math.sign(order), modelOrder(a, b));
      t.is(Math.sign(compareVersions(written(b), written(a))!) + Math.sign(order), 0);
    }),
    { numRuns: 3000 },
  );
});

test("ota version: of three versions the order is one", t => {
  const near = fc.record({
    core: fc.constant(["1", "0", "0"] as [string, string, string]),
    pre: fc.array(fc.constantFrom("0", "1", "10", "a", "-", "A"), { maxLength: 2 }),
    build: fc.constant([] as string[]),
  });
  fc.assert(
    fc.property(near, near, near, (a, b, c) => {
      const sorted = [a, b, c].map(written).sort((x, y) => compareVersions(x, y)!);
      t.true(compareVersions(sorted[0]!, sorted[1]!)! <= 0);
      t.true(compareVersions(sorted[1]!, sorted[2]!)! <= 0);
      t.true(compareVersions(sorted[0]!, sorted[2]!)! <= 0);
    }),
    { numRuns: 1000 },
  );
});

test("ota version: a text is one exactly when semver.org's expression says so", t => {
  const near = fc.string({ unit: fc.constantFrom(..."0019.-+.aZ é"), maxLength: 14 });
  const changed = fc
    .tuple(version, fc.nat(20), fc.constantFrom("", "0", ".", "-", "+", " ", "a", "_"))
    .map(([parts, at, put]) => {
      const text = written(parts);
      return text.slice(0, at) + put + text.slice(at + 1);
    });
  fc.assert(
    fc.property(fc.oneof(near, changed, version.map(written), fc.string()), text => {
      const expected = text.length <= 64 && suggested.test(text);
      t.is(parseVersion(text) !== undefined, expected, text);
    }),
    { numRuns: 5000 },
  );
});

test("ota version: 32 bits are told and read back", t => {
  fc.assert(
    fc.property(fc.nat(300), fc.nat(300), fc.nat(70_000), (major, minor, patch) => {
      const value = toAfrVersion(`${major}.${minor}.${patch}`);
      const fits = major < 256 && minor < 256 && patch < 65_536;
      t.is(value, fits ? ((major << 24) | (minor << 16) | patch) >>> 0 : undefined);
      if (value !== undefined) t.is(readAfrVersion(printAfrVersion(value)), value);
    }),
  );
});

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const signature = Buffer.alloc(70, 7).toString("base64");
const file = {
  filepath: "fw.bin",
  filesize: 340_000,
  fileid: 0,
  certfile: "signer-cert",
  fileType: 0,
  update_data_url: "https://host/fw",
  auth_scheme: "aws.s3.presigned",
  "sig-sha256-ecdsa": signature,
};
const members = { protocols: ["MQTT", "HTTP"], streamname: "s", files: [file] };
const own = {
  operation: "firmware",
  manifest: Buffer.from("{}").toString("base64"),
  signatures: [{ keyId: "0123456789abcdef", signature }],
  sources: [{ stream: "s", fileId: 0 }, { url: "https://host/fw" }],
};

/** An offer within every bound, or a refusal with a message of one line. */
function offerIn(document: Uint8Array): Offer | string {
  try {
    const offer = readOffer(document);
    const size = offer.kind === "plain" ? offer.size : 1;
    const signatures = offer.kind === "plain" ? [offer] : offer.signatures;
    const isBounded =
      Number.isInteger(size) &&
      size >= 1 &&
      size <= 2 ** 24 &&
      signatures.length >= 1 &&
      signatures.length <= 8 &&
      signatures.every(each => each.signature.length >= 1 && each.signature.length <= 512) &&
      offer.sources.length >= 1 &&
      offer.sources.length <= 4 &&
      offer.sources.every(source =>
        "url" in source
          ? /^https:\/\/[!-~]{1,2040}$/.test(source.url)
          : /^[\w-]{1,128}$/.test(source.stream) && source.fileId >= 0 && source.fileId <= 255,
      );
    if (!isBounded) throw new Error("out of bounds");
    return offer;
  } catch (error) {
    if (!(error instanceof AgentError) || !error.code.startsWith("ota/")) throw error;
    if (error.message.length > 400) throw new Error(`long: ${error.message}`);
    return error.code;
  }
}

test("ota document: with anything in the place of any member it is an offer within bounds, or refused", t => {
  const places: ((value: unknown) => object)[] = [
    value => ({ afr_ota: value }),
    value => ({ skerry: value }),
    ...Object.keys(members).map(name => (value: unknown) => ({
      afr_ota: { ...members, [name]: value },
    })),
    ...Object.keys(file).map(name => (value: unknown) => ({
      afr_ota: { ...members, files: [{ ...file, [name]: value }] },
    })),
    ...Object.keys(own).map(name => (value: unknown) => ({ skerry: { ...own, [name]: value } })),
    ...["keyId", "signature"].map(name => (value: unknown) => ({
      skerry: { ...own, signatures: [{ ...own.signatures[0], [name]: value }] },
    })),
    ...["stream", "fileId", "url"].map(name => (value: unknown) => ({
      skerry: { ...own, sources: [{ ...own.sources[0], [name]: value }] },
    })),
  ];
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(null, [], [null], {}, -0, 1e21, "", "\u0000", "\u2028", [[]], [{}]),
    fc.string({ maxLength: 3000, size: "max" }),
    fc.integer(),
    fc.webUrl(),
  );
  let taken = 0;
  fc.assert(
    fc.property(fc.constantFrom(...places), value, (place, put) => {
      if (typeof offerIn(bytes(JSON.stringify(place(put)))) !== "string") taken++;
    }),
    { numRuns: 5000 },
  );
  t.log(taken);
  t.true(taken > 0);
});

test("ota document: any bytes are refused", t => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json().map(bytes)), document => {
      t.is(offerIn(document), "ota/document");
    }),
    { numRuns: 2000 },
  );
});

test("ota document: without any one of its members it is refused, or means the same", t => {
  const optional = ["certfile", "fileType", "auth_scheme"];
  for (const name of Object.keys(file)) {
    const { [name as keyof typeof file]: _, ...rest } = file;
    const offer = offerIn(bytes(JSON.stringify({ afr_ota: { ...members, files: [rest] } })));
    const expected = name.startsWith("sig-") ? "ota/untrusted" : "ota/document";
    if (optional.includes(name)) t.not(typeof offer, "string", name);
    else t.is(offer, expected, name);
  }
});
