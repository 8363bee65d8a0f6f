// Presigned downloads as S3 serves them: GetObject of its API reference, "sigv4-query-string-auth".

import { once } from "node:events";
import { Agent, request } from "node:https";
import test, { type ExecutionContext } from "ava";
import type { DownloadFaults } from "../../../simulator/cloud/download-faults.js";
import { Presigner } from "../../../simulator/cloud/presign.js";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Network } from "../../../simulator/world/network.js";
import { Power } from "../../../simulator/world/power.js";
import { ask, download, downloadLink, image, open } from "./objects-rig.js";

const bytes = image(10_000);

async function stored(t: ExecutionContext, size = bytes.length) {
  const world = await open(t);
  const { cloud } = world;
  const info = await cloud.files.objects.put("images", "lamp/1.bin", bytes.subarray(0, size));
  const address = { bucket: "images", key: "lamp/1.bin" };
  const url = cloud.files.downloads.presign(address, 60);
  const get = (range?: string, more: Record<string, string> = {}) =>
    download(cloud, url, { headers: { ...(range ? { range } : {}), ...more } });
  return { ...world, info, address, url, get, downloads: cloud.files.downloads };
}

const textOf = ({ body }: { readonly body: Buffer }): string => body.toString();

test("a presigned URL gives the whole object, with its ETag and length", async t => {
  const { get, info } = await stored(t);
  const { status, headers, body } = await get();
  t.is(status, 200);
  t.deepEqual(body, Buffer.from(bytes));
  t.like(headers, {
    etag: `"${info.etag}"`,
    "content-length": "10000",
    "accept-ranges": "bytes",
    "x-amz-version-id": info.version,
    server: "AmazonS3",
    date: "Thu, 01 Jan 2026 00:00:00 GMT",
  });
  t.is(headers["content-range"], undefined);
});

test("the URL has the members of Signature Version 4, and a security token", async t => {
  const { url, time } = await stored(t);
  const { searchParams, pathname } = new URL(url);
  t.is(pathname, "/images/lamp/1.bin");
  t.is(searchParams.get("X-Amz-Algorithm"), "AWS4-HMAC-SHA256");
  t.is(searchParams.get("X-Amz-Expires"), "60");
  t.is(searchParams.get("X-Amz-SignedHeaders"), "host");
  t.regex(
    searchParams.get("X-Amz-Credential") ?? "",
    /^\w+\/20260101\/eu-west-1\/s3\/aws4_request$/,
  );
  t.is(searchParams.get("X-Amz-Date"), "20260101T000000Z");
  t.regex(searchParams.get("X-Amz-Signature") ?? "", /^[0-9a-f]{64}$/);
  t.true((searchParams.get("X-Amz-Security-Token") ?? "").length > 500);
  t.is(time.now(), Date.parse("2026-01-01T00:00:00Z"));
});

test("the signature is AWS's: the example of its API reference is good with the example's secret", t => {
  const random = (length: number): Uint8Array => new Uint8Array(length);
  const presigner = new Presigner("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", random);
  const query = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
    "X-Amz-Date=20130524T000000Z",
    "X-Amz-Expires=86400",
    "X-Amz-SignedHeaders=host",
    "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  ];
  const target = `/test.txt?${query.join("&")}`;
  const request = { method: "GET", target, host: "examplebucket.s3.amazonaws.com" };
  t.is(presigner.refusal(request, Date.UTC(2013, 4, 24, 23)), undefined);
  t.is(presigner.refusal({ ...request, method: "HEAD" }, Date.UTC(2013, 4, 24, 23))?.status, 403);
});

for (const [range, from, to] of [
  ["bytes=0-99", 0, 100],
  ["bytes=100-100", 100, 101],
  ["bytes=9000-", 9000, 10_000],
  ["bytes=9990-20000", 9990, 10_000],
  ["bytes=-10", 9990, 10_000],
  ["bytes=-20000", 0, 10_000],
] as const) {
  test(`the range ${range} is answered 206 with its part`, async t => {
    const { get } = await stored(t);
    const { status, headers, body } = await get(range);
    t.is(status, 206);
    t.is(headers["content-range"], `bytes ${from}-${to - 1}/10000`);
    t.is(headers["content-length"], `${to - from}`);
    t.deepEqual(body, Buffer.from(bytes.subarray(from, to)));
  });
}

