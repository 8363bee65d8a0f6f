// One device that runs jobs on Node, restarts and power cuts included, and the service as the reference has it: in virtual time
// and with seeded chance.
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { type Cut, Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Sleep } from "../../simulator/world/sleep.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";
import { JobsService } from "./service.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
export const identity = {
  endpoint: "cloud.test",
  trustAnchors: [pem("CERTIFICATE")],
  identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
};

export type Told = AgentStatus & { readonly at: number };

/** What stays while a device boots again and again: cloud, network, time. */
export class World {
  readonly clock: VirtualClock;
  readonly service: JobsService;
  readonly broker: ScriptedBroker;
  readonly network: Network;
  readonly statuses: Told[] = [];
  /** Work of another engine that has to end before time goes on. */
  idle: () => Promise<void> = () => Promise.resolve();

  constructor() {
    this.clock = new VirtualClock({ idle: () => this.idle() });
    this.service = new JobsService(this.clock);
    this.broker = new ScriptedBroker(this.service.script);
    this.network = new Network(this.clock, this.broker.accept);
  }

  readonly onStatus = (status: AgentStatus): void => {
    this.statuses.push({ ...status, at: this.clock.ticks() });
  };

  seen<T extends AgentStatus["type"]>(type: T) {
    return this.statuses.filter(status => status.type === type) as (Extract<
      AgentStatus,
      { type: T }
    > & { readonly at: number })[];
  }

  get faults(): string[] {
    return this.seen("fault").map(({ error }) => `${error.code}: ${error.message}`);
  }

  /** Of jobs: `queued a`, `started a 1`, `ended a SUCCEEDED reason`. */
  get story(): string[] {
    return this.seen("job").map(status => {
      const { state, jobId } = status;
      if (state === "queued") return `${state} ${jobId} ${status.operation}`;
      if (state === "deferred") return `${state} ${jobId} ${status.about} ${status.seconds}`;
      if (state === "started") return `${state} ${jobId} ${status.attempt}`;
      if (state === "progress") return `${state} ${jobId}`;
      return `${state} ${jobId} ${status.status} ${status.reason}`.trim();
    });
  }

  unplug(): void {
    this.network.isUp = false;
    this.service.lost();
  }

  plug(): void {
    this.network.isUp = true;
  }

  run(durationMs: number): Promise<void> {
    return this.clock.run(durationMs);
  }
}

export interface MachineOptions {
  readonly world?: World;
  readonly flash?: Flash;
  readonly seed?: number;
  /** Where the power goes in which boot, counted from 1; it comes back within a second. */
  readonly cuts?: ReadonlyMap<number, Cut>;
  readonly options?: Partial<AgentOptions>;
  readonly resetReason?: "deepSleep" | "powerOn" | "restart";
  /** The program ends each wake-up by itself, and is not started. */
  readonly sleeps?: boolean;
  /** Called for each boot, before `start`. */
  readonly program: (agent: Agent, machine: Machine) => void;
}

/** A machine that runs its program whenever it starts; restarts are asked for by the program, or by a test. */
export class Machine {
  readonly world: World;
  readonly flash: Flash;
  readonly clock: VirtualClock;
  readonly service: JobsService;
  agent!: Agent;
  host!: Host;
  power!: Power;
  /** Counted from 1. */
  boots = 0;
  restarts = 0;
  resetReason: MachineOptions["resetReason"];
  /** Of each boot, with its flash operations. */
  readonly operations: Power[] = [];
  #isRestarting = false;
  readonly #sleep: Sleep;
  readonly #nor = new NorFlash({ blocks: 16 });
  readonly #options: MachineOptions;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.world = options.world ?? new World();
    this.flash = options.flash ?? new Flash();
    this.resetReason = options.resetReason;
    this.clock = this.world.clock;
    this.service = this.world.service;
    this.#sleep = new Sleep(this.clock, () => {
      this.off();
      this.resetReason = "deepSleep";
      this.boot();
    });
    this.boot();
    this.clock.repeat(() => {
      if (!this.power.isOn && !this.#isRestarting && !this.#sleep.isAsleep) this.crash();
    }, 1000);
  }

  boot(): void {
    const power = new Power(this.#options.cuts?.get(this.boots + 1));
    this.operations.push(power);
    this.#isRestarting = false;
    const { clock, network, onStatus } = this.world;
    this.power = power;
    this.boots++;
    const host = virtualHost({
      id: "board-1",
      clock,
      random: new Random((this.#options.seed ?? 1) + this.boots),
      network,
      flash: this.flash,
      power,
      ...(this.resetReason && { resetReason: this.resetReason }),
      ...(this.#options.sleeps && { sleep: this.#sleep, nor: this.#nor }),
      onRestart: () => {
        if (!power.isOn) return;
        this.restarts++;
        this.#isRestarting = true;
        this.off();
        this.clock.set(() => this.boot(), 500);
      },
    });
    const told = (status: AgentStatus) => {
      if (power.isOn) onStatus(status);
    };
    this.agent = new Agent({ ...identity, ...this.#options.options, host, onStatus: told });
    this.host = host;
    try {
      this.#options.program(this.agent, this);
      if (!this.#options.sleeps) this.agent.start();
    } catch (error) {
      if (power.isOn) throw error;
    }
  }

  /** The power goes. */
  off(): void {
    this.power.cut();
    this.world.network.cutAll();
    this.service.lost();
  }

  /** The power goes, and comes back. */
  crash(): void {
    this.off();
    this.boot();
  }
}
