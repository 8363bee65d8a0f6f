// What a download of an image takes: the line's share, flash operations, memory on a 32-bit XS engine.
import { fileURLToPath } from "node:url";
import { buildEngine } from "../hosts/xs/engine/build.js";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { startDevice } from "../hosts/xs/engine/device.js";
import { Machine } from "../hosts/xs/engine/machine.js";
import { Power } from "../simulator/world/power.js";
import type { OfferSource } from "../src/ota/offer.js";
import { toBase64, toHex } from "../src/util/bytes.js";
import { blockBytes, DownloadWorld, link, stream } from "./ota-world.js";

const guest = fileURLToPath(new URL("./ota-guest.js", import.meta.url));
const sources: Readonly<Record<string, OfferSource>> = { stream, link };

export interface OtaRate {
  /** Bytes of the image in a second, from dialing to the last block. */
  readonly rate: number;
  readonly erases: number;
  readonly writes: number;
  readonly reads: number;
}

/** @param bytesPerSecond of the line, which takes 100 ms there and back */
export async function otaRate(
  source: OfferSource,
  size: number,
  bytesPerSecond: number,
): Promise<OtaRate> {
  const world = new DownloadWorld({ size });
  world.slow(bytesPerSecond);
  const power = new Power();
  const device = world.boot(power);
  device.download.sources([source]);
  device.connect();
  await world.clock.runUntil(() => device.outcome !== undefined, 86_400_000);
  if (device.outcome !== "complete") throw new Error(`ota: ${device.outcome}`);
  const { erases, reads } = world.nor.counts;
  const writes = power.operations - erases;
  return { rate: (size * 1000) / world.clock.ticks(), erases, writes, reads };
}

export interface OtaCost {
  /** Bytes of slots and chunks beyond those of the device at rest, online and with its slot opened. */
  readonly peak: number;
  /** Computrons for a block. */
  readonly block: number;
}

/** Flash is an array in the guest, so that nothing of it crosses the bridge; what comes over sockets does. */
export async function otaCost(
  source: OfferSource,
  worker: string,
  blocks: number,
): Promise<OtaCost> {
  const world = new DownloadWorld({ size: blocks * blockBytes });
  const machine = await Machine.start({ worker });
  const told: unknown[] = [];
  const device = await startDevice({
    machine,
    host: world.host(),
    bundle: await bundleModule(guest),
    config: {
      identity: toBase64(world.identity),
      size: world.image.length,
      sources: [source],
      ownBlocks: blocks + 1,
    },
    onEvent: event => {
      if (event.type === "error") throw event.error;
      told.push(event.value);
    },
  });
  world.idle = () => device.idle();
  try {
    device.send("connect");
    await world.clock.run(5000);
    await machine.collectAlways(true);
    await machine.memory({ resetPeaks: true });
    const before = await machine.memory({ resetPeaks: true });
    const { computrons } = machine;
    device.send("sources");
    await world.clock.runUntil(() => told.length > 0, 600_000);
    const after = await machine.memory();
    await world.clock.runUntil(() => told.length > 1, 600_000);
    if (told[1] !== toHex(world.identity)) throw new Error(`ota: ${told.join()}`);
    return {
      peak: (after.slotPeak - before.slots) * after.slotBytes + after.chunkPeak - before.chunkBytes,
      block: (machine.computrons - computrons) / blocks,
    };
  } finally {
    world.idle = () => Promise.resolve();
    await device.close();
  }
}

export async function ota(): Promise<void> {
  const size = 1 << 20;
  for (const [name, source] of Object.entries(sources)) {
    for (const bytesPerSecond of [125_000, 25_000, 2500]) {
      const { rate, erases, writes, reads } = await otaRate(source, size, bytesPerSecond);
      const share = Math.round((rate * 100) / bytesPerSecond);
      console.log(
        `${name}: 1 MB at ${bytesPerSecond} bytes/s and 100 ms: ${Math.round(rate)} bytes/s, ${share} %; ` +
          `flash: ${erases} erases, ${writes} writes, ${reads} reads`,
      );
    }
  }
  const engine = await buildEngine({ bits: 32 });
  if (!engine.ok) {
    console.log(`xs 32-bit left out: ${engine.missing}`);
    return;
  }
  for (const [name, source] of Object.entries(sources)) {
    const { peak, block } = await otaCost(source, engine.worker, 24);
    console.log(
      `${name}: xs 32-bit: peak ${peak} bytes above rest, ${Math.round(block)} computrons a block`,
    );
  }
}
