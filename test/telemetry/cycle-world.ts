// A device that sleeps between its samples, the local cloud, and what each wake-up has cost; in virtual time.
import { virtualHost } from "../../simulator/world/host.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { Sleep } from "../../simulator/world/sleep.js";
import {
  Agent,
  type AgentOptions,
  type AgentStatus,
  type DutyCycle,
  type DutyCyclePolicy,
  type Host,
} from "../../src/index.js";
import type { Received } from "../outbox/delivery-world.js";
import { openWorld } from "../scenario/world.js";

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

export const policy: DutyCyclePolicy = {
  sampleSeconds: 600,
  connectEverySeconds: 6 * 3600,
  maxWaitingRecords: 100,
  maxWaitingBytes: 50_000,
  budgetConnectsPerDay: 8,
};

export interface Wake {
  /** Ms since the world began. */
  readonly atMs: number;
  readonly power: Power;
  readonly statuses: AgentStatus[];
  readonly cycle: DutyCycle;
  awakeMs: number;
}

/** What a product does with a wake-up: by default a reading, then sleep. */
export type Product = (agent: Agent, cycle: DutyCycle, n: number) => void;

const sendAndSleep: Product = (agent, cycle, n) => {
  agent.telemetry.send("climate", { n });
  cycle.sleep();
};

export async function cycleWorld(more: Partial<AgentOptions> = {}, given = policy) {
  const world = await openWorld();
  const { clock, cloud, network, flash, events } = world;
  const nor = new NorFlash({ blocks: 64 });
  const claim = cloud.claim();
  const random = new Random(7);
  const wakes: Wake[] = [];
  const settings = {
    product: sendAndSleep,
    isClockSet: true,
    hasRetained: true,
    settingsHeard: [] as unknown[],
  };

  const boot = () => {
    const power = new Power();
    const atMs = clock.ticks();
    const statuses: AgentStatus[] = [];
    const base = virtualHost({ id: "board-1", clock, random, network, flash, nor, power, sleep });
    const { retained, ...system } = base.system;
    const host: Host = {
      ...base,
      // Ticks begin anew with each start of a machine.
      clock: {
        ticks: () => clock.ticks() - atMs,
        now: () => (settings.isClockSet ? clock.now() : undefined),
      },
      system: settings.hasRetained ? base.system : system,
    };
    const agent = new Agent({
      host,
      endpoint: "cloud.test",
      trustAnchors: [claim.trustAnchor],
      identity: { template: "sensor-node", claim, parameters: { SerialNumber: "SN-1" } },
      outbox: {},
      ...more,
      onStatus: status => {
        statuses.push(status);
        if (status.type === "sleeping") wake.awakeMs = clock.ticks() - atMs;
      },
    });
    const shadow = agent.settings({ level: { type: "integer", default: 1, min: 0, max: 9 } });
    shadow.onChange = changed => void settings.settingsHeard.push(changed);
    const cycle = agent.cycle(given);
    const wake: Wake = { atMs, power, statuses, cycle, awakeMs: 0 };
    wakes.push(wake);
    settings.product(agent, cycle, wakes.length - 1);
  };
  const sleep = new Sleep(clock, boot);

  return {
    ...world,
    nor,
    wakes,
    settings,
    sleep,
    boot,
    received: (channel = "climate") =>
      events.flatMap(event =>
        event.type === "message" && event.topic === `dt/node-SN-1/${channel}`
          ? ([JSON.parse(String(event.payload))].flat() as Received[])
          : [],
      ),
  };
}

export function decisionOf({ statuses }: Wake): { connect: boolean; why: string } | undefined {
  const found = statuses.find(status => status.type === "cycle");
  return found?.type === "cycle" ? { connect: found.connect, why: found.why } : undefined;
}

export const dialsOf = (wakes: readonly Wake[]): number =>
  wakes.reduce((sum, { statuses }) => sum + statuses.filter(isDial).length, 0);

const isDial = ({ type }: AgentStatus) => type === "connecting";

/** Flash operations: on raw flash `write 4096+80`, of a named value `write settings`. */
export function operationsOf({ power }: Wake): { nor: string[]; named: string[] } {
  const isNor = (name: string) => /^(write \d+\+\d+|erase \d+)$/.test(name);
  const names = [...power.names];
  return { nor: names.filter(isNor), named: names.filter(name => !isNor(name)) };
}
