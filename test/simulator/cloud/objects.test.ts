// Objects: what is kept, for how long, and how AWS's clients put it there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { Objects } from "../../../simulator/cloud/objects.js";
import { VirtualTime } from "./harness.js";
import { ask, image, open } from "./objects-rig.js";

const uploads = { host: "127.0.0.1", port: 0 } as const;
let draws = 0;
const random = (length: number): Uint8Array => new Uint8Array(length).fill(++draws & 255);

async function folder(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-objects-"));
  t.teardown(() => rm(directory, { recursive: true }));
  return directory;
}

test("what is put is found again, newest first, each version by its name", async t => {
  const objects = await Objects.open({ clock: new VirtualTime(), random });
  const one = await objects.put("images", "a/b c", image(10, 1));
  const two = await objects.put("images", "a/b c", image(20, 2));
  t.is(objects.find({ bucket: "images", key: "a/b c" }), two);
  t.is(objects.find({ bucket: "images", key: "a/b c", version: one.version }), one);
  t.deepEqual(Buffer.from(await objects.read(one)), Buffer.from(image(10, 1)));
  t.deepEqual(Buffer.from(await objects.read(two, 5, 99)), Buffer.from(image(20, 2)).subarray(5));
  t.true(await objects.remove({ bucket: "images", key: "a/b c" }));
  t.is(objects.find({ bucket: "images", key: "a/b c", version: one.version }), undefined);
  t.false(await objects.remove({ bucket: "images", key: "a/b c" }));
});

test("the ETag is the MD5 of the content", async t => {
  const objects = await Objects.open({ clock: new VirtualTime(), random });
  const { etag } = await objects.put("images", "a", Buffer.from("hello"));
  t.is(etag, "5d41402abc4b2a76b9719d911017c592");
});

test("objects outlive a restart, half-written ones do not", async t => {
  const directory = await folder(t);
  const options = { directory, clock: new VirtualTime(), random };
  const before = await Objects.open(options);
  await before.put("images", "a", image(10, 1));
  const newest = await before.put("images", "a", image(10, 2));
  await writeFile(join(directory, "cafe.bin"), "without its description");
  await writeFile(join(directory, "cafe.bin.new"), "half");
  const after = await Objects.open(options);
  t.deepEqual(after.find({ bucket: "images", key: "a" }), newest);
  t.deepEqual(Buffer.from(await after.read(newest)), Buffer.from(image(10, 2)));
  t.is((await readdir(directory)).length, 4);
});

test("a damaged object is refused by name", async t => {
  const directory = await folder(t);
  const options = { directory, clock: new VirtualTime(), random };
  const { version } = await (await Objects.open(options)).put("images", "a", image(10));
  await truncate(join(directory, `${version}.bin`), 9);
  const error = await t.throwsAsync(Objects.open(options), { instanceOf: CloudError });
  t.is(error?.code, "cloud/damaged-state");
  t.regex(error?.message ?? "", /\.bin is damaged \(it has 9 bytes, not 10\)/);
});

test("bounds: too large, too many, a bad name; replaced versions make room", async t => {
  const limits = { objectBytes: 100, totalBytes: 150, objects: 3 };
  const objects = await Objects.open({ clock: new VirtualTime(), random, limits });
  const put = (key: string, size: number) => objects.put("images", key, image(size));
  await t.throwsAsync(put("a", 101), {
    message: "The object images/a has 101 bytes, at most 100 are taken.",
  });
  const old = await put("a", 100);
  await put("a", 50);
  await put("b", 50);
  t.is(objects.find({ bucket: "images", key: "a", version: old.version }), undefined);
  await t.throwsAsync(put("c", 51), { code: "cloud/full" } as never);
  await t.throwsAsync(objects.put("Images", "a", image(1)), {
    code: "cloud/invalid-object",
  } as never);
  await t.throwsAsync(put("", 1), { code: "cloud/invalid-object" } as never);
  await t.throwsAsync(put("k".repeat(1025), 1), { code: "cloud/invalid-object" } as never);
});

test("puts at the same time do not overfill the room, and the last asked for is the newest", async t => {
  const limits = { totalBytes: 100 };
  const objects = await Objects.open({ clock: new VirtualTime(), random, limits });
  const put = (key: string, seed: number) => objects.put("images", key, image(40, seed));
  const outcomes = await Promise.allSettled([put("a", 1), put("a", 2), put("b", 3)]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected"],
  );
  const newest = objects.find({ bucket: "images", key: "a" })!;
  t.deepEqual(Buffer.from(await objects.read(newest)), Buffer.from(image(40, 2)));
});

async function listening(t: ExecutionContext) {
  const { cloud } = await open(t, { objects: { uploads } });
  return {
    cloud,
    objects: cloud.files.objects,
    url: `http://127.0.0.1:${cloud.files.uploadsPort}`,
  };
}

