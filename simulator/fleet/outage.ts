// An hour without a cable and a restart in the middle of it, in virtual time: what was sent is held against what the cloud received.
import { fileURLToPath } from "node:url";
import type { AgentStatus, Host, OutboxSettings, Priority } from "../../src/index.js";
import { Cloud, type CloudEvent } from "../cloud/cloud.js";
import { VirtualClock } from "../world/clock.js";
import { Flash } from "../world/flash.js";
import { virtualHost } from "../world/host.js";
import { Network } from "../world/network.js";
import { NorFlash } from "../world/nor.js";
import { Power } from "../world/power.js";
import { Random } from "../world/random.js";
import type { Engine } from "./device.js";
import { type Counts, channels, type RecorderConfig, recorder } from "./recorder.js";

export interface OutageOptions {
  readonly engine: Engine;
  /** A partition that is too small for an hour, the classes' quotas with it. */
  readonly isTight: boolean;
  onEvent?(event: OutageEvent): void;
}

export type OutageEvent =
  | { readonly type: "cablePulled"; readonly minutes: number }
  | { readonly type: "restarted"; readonly sent: Counts }
  | { readonly type: "reconnected"; readonly sent: Counts }
  | { readonly type: "gapsTold"; readonly gaps: readonly Gap[] }
  /** Nothing is missing any more, or an hour was waited in vain. */
  | { readonly type: "drained"; readonly seconds: number; readonly isComplete: boolean };

/** A line of the report that the cloud received of what could not be kept. */
export interface Gap {
  readonly class: Priority;
  readonly reason: string;
  readonly count: number;
  /** Epoch ms of the first and of the last. */
  readonly from: number;
  readonly to: number;
}

export interface ClassFigures {
  /** Handed to the agent. */
  readonly sent: number;
  /** Arrived, doubles left out. */
  readonly received: number;
  readonly doubles: number;
  /** In the order they were sent. */
  readonly isInOrder: boolean;
  /** Reported as not kept. */
  readonly told: number;
}

export interface OutageFigures {
  readonly classes: Readonly<Record<Priority, ClassFigures>>;
  readonly gaps: readonly Gap[];
  /** Faults that the device told of. */
  readonly faults: readonly string[];
}

const serialNumber = "SN-OUTAGE";
const halfHourMs = 30 * 60_000;
const nothing: Counts = Object.freeze({ alert: 0, telemetry: 0, bulk: 0 });
const priorities = Object.freeze(["alert", "telemetry", "bulk"]) as readonly Priority[];

/** Six sectors for records, three for the ledger and to move in: the least there can be. */
const tight: OutboxSettings = {
  policies: {
    alert: { sectors: 2, whenFull: "drop-oldest" },
    telemetry: { sectors: 2, whenFull: "drop-oldest" },
    bulk: { sectors: 2, whenFull: "refuse-new" },
  },
};

/** A device from power on to power off. */
interface Life {
  idle(): Promise<void>;
  off(): Promise<void>;
}

interface LifeEvents {
  onStatus(status: AgentStatus): void;
  onSent(sent: Counts): void;
}

/** @throws Error when the XS engine is asked for and cannot be built, or what ended its program */
export async function outage(options: OutageOptions): Promise<OutageFigures> {
  const world = new OutageWorld(options);
  try {
    await world.open();
    await world.play();
    return world.figures;
  } finally {
    await world.close();
  }
}

/** A cloud, a network, a device with its flash, in time of their own. */
class OutageWorld {
  readonly #options: OutageOptions;
  readonly #random = new Random(1);
  readonly #flash = new Flash();
  readonly #nor: NorFlash;
  readonly #clock: VirtualClock;
  readonly #network: Network;
  readonly #record: CloudRecord;
  readonly #faults: string[] = [];
  #cloud: Cloud | undefined;
  #life: Life | undefined;
  #sent = nothing;

  constructor(options: OutageOptions) {
    this.#options = options;
    this.#nor = new NorFlash({ blocks: options.isTight ? 9 : 64 });
    this.#clock = new VirtualClock({
      idle: async () => {
        await this.#cloud?.idle();
        await this.#life?.idle();
      },
    });
    this.#network = new Network(this.#clock, (link, peer) => this.#cloud!.accept(link, peer));
    this.#record = new CloudRecord(gaps => this.#tell({ type: "gapsTold", gaps }));
  }

  get figures(): OutageFigures {
    return { ...this.#record.against(this.#sent), faults: this.#faults };
  }

  async open(): Promise<void> {
    this.#cloud = await Cloud.open({
      allow: [serialNumber],
      clock: this.#clock,
      timer: this.#clock,
      random: length => this.#random.bytes(length),
      onEvent: event => this.#record.hear(event),
    });
  }

  async play(): Promise<void> {
    await this.#powerOn();
    await this.#clock.run(20_000);
    this.#tell({ type: "cablePulled", minutes: (2 * halfHourMs) / 60_000 });
    this.#network.isUp = false;
    await this.#clock.run(halfHourMs);
    await this.#life!.off();
    this.#tell({ type: "restarted", sent: this.#sent });
    await this.#powerOn();
    await this.#clock.run(halfHourMs);
    this.#tell({ type: "reconnected", sent: this.#sent });
    this.#network.isUp = true;
    const reconnectedAt = this.#clock.ticks();
    await this.#clock.runUntil(() => this.#record.accountsFor(this.#sent), 2 * halfHourMs);
    const seconds = Math.round((this.#clock.ticks() - reconnectedAt) / 1000);
    this.#tell({ type: "drained", seconds, isComplete: isComplete(this.figures) });
  }

  async close(): Promise<void> {
    await this.#life?.off();
    await this.#cloud?.close();
  }

  async #powerOn(): Promise<void> {
    const power = new Power();
    const host = virtualHost({
      id: serialNumber,
      clock: this.#clock,
      random: this.#random,
      network: this.#network,
      flash: this.#flash,
      nor: this.#nor,
      power,
    });
    const { certificate, key, trustAnchor } = this.#cloud!.claim();
    const config: RecorderConfig = {
      endpoint: "cloud.test",
      trustAnchors: [trustAnchor],
      claim: { certificate, key },
      serialNumber,
      outbox: this.#options.isTight ? tight : {},
      sent: this.#sent,
    };
    this.#life = await lives[this.#options.engine](host, power, config, {
      onStatus: status => {
        if (status.type === "fault") this.#faults.push(status.error.message);
      },
      onSent: sent => {
        this.#sent = { ...sent };
      },
    });
  }

  #tell(event: OutageEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Whether every message has arrived once, in order, or was told of as not kept. */
