// Streams that double, lose, mix up and invent blocks, refuse, or say nothing: the image arrives whole, or the reason is told.

import anyTest, { type TestFn } from "ava";
import { encode } from "cborg";
import {
  blockBytes,
  DownloadWorld,
  downloaded,
  ended,
  honest,
  type StreamScript,
  stream,
  wantedOf,
} from "../../bench/ota-world.js";
import { Random } from "../../simulator/world/random.js";

const test = anyTest as TestFn;
const blocks = 41;
const size = (blocks - 1) * blockBytes + 77;
const junk = new Uint8Array(blockBytes).fill(0xee);

test("a request is as the reference has it, and at most 64 KB are asked for ahead", async t => {
  let outstanding = 0;
  let most = 0;
  const world = new DownloadWorld({
    size,
    stream: (wanted, { block }) => {
      outstanding += wanted.length;
      most = Math.max(most, outstanding);
      wanted.forEach((index, i) => {
        world.clock.set(() => {
          outstanding--;
          block(index);
        }, i * 40);
      });
    },
  });
  t.is(await downloaded(world, [stream]), "complete");
  t.true(most > 12 && most <= 16, `${most}`);
  const [first, second, third] = world.requests.map(({ b, ...rest }) => ({ ...rest, b: [...b] }));
  const common = { c: "token-0.0", f: 0, l: 4096 };
  t.deepEqual(first, { ...common, o: 0, n: 2, b: [3] }, "nobody knows yet how fast they come");
  t.deepEqual(second, { ...common, o: 2, n: 1, b: [1] });
  t.deepEqual(third, { ...common, o: 3, n: 15, b: [255, 127] });
  t.deepEqual(
    world.requests.flatMap(wantedOf).sort((a, b) => a - b),
    [...Array(blocks).keys()],
  );
});

const bent: Readonly<Record<string, StreamScript>> = {
  "each block three times": (wanted, { block }) => {
    for (const index of [...wanted, ...wanted, ...wanted]) block(index);
  },
  "the last block first": (wanted, { block }) => {
    for (const index of [...wanted].reverse()) block(index);
  },
  "every other block lost": (wanted, { block, number }) => {
    for (const index of wanted) if ((index + number) % 2 === 0) block(index);
  },
  "one block for each request": (wanted, { block }) => block(wanted.at(-1)!),
  "every third request lost": (wanted, { block, number }) => {
    if (number % 3 !== 1) for (const index of wanted) block(index);
  },
  "the whole file for each request": (_, { block }) => {
    for (let index = 0; index < blocks; index++) block(index);
  },
  "without a token": (wanted, { data, image }) => {
    for (const i of wanted) {
      const p = image.subarray(i * blockBytes, (i + 1) * blockBytes);
      data({ f: 0, l: p.length, i, p });
    }
  },
  "without a length, with members nobody knows": (wanted, { data, image }, { c }) => {
    for (const i of wanted)
      data({
        c,
        x: [1, { y: "z" }],
        f: 0,
        i,
        p: image.subarray(i * blockBytes, (i + 1) * blockBytes),
      });
  },
};

for (const [name, script] of Object.entries(bent)) {
  test(`${name}: the image arrives`, async t => {
    const world = new DownloadWorld({ size, stream: script });
    t.is(await downloaded(world, [stream]), "complete");
    t.is(world.nor.counts.erases, blocks + 1);
  });
}

type Message = Readonly<Record<string, unknown>>;

/** Each comes before the block it stands for. */
const invented: Readonly<Record<string, (index: number, c: string) => Message>> = {
  "of another file": (i, c) => ({ c, f: 1, l: blockBytes, i, p: junk }),
  "of no file": (i, c) => ({ c, l: blockBytes, i, p: junk }),
  "for another request": i => ({ c: "token-9", f: 0, l: blockBytes, i, p: junk }),
  "a byte short": (i, c) => ({ c, f: 0, l: blockBytes - 1, i, p: junk.subarray(1) }),
  "a byte short that says otherwise": (i, c) => ({
    c,
    f: 0,
    l: blockBytes,
    i,
    p: junk.subarray(1),
  }),
  "with a length of its own": (i, c) => ({ c, f: 0, l: 5, i, p: junk }),
  "longer than a block": (i, c) => ({ c, f: 0, l: 5000, i, p: new Uint8Array(5000) }),
  "longer than memory": (i, c) => ({ c, f: 0, l: 30_000, i, p: new Uint8Array(30_000) }),
  empty: (i, c) => ({ c, f: 0, l: 0, i, p: new Uint8Array(0) }),
  "without content": (i, c) => ({ c, f: 0, l: blockBytes, i }),
  "as a text": (i, c) => ({ c, f: 0, l: blockBytes, i, p: "x".repeat(blockBytes) }),
  "beyond the end": (_, c) => ({ c, f: 0, l: blockBytes, i: blocks, p: junk }),
  "far beyond the end": (_, c) => ({ c, f: 0, l: blockBytes, i: 2 ** 40, p: junk }),
  "before the beginning": (_, c) => ({ c, f: 0, l: blockBytes, i: -1, p: junk }),
  "that was not asked for": (i, c) => ({
    c,
    f: 0,
    l: blockBytes,
    i: Math.min(39, i + 20),
    p: junk,
  }),
};