test("PUT stores, GET and HEAD read, DELETE removes, with anybody's signature", async t => {
  const { url, objects } = await listening(t);
  const headers = { authorization: "AWS4-HMAC-SHA256 Credential=anything" };
  const put = await ask(`${url}/images/a/b%20c`, { method: "PUT", body: image(1000), headers });
  t.is(put.status, 200);
  const info = objects.find({ bucket: "images", key: "a/b c" });
  t.like(put.headers, { etag: `"${info?.etag}"`, "x-amz-version-id": info?.version });
  const part = await ask(`${url}/images/a/b%20c`, { headers: { range: "bytes=10-19" } });
  t.is(part.status, 206);
  t.deepEqual(part.body, Buffer.from(image(1000).subarray(10, 20)));
  const head = await ask(`${url}/images/a/b%20c`, { method: "HEAD" });
  t.like(head, { status: 200, headers: { "content-length": "1000" } });
  t.is((await ask(`${url}/images/a/b%20c`, { method: "DELETE" })).status, 204);
  const gone = await ask(`${url}/images/a/b%20c`);
  t.is(gone.status, 404);
  t.regex(gone.body.toString(), /<Code>NoSuchKey<\/Code>.*<Key>a\/b c<\/Key>/);
});

test("content in aws-chunked pieces is put together", async t => {
  const { url, objects } = await listening(t);
  const body =
    "5;chunk-signature=aa\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
  const headers = { "content-encoding": "aws-chunked" };
  t.is((await ask(`${url}/images/a`, { method: "PUT", body, headers })).status, 200);
  const info = objects.find({ bucket: "images", key: "a" })!;
  t.is(Buffer.from(await objects.read(info)).toString(), "hello world");
  for (const bad of ["5\r\nhell", "z\r\n", "5\r\nhello\r\n", ""]) {
    const answer = await ask(`${url}/images/b`, { method: "PUT", body: bad, headers });
    t.like(answer, { status: 400 }, bad);
  }
});

test("an upload in parts becomes one object, in the order of their numbers", async t => {
  const { url, objects } = await listening(t);
  const begun = await ask(`${url}/images/a?uploads`, { method: "POST" });
  const id = /<UploadId>(.*)<\/UploadId>/.exec(begun.body.toString())?.[1];
  const part = (number: number, body: string) =>
    ask(`${url}/images/a?partNumber=${number}&uploadId=${id}`, { method: "PUT", body });
  t.is((await part(2, "world")).status, 200);
  t.is((await part(1, "hello ")).status, 200);
  t.is((await part(0, "x")).status, 400);
  t.is((await ask(`${url}/images/a?uploadId=${id}`, { method: "POST" })).status, 200);
  const info = objects.find({ bucket: "images", key: "a" })!;
  t.is(Buffer.from(await objects.read(info)).toString(), "hello world");
  t.is((await part(3, "x")).status, 404);
});

test("what is not there is said to be so: listing, other requests, names, sizes, checksums", async t => {
  const { url } = await listening(t);
  t.is((await ask(`${url}/images`, { method: "PUT" })).status, 200);
  t.is((await ask(`${url}/images?list-type=2`)).status, 501);
  t.is((await ask(`${url}/images/a?acl`)).status, 501);
  t.is((await ask(`${url}/Images/a`, { method: "PUT", body: "x" })).status, 400);
  const headers = { "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==" };
  t.is((await ask(`${url}/images/a`, { method: "PUT", body: "x", headers })).status, 400);
  const large = await ask(`${url}/images/a`, { method: "PUT", body: new Uint8Array(25_165_825) });
  t.is(large.status, 400);
  t.regex(large.body.toString(), /<Code>EntityTooLarge<\/Code>/);
});

for (const headers of [{ host: "rebound.example" }, { origin: "http://page.example" }]) {
  test(`a web page may not upload: ${JSON.stringify(headers)}`, async t => {
    const { url, objects } = await listening(t);
    t.is((await ask(`${url}/images/a`, { method: "PUT", body: "x", headers })).status, 403);
    t.is(objects.find({ bucket: "images", key: "a" }), undefined);
  });
}

/** Whether a program is there; its output, and its exit code. */
async function run(program: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (out += text));
  const outcome = await Promise.race([once(child, "close"), once(child, "error")]);
  return typeof outcome[0] === "number" ? { code: outcome[0], out } : undefined;
}

test("AWS's command line puts an object, and copies a file in several parts", async t => {
  const { url, objects } = await listening(t);
  const directory = await folder(t);
  const path = join(directory, "image.bin");
  await writeFile(path, image(9_000_000));
  const aws = (...args: string[]) =>
    run("aws", [...args, "--endpoint-url", url, "--region", "eu-west-1"], {
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
      AWS_EC2_METADATA_DISABLED: "true",
      NO_PROXY: "127.0.0.1",
    });
  const small = join(directory, "small.bin");
  await writeFile(small, image(1000));
  const object = ["--bucket", "images", "--key", "small", "--body", small];
  const put = await aws("s3api", "put-object", ...object);
  if (put === undefined) return t.pass("aws is not installed");
  t.is(put.code, 0, put.out);
  t.is(objects.find({ bucket: "images", key: "small" })?.size, 1000);
  const up = await aws("s3", "cp", path, "s3://images/lamp/1.bin");
  t.is(up?.code, 0, up?.out);
  const info = objects.find({ bucket: "images", key: "lamp/1.bin" })!;
  t.true(Buffer.from(await objects.read(info)).equals(image(9_000_000)));
});
