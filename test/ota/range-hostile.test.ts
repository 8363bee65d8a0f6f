// Servers that ignore ranges, redirect, expire, send pages, lie, stop or trickle: the image arrives whole, or the reason is told.
import anyTest, { type TestFn } from "ava";
import {
  DownloadWorld,
  downloaded,
  ended,
  type FileReply,
  type FileScript,
  link,
  ranges,
} from "../../bench/ota-world.js";
import { Random } from "../../simulator/world/random.js";

import { passing, size, wrong } from "./range-answers.js";

const test = anyTest as TestFn;
const blocks = 41;
const refused = "ota/source: files.test: ";

const world = (file: FileScript) => new DownloadWorld({ size, file });

test("ranges of 64 KB are asked for, one ahead, over one connection without a client certificate", async t => {
  const w = world(ranges);
  t.is(await downloaded(w, [link]), "complete");
  t.deepEqual(
    w.fileRequests.map(({ first, last }) => [first, last]),
    [
      [0, 65_535],
      [65_536, 131_071],
      [131_072, size - 1],
    ],
  );
  t.is(w.fileRequests[0]!.path, "/fw.bin?signature=secret");
  t.is(w.fileRequests[0]!.host, "files.test");
  t.is(w.dials.length, 1);
  const { host, port, secure } = w.dials[0]!;
  t.deepEqual([host, port], ["files.test", 443]);
  t.is(secure.serverName, "files.test");
  t.deepEqual(secure.clientCertificates, []);
  t.is(secure.clientKey.length, 0);
  t.deepEqual(secure.trustAnchors, [Uint8Array.of(1)]);
  t.true(secure.now > 1_700_000_000_000);
});

test("a link to another port and a path of its own", async t => {
  const w = world(ranges);
  t.is(await downloaded(w, [{ url: "https://Files.test:8443?a=b#c" }]), "complete");
  t.is(w.dials[0]!.port, 8443);
  t.is(w.fileRequests[0]!.path, "/?a=b");
  t.is(w.fileRequests[0]!.host, "Files.test:8443");
});

test("certificates are judged at the floor while no clock is set; without either nothing is dialed", async t => {
  const w = world(ranges);
  const device = w.boot();
  device.now = undefined;
  device.timeFloor = 1_600_000_000_000;
  t.is(await ended(w, device, [link]), "complete");
  t.is(w.dials[0]!.secure.now, 1_600_000_000_000);
  const other = world(ranges);
  const late = other.boot();
  late.now = undefined;
  t.is(await ended(other, late, [link]), "connection/clock: https: no time is known");
  t.is(other.dials.length, 0);
});

test("a server that closes after each response is asked for all of it at once", async t => {
  const w = world((_, reply) => {
    reply.range({ Connection: "close" });
    reply.close();
  });
  t.is(await downloaded(w, [link]), "complete");
  t.is(w.fileRequests.length, 2);
});

test("a server that says so and stays open is hung up on, with what was asked ahead", async t => {
  const w = world(({ first }, reply) => {
    reply.range(first === 0 ? {} : { Connection: "close" });
  });
  t.is(await downloaded(w, [link]), "complete");
  t.is(w.dials.length, 2);
  t.true(w.clock.ticks() < 5000);
});

test("a resolver that throws is one that fails", async t => {
  const w = world(ranges);
  const device = w.boot();
  const { host } = device;
  let isBroken = false;
  const io = class extends host.dns.io {
    constructor(options: object) {
      if (isBroken) throw new Error("broken");
      super(options);
    }
  };
  Object.assign(host, { dns: { io } });
  device.connect();
  await w.clock.run(1000);
  isBroken = true;
  device.download.sources([link]);
  await w.clock.runUntil(() => device.outcome !== undefined, 1_000_000);
  t.is(String(device.outcome), "AgentError: files.test: cannot be dialed");
  device.disconnect();
  await w.clock.run(100_000);
  t.is(w.clock.pending, 0);
});

test("a server that just closes after each response: each connection brings its range", async t => {
  const w = world((_, reply) => {
    reply.range();
    reply.close();
  });
  t.is(await downloaded(w, [link]), "complete");
  t.true(w.dials.length <= 4);
});

test("a connection that breaks anywhere costs what was under way, never more", async t => {
  for (const bytes of [0, 1, 100, 5000, 30_000, 70_000]) {
    const w = world((request, reply) => {
      if (reply.connection >= 3) reply.range();
      else {
        const { first, last } = request;
        const head = `HTTP/1.1 206 Any\r\nContent-Length: ${last - first + 1}\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`;
        const all = Buffer.concat([Buffer.from(head), reply.image.subarray(first, last + 1)]);
        reply.write(all.subarray(0, bytes));
        if (bytes < all.length) reply.close();
      }
    });
    t.is(await downloaded(w, [link]), "complete", `${bytes}`);
    t.is(w.nor.counts.erases, blocks + 1);
  }
});