for (const [name, make] of Object.entries(invented)) {
  test(`a block ${name} is passed over and counted`, async t => {
    let sent = 0;
    const world = new DownloadWorld({
      size,
      stream: (wanted, { block, data, number }, { c }) => {
        const index = wanted[0]!;
        // The last block is shorter: junk of its length would be believed until the digest.
        if (number < 2) {
          sent++;
          data(make(index, c));
        }
        for (const index of wanted) block(index);
      },
    });
    const device = world.boot();
    t.is(await ended(world, device, [stream]), "complete");
    t.is(device.download.strays, name === "longer than memory" ? 0 : sent);
  });
}

test("what is no message of a stream is passed over and counted", async t => {
  const world = new DownloadWorld({
    size,
    stream: (wanted, { block, raw, other, number }, { c }) => {
      if (number === 0) {
        raw("data/cbor", new Uint8Array(0));
        raw("data/cbor", Uint8Array.of(0xff));
        raw("data/cbor", encode([1, 2]));
        raw("data/cbor", encode({ c, f: 0, i: 0, p: junk }).subarray(0, 100));
        raw("data/cbor", new TextEncoder().encode('{"f":0}'));
        raw("data/json", encode({ c, f: 0, i: 0, p: junk }));
        raw("description/cbor", encode({ c }));
        raw("rejected/cbor", new Uint8Array(3));
        raw("rejected/cbor", encode({}));
        raw("rejected/cbor", encode({ o: "ResourceNotFound", c: "token-8" }));
        other("data/cbor", { c, f: 0, l: blockBytes, i: 0, p: junk });
        other("rejected/cbor", { c, o: "ResourceNotFound" });
      }
      for (const index of wanted) block(index);
    },
  });
  const device = world.boot();
  t.is(await ended(world, device, [stream]), "complete");
  t.is(device.download.strays, 12);
});

test("a stream that never answers is asked 32 times in five minutes, no more", async t => {
  const world = new DownloadWorld({ size, stream: () => undefined });
  t.is(await downloaded(world, [stream]), "ota/source: stream fw-1: no answer");
  t.is(world.requests.length, 32);
  t.true(world.clock.ticks() >= 320_000 && world.clock.ticks() < 330_000);
  await world.clock.run(3_600_000);
  t.is(world.requests.length, 32);
  t.is(world.clock.pending, 0);
});

test("a stream that falls silent in the middle is given up, and what came stays", async t => {
  const world = new DownloadWorld({
    size,
    stream: (wanted, { block }) => {
      for (const index of wanted) if (index < 20) block(index);
    },
  });
  const device = world.boot();
  t.is(await ended(world, device, [stream]), "ota/source: stream fw-1: no answer");
  t.is(world.nor.counts.erases, 21);
  t.true(world.requests.length < 80);
  world.stream = honest;
  const again = world.boot();
  t.is(again.staging.nextMissing(), 20);
  t.is(await ended(world, again, [stream]), "complete");
  t.is(world.nor.counts.erases, blocks + 1);
});

for (const [what, length, last] of [
  ["shorter by a byte", size - 1, blocks - 1],
  ["longer by a byte", size + 1, blocks - 1],
  ["of one byte", 1, 0],
] as const) {
  test(`a file that is ${what} is no other the second time: given up within a minute, with the reason`, async t => {
    const world = new DownloadWorld({
      size,
      stream: (wanted, { data, image }, { c }) => {
        const file = new Uint8Array(length);
        file.set(image.subarray(0, length));
        for (const i of wanted) {
          const p = file.subarray(i * blockBytes, (i + 1) * blockBytes);
          if (p.length > 0) data({ c, f: 0, l: p.length, i, p });
        }
      },
    });
    const wanted = last === 0 ? blockBytes : 77;
    const got = last === 0 ? 1 : 77 + length - size;
    t.is(
      await downloaded(world, [stream]),
      `ota/source: stream fw-1: block ${last} has ${got} bytes in place of ${wanted}`,
    );
    t.true(world.clock.ticks() < 60_000);
    t.true(world.requests.length < 10);
  });
}

