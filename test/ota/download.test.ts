// What both sources bring, alone, in turns and at what rate.
import anyTest, { type TestFn } from "ava";
import { blockBytes, DownloadWorld, downloaded, link, stream } from "./world.js";

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
