// One flow with its power cut at every flash operation in every way, and what comes of it.
import { type Cut, Power, type Tear } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { onNode } from "./engines.js";
import type { Flow } from "./flows.js";
import { type Engine, Site, type Unit } from "./unit.js";

/** What became of the identity. */
export type Fate =
  /** There was none, and the device has one now. */
  | "earned"
  /** The one that was in force is in force. */
  | "kept"
  /** Another one is in force, as was asked for. */
  | "changed"
  /** Another one is in force, or none; nobody asked for that. */
  | "lost";

export interface Outcome {
  readonly fate: Fate;
  readonly isStuck: boolean;
  readonly orphans: number;
  readonly things: number;
  /** Values in flash with a private key that is of no more use. */
  readonly strayKeys: readonly string[];
  /** Codes of what the device told of after the first cut: faults, and links that ended. */
  readonly told: readonly string[];
}

export interface Run {
  readonly cuts: readonly Cut[];
  readonly outcome: Outcome;
  /** Flash operations of the last boot. */
  readonly operations: readonly string[];
}

export interface Matrix {
  readonly flow: string;
  /** Flash operations without a cut. */
  readonly operations: readonly string[];
  /** In how many ways each operation was torn. */
  readonly tears: number;
  /** Cuts in a run. */
  readonly times: 1 | 2;
  /** The uncut one is not among them. */
  readonly runs: readonly Run[];
}

/** Of lengths and of samples. */
export const seed = 1;
const limitMs = 1_800_000;

/** A beginning of the value, alone and with the old value's end, nothing of it, and all but the end. */
function tearsOf(operation: number): readonly Tear[] {
  const random = new Random(seed + operation);
  const part = () => random.below(1000) / 1000;
  return [
    { part: part(), isMixed: false },
    { part: part(), isMixed: true },
    { part: 0, isMixed: false },
    { part: 0.999, isMixed: false },
    { part: part(), isMixed: true },
  ];
}

/** @param tears how many of the ways an operation can be torn, in turn */
function cutsAt(operation: number, tears: number): readonly Cut[] {
  const all = tearsOf(operation);
  const torn = Array.from({ length: tears }, (_, i) => all[(operation + i) % all.length]!);
  return (["before", ...torn, "after"] as const).map(when => ({ operation, when }));
}

/** Runs a flow with these cuts, one for each boot, then boots with whole power. What came before is lived through on Node. */
async function run(site: Site, engine: Engine, flow: Flow, cuts: readonly Cut[]): Promise<Run> {
  const unit = site.unit(onNode);
  await flow.prepare(unit);
  unit.engine = engine;
  const inForce = [unit.inForce];
  let power = new Power(cuts[0]);
  await unit.boot(power);
  await flow.act(unit);
  for (const [i] of cuts.entries()) {
    if (i === 0) unit.statuses.length = 0;
    if (await unit.until(() => false, limitMs).then(() => unit.isOn))
      throw new Error(`${flow.name}: no flash operation ${JSON.stringify(cuts[i])}`);
    await unit.off();
    inForce.push(unit.inForce);
    flow.meanwhile?.(unit);
    power = new Power(cuts[i + 1]);
    await unit.boot(power);
    await flow.again?.(unit);
  }
  const isDone = () => unit.isAtRest && (flow.isDone?.(unit) ?? true);
  await unit.until(isDone, limitMs);
  // Not only for a moment.
  await site.clock.run(15_000);
  inForce.push(unit.inForce);
  const outcome = outcomeOf(unit, flow, inForce, isDone());
  await unit.off();
  return { cuts, outcome, operations: power.names };
}

function outcomeOf(
  unit: Unit,
  flow: Flow,
  inForce: readonly (string | undefined)[],
  isDone: boolean,
): Outcome {
  const { orphans, things, strayKeys, statuses } = unit;
  const told = statuses.flatMap(status => ("error" in status ? [status.error.code] : []));
  return {
    fate: fateOf(inForce, flow),
    isStuck: !isDone,
    orphans: orphans.length,
    things,
    strayKeys,
    told: [...new Set(told)].sort(),
  };
}

/** @param inForce before, after each cut, in the end */
function fateOf(inForce: readonly (string | undefined)[], flow: Flow): Fate {
  const known = inForce.filter((id, i) => i === 0 || id !== inForce[i - 1]);
  const [first, ...later] = known;
  if (known.at(-1) === undefined || later.includes(undefined)) return "lost";
  if (first === undefined) return later.length === 1 ? "earned" : "lost";
  if (later.length === 0) return "kept";
  return flow.changes ? "changed" : "lost";
}

/** Every operation of the flow, cut before, torn, and cut after. */
export async function cutOnce(flow: Flow, engine: Engine, tears: number): Promise<Matrix> {
  return withSite(async site => {
    const { operations } = await run(site, engine, flow, []);
    const runs: Run[] = [];
    for (const [operation] of operations.entries()) {
      for (const cut of cutsAt(operation, tears)) runs.push(await run(site, engine, flow, [cut]));
    }
    return { flow: flow.name, operations, tears, times: 1, runs };
  });
}

/**
 * Each operation of the boots after some of these runs, cut in one way.
 *
 * @param first  as `cutOnce` returned it
 * @param sample how many runs are gone on from, of each operation
 */
export async function cutTwice(
  flow: Flow,
  engine: Engine,
  first: Matrix,
  sample: number,
): Promise<Matrix> {
  const random = new Random(seed);
  const { operations, tears } = first;
  return withSite(async site => {
    const runs: Run[] = [];
    for (const [operation] of operations.entries()) {
      const here = first.runs.filter(({ cuts }) => cuts[0]!.operation === operation);
      for (let i = 0; i < sample; i++) {
        const [before] = here.splice(random.below(here.length), 1);
        for (const [next] of before!.operations.entries()) {
          const ways = cutsAt(next, tears);
          const cut = ways[random.below(ways.length)]!;
          runs.push(await run(site, engine, flow, [...before!.cuts, cut]));
        }
      }
    }
    return { flow: `${flow.name}, cut again`, operations, tears, times: 2, runs };
  });
}

async function withSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  const site = await Site.open();
  try {
    return await work(site);
  } finally {
    await site.cloud.close();
  }
}

/** What must not be, a line for each; none is as it should be. */
export function violationsOf({ flow, operations, times, runs }: Matrix): readonly string[] {
  return runs.flatMap(({ cuts, outcome }) => {
    const { fate, isStuck, orphans, things, strayKeys } = outcome;
    const isRight =
      fate !== "lost" && !isStuck && orphans <= times && things === 1 && strayKeys.length === 0;
    if (isRight) return [];
    const where = operations[cuts[0]!.operation];
    return [`${flow}: ${where}: ${JSON.stringify(cuts)}: ${JSON.stringify(outcome)}`];
  });
}