for (const code of [
  "BlockBitmapLimitExceeded",
  "BlockCountLimitExceeded",
  "BlockSizeOutOfBounds",
  "ETagMismatch",
  "InvalidCbor",
  "InvalidRequest",
  "InvalidTopic",
  "OffsetOutOfBounds",
  "ResourceNotFound",
  "Unauthorized",
  "VersionMismatch",
]) {
  test(`${code} is final, with short names and long ones`, async t => {
    for (const long of [false, true]) {
      const world = new DownloadWorld({
        size,
        stream: (_, { rejected }, { c }) =>
          rejected(
            long ? { code, message: "so it\nis", clientToken: c } : { o: code, m: "so it\nis", c },
          ),
      });
      t.is(await downloaded(world, [stream]), `ota/source: stream fw-1: ${code} (so it?is)`);
      t.is(world.requests.length, 1);
    }
  });
}

test("InternalError and codes nobody knows pass; for ever is too long", async t => {
  const world = new DownloadWorld({
    size,
    stream: (wanted, reply, request) => {
      if (reply.number % 4 < 2)
        reply.rejected({ o: reply.number % 2 ? "InternalError" : "Strange", c: request.c });
      else honest(wanted, reply, request);
    },
  });
  t.is(await downloaded(world, [stream]), "complete");
  const bad = new DownloadWorld({
    size,
    stream: (_, { rejected }) => rejected({ o: "InternalError", m: "x".repeat(1000) }),
  });
  const message = await downloaded(bad, [stream]);
  t.true(message.startsWith("ota/source: stream fw-1: InternalError (xxx"));
  t.true(message.length < 140);
  t.is(bad.requests.length, 32);
});

test("on a line of 300 bytes a second patience grows, and hardly a block comes twice", async t => {
  const world = new DownloadWorld({ size });
  world.slow(300);
  const device = world.boot();
  t.is(await ended(world, device, [stream]), "complete");
  t.true(device.download.strays <= 4, `${device.download.strays} twice`);
});

for (const [bytesPerSecond, most] of [
  [500, 2],
  [8000, 9],
  [20_000, 16],
] as const) {
  test(`on a line of ${bytesPerSecond} bytes a second at most ${most} blocks are on their way: what else there is to say comes soon`, async t => {
    let outstanding = 0;
    const seen: number[] = [];
    const world = new DownloadWorld({
      size: 60 * blockBytes,
      stream: (wanted, { block }) => {
        outstanding += wanted.length;
        seen.push(outstanding);
        for (const index of wanted) block(index);
      },
    });
    world.slow(bytesPerSecond);
    const device = world.boot();
    const { onMessage } = device.download;
    device.download.onMessage = function (...message) {
      outstanding--;
      onMessage.apply(this, message);
    };
    t.is(await ended(world, device, [stream]), "complete");
    t.is(Math.max(...seen.slice(5)), most);
    t.true(device.download.strays <= 4);
  });
}

test("a session without room is asked again after a second; for ever is too long", async t => {
  for (const failures of [5, Number.POSITIVE_INFINITY]) {
    const world = new DownloadWorld({ size });
    const device = world.boot();
    const publish = device.session.publish.bind(device.session);
    let left = failures;
    device.session.publish = message => {
      if (left-- > 0) throw new Error("full");
      publish(message);
    };
    const isOver = failures === 5 ? "complete" : "ota/source: stream fw-1: no room for a request";
    t.is(await ended(world, device, [stream]), isOver);
    t.true(world.clock.ticks() < 40_000);
  }
});

test("a stream that lies within its blocks is found out by the digest, and not before", async t => {
  const world = new DownloadWorld({
    size,
    stream: (wanted, { block, data }, { c }) => {
      for (const i of wanted)
        if (i === 7) data({ c, f: 0, l: blockBytes, i, p: junk });
        else block(i);
    },
  });
  t.is(await downloaded(world, [stream]), "complete, and wrong");
});

test("whatever a stream does by chance, the image is whole or the reason is told", async t => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const loss = random.below(70);
    const world = new DownloadWorld({
      size,
      seed,
      stream: (wanted, reply, { c }) => {
        const list = [...wanted];
        for (let i = list.length - 1; i > 0; i--) {
          const j = random.below(i + 1);
          [list[i], list[j]] = [list[j]!, list[i]!];
        }
        for (const index of list) {
          const chance = random.below(100);
          if (chance < loss) continue;
          if (chance > 95)
            reply.data(invented[Object.keys(invented)[random.below(15)]!]!(index, c));
          world.clock.set(() => reply.block(index), random.below(15_000));
          if (chance > 90) reply.block(index);
        }
        if (random.below(30) === 0) reply.rejected({ o: "InternalError", c });
      },
    });
    const result = await downloaded(world, [stream], 86_400_000);
    t.true(
      result === "complete" || result.startsWith("ota/source") || result === "complete, and wrong",
      `${seed}: ${result}`,
    );
    t.is(world.nor.counts.faults, 0);
  }
});
