// What both sources bring, alone, in turns and at what rate.
import anyTest, { type TestFn } from "ava";
import {
  blockBytes,
  DownloadWorld,
  downloaded,
  ended,
  honest,
  link,
  ranges,
  stream,
  wantedOf,
} from "../../bench/ota-world.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { type Cut, Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { OfferSource } from "../../src/ota/offer.js";

const test = anyTest as TestFn;

for (const [name, source] of [
  ["stream", stream],
  ["link", link],
] as const) {
  for (const size of [1, blockBytes, 3 * blockBytes, 40 * blockBytes + 1]) {
    test(`${name}: ${size} bytes arrive, each block once, and nothing is left behind`, async t => {
      const world = new DownloadWorld({ size });
      t.is(await downloaded(world, [source]), "complete");
      const blocks = Math.ceil(size / blockBytes);
      t.is(world.nor.counts.erases, blocks + 1);
      t.is(world.files.open, 0);
      await world.clock.run(100_000);
      t.is(world.clock.pending, 0);
    });
  }

  test(`${name}: 1 Mbit/s and 100 ms there and back: four fifths of the line are used`, async t => {
    const size = 1 << 20;
    const world = new DownloadWorld({ size });
    world.slow(125_000);
    const device = world.boot();
    device.download.sources([source]);
    device.connect();
    await world.clock.runUntil(() => device.progress.length > 0, 10_000);
    const from = world.clock.ticks();
    await world.clock.runUntil(() => device.outcome !== undefined, 100_000);
    t.is(device.outcome, "complete");
    const rate = ((size - blockBytes) * 1000) / (world.clock.ticks() - from);
    t.log(`${Math.round(rate)} bytes a second of 125000`);
    t.true(rate >= 100_000, `${rate}`);
  });
}

const blocks = 41;
const size = (blocks - 1) * blockBytes + 77;

test("the first source is used while it works, and the other is left alone", async t => {
  const one = new DownloadWorld({ size });
  t.is(await downloaded(one, [stream, link]), "complete");
  t.is(one.dials.length, 0);
  const other = new DownloadWorld({ size });
  t.is(await downloaded(other, [link, stream]), "complete");
  t.is(other.requests.length, 0);
});

for (const at of [0, 1, 7, 16, 17, 40]) {
  test(`each source stops at block ${at}: the other goes on from there`, async t => {
    const one = new DownloadWorld({
      size,
      stream: (wanted, { block, rejected }) => {
        for (const index of wanted) if (index < at) block(index);
        if (wanted.some(index => index >= at)) rejected({ o: "ETagMismatch" });
      },
    });
    t.is(await downloaded(one, [stream, link]), "complete");
    t.is(one.fileRequests[0]!.first, at * blockBytes);
    t.is(one.nor.counts.erases, blocks + 1);
    const other = new DownloadWorld({
      size,
      file: ({ first, last }, reply) => {
        if (last < at * blockBytes) reply.range();
        else if (first >= at * blockBytes) reply.answer(404, {});
        else {
          reply.write(
            `HTTP/1.1 206 A\r\nContent-Length: ${last - first + 1}\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`,
          );
          reply.write(reply.image.subarray(first, at * blockBytes));
          reply.close();
        }
      },
    });
    t.is(await downloaded(other, [link, stream]), "complete");
    t.deepEqual(other.requests.flatMap(wantedOf)[0], at);
    t.is(other.nor.counts.erases, blocks + 1);
  });
}

test("a link expires while there is a stream: nobody has to ask for a fresh one", async t => {
  const world = new DownloadWorld({
    size,
    file: ({ first }, reply) => (first > 0 ? reply.answer(403, {}) : reply.range()),
  });
  const device = world.boot();
  t.is(await ended(world, device, [link, stream]), "complete");
  t.is(device.expired, 0);
});

