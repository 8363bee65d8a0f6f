import type { Flash } from "../../../src/host.js";
import { limits } from "../../../src/limits.js";
import { encodeRequest, HeadReader, parseUrl, redirected } from "../../../src/ota/http.js";
import { quoted } from "../../../src/ota/quoted.js";
import { Staging, type StagingOwner } from "../../../src/ota/staging.js";
import { fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

// -- links --

for (const [url, host, port, path] of [
  ["https://a.test/b", "a.test", 443, "/b"],
  ["https://a.test", "a.test", 443, "/"],
  ["HTTPS://A.test:8443/b/c?d=e&f=%20", "A.test", 8443, "/b/c?d=e&f=%20"],
  ["https://a.test?b", "a.test", 443, "/?b"],
  ["https://a.test/b#c", "a.test", 443, "/b"],
  ["https://a.test#c", "a.test", 443, "/"],
  ["https://127.0.0.1:1/@:", "127.0.0.1", 1, "/@:"],
] as const) {
  check(`a link to ${url}`, () => {
    const place = parseUrl(url);
    equal(place.host, host);
    equal(place.port, port);
    equal(place.path, path);
  });
}

for (const url of [
  "",
  "https",
  "https://",
  "https:///a",
  "http://a.test/",
  "https://a@b.test/",
  "https://a:b@c.test/",
  "https://a.test:/",
  "https://a.test:0/",
  "https://a.test:65536/",
  "https://a.test:100000/",
  "https://a.test/b c",
  "https://a.test/\u007f",
  "https://a.test/é",
  "https://a_b.test/",
  "https://[::1]/",
  " https://a.test/",
])
  check(`no link: ${quoted(url)}`, () => refuses(() => parseUrl(url), "network"));

check("a link that is too long is refused, and nothing of it is told", () => {
  const url = `https://a.test/?secret=${"x".repeat(limits.urlCharacters)}`;
  refuses(() => parseUrl(url), "network");
  try {
    parseUrl(url);
  } catch (error) {
    equal((error as Error).message.includes("secret"), false);
  }
});

check("redirects lead to another link, or to a path of the same server", () => {
  const from = parseUrl("https://a.test:444/b?c");
  equal(redirected(from, "/d?e#f").path, "/d?e");
  equal(redirected(from, "/d").port, 444);
  equal(redirected(from, "https://g.test/").host, "g.test");
  for (const location of ["", "d", "../d", "?d", "//g.test/", "http://g.test/", "/d e", "/d\n"])
    refuses(() => redirected(from, location), "network");
});

check("a request names the host, its port where it is not the usual one, and the range", () => {
  const text = fromUtf8(encodeRequest(parseUrl("https://a.test:444/b?c"), 4096, 8191));
  equal(
    text.startsWith("GET /b?c HTTP/1.1\r\nHost: a.test:444\r\nRange: bytes=4096-8191\r\n"),
    true,
  );
  equal(text.endsWith("\r\n\r\n"), true);
  equal(
    fromUtf8(encodeRequest(parseUrl("https://a.test/"), 0, 1)).includes("Host: a.test\r\n"),
    true,
  );
});

// -- heads --

const head =
  "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 206 Partial Content\r\nCONTENT-length: 4096\r\n" +
  "Content-Range: bytes 4096-8191/10000\r\nConnection: Close\r\nContent-Type: a/b\r\nLocation: /x\r\n\r\n";

check("a head is read in any two pieces, and what follows it is left", () => {
  const bytes = toUtf8(`${head}body`);
  for (let cut = 0; cut < head.length; cut++) {
    const reader = new HeadReader();
    equal(reader.push(bytes.subarray(0, cut)), undefined);
    const found = reader.push(bytes.subarray(cut))!;
    equal(cut + found.taken, head.length);
    const { status, length, range, type, location, isCoded, isLast } = found.head;
    equal(status, 206);
    equal(length, 4096);
    equal(range?.first, 4096);
    equal(range?.last, 8191);
    equal(range?.total, 10_000);
    equal(type, "a/b");
    equal(location, "/x");
    equal(isCoded, false);
    equal(isLast, true);
  }
});

for (const text of [
  "HTTP/1.1 206\n\n",
  "HTTP/1.1 206 \r\nA: b\n\r\n",
  "HTTP/1.1 206 \r\nA: b\rc\r\n\r\n",
  "HTTP/1.1 206 \r\nA: \u0000\r\n\r\n",
  "HTTP/1.1 206 \r\nA\r\n\r\n",
  "HTTP/1.1 206 \r\nA : b\r\n\r\n",
  "HTTP/1.1 206 \r\n b\r\n\r\n",
  "HTTP/1.1 206 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
  "HTTP/1.1 206 \r\nContent-Length: \r\n\r\n",
  "HTTP/1.1 206 \r\nContent-Length: +1\r\n\r\n",
  "HTTP/1.1 206 \r\nContent-Length: 1234567890123456\r\n\r\n",
  "HTTP/1.2 206 \r\n\r\n",
  "HTTP/1.1 2060\r\n\r\n",
  "HTTP/1.1 099 \r\n\r\n",
  "\r\n\r\n",
  "<html>\r\n\r\n",
])
  check(`no head: ${quoted(text)}`, () =>
    refuses(() => new HeadReader().push(toUtf8(text)), "network"),
  );

check("a head that does not end is refused at 4 KB", () => {
  const reader = new HeadReader();
  equal(reader.push(toUtf8("HTTP/1.1 206 OK\r\n")), undefined);
  const line = toUtf8(`A: ${"b".repeat(995)}\r\n`);
  for (let i = 0; i < 4; i++) equal(reader.push(line), undefined);
  refuses(() => reader.push(line), "network");
});

check("what a server says is quoted as one short line", () => {
  equal(quoted("a\r\nb\u0007ä😀"), "a??b???");
  equal(quoted("x".repeat(81)), `${"x".repeat(80)}…`);
});

// -- the slot --

const slotBlocks = 4;

/** NOR flash in an array; from operation `cutAt` on nothing is done any more, and that one only by half. */
class ArraySlot implements Flash {
  readonly bytes = new Uint8Array(slotBlocks * 4096).fill(0x5a);
  cutAt = Number.POSITIVE_INFINITY;
  operations = 0;

  status() {
    return { size: slotBlocks * 4096, blocks: slotBlocks, blockLength: 4096 };
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, offset: number): ArrayBuffer | number {
    if (typeof target === "number") return this.bytes.slice(offset, offset + target).buffer;
    target.set(this.bytes.subarray(offset, offset + target.length));
    return target.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    const length = this.operations++ < this.cutAt ? bytes.length : bytes.length >> 1;
    for (let i = 0; i < length; i++) this.bytes[offset + i]! &= bytes[i]!;
    if (length < bytes.length) throw new Error("cut");
  }

  eraseBlock(first: number): void {
    const isWhole = this.operations++ < this.cutAt;
    this.bytes.fill(0xff, first * 4096, first * 4096 + (isWhole ? 4096 : 2048));
    if (!isWhole) throw new Error("cut");
  }

  close(): void {}
}

const slotOwner: StagingOwner = {
  enter: work => work(),
  host: {
    crypto: undefined as unknown as StagingOwner["host"]["crypto"],
    timer: { set: () => ({}), repeat: () => ({}), clear: () => undefined },
  },
};

check("an image is staged, and goes on after a cut at every operation", () => {
  const size = 2 * 4096 + 5;
  const image = new Uint8Array(size).map((_, i) => i * 7);
  const identity = new Uint8Array(32).fill(3);
  const fill = (flash: Flash): Staging => {
    const staging = new Staging(slotOwner, flash);
    staging.begin(identity, size);
    while (!staging.isComplete) {
      const index = staging.nextMissing();
      staging.write(index, image.subarray(index * 4096, (index + 1) * 4096));
    }
    return staging;
  };
  const whole = new ArraySlot();
  fill(whole);
  equal(whole.operations, 2 + 3 * 3);
  for (let cutAt = 0; cutAt < whole.operations; cutAt++) {
    const flash = new ArraySlot();
    flash.cutAt = cutAt;
    refuses(() => fill(flash), "storage");
    flash.cutAt = Number.POSITIVE_INFINITY;
    const again = new Staging(slotOwner, flash);
    again.begin(identity, size);
    equal(again.done, Math.max(0, Math.floor((cutAt - 2) / 3)), `cut at ${cutAt}`);
    fill(flash);
    for (let i = 0; i < size; i++) if (flash.bytes[i] !== image[i]) equal(i, -1, "byte");
  }
});

check("what does not fit, or is no block, is refused", () => {
  const staging = new Staging(slotOwner, new ArraySlot());
  const identity = new Uint8Array(32);
  refuses(() => staging.begin(identity, 3 * 4096 + 1), "integrity");
  refuses(() => staging.begin(identity.subarray(1), 5), "integrity");
  staging.begin(identity, 3 * 4096);
  refuses(() => staging.write(3, new Uint8Array(4096)), "bug");
  refuses(() => staging.write(0, new Uint8Array(4095)), "bug");
});