test("ranges are ignored: the whole file serves as well", async t => {
  const w = world((_, reply) => reply.answer(200, {}, reply.image));
  t.is(await downloaded(w, [link]), "complete");
  t.is(w.fileRequests.length, 1);
});

test("ranges are ignored and the file breaks off: what is missing is taken from it three times, no more", async t => {
  const w = world((_, reply) => {
    reply.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    reply.write(reply.image.subarray(0, 40_000));
    reply.close();
  });
  const message = await downloaded(w, [link]);
  t.is(message, `${refused}ranges are ignored, and the whole file broke off 3 times`);
  t.is(w.fileRequests.length, 4);
  w.file = (_, reply) => reply.answer(200, {}, reply.image);
  const again = w.boot();
  t.is(again.staging.done, 9);
  t.is(await ended(w, again, [link]), "complete");
  t.is(w.nor.counts.erases, blocks + 1);
});

for (const [name, [answer, reason]] of Object.entries(wrong)) {
  test(`${name} ends the link at once, with the reason`, async t => {
    const w = world((request, reply) => answer(reply, request));
    t.is(await downloaded(w, [link]), refused + reason);
    t.true(w.fileRequests.length <= 4);
    t.is(w.files.open, 0);
    t.is(w.nor.counts.erases, 1);
    await w.clock.run(100_000);
    t.is(w.clock.pending, 0);
  });
}

for (const [name, [answer, reason]] of Object.entries(passing)) {
  test(`${name}: eight times is enough; once is survived`, async t => {
    const w = world((request, reply) => answer(reply, request));
    const message = await downloaded(w, [link]);
    t.true(message.endsWith(reason), message);
    t.is(w.dials.length, 8);
    const once = world((request, reply) => {
      if (request.number === 0) answer(reply, request);
      else reply.range();
    });
    t.is(await downloaded(once, [link]), "complete");
    t.is(once.files.open, 0);
  });
}

test("a server that cannot be dialed, or is not believed", async t => {
  const w = world(ranges);
  w.files.fate = () => "refused";
  t.regex(await downloaded(w, [link]), /^connection\/lost: files\.test: /);
  t.is(w.dials.length, 8);
  const mute = world(ranges);
  mute.files.fate = () => "silent";
  const message = await downloaded(mute, [link]);
  t.is(message, "connection/timeout: files.test: no TLS with 127.0.0.1 in 20000 ms");
});

test("interim responses, odd spaces and fields nobody knows are passed over", async t => {
  const w = world(({ first, last }, reply) => {
    reply.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    reply.write(
      `HTTP/1.1 206\r\nX-Odd:\t\u00e4 \r\ncontent-LENGTH:  ${last - first + 1} \r\nContent-Range:bytes ${first}-${last}/${size}\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n`,
    );
    reply.write(reply.image.subarray(first, last + 1));
  });
  t.is(await downloaded(w, [link]), "complete");
});

test("more than was asked for, behind a response, is a connection that is given up", async t => {
  const w = world((_, reply) => {
    reply.range();
    reply.write(new Uint8Array(10));
  });
  t.is(await downloaded(w, [link]), "complete");
});

test("in pieces of one byte, and of any size", async t => {
  for (const segments of ["bytes", "random", "dozen"] as const) {
    const w = world(ranges);
    w.files.faults = { toDevice: { segments } };
    t.is(await downloaded(w, [link]), "complete");
  }
});

test("a head that trickles is given up after 15 s, a body after 60 s for a block", async t => {
  const trickle = (text: Uint8Array, w: DownloadWorld, reply: FileReply) => {
    let at = 0;
    const next = () => {
      if (at >= text.length || at > 2000) return;
      reply.write(text.subarray(at, ++at));
      w.clock.set(next, 1000);
    };
    next();
  };
  const w: DownloadWorld = world((_, reply) =>
    trickle(Buffer.from(`HTTP/1.1 206 OK\r\nA: ${"x".repeat(3000)}`), w, reply),
  );
  t.is(await downloaded(w, [link]), `${refused}no answer in 15000 ms`);
  const v: DownloadWorld = world(({ first, last }, reply) => {
    reply.write(
      `HTTP/1.1 206 OK\r\nContent-Length: ${last - first + 1}\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`,
    );
    trickle(reply.image, v, reply);
  });
  t.is(await downloaded(v, [link]), `${refused}no block in 60000 ms`);
  t.true(v.clock.ticks() < 900_000);
});