test("sources that bring a block now and then are tried in turns; that brings nothing, and it ends", async t => {
  let budget = 0;
  const world = new DownloadWorld({
    size,
    stream: (wanted, { block, number }) => {
      if (number % 40 === 0) block(wanted[0]!);
    },
    file: (_, reply) => {
      if (budget-- > 0) reply.answer(503, {});
      else {
        budget = 11;
        reply.range();
        reply.close();
      }
    },
  });
  world.files.faults = { toDevice: { resetAfterBytes: 8000 } };
  t.is(await downloaded(world, [stream, link], 86_400_000), "complete");
  const dead = new DownloadWorld({
    size,
    stream: () => undefined,
    file: (_, reply) => reply.answer(503, {}),
  });
  t.is(await downloaded(dead, [stream, link]), "ota/source: files.test: status 503");
  t.is(dead.requests.length, 32);
  t.is(dead.dials.length, 8);
});

test("no source at all, and sources that are none", async t => {
  const world = new DownloadWorld({ size });
  const device = world.boot();
  device.download.sources([]);
  device.connect();
  await world.clock.run(100_000);
  t.is(device.outcome, undefined);
  t.is(await ended(world, world.boot(), [{ url: "nowhere" }, stream]), "complete");
});

test("everything is there already: it is told without a request", async t => {
  const world = new DownloadWorld({ size });
  t.is(await downloaded(world, [stream]), "complete");
  const asked = world.requests.length;
  t.is(await downloaded(world, [stream]), "complete");
  t.is(world.requests.length, asked);
});

for (const [name, source] of [
  ["stream", stream],
  ["link", link],
] as const) {
  test(`${name}: the link is lost and found again at every block`, async t => {
    for (const isClose of [false, true]) {
      for (let at = 0; at < blocks; at += isClose ? 7 : 1) {
        const world = new DownloadWorld({ size });
        world.slow(125_000);
        const device = world.boot();
        device.download.sources([source]);
        device.connect();
        await world.clock.runUntil(() => device.progress.length > at, 100_000);
        if (at === 40) break;
        if (isClose) world.cloud.cutAll();
        else device.disconnect();
        await world.clock.run(5000);
        t.is(world.files.open, 0);
        t.is(device.outcome, undefined);
        const had = device.staging.done;
        t.true(had <= at + 2, `${had} at ${at}`);
        device.connect();
        await world.clock.runUntil(() => device.outcome !== undefined, 100_000);
        t.is(device.outcome, "complete");
        t.is(world.nor.counts.erases, blocks + 1);
        t.is(device.progress.at(-1), blocks);
      }
    }
  });

  test(`${name}: telemetry and keep-alive go on meanwhile`, async t => {
    const world = new DownloadWorld({ size: 200 * blockBytes });
    world.slow(20_000);
    const device = world.boot();
    let acknowledged = 0;
    const beat = world.clock.repeat(() => {
      const onAcknowledged = () => acknowledged++;
      const payload = new Uint8Array(50);
      device.session.publish({ topic: "dt/a", payload, QoS: 1, onAcknowledged });
    }, 1000);
    world.clock.set(() => world.clock.clear(beat), 40_000);
    t.is(await ended(world, device, [source]), "complete");
    t.true(acknowledged >= 35, `${acknowledged}`);
  });

  test(`${name}: nothing is called back after close, whenever it comes`, async t => {
    for (let ms = 0; ms < 2000; ms += 37) {
      const world = new DownloadWorld({ size });
      world.slow(125_000);
      const device = world.boot();
      device.download.sources([source]);
      device.connect();
      await world.clock.run(ms);
      device.download.close();
      const { length } = device.progress;
      const { outcome } = device;
      device.download.online();
      device.download.sources([source]);
      await world.clock.run(1000);
      t.is(device.progress.length, length);
      t.is(world.files.open, 0);
      device.disconnect();
      await world.clock.run(10_000);
      t.is(world.clock.pending, 0);
      t.is(device.outcome, outcome);
    }
  });
}

test("flash that does not take a block ends the download", async t => {
  const nor = new NorFlash({ blocks: blocks + 2 });
  for (let block = 4; block < 8; block++) nor.wearOut(block, 0);
  for (const source of [stream, link]) {
    const world = new DownloadWorld({ size, nor });
    const message = await downloaded(world, [source]);
    t.true(message.startsWith("storage/write: ota: slot: "), message);
    t.is(world.files.open, 0);
    await world.clock.run(100_000);
    t.is(world.clock.pending, 0);
  }
});

