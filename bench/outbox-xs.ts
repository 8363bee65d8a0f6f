// What the outbox takes on a 32-bit XS engine: memory at rest and at its peak, work for a record in and out.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../hosts/xs/engine/device.js";
import { Machine } from "../hosts/xs/engine/machine.js";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { Random } from "../simulator/world/random.js";
import { obliging, ScriptedBroker } from "../simulator/world/scripted-broker.js";

const guest = fileURLToPath(new URL("./outbox-guest.js", import.meta.url));
const rounds = 100;

export interface OutboxCost {
  /** Bytes of slots and chunks, for a partition of 1 MB, mounted and used. */
  readonly atRest: number;
  /** Bytes beyond that while a record of 64 bytes goes in, and while one goes out. */
  readonly appendPeak: number;
  readonly drainPeak: number;
  /** Computrons for each record, its share of topics, headers and erases included. */
  readonly append: number;
  readonly drain: number;
  /** Computrons for a blank partition of 1 MB. */
  readonly mount: number;
}

export async function outboxCost(worker: string): Promise<OutboxCost> {
  const machine = await Machine.start({ worker });
  const clock = new VirtualClock({ idle: () => Promise.resolve() });
  const network = new Network(clock, new ScriptedBroker(obliging).accept);
  const random = new Random(1);
  const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
  const seen: unknown[] = [];
  let device: Device | undefined;
  try {
    device = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: {},
      onEvent: event => seen.push(event.type === "event" ? event.value : event.error),
    });
    const send = async (name: string) => {
      const before = machine.computrons;
      device!.send(name);
      await device!.idle();
      return machine.computrons - before;
    };
    // Once before, so that names and what else stays is not counted; then everything again on a new outbox.
    for (const name of ["mount", "append", "drain", "one", "drainOne"]) await send(name);
    const peakOf = async (name: string) => {
      await machine.collectAlways(true);
      const before = await machine.memory({ resetPeaks: true });
      await send(name);
      const after = await machine.memory();
      await machine.collectAlways(false);
      const slots = (after.slotPeak - before.slots) * after.slotBytes;
      return slots + after.chunkPeak - before.chunkBytes;
    };
    const appendPeak = await peakOf("one");
    const drainPeak = await peakOf("drainOne");
    const mount = await send("mount");
    const append = (await send("append")) / rounds;
    const drain = (await send("drain")) / rounds;
    const atRest = await restOf(machine, device);
    if (seen.some(value => value !== 0)) throw new Error(`outbox: ${seen.join()}`);
    return { atRest, appendPeak, drainPeak, append, drain, mount };
  } finally {
    await device?.close();
    await machine.close();
  }
}

/** What one outbox more takes. */
async function restOf(machine: Machine, device: Device): Promise<number> {
  const use = async (name: string) => {
    device.send(name);
    await device.idle();
  };
  const counted = async () => {
    const { chunkBytes, slotBytes, slots } = await machine.memory();
    return slots * slotBytes + chunkBytes;
  };
  const made = async () => {
    for (const name of ["keep", "one", "drainOne"]) await use(name);
    return counted();
  };
  await made();
  const one = await made();
  const two = await made();
  // To count adds a slot and a name each time.
  return two - one - ((await counted()) - two);
}
