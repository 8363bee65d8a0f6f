// `skerry sign`: signatures, afr_ota entries and manifests, by keys of openssl's and Node's making.

import { spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { manifestDocument } from "../../simulator/signing/job-document.js";
import {
  addSignature,
  type ManifestFields,
  manifestBytes,
  parseSignedManifest,
  signManifest,
  verifySignature,
} from "../../simulator/signing/manifest.js";
import {
  type EntryOptions,
  type ManifestOptions,
  signImage,
} from "../../simulator/signing/sign.js";
import { readSigningKey, SigningError } from "../../simulator/signing/signing-key.js";

const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));
const image = Buffer.from("a small image\n");
const sha256 = createHash("sha256").update(image).digest("hex");

function pemOf(key: KeyObject): string {
  const type = key.type === "private" ? "pkcs8" : "spki";
  return key.export({ type, format: "pem" } as never).toString();
}

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ecKey = readSigningKey(pemOf(ec.privateKey), "ec.pem");
const rsaKey = readSigningKey(pemOf(rsa.privateKey), "rsa.pem");

const fields: ManifestFields = {
  type: "firmware",
  product: "lamp",
  hardware: ["esp32", "esp32s3"],
  version: "1.5.0",
  size: image.length,
  sha256,
};

function folder(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), "skerry-sign-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  writeFileSync(path("image.bin"), image);
  writeFileSync(path("ec.pem"), pemOf(ec.privateKey));
  writeFileSync(path("rsa.pem"), pemOf(rsa.privateKey));
  return path;
}

