// A program that runs alone on a 32-bit XS engine, and what it takes for each thing that it is told to do.
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../hosts/xs/engine/device.js";
import { Machine } from "../hosts/xs/engine/machine.js";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { Random } from "../simulator/world/random.js";
import { obliging, ScriptedBroker } from "../simulator/world/scripted-broker.js";

export class Measured {
  /** What the program has told; its errors are among it. */
  readonly told: unknown[];
  readonly #machine: Machine;
  readonly #device: Device;

  constructor(machine: Machine, device: Device, told: unknown[]) {
    this.#machine = machine;
    this.#device = device;
    this.told = told;
  }

  /** @returns computrons */
  async send(name: string, ...args: readonly unknown[]): Promise<number> {
    const before = this.#machine.computrons;
    this.#device.send(name, args);
    await this.#device.idle();
    return this.#machine.computrons - before;
  }

  /** Bytes of slots and chunks. */
  async ram(): Promise<number> {
    const { chunkBytes, slotBytes, slots } = await this.#machine.memory();
    return slots * slotBytes + chunkBytes;
  }

  /** As `send`. @returns how many bytes more there are meanwhile, garbage left out: the engine collects before every allocation */
  async peakOf(name: string, ...args: readonly unknown[]): Promise<number> {
    await this.#machine.collectAlways(true);
    // Once before: to count adds a slot and a name.
    await this.#machine.memory({ resetPeaks: true });
    const before = await this.#machine.memory({ resetPeaks: true });
    await this.send(name, ...args);
    const after = await this.#machine.memory();
    await this.#machine.collectAlways(false);
    const slots = (after.slotPeak - before.slots) * after.slotBytes;
    return slots + after.chunkPeak - before.chunkBytes;
  }
}

/** @param guest path of the program's module */
export async function measure<Result>(
  worker: string,
  guest: string,
  work: (program: Measured) => Promise<Result>,
): Promise<Result> {
  const machine = await Machine.start({ worker });
  let device: Device | undefined;
  try {
    const clock = new VirtualClock({ idle: () => Promise.resolve() });
    const network = new Network(clock, new ScriptedBroker(obliging).accept);
    const random = new Random(1);
    const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
    const told: unknown[] = [];
    device = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: {},
      onEvent: event => told.push(event.type === "event" ? event.value : event.error),
    });
    return await work(new Measured(machine, device, told));
  } finally {
    await device?.close();
    await machine.close();
  }
}
