// A device with an outbox and a name of its own, and a broker whose manners the test decides; in virtual time.
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";
import { identity } from "../shadow/device-world.js";
import type { GapReport, Received } from "./delivery-world.js";

export interface Publish {
  readonly channel: string;
  readonly text: string;
  readonly id: number | undefined;
  readonly link: number;
  readonly at: number;
}

export interface HostileOptions extends Partial<Omit<AgentOptions, "onStatus">> {
  readonly blocks?: number;
  readonly nor?: NorFlash;
  /** Called for each packet; what it answers with `true` gets no other answer. */
  readonly answer?: (...args: Parameters<Script>) => boolean;
  readonly onStatus?: (status: AgentStatus, agent: Agent) => void;
}

const names = ["alert", "telemetry", "bulk"] as const;

export type GapSums = { [name: string]: number };

/** What the cloud makes of the reports: of those with one id the last one counts. */
export function sumOf(reports: readonly GapReport[]): GapSums {
  const last = new Map<string, GapReport>();
  reports.forEach((report, i) => {
    last.set((report as { readonly id?: string }).id ?? `${i}`, report);
  });
  const sums: GapSums = { alert: 0, telemetry: 0, bulk: 0 };
  for (const { gaps } of last.values()) for (const gap of gaps) sums[gap.class]! += gap.count;
  return sums;
}

export class HostileWorld {
  /** Work of another engine that has to end before time goes on. */
  idle: () => Promise<void> = () => Promise.resolve();
  readonly clock = new VirtualClock({ idle: () => this.idle() });
  readonly random = new Random(5);
  readonly keyValue = new Flash();
  readonly statuses: AgentStatus[] = [];
  readonly published: Publish[] = [];
  readonly broker: ScriptedBroker;
  readonly network: Network;
  nor: NorFlash;
  answer: (...args: Parameters<Script>) => boolean;
  readonly #options: HostileOptions;

  constructor(options: HostileOptions = {}) {
    this.#options = options;
    this.nor = options.nor ?? new NorFlash({ blocks: options.blocks ?? 16 });
    this.answer = options.answer ?? (() => false);
    this.broker = new ScriptedBroker((packet, link) => {
      if (packet.cmd === "publish") {
        const channel = packet.topic.split("/").at(-1)!;
        const text = String(packet.payload);
        const at = this.clock.ticks();
        this.published.push({ channel, text, id: packet.messageId, link: link.index, at });
      }
      if (!this.answer(packet, link)) obliging(packet, link);
    });
    this.network = new Network(this.clock, this.broker.accept);
  }

  boot(power = new Power(), now: () => number | undefined = () => this.clock.now()): Agent {
    const { blocks, nor, answer, onStatus, ...more } = this.#options;
    const base = this.host(power);
    const clock = { ticks: () => this.clock.ticks(), now };
    const agent: Agent = new Agent({
      ...identity,
      host: { ...base, clock },
      outbox: {},
      ...more,
      onStatus: status => {
        this.statuses.push(status);
        onStatus?.(status, agent);
      },
    });
    agent.start();
    return agent;
  }

  /** The machine, for one boot. */
  host(power: Power): Host {
    const { clock, keyValue: flash, network, nor, random } = this;
    return virtualHost({ id: "board-1", clock, random, network, flash, nor, power });
  }

  run(ms: number): Promise<void> {
    return this.clock.run(ms);
  }

  messages(channel: string): unknown[] {
    return this.published
      .filter(one => one.channel === channel)
      .map(({ text }) => JSON.parse(text));
  }

  received(channel: string): Received[] {
    return this.messages(channel).flat() as Received[];
  }

  numbers(channel: string): number[] {
    return this.received(channel).map(({ n }) => n);
  }

  gaps(): GapReport[] {
    return this.messages("gaps") as GapReport[];
  }

  seen<T extends AgentStatus["type"]>(type: T) {
    return this.statuses.filter(status => status.type === type) as Extract<
      AgentStatus,
      { type: T }
    >[];
  }

  faults(): string[] {
    return this.seen("fault").map(({ error }) => error.code);
  }
}

export const classes = names;
export const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