test("redirects: to another server with the next requests, by path, three at most, anew after a block", async t => {
  const w = world(({ host, path, first }, reply) => {
    if (host === "files.test") reply.answer(302, { Location: "https://cdn.test/a" });
    else if (path === "/a") reply.answer(307, { location: "/b?c" });
    else if (path === "/b?c" && first > 65_535)
      reply.answer(308, { Location: "https://far.test:444/d" });
    else reply.range();
  });
  t.is(await downloaded(w, [link]), "complete");
  t.deepEqual(
    w.dials.map(({ host, port }) => `${host}:${port}`),
    ["files.test:443", "cdn.test:443", "cdn.test:443", "far.test:444"],
  );
});

for (const status of [401, 403, 410]) {
  test(`${status}: a fresh link is asked for, three times, and then no more`, async t => {
    const w = world((_, reply) => reply.answer(status, {}));
    const device = w.boot();
    device.onExpiredDo = () => device.download.sources([link]);
    t.is(
      await ended(w, device, [link]),
      `ota/expired: files.test: status ${status}: the link does not hold any more`,
    );
    t.is(device.expired, 3);
    t.is(w.fileRequests.length, 4);
    const v = world(({ path, first }, reply) => {
      if (path === "/old" && first > 0) reply.answer(status, {});
      else reply.range();
    });
    const other = v.boot();
    other.onExpiredDo = () => other.download.sources([{ url: "https://files.test/new" }]);
    t.is(await ended(v, other, [{ url: "https://files.test/old" }]), "complete");
    t.is(other.expired, 1);
    t.is(v.nor.counts.erases, blocks + 1);
  });
}

test("a place a link has led to expires: the link itself is asked again", async t => {
  let visits = 0;
  const w = world(({ host, first, number }, reply) => {
    if (host === "files.test") reply.answer(302, { Location: `https://cdn.test/${number}` });
    else if (first > 0 && visits++ === 0) reply.answer(403, {});
    else reply.range();
  });
  const device = w.boot();
  t.is(await ended(w, device, [link]), "complete");
  t.is(device.expired, 0);
  const v = world(({ host }, reply) => {
    if (host === "files.test") reply.answer(302, { Location: "https://cdn.test/x" });
    else reply.answer(403, {});
  });
  const other = v.boot();
  other.onExpiredDo = () => other.download.close();
  await ended(v, other, [link], 1_000_000);
  t.is(other.expired, 1);
  t.true(v.dials.length <= 16);
});

for (const url of [
  "http://files.test/fw",
  "ftp://files.test/fw",
  "files.test/fw",
  "https://",
  "https:///fw",
  "https://user@files.test/fw",
  "https://user:pass@files.test/fw",
  "https://files.test:0/fw",
  "https://files.test:65536/fw",
  "https://files.test:999999999/fw",
  "https://files.test:/fw",
  "https://files.test:44a/fw",
  "https://[::1]/fw",
  "https://files.test/f w",
  "https://files.test/f\r\nX: y",
  "https://files.test/f\u0000",
  "https://files.test/ä",
  "https://fil\\es.test/",
  `https://${"a".repeat(254)}/`,
  `https://files.test/${"a".repeat(2048)}`,
]) {
  test(`no link to follow: ${url.slice(0, 40).replace(/[^!-~ ]/g, "?")}`, async t => {
    const w = world(ranges);
    const message = await downloaded(w, [{ url }]);
    t.regex(message, /^ota\/source: https: a link /);
    t.is(w.dials.length, 0);
  });
}

test("nothing a server is told or tells brings the link's secret into a message", async t => {
  for (const [answer] of [...Object.values(wrong), ...Object.values(passing)]) {
    const w = world((request, reply) => answer(reply, request));
    t.false((await downloaded(w, [link])).includes("secret"));
  }
});

test("whatever a server does by chance, the image is whole or the reason is told", async t => {
  const answers = [...Object.values(wrong), ...Object.values(passing)].map(([answer]) => answer);
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const faults = random.below(40);
    const isFinal = seed % 5 === 0;
    const w = new DownloadWorld({
      size,
      seed,
      file: (request, reply) => {
        const chance = random.below(100);
        if (chance < faults / 2) {
          const from = isFinal ? 0 : Object.keys(wrong).length;
          answers[from + random.below(answers.length - from)]!(reply, request);
        } else if (chance < faults) {
          reply.range();
          w.clock.set(() => reply.close(), random.below(100));
        } else reply.range();
      },
    });
    w.files.faults = { toDevice: { bytesPerSecond: 20_000 + random.below(1_000_000) } };
    const device = w.boot();
    device.onExpiredDo = () => device.download.sources([link]);
    const result = await ended(w, device, [link], 86_400_000);
    t.true(
      isFinal ? /^(complete$|ota|conn)/.test(result) : result === "complete",
      `${seed}: ${result}`,
    );
    t.is(w.files.open, 0);
    t.is(w.nor.counts.faults, 0);
  }
});