export function isComplete({ classes, faults }: OutageFigures): boolean {
  const areWhole = priorities.every(name => {
    const { sent, received, told, doubles, isInOrder } = classes[name];
    return sent > 0 && received + told === sent && doubles === 0 && isInOrder;
  });
  return areWhole && faults.length === 0;
}

interface Received {
  readonly id: string;
  readonly n: number;
}

/** What the cloud has received of each class. */
class CloudRecord {
  readonly #seen: Record<Priority, Received[]> = { alert: [], telemetry: [], bulk: [] };
  readonly #gaps: Gap[] = [];
  readonly #onGaps: (gaps: readonly Gap[]) => void;

  constructor(onGaps: (gaps: readonly Gap[]) => void) {
    this.#onGaps = onGaps;
  }

  hear(event: CloudEvent): void {
    if (event.type !== "message") return;
    const channel = event.topic.split("/").at(-1);
    const message: unknown = JSON.parse(Buffer.from(event.payload).toString("utf8"));
    if (channel === "gaps") {
      const { gaps } = message as { readonly gaps: readonly Gap[] };
      this.#gaps.push(...gaps);
      this.#onGaps(gaps);
    }
    for (const name of priorities)
      if (channels[name] === channel) this.#seen[name].push(message as Received);
  }

  accountsFor(sent: Counts): boolean {
    return priorities.every(name => this.#seen[name].length + this.#told(name) >= sent[name]);
  }

  against(sent: Counts): Pick<OutageFigures, "classes" | "gaps"> {
    const figuresOf = (name: Priority): ClassFigures => {
      const seen = this.#seen[name];
      const received = new Set(seen.map(({ id }) => id)).size;
      const isInOrder = seen.every(({ n }, i) => i === 0 || n > seen[i - 1]!.n);
      const doubles = seen.length - received;
      return { sent: sent[name], received, doubles, isInOrder, told: this.#told(name) };
    };
    const classes = {
      alert: figuresOf("alert"),
      telemetry: figuresOf("telemetry"),
      bulk: figuresOf("bulk"),
    };
    return { classes, gaps: this.#gaps };
  }

  #told(name: Priority): number {
    return this.#gaps.reduce((sum, gap) => sum + (gap.class === name ? gap.count : 0), 0);
  }
}

type Start = (
  host: Host,
  power: Power,
  config: RecorderConfig,
  events: LifeEvents,
) => Promise<Life>;

const lives: Readonly<Record<Engine, Start>> = { node: onNode, xs: onXs };

async function onNode(
  host: Host,
  power: Power,
  config: RecorderConfig,
  { onStatus, onSent }: LifeEvents,
): Promise<Life> {
  recorder(host, config, onStatus, onSent).start();
  return {
    idle: () => Promise.resolve(),
    off: async () => power.cut(),
  };
}

const guest = fileURLToPath(new URL("./recorder-guest.js", import.meta.url));

async function onXs(
  host: Host,
  power: Power,
  config: RecorderConfig,
  { onStatus, onSent }: LifeEvents,
): Promise<Life> {
  const { buildEngine } = await import("../../hosts/xs/engine/build.js");
  const { bundleModule } = await import("../../hosts/xs/engine/bundle.js");
  const { startDevice } = await import("../../hosts/xs/engine/device.js");
  const { Machine } = await import("../../hosts/xs/engine/machine.js");
  const [engine, bundle] = await Promise.all([buildEngine(), bundleModule(guest)]);
  if (!engine.ok) throw new Error(`the XS engine cannot be built: ${engine.missing}`);
  const machine = await Machine.start({ worker: engine.worker });
  let crash: Error | undefined;
  const device = await startDevice({
    machine,
    host,
    bundle,
    config,
    onEvent: event => {
      if (event.type === "error") crash = event.error;
      else if (event.name === "status") onStatus(event.value as AgentStatus);
      else if (event.name === "sent") onSent(event.value as Counts);
    },
  }).catch(async (error: unknown) => {
    await machine.close();
    throw error;
  });
  return {
    idle: async () => {
      await device.idle();
      if (crash !== undefined) throw crash;
    },
    off: async () => {
      power.cut();
      await device.close();
    },
  };
}
