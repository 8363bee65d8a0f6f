// What a channel costs on 32-bit XS: computrons for a reading and for a window's message, bytes while its window is open.
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

const guest = fileURLToPath(new URL("./telemetry-guest.js", import.meta.url));

export interface TelemetryCost {
  /** For each call with three readings, two of them numbers, one with a threshold. */
  readonly addComputrons: number;
  /** The end of a window of those, until its message is handed over. */
  readonly windowComputrons: number;
  /** The message of a thousand such readings. */
  readonly windowBytes: number;
  /** A wake-up's decision: state read, judged, written. */
  readonly wakeComputrons: number;
  /** Slots and chunks of a declared channel, and of the window it has open, after one reading. */
  readonly channelRam: number;
  readonly windowRam: number;
  /** The same after a thousand readings, and then how much more it is at the peak within one of them. */
  readonly windowRamAfterThousand: number;
  readonly peakRam: number;
}

const channels = 8;

export async function telemetryCost(worker: string): Promise<TelemetryCost> {
  const machine = await Machine.start({ worker });
  try {
    const clock = new VirtualClock({ idle: () => Promise.resolve() });
    const network = new Network(clock, new ScriptedBroker(obliging).accept);
    const random = new Random(1);
    const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
    const told: string[] = [];
    const device = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: {},
      onEvent: event => told.push(String(event.type === "event" ? event.value : event.error)),
    });
    const send = async (name: string, ...args: readonly unknown[]) => {
      const before = machine.computrons;
      device.send(name, args);
      await device.idle();
      return machine.computrons - before;
    };
    const ram = async () => {
      const { slots, slotBytes, chunkBytes } = await machine.memory();
      return slots * slotBytes + chunkBytes;
    };
    const each = async (name: string, ...args: readonly unknown[]) => {
      for (let i = 0; i < channels; i++) await send(name, `channel${i}`, ...args);
    };
    // Once before, so that nothing is counted that stays: names, and what the engine makes with a first call.
    await send("make", channels);
    await each("add", 1);
    await each("flush");
    await send("wake");
    await send("make", 0);
    told.length = 0;
    const empty = await ram();
    await send("make", channels);
    const made = await ram();
    await each("add", 1);
    const open = await ram();
    await each("add", 999);
    const full = await ram();
    await machine.collectAlways(true);
    await machine.memory({ resetPeaks: true });
    const before = await machine.memory({ resetPeaks: true });
    await send("add", "channel0", 1);
    const after = await machine.memory();
    await machine.collectAlways(false);
    const one = await send("add", "channel1", 1);
    const hundred = await send("add", "channel1", 101);
    const windowComputrons = await send("flush", "channel2");
    await send("tell");
    const wakeComputrons = await send("wake");
    await device.close();
    const [message, ...more] = told;
    if (more.length > 0 || !message?.includes('"count":1000'))
      throw new Error(`telemetry: ${told.join("; ")}`);
    return {
      addComputrons: (hundred - one) / 100,
      windowComputrons,
      windowBytes: message.length,
      wakeComputrons,
      channelRam: (made - empty) / channels,
      windowRam: (open - made) / channels,
      windowRamAfterThousand: (full - made) / channels,
      peakRam:
        (after.slotPeak - before.slots) * after.slotBytes + after.chunkPeak - before.chunkBytes,
    };
  } finally {
    await machine.close();
  }
}
