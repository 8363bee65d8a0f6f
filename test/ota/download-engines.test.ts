// The core stories of a download on the XS engine, 64 and 32 bits wide, with the owner's NOR flash across the bridge.
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { blockBytes, DownloadWorld, honest, link, ranges, stream } from "../../bench/ota-world.js";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { Power } from "../../simulator/world/power.js";
import type { OfferSource } from "../../src/ota/offer.js";
import { toBase64, toHex } from "../../src/util/bytes.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker64, worker32 } = await buildForTests();
const engines: readonly (readonly [string, string])[] = [
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
  ...(worker32.ok ? ([["xs 32-bit", worker32.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);
workerOrReport(test, worker32, 32);

const guest = fileURLToPath(new URL("../../bench/ota-guest.js", import.meta.url));
const size = 22 * blockBytes + 77;

async function boot(world: DownloadWorld, worker: string, sources: readonly OfferSource[]) {
  const power = new Power();
  const told: unknown[] = [];
  const device = await startDevice({
    machine: await Machine.start({ worker }),
    host: world.host(power),
    bundle: await bundleModule(guest),
    config: { identity: toBase64(world.identity), size: world.image.length, sources },
    onEvent: event => {
      if (event.type === "error") throw event.error;
      if (event.name === "over" || event.name === "done") told.push(event.value);
    },
  });
  world.idle = () => device.idle();
  device.send("sources");
  device.send("connect");
  return {
    told,
    send: (name: string) => device.send(name),
    close: async () => {
      world.idle = () => Promise.resolve();
      power.cut();
      world.cloud.cutAll();
      world.files.cutAll();
      await device.close();
    },
  };
}

for (const [engine, worker] of engines) {
  for (const [name, sources] of [
    ["stream", [stream, link]],
    ["link", [link, stream]],
  ] as const) {
    test(`${engine}: ${name}: an image arrives, with the power gone in the middle, and faults on the way`, async t => {
      const world = new DownloadWorld({
        size,
        stream: (wanted, reply, request) => {
          reply.data({ c: request.c, f: 1, l: 1, i: wanted[0], p: new Uint8Array(1) });
          reply.raw("data/cbor", Uint8Array.of(0xff, 1, 2));
          honest(wanted.slice(reply.number % 3), reply, request);
        },
        file: (request, reply) => {
          if (request.number === 0) reply.answer(302, { Location: "/other" });
          else if (request.number === 2) reply.answer(503, {});
          else ranges(request, reply);
        },
      });
      world.slow(125_000);
      const first = await boot(world, worker, sources);
      await world.clock.runUntil(() => world.nor.counts.erases > 6, 100_000);
      await first.close();
      const before = world.nor.counts.erases;
      const second = await boot(world, worker, sources);
      await world.clock.runUntil(() => second.told.length > 0, 300_000);
      await second.close();
      t.deepEqual(second.told, [toHex(world.identity)]);
      t.true(world.nor.counts.erases - before <= 24 - 5);
      t.is(world.nor.counts.faults, 0);
    });
  }

  test(`${engine}: the stream fails in mid-file, the link expires: the reason is told`, async t => {
    const world = new DownloadWorld({
      size,
      stream: (wanted, { block, rejected }) => {
        if (wanted[0]! >= 16) rejected({ o: "ETagMismatch" });
        else for (const index of wanted) if (index < 16) block(index);
      },
      file: (_, reply) => reply.answer(403, {}),
    });
    const device = await boot(world, worker, [stream, link]);
    await world.clock.runUntil(() => device.told.length > 0, 300_000);
    device.send("tell");
    await world.clock.run(1000);
    await device.close();
    t.deepEqual(device.told, [
      "ota/expired: files.test: status 403: the link does not hold any more",
      16,
    ]);
  });
}
