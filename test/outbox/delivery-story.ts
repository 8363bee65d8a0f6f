// A story with all that can become of a record: sent, batched, refused, pushed out, too old, reported; and what has to be true of its end.
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import type { Agent } from "../../src/index.js";
import { limits } from "../../src/limits.js";
import { classes, HostileWorld, type Publish, sumOf } from "./hostile-world.js";

export const small = {
  batchBytes: 300,
  policies: {
    alert: { sectors: 2, whenFull: "drop-oldest", ageLimitSeconds: 40 },
    telemetry: { sectors: 3, whenFull: "drop-oldest" },
    bulk: { sectors: 2, whenFull: "refuse-new" },
  },
} as const;

export const smallWorld = () =>
  new HostileWorld({ nor: new NorFlash({ blocks: 12, blockLength: 512 }), outbox: small });

/** Of each class, how often `send` was called. */
export class Promised {
  readonly counts: { [name: string]: number } = { alert: 0, telemetry: 0, bulk: 0 };
  /** Calls that never returned, since the power went: what they sent may be there or not. */
  readonly doubts = new Set<string>();
}

/** One message of a class; counted when `send` has returned while the power was on. */
export function sendOne(
  agent: Agent,
  power: Power,
  promised: Promised,
  name: string,
  text = "",
): void {
  if (!power.isOn) return;
  const n = promised.counts[name]!++;
  try {
    const readings = { n, ...(text && { text }) };
    agent.telemetry.send(name, readings, { priority: name as (typeof classes)[number] });
  } catch (error) {
    if (power.isOn) throw error;
  }
  if (!power.isOn) promised.doubts.add(`${name} ${n}`);
}

/** Two outages, one with more than the partition holds; the power may go at any time. @returns what was promised */
export async function live(world: HostileWorld, power: Power): Promise<Promised> {
  const promised = new Promised();
  const agent = world.boot(power);
  const send = (name: string, text?: string) => sendOne(agent, power, promised, name, text);
  await world.run(3000);
  for (const name of classes) send(name);
  await world.run(2000);
  world.network.isUp = false;
  for (let i = 0; i < 28; i++) {
    send("telemetry", "x".repeat(30 + (i % 3)));
    if (i % 3 < 2) send("bulk", "y".repeat(40));
    if (i % 6 === 0) send("alert");
    await world.run(2000);
  }
  world.network.isUp = true;
  await world.run(20_000);
  world.network.cutAll();
  for (const name of classes) send(name);
  await world.run(60_000);
  send("telemetry");
  await world.run(5000);
  return promised;
}

export interface Verdict {
  readonly fault: string | undefined;
  readonly doubles: number;
  /** Told as lost, and delivered: their acknowledgement had not come when they were dropped. */
  readonly both: number;
}

/** @param ends  how often a link may have ended with something on its way; each may bring a window of doubles */
export function judge(world: HostileWorld, promised: Promised, ends: number): Verdict {
  const sums = sumOf(world.gaps());
  const damaged = world.gaps().some(({ gaps }) => gaps.some(({ reason }) => reason === "damaged"));
  if (damaged) return { fault: "damage was told", doubles: 0, both: 0 };
  let doubles = 0;
  let both = 0;
  for (const name of classes) {
    const received = world.received(name);
    const ids = new Map<string, number>();
    let last = -1;
    for (const { id, n } of received) {
      if (ids.has(id)) {
        doubles++;
        continue;
      }
      if (n < last) return { fault: `${name} ${n} came after ${last}`, doubles, both };
      ids.set(id, n);
      last = n;
    }
    const arrived = new Set(ids.values());
    let lost = 0;
    for (let n = 0; n < promised.counts[name]!; n++)
      if (!arrived.has(n) && !promised.doubts.has(`${name} ${n}`)) lost++;
    const extra = sums[name]! - lost;
    if (extra < 0) {
      const what = `${promised.counts[name]} promised, ${arrived.size} arrived, ${sums[name]} told`;
      return { fault: `${name}: ${what}`, doubles, both };
    }
    both += extra;
  }
  const most = ends * windowRecords(world.published);
  if (doubles > most) return { fault: `${doubles} doubles`, doubles, both };
  return {
    fault: both > most + promised.doubts.size ? `${both} told and delivered` : undefined,
    doubles,
    both,
  };
}

export function windowRecords(published: readonly Publish[]): number {
  const sizes = published.map(({ text }) =>
    text.startsWith("[") ? text.split('"id"').length - 1 : 1,
  );
  return limits.drainInFlight * Math.max(1, ...sizes);
}

/** After the cut: boots, and lets everything arrive. */
export async function recover(world: HostileWorld, power = new Power()): Promise<void> {
  world.network.isUp = true;
  const agent = world.boot(power);
  await world.run(120_000);
  if (power.isOn) {
    agent.stop();
    await world.run(5000);
  }
}
