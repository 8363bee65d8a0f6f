// The product of `product.ts` on Node or on the XS engine, restarts and crashes included.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine as Engine } from "../../hosts/xs/engine/machine.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { AgentStatus } from "../../src/index.js";
import { install } from "./product.js";
import { type JobsService, withoutShadows } from "./service.js";
import { identity, Machine, World } from "./world.js";

const guest = fileURLToPath(new URL("guest.js", import.meta.url));

export interface Driven {
  readonly world: World;
  readonly service: JobsService;
  readonly log: string[];
  readonly boots: number;
  crash(): void;
  close(): Promise<void>;
}

export async function drive(worker: string | undefined): Promise<Driven> {
  const log: string[] = [];
  if (worker !== undefined) {
    const device = new XsDevice(worker, log);
    await device.idle();
    withoutShadows(device.service);
    return device;
  }
  const machine = new Machine({ program: agent => install(agent, line => void log.push(line)) });
  withoutShadows(machine.service);
  return {
    world: machine.world,
    service: machine.service,
    log,
    get boots() {
      return machine.boots;
    },
    crash: () => machine.crash(),
    close: async () => machine.off(),
  };
}

class XsDevice implements Driven {
  readonly world = new World();
  readonly service = this.world.service;
  readonly log: string[];
  readonly #flash = new Flash();
  readonly #worker: string;
  #power = new Power();
  #running: { readonly idle: () => Promise<void>; readonly close: () => Promise<void> } | undefined;
  #booting: Promise<void>;
  boots = 0;

  constructor(worker: string, log: string[]) {
    this.#worker = worker;
    this.log = log;
    this.world.idle = () => this.idle();
    this.#booting = this.#boot();
  }

  async idle(): Promise<void> {
    for (let booting: Promise<void> | undefined; booting !== this.#booting; ) {
      booting = this.#booting;
      await booting;
      await this.#running?.idle();
    }
  }

  async #boot(): Promise<void> {
    const { clock, network, onStatus } = this.world;
    const power = new Power();
    this.#power = power;
    this.boots++;
    const host = virtualHost({
      id: "board-1",
      clock,
      random: new Random(this.boots),
      network,
      flash: this.#flash,
      power,
      onRestart: () => this.crash(),
    });
    const machine = await Engine.start({ worker: this.#worker });
    const device = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: identity,
      onEvent: event => {
        if (event.type === "error") throw event.error;
        if (event.name === "status") onStatus(event.value as AgentStatus);
        if (event.name === "log") this.log.push(event.value as string);
      },
    });
    this.#running = device;
    device.send("go");
    await device.idle();
  }

  crash(): void {
    this.#off();
    const before = this.#running;
    this.#running = undefined;
    this.#booting = (async () => {
      await before?.close();
      await this.#boot();
    })();
  }

  #off(): void {
    this.#power.cut();
    this.world.network.cutAll();
    this.service.lost();
  }

  async close(): Promise<void> {
    await this.idle();
    this.world.idle = () => Promise.resolve();
    await this.#running?.close();
    this.#off();
  }
}
