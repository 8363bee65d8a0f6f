// A device with an outbox, the local cloud, and what the cloud has received; in virtual time.
import { virtualHost } from "../../simulator/world/host.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";
import { openWorld } from "../scenario/world.js";

export interface Received {
  readonly id: string;
  readonly time: number;
  readonly n: number;
  readonly timeUncertain?: boolean;
}

export interface GapReport {
  readonly gaps: readonly {
    readonly class: string;
    readonly reason: string;
    readonly count: number;
    readonly from: number;
    readonly to: number;
  }[];
}

/** @param blocks of 4 KB */
export async function deliveryWorld(blocks = 16, more: Partial<AgentOptions> = {}) {
  const world = await openWorld();
  const { clock, cloud, network, flash, events } = world;
  const nor = new NorFlash({ blocks });
  const claim = cloud.claim();
  const statuses: AgentStatus[] = [];
  const random = new Random(7);
  const make = (power = new Power()): Agent => {
    const base = virtualHost({ id: "board-1", clock, random, network, flash, power });
    return new Agent({
      host: { ...base, flash: nor.provider("outbox", power) },
      endpoint: "cloud.test",
      trustAnchors: [claim.trustAnchor],
      identity: { template: "sensor-node", claim, parameters: { SerialNumber: "SN-1" } },
      outbox: {},
      onStatus: status => statuses.push(status),
      ...more,
    });
  };
  const boot = (power = new Power()): Agent => {
    const agent = make(power);
    agent.start();
    return agent;
  };
  const messages = (channel: string): unknown[] =>
    events.flatMap(event =>
      event.type === "message" && event.topic === `dt/node-SN-1/${channel}`
        ? [JSON.parse(String(event.payload))]
        : [],
    );
  return {
    ...world,
    nor,
    make,
    boot,
    statuses,
    /** What arrived on a channel, messages of several records taken apart. */
    received: (channel: string) => messages(channel).flat() as Received[],
    messages,
    gaps: () => messages("gaps") as GapReport[],
    faults: () => statuses.flatMap(status => (status.type === "fault" ? [status.error] : [])),
  };
}