for (const range of ["bytes=10000-", "bytes=10000-10001", "bytes=-0"]) {
  test(`the range ${range} is answered 416`, async t => {
    const { get } = await stored(t);
    const answer = await get(range);
    t.is(answer.status, 416);
    t.is(answer.headers["content-range"], "bytes */10000");
    t.regex(textOf(answer), /<Code>InvalidRange<\/Code>.*<ActualObjectSize>10000</);
  });
}

for (const range of ["bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=a-b"]) {
  test(`the range ${range} is as if it were not there`, async t => {
    const { get } = await stored(t);
    const { status, body } = await get(range);
    t.is(status, 200);
    t.is(body.length, bytes.length);
  });
}

test("conditions: If-Match, If-None-Match and If-Range go by the ETag", async t => {
  const { get, info } = await stored(t);
  const tag = `"${info.etag}"`;
  t.is((await get("bytes=0-9", { "if-match": tag })).status, 206);
  t.is((await get("bytes=0-9", { "if-match": '"other"' })).status, 412);
  t.is((await get("bytes=0-9", { "if-range": tag })).status, 206);
  t.is((await get("bytes=0-9", { "if-range": '"other"' })).status, 200);
  const unchanged = await get(undefined, { "if-none-match": tag });
  t.is(unchanged.status, 304);
  t.is(unchanged.body.length, 0);
});

test("a URL is good until its time is over, by the clock of the cloud", async t => {
  const { get, time } = await stored(t);
  time.advance(59_999);
  t.is((await get("bytes=0-1")).status, 206);
  time.advance(1);
  const answer = await get("bytes=0-1");
  t.is(answer.status, 403);
  t.is(answer.headers["content-type"], "application/xml");
  t.is(
    textOf(answer),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>60</X-Amz-Expires><Expires>2026-01-01T00:01:00Z</Expires><ServerTime>2026-01-01T00:01:00Z</ServerTime></Error>',
  );
});

