// What path validation keeps in memory at its peak, garbage left out: the engine collects before every allocation.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { startDevice } from "../hosts/xs/engine/device.js";
import { Machine } from "../hosts/xs/engine/machine.js";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { Random } from "../simulator/world/random.js";
import { obliging, ScriptedBroker } from "../simulator/world/scripted-broker.js";
import { fromBase64 } from "../src/util/bytes.js";
import { anchor, intermediate, leaf } from "./certificates.js";

const guest = fileURLToPath(new URL("./path-guest.js", import.meta.url));
const certificateBytes = [leaf, intermediate, anchor]
  .map(text => fromBase64(text)!.length)
  .reduce((sum, length) => sum + length);

/** @returns bytes, the certificates themselves included */
export async function pathPeak(worker: string): Promise<number> {
  const machine = await Machine.start({ worker });
  try {
    const clock = new VirtualClock({ idle: () => Promise.resolve() });
    const network = new Network(clock, new ScriptedBroker(obliging).accept);
    const random = new Random(1);
    const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
    const answers: unknown[] = [];
    const device = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: {},
      onEvent: event => answers.push(event.type === "event" ? event.value : event.error),
    });
    const send = async (name: string) => {
      device.send(name);
      await device.idle();
    };
    // Once before, so that nothing is counted that stays.
    await send("read");
    await send("validate");
    await machine.collectAlways(true);
    const before = await machine.memory({ resetPeaks: true });
    await send("validate");
    const after = await machine.memory();
    await device.close();
    if (answers.join() !== "ec,ec") throw new Error(`path: ${answers.join()}`);
    const slotBytes = (after.slotPeak - before.slots) * after.slotBytes;
    return slotBytes + after.chunkPeak - before.chunkBytes + certificateBytes;
  } finally {
    await machine.close();
  }
}