const tears: readonly Cut["when"][] = ["before", "after", { part: 0.4, isMixed: true }];

for (const [name, source] of [
  ["stream", stream],
  ["link", link],
] as const) {
  test(`${name}: the power goes at every flash operation; the first missing block is asked for next`, async t => {
    const size = 9 * blockBytes + 7;
    const old = new NorFlash({ blocks: 12 });
    old.bytes.fill(0x5a);
    const whole = new Power();
    const first = new DownloadWorld({ size, nor: old.clone() });
    t.is(await ended(first, first.boot(whole), [source]), "complete");
    for (let operation = 0; operation < whole.operations; operation++) {
      for (const when of tears) {
        const nor = old.clone();
        const power = new Power({ operation, when });
        const world = new DownloadWorld({ size, nor });
        let had = 0;
        try {
          const device = world.boot(power);
          await ended(world, device, [source], 10_000);
          had = device.progress.at(-1) ?? 0;
        } catch {
          // The power went while the journal was made.
        }
        t.false(power.isOn);
        world.cloud.cutAll();
        world.files.cutAll();
        await world.clock.run(1000);
        const again = world.boot();
        t.true(again.staging.done >= had && again.staging.done <= had + 1);
        const missing = again.staging.nextMissing();
        const [streams, files] = [world.requests.length, world.fileRequests.length];
        t.is(await ended(world, again, [source]), "complete");
        if (missing < 10) {
          const asked = world.requests[streams]?.o ?? world.fileRequests[files]!.first / blockBytes;
          t.is(asked, missing);
        }
        t.is(nor.counts.faults, 0);
      }
    }
  });
}

test("whatever fails, whenever, and however often the power goes: the image is whole in the end", async t => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const nor = new NorFlash({ blocks: 24, writeAlign: [1, 4, 16][seed % 3]!, seed });
    const world = new DownloadWorld({
      size: 22 * blockBytes + 5,
      seed,
      nor,
      stream: (wanted, reply, request) => {
        const chance = random.below(20);
        if (chance === 0) reply.rejected({ o: chance > 10 ? "InternalError" : "Unauthorized" });
        else if (chance < 3) honest(wanted.slice(random.below(16)), reply, request);
        else honest(wanted, reply, request);
      },
      file: (request, reply) => {
        const chance = random.below(12);
        if (chance === 0) reply.answer(503, {});
        else if (chance === 1) reply.answer(403, {});
        else if (chance === 2) reply.answer(404, {});
        else ranges(request, reply);
        if (chance === 3) world.clock.set(() => reply.close(), random.below(300));
      },
    });
    world.slow(125_000);
    const sources: OfferSource[] = random.below(2) ? [stream, link] : [link, stream];
    let isComplete = false;
    for (let boot = 0; boot < 60 && !isComplete; boot++) {
      const operation = random.below(2) ? random.below(20) : Number.POSITIVE_INFINITY;
      const power = new Power({ operation, when: { part: random.below(10) / 10, isMixed: true } });
      try {
        const device = world.boot(power);
        device.onExpiredDo = () => device.download.sources(sources);
        device.download.sources(sources);
        device.connect();
        for (let i = 0; i < 200 && device.outcome === undefined && power.isOn; i++) {
          await world.clock.run(random.below(1500));
          if (device.outcome !== undefined || !power.isOn) break;
          if (random.below(5) === 0) {
            device.disconnect();
            await world.clock.run(random.below(3000));
            device.connect();
          }
        }
        isComplete = device.outcome === "complete";
        if (power.isOn) device.disconnect();
      } catch (error) {
        if (power.isOn) throw error;
      }
      power.cut();
      world.cloud.cutAll();
      world.files.cutAll();
      await world.clock.run(1000);
    }
    t.true(isComplete, `${seed}`);
    t.is(Buffer.compare(nor.bytes.subarray(0, world.image.length), world.image), 0, `${seed}`);
    t.is(nor.counts.faults, 0);
  }
});