for (const [what, change] of [
  ["another expiry", (url: string) => url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")],
  ["another key", (url: string) => url.replace("1.bin", "2.bin")],
  ["another signature", (url: string) => url.replace(/.$/, last => (last === "0" ? "1" : "0"))],
  ["one member more", (url: string) => url.replace("?", "?versionId=1&")],
] as const) {
  test(`a changed URL is refused: ${what}`, async t => {
    const { cloud, url, downloads } = await stored(t);
    await cloud.files.objects.put("images", "lamp/2.bin", bytes);
    t.is((await download(cloud, url)).status, 200);
    const answer = await download(cloud, change(url));
    t.is(answer.status, 403);
    t.regex(textOf(answer), /<Code>SignatureDoesNotMatch<\/Code>/);
    t.is(downloads.port, undefined);
  });
}

test("without a signature access is denied, with members that make no sense it is a bad request", async t => {
  const { cloud, url } = await stored(t);
  const bare = await download(cloud, url.split("?")[0]!);
  t.is(bare.status, 403);
  t.regex(textOf(bare), /<Code>AccessDenied<\/Code><Message>Access Denied</);
  const longer = await download(cloud, url.replace("Expires=60", "Expires=604801"));
  t.is(longer.status, 400);
  t.regex(textOf(longer), /AuthorizationQueryParametersError/);
});

test("the method is signed too: HEAD needs a URL of its own, and gets headers only", async t => {
  const { cloud, url, address, downloads } = await stored(t);
  t.is((await download(cloud, url, { method: "HEAD" })).status, 403);
  const own = downloads.presign(address, 60, { method: "HEAD" });
  const { status, headers, body } = await download(cloud, own, { method: "HEAD" });
  t.is(status, 200);
  t.is(headers["content-length"], "10000");
  t.is(body.length, 0);
  t.is((await download(cloud, url, { method: "PUT", body: "x" })).status, 405);
});

test("a URL without a version follows the object, one with a version stays", async t => {
  const { cloud, url, address, info, downloads } = await stored(t);
  const fixed = downloads.presign({ ...address, version: info.version }, 60);
  await cloud.files.objects.put("images", "lamp/1.bin", image(5));
  t.is((await download(cloud, url)).body.length, 5);
  t.is((await download(cloud, fixed)).body.length, 10_000);
  await cloud.files.objects.remove(address);
  const gone = await download(cloud, url);
  t.is(gone.status, 404);
  t.regex(textOf(gone), /<Code>NoSuchKey<\/Code>.*<Key>lamp\/1.bin</);
  t.throws(() => downloads.presign(address, 60), { code: "cloud/not-found" });
});

const requestFor = (url: string, range: string): string =>
  `GET ${url.slice(new URL(url).origin.length)} HTTP/1.1\r\nHost: localhost\r\nRange: ${range}\r\n\r\n`;

test("one connection serves request after request, and several sent at once in order", async t => {
  const { cloud, url } = await stored(t);
  const link = downloadLink(cloud);
  await link.send(requestFor(url, "bytes=0-3"));
  t.is(link.text().match(/HTTP\/1.1 206/g)?.length, 1);
  await link.send(requestFor(url, "bytes=4-7") + requestFor(url, "bytes=8-11"));
  const ranges = [...link.text().matchAll(/content-range: bytes (\d+)-/gi)].map(([, from]) => from);
  t.deepEqual(ranges, ["0", "4", "8"]);
  t.false(link.isClosed);
  await link.close();
});

test("a request may come in pieces of one byte", async t => {
  const { cloud, url } = await stored(t);
  const link = downloadLink(cloud);
  for (const sign of requestFor(url, "bytes=0-3")) await link.send(sign);
  t.regex(link.text(), /^HTTP\/1.1 206/);
});

test("nonsense is answered 400 and ends the connection; the cloud closes with links open", async t => {
  const { cloud } = await stored(t);
  const link = downloadLink(cloud);
  await link.send("nonsense\r\n\r\n");
  t.regex(link.text(), /^HTTP\/1.1 400/);
  t.true(link.isClosed);
  const idle = downloadLink(cloud);
  await cloud.close();
  t.true(idle.isClosed);
});

interface Distorted {
  readonly status: number;
  readonly length?: number;
  readonly type?: RegExp;
  readonly text?: RegExp;
  readonly location?: true;
  readonly range?: string;
}

const distortions: readonly [string, DownloadFaults, Distorted][] = [
  ["ignores ranges", { ignoresRanges: true }, { status: 200, length: 10_000 }],
  ["a page instead of the file", { webPage: true }, { status: 200, type: /html/ }],
  ["expired now", { expired: true }, { status: 403, text: /Request has expired/ }],
  [
    "a failure of the server",
    { status: 500 },

    { status: 500, text: /InternalError/ },
  ],
  ["too many requests", { status: 503 }, { status: 503, text: /SlowDown/ }],
  ["a redirect to itself", { redirects: true }, { status: 307, location: true }],
  [
    "a wrong Content-Range",
    { contentRangeShift: 5 },

    { status: 206, length: 10, range: "bytes 15-24/10000" },
  ],
  [
    "a body that is too short, and says so",
    { truncateBytes: 4 },

    { status: 206, length: 4, range: "bytes 10-19/10000" },
  ],
];

for (const [title, faults, expected] of distortions) {
  test(`fault: ${title}`, async t => {
    const { get, downloads, url } = await stored(t);
    const range = "bytes=10-19";
    downloads.faults = faults;
    const { status, headers, body } = await get(range);
    t.is(status, expected.status);
    if (expected.length !== undefined) t.is(body.length, expected.length);
    if (expected.type) t.regex(headers["content-type"] ?? "", expected.type);
    if (expected.text) t.regex(body.toString(), expected.text);
    if (expected.location) t.is(headers.location, url);
    if (expected.range !== undefined) t.is(headers["content-range"], expected.range);
    downloads.faults = {};
    t.is((await get(range)).status, 206);
  });
}

test("fault: the connection breaks after so many bytes of the body", async t => {
  const { cloud, url, downloads } = await stored(t);
  downloads.faults = { closeAfterBytes: 7 };
  const link = downloadLink(cloud);
  await link.send(requestFor(url, "bytes=0-99"));
  const [head, body] = link.text().split("\r\n\r\n");
  t.regex(head ?? "", /content-length: 100/i);
  t.is(body?.length, 7);
  t.true(link.isClosed);
});

test("fault: decided for each request", async t => {
  const { get, downloads } = await stored(t);
  const seen: string[] = [];
  downloads.faults = ({ number, method, bucket, key, range }) => {
    seen.push(`${number} ${method} ${bucket}/${key} ${range}`);
    return number === 2 ? { status: 503 } : {};
  };
  const statuses = [await get("bytes=0-1"), await get("bytes=2-3"), await get()];
  t.deepEqual(
    statuses.map(({ status }) => status),
    [206, 503, 200],
  );
  t.is(seen[1], "2 GET images/lamp/1.bin bytes=2-3");
});

test("fault: slow answers take their time on the cloud's timer", async t => {
  const { cloud, url, downloads, time } = await stored(t);
  downloads.faults = { delayMs: 1000, bytesPerSecond: 100 };
  const link = downloadLink(cloud);
  await link.send(requestFor(url, "bytes=0-99"));
  t.is(link.text(), "");
  const bodyAfter = async (ms: number): Promise<number> => {
    for (let passed = 0; passed < ms; passed += 100) {
      time.advance(100);
      await cloud.idle();
    }
    return link.text().split("\r\n\r\n")[1]?.length ?? 0;
  };
  t.is(await bodyAfter(1000), 0);
  t.is(await bodyAfter(500), 50);
  t.is(await bodyAfter(500), 100);
});

test("a virtual network carries a download, and virtual time waits for it", async t => {
  const { cloud, url } = await stored(t);
  const clock = new VirtualClock({ idle: () => cloud.idle() });
  const network = new Network(clock, (link, _peer, { host }) =>
    host === "localhost"
      ? cloud.acceptDownload(link)
      : { receive: () => undefined, closed: () => undefined },
  );
  const { socket: Socket } = network.classes(new Power());
  const received: Buffer[] = [];
  const socket = new Socket({
    ...{ address: "127.0.0.1", host: "localhost", port: 443 },
    secure: { protocol: [], clientCertificates: [], certificates: [] } as never,
    onReadable: () => void received.push(Buffer.from(socket.read() ?? new ArrayBuffer(0))),
    onWritable: () => {
      if (asked) return;
      asked = true;
      socket.write(Buffer.from(requestFor(url, "bytes=0-4999")));
    },
  });
  let asked = false;
  const isDone = (): boolean => Buffer.concat(received).length > 5000;
  t.true(await clock.runUntil(isDone, 1000));
  t.true(clock.ticks() < 1000);
  const text = Buffer.concat(received);
  t.deepEqual(text.subarray(text.indexOf("\r\n\r\n") + 4), Buffer.from(bytes.subarray(0, 5000)));
});

test("over HTTPS the cloud's own authority vouches for localhost, and connections are kept", async t => {
  const { cloud } = await open(t, {
    objects: { downloads: { host: "127.0.0.1", port: 0 } },
    serverNames: ["cloud.example"],
  });
  await cloud.files.objects.put("images", "a", bytes);
  const url = cloud.files.downloads.presign({ bucket: "images", key: "a" }, 60);
  t.is(url.slice(0, url.indexOf("/images")), `https://localhost:${cloud.files.downloads.port}`);
  const ca = cloud.claim().trustAnchor;
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  t.teardown(() => agent.destroy());
  const options = { ca, agent, headers: { range: "bytes=5-9" } };
  for (let times = 0; times < 3; times++) {
    const { status, body } = await ask(url, options);
    t.is(status, 206);
    t.deepEqual(body, Buffer.from(bytes.subarray(5, 10)));
  }
  t.is(Object.values(agent.freeSockets).flat().length, 1);
});

test("fault: a TLS connection breaks after so many bytes of the body", async t => {
  const { cloud } = await open(t, { objects: { downloads: { host: "127.0.0.1", port: 0 } } });
  await cloud.files.objects.put("images", "a", bytes);
  const url = cloud.files.downloads.presign({ bucket: "images", key: "a" }, 60);
  cloud.files.downloads.faults = { closeAfterBytes: 5000 };
  const outgoing = request(url, { agent: false, ca: cloud.claim().trustAnchor }).end();
  const [response] = await once(outgoing, "response");
  let length = 0;
  response.on("data", (piece: Buffer) => {
    length += piece.length;
  });
  const [error] = await once(response, "error");
  t.is(error.code, "ECONNRESET");
  t.is(length, 5000);
});

test("a port in use is named, unless any other will do", async t => {
  const first = await open(t, { objects: { downloads: { host: "127.0.0.1", port: 0 } } });
  const downloads = { host: "127.0.0.1", port: first.cloud.files.downloads.port! };
  await t.throwsAsync(open(t, { objects: { downloads } }), { code: "cloud/port-in-use" });
  const second = await open(t, { objects: { downloads: { ...downloads, orAny: true } } });
  t.not(second.cloud.files.downloads.port, downloads.port);
});