function skerry(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "sign", ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const said = (text: string, name: string): string =>
  new RegExp(`^${name} +(.*)$`, "m").exec(text)?.[1] ?? "";

for (const [name, pair, member] of [
  ["ec.pem", ec, "sig-sha256-ecdsa"],
  ["rsa.pem", rsa, "sig-sha256-rsa"],
] as const) {
  test(`sign says file, size, digest, key, algorithm and a signature that holds: ${name}`, t => {
    const path = folder(t);
    const { status, stdout, stderr } = skerry("--key", path(name), path("image.bin"));
    t.is(status, 0, stderr);
    t.is(said(stdout, "file"), path("image.bin"));
    t.is(said(stdout, "size"), `${image.length} bytes`);
    t.is(said(stdout, "sha256"), sha256);
    t.is(said(stdout, "algorithm"), member);
    const der = pair.publicKey.export({ type: "spki", format: "der" });
    const keyId = createHash("sha256").update(der).digest("hex").slice(0, 16);
    t.is(said(stdout, "key"), keyId);
    const signature = Buffer.from(said(stdout, "signature"), "base64");
    t.true(verify("sha256", image, pair.publicKey, signature));
    writeFileSync(path("signature"), signature);
    writeFileSync(path("public.pem"), pemOf(pair.publicKey));
    const files = ["-verify", path("public.pem"), "-signature", path("signature")];
    const openssl = spawnSync("openssl", ["dgst", "-sha256", ...files, path("image.bin")]);
    if (openssl.error !== undefined) return t.log("openssl is not installed");
    t.is(openssl.status, 0, openssl.stderr.toString());
  });
}

test("an afr_ota entry has AWS's members in AWS's order", t => {
  const path = folder(t);
  const entry: EntryOptions = {
    out: path("entry.json"),
    filePath: "fw.bin",
    certificatePath: "signer-cert",
    fileId: 0,
    fileType: 7,
  };
  const keys = [path("ec.pem")];
  signImage({ image: path("image.bin"), keys, entry, nowMs: 0, say: () => undefined });
  const written = JSON.parse(readFileSync(entry.out, "utf8"));
  const members = ["filepath", "filesize", "fileid", "certfile", "fileType", "sig-sha256-ecdsa"];
  t.deepEqual(Object.keys(written), members);
  t.like(written, { filepath: "fw.bin", filesize: image.length, certfile: "signer-cert" });
  const signature = Buffer.from(written["sig-sha256-ecdsa"], "base64");
  t.true(verify("sha256", image, ec.publicKey, signature));
  const two = [path("ec.pem"), path("rsa.pem")];
  const options = { image: path("image.bin"), keys: two, entry, nowMs: 0, say: () => undefined };
  t.throws(() => signImage(options), { message: /one signature: give one key/ });
});

test("the signed bytes are this text, members in this order, absent ones left out", t => {
  const text = (more: Partial<ManifestFields>): string =>
    Buffer.from(manifestBytes({ ...more, ...fields })).toString();
  const common = `{"format":1,"type":"firmware","product":"lamp","hardware":["esp32","esp32s3"],"version":"1.5.0","size":14,"sha256":"${sha256}"`;
  t.is(text({}), `${common}}`);
  const more = { expires: 1_800_000_000, minimumVersion: "1.2.0" };
  t.is(text(more), `${common},"minimumVersion":"1.2.0","expires":1800000000}`);
});

test("each signer signs the same bytes, and none twice", t => {
  const one = signManifest(fields, [ecKey]);
  const two = addSignature(one, rsaKey);
  t.is(two.manifest, one.manifest);
  t.deepEqual(Buffer.from(two.manifest, "base64"), Buffer.from(manifestBytes(fields)));
  t.deepEqual(
    two.signatures.map(({ keyId }) => keyId),
    [ecKey.keyId, rsaKey.keyId],
  );
  t.true(verifySignature(two, ecKey.keyId, ecKey.publicKey));
  t.true(verifySignature(two, rsaKey.keyId, rsaKey.publicKey));
  t.false(verifySignature(two, ecKey.keyId, rsaKey.publicKey));
  t.false(verifySignature(two, "0".repeat(16), rsaKey.publicKey));
  t.throws(() => addSignature(two, ecKey), { message: /is signed with key [0-9a-f]{16} already/ });
});

test("a manifest in a job document, with its sources", t => {
  const signed = signManifest(fields, [ecKey]);
  const sources = [{ stream: "update-1", fileId: 0 }, { url: "https://example/1.bin" }];
  t.deepEqual(manifestDocument(signed, sources), {
    skerry: { operation: "firmware", ...signed, sources },
  });
});

test("the command writes a manifest, and adds a signature to it", t => {
  const path = folder(t);
  const about = ["--product", "lamp", "--hardware", "esp32,esp32s3", "--version", "1.5.0"];
  const until = ["--minimum-version", "1.2.0", "--expires", "2099-01-01T00:00:00Z"];
  const made = skerry(...about, ...until, "--key", path("ec.pem"), path("image.bin"));
  t.is(made.status, 0, made.stderr);
  const out = path("image.bin.manifest.json");
  t.is(said(made.stdout, "manifest"), out);
  const added = skerry("--add-signature", out, "--key", path("rsa.pem"));
  t.is(added.status, 0, added.stderr);
  const signed = parseSignedManifest(readFileSync(out, "utf8"), out);
  t.deepEqual(Object.keys(JSON.parse(readFileSync(out, "utf8"))), ["manifest", "signatures"]);
  const more = { minimumVersion: "1.2.0", expires: Date.UTC(2099, 0) / 1000 };
  t.deepEqual(
    Buffer.from(signed.manifest, "base64"),
    Buffer.from(manifestBytes({ ...fields, ...more })),
  );
  t.true(verifySignature(signed, ecKey.keyId, ecKey.publicKey));
  t.true(verifySignature(signed, rsaKey.keyId, rsaKey.publicKey));
  const again = skerry("--add-signature", out, "--key", path("rsa.pem"));
  t.is(again.status, 1);
  t.regex(again.stderr, /^skerry: The manifest is signed with key [0-9a-f]{16} already\.\n$/);
});

test("two keys at once sign one manifest", t => {
  const path = folder(t);
  const { type, product, hardware, version } = fields;
  const manifest: ManifestOptions = { type, product, hardware, version, out: path("m.json") };
  const keys = [path("ec.pem"), path("rsa.pem")];
  signImage({ image: path("image.bin"), keys, manifest, nowMs: 0, say: () => undefined });
  const { signatures } = parseSignedManifest(readFileSync(path("m.json"), "utf8"), "m.json");
  t.is(signatures.length, 2);
});

const badFields: readonly [string, Partial<ManifestFields>, RegExp][] = [
  ["a product with a space", { product: "a lamp" }, /product is "a lamp"/],
  ["no hardware", { hardware: [] }, /hardware is "0 names"/],
  ["a board twice", { hardware: ["a", "a"] }, /hardware is "a,a"/],
  ["a version of two numbers", { version: "1.5" }, /version is "1.5": it needs major.minor.patch/],
  ["a version with a leading zero", { version: "1.05.0" }, /version is "1.05.0"/],
  ["a minimum above the version", { minimumVersion: "1.10.0" }, /minimumVersion is "1.10.0"/],
  ["a size of nothing", { size: 0 }, /size is "0"/],
  ["a digest in capitals", { sha256: "A".repeat(64) }, /sha256 is "A+"/],
  ["an expiry with a fraction", { expires: 1.5 }, /expires is "1.5"/],
];
for (const [title, change, message] of badFields) {
  test(`a manifest is refused: ${title}`, t => {
    t.throws(() => manifestBytes({ ...fields, ...change }), { instanceOf: SigningError, message });
  });
}

test("keys that cannot sign are refused, with what they are", t => {
  const keyOf = (type: "ec" | "rsa" | "ed25519", options: object): string =>
    pemOf(generateKeyPairSync(type as "ec", options as never).privateKey as unknown as KeyObject);
  const encrypted = ec.privateKey.export({
    ...{ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" },
  } as never);
  const bad: readonly [string, RegExp][] = [
    [keyOf("ec", { namedCurve: "P-384" }), /k.pem is on the curve secp384r1, P-256 is needed/],
    [keyOf("rsa", { modulusLength: 1024 }), /The RSA key in k.pem has 1024 bits, not 2048 to 4096/],
    [keyOf("ed25519", {}), /k.pem is of type ed25519/],
    [String(encrypted), /k.pem is encrypted: write it without a password first/],
    [pemOf(ec.publicKey), /k.pem holds a PUBLIC KEY/],
    ["not a key", /k.pem holds no PEM/],
    ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /k.pem cannot be read/],
  ];
  for (const [pem, message] of bad) {
    t.throws(() => readSigningKey(pem, "k.pem"), { instanceOf: SigningError, message });
  }
});

test("an EC key in the older PEM form signs too", t => {
  const pem = ec.privateKey.export({ type: "sec1", format: "pem" }).toString();
  t.is(readSigningKey(pem, "k.pem").keyId, ecKey.keyId);
});

test("bad input is one sentence, and nothing is written", t => {
  const path = folder(t);
  writeFileSync(path("empty.bin"), "");
  writeFileSync(path("m.json"), '{"manifest":"x"}');
  const key = ["--key", path("ec.pem")];
  const about = ["--product", "lamp", "--hardware", "esp32", "--version"];
  const bad: readonly [string[], RegExp][] = [
    [[path("image.bin")], /No key: name a PEM file with --key/],
    [[...key], /No image/],
    [[...key, path("none.bin")], /The image .*none.bin cannot be read: ENOENT/],
    [[...key, path("empty.bin")], /The image .*empty.bin is empty/],
    [[...key, ...about, "1.5", path("image.bin")], /version is "1.5"/],
    [
      [...key, "--version", "1.5.0", path("image.bin")],
      /--version is for a manifest: it needs --product/,
    ],
    [[...key, "--product", "lamp", path("image.bin")], /needs --hardware/],
    [
      [...key, ...about, "1.5.0", "--expires", "2020-01-01", path("image.bin")],
      /expiry "2020-01-01" is in the past/,
    ],
    [
      [...key, ...about, "1.5.0", "--expires", "soon", path("image.bin")],
      /expiry "soon" is not an ISO 8601 time/,
    ],
    [[...key, "--add-signature", path("m.json")], /m.json is no signed manifest/],
    [[...key, "--afr-ota", path("e.json"), path("image.bin")], /needs --certificate-path/],
  ];
  for (const [args, message] of bad) {
    const { status, stdout, stderr } = skerry(...args);
    t.is(status, 1, args.join(" "));
    t.is(stdout, "");
    t.regex(stderr, message);
    t.is(stderr.trim().split("\n").length, 1);
  }
  t.false(existsSync(path("image.bin.manifest.json")));
});
