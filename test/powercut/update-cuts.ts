// Updates with their power cut at every flash operation in every way, once and again while the device recovers; and what is asked
// of each afterwards.
import type { Cut, Tear } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { isOver, job, runJob, type UpdateFlow } from "./update-flows.js";
import { nameOf, ownDocument, release, signing } from "./update-images.js";
import { UpdateSite } from "./update-site.js";

/** In which start of the machine, counted from the offer's, and where. */
export interface Place {
  readonly start: number;
  readonly cut: Cut;
}

export interface UpdateRun {
  readonly places: readonly Place[];
  /** What is not as it should be; empty. */
  readonly violations: readonly string[];
  /** `SUCCEEDED`, `FAILED`, `CANCELED`. */
  readonly status: string;
  readonly starts: number;
  /** Names of the flash operations of each start, from the offer until the end of its job. */
  readonly operations: readonly (readonly string[])[];
}

export interface UpdateMatrix {
  readonly flow: string;
  /** Flash operations without a cut. */
  readonly operations: number;
  readonly once: readonly UpdateRun[];
  readonly twice: readonly UpdateRun[];
}

const next = release("3.0.0");
const nextDocument = ownDocument(next);
const old = "1.0.0";

/** One update with these cuts, then another one without. */
export async function runUpdate(
  flow: UpdateFlow,
  places: readonly Place[] = [],
): Promise<UpdateRun> {
  const site = new UpdateSite(signing);
  await site.clock.runUntil(() => site.isSettled, 60_000);
  await flow.prepare?.(site);
  // What the flow does begins with a start of its own, so that this is cut as well.
  const from = site.powers.length;
  const started = site.starts.length;
  for (const { start, cut } of places) site.cuts.set(from + start, cut);
  flow.act?.(site);
  site.images.set(nameOf(flow.offered.version), flow.served ?? flow.offered.image);
  site.service.create(job, flow.document);
  site.restart();
  const isEnded = await site.clock.runUntil(() => isOver(site, job), 1_800_000);
  // Not only for a moment.
  await site.clock.run(5000);
  await site.clock.runUntil(() => isOver(site, job), 600_000);
  const operations = site.powers.slice(from).map(({ names }) => [...names]);
  const starts = site.starts.length - started;
  const status = site.service.status(job);
  const violations = [
    ...(isEnded && isOver(site, job) ? [] : [`not at rest, ${status}`]),
    ...(site.cutsMade === places.length ? [] : [`${site.cutsMade} cuts`]),
    ...violationsOf(site, flow, places.length, started),
  ];
  site.cuts.clear();
  const isNextOver = await runJob(site, "next", next, nextDocument);
  if (!isNextOver || site.service.status("next") !== "SUCCEEDED")
    violations.push(`the next update: ${site.service.reason("next")}`);
  if (site.running.version !== next.version) violations.push("the next update does not run");
  site.close();
  return { places, violations, status, starts, operations };
}

function violationsOf(
  site: UpdateSite,
  { ends, offered, prepare, floor }: UpdateFlow,
  cuts: number,
  started: number,
): string[] {
  const found: string[] = [];
  const say = (is: boolean, what: string) => is && found.push(what);
  const starts = site.starts.slice(started);
  const status = site.service.status(job);
  const { version, slot } = site.running;
  const reason = site.service.reason(job) ?? "";
  say(site.spoiled > 0, "an image started that is not whole");
  say(!site.isWholeSlot(slot), "what runs is not whole");
  const told = site.statuses.find(({ type }) => type === "fault");
  say(told !== undefined, `told of ${JSON.stringify(told)}`);
  const faults = brokenRules(site);
  say(faults > 0, `${faults} rules of the flash broken`);
  const isNew = version === offered.version;
  say(!isNew && version !== old, `runs ${version}`);
  say(isNew !== (status === "SUCCEEDED"), `${status} (${reason}), and ${version} runs`);
  say(ends === "old" && isNew, "an image runs that should not");
  say(ends === "new" && cuts === 0 && !isNew, `not updated: ${reason}`);
  // Without a cut while it was on trial there is no reason to give it up.
  const trials = starts.filter(start => start.isOnTrial);
  const wasCut = starts.some(({ isOnTrial }, i) => isOnTrial && isCutOff(starts[i + 1]));
  say(ends === "new" && !isNew && !wasCut, `given up without a trial cut off: ${reason}`);
  const wholeTrials = starts.filter((s, i) => s.isOnTrial && !isCutOff(starts[i + 1])).length;
  say(wholeTrials > 1 + (prepare === undefined ? 0 : cuts), `${wholeTrials} trials to their end`);
  say(prepare === undefined && trials.length > 1, `${trials.length} trials`);
  say(trials.length > 1 + cuts, `${trials.length} trials`);
  say(starts.length > 3 + 2 * cuts, `${starts.length} starts`);
  const isFloorRight = isNew ? site.floor.includes(floor ?? "") : site.floor === "";
  say(!isFloorRight, `the floor is "${site.floor}"`);
  return found;
}

function isCutOff(following: { readonly resetReason?: unknown } | undefined): boolean {
  return following?.resetReason === "powerOn";
}

function brokenRules({ slots }: UpdateSite): number {
  const { ota_0, ota_1, otadata } = slots.partitions;
  return ota_0.counts.faults + ota_1.counts.faults + otadata.counts.faults;
}

// -- cuts --

const fixedTears: readonly Tear[] = [
  { part: 0, isMixed: false },
  { part: 0.5, isMixed: false },
  { part: 0.5, isMixed: true },
  { part: 0.999, isMixed: false },
];

/** Before, torn, after: a beginning, nothing, nearly all, and as the cells please. */
export function cutsAt(operation: number, tears: number): readonly Cut[] {
  const random = new Random(1 + operation);
  const torn = Array.from({ length: tears }, (_, i) => {
    const fixed = fixedTears[i];
    return fixed ?? { part: random.below(1000) / 1000, isMixed: i % 2 === 0 };
  });
  return (["before", ...torn, "after"] as const).map(when => ({ operation, when }));
}

function placesOf(operations: UpdateRun["operations"], tears: number, from = 0): Place[] {
  return operations.flatMap((names, start) =>
    start < from
      ? []
      : names.flatMap((_, operation) => cutsAt(operation, tears).map(cut => ({ start, cut }))),
  );
}

export interface Sampling {
  /** Ways in which each operation is torn. */
  readonly tears: number;
  /** Every so many of the single cuts. */
  readonly once: number;
  /** Pairs of each single cut, at operations of the starts after it. */
  readonly pairs: number;
}

/** @param sampling the same every time */
export async function cutUpdate(flow: UpdateFlow, sampling: Sampling): Promise<UpdateMatrix> {
  const random = new Random(flow.name.length);
  const whole = await runUpdate(flow);
  const first = [whole];
  const once: UpdateRun[] = [];
  const twice: UpdateRun[] = [];
  const all = placesOf(whole.operations, sampling.tears);
  let due = 0;
  for (const [i, place] of all.entries()) {
    if (i % sampling.once !== 0) continue;
    const run = await runUpdate(flow, [place]);
    once.push(run);
    const then = placesOf(run.operations, sampling.tears, place.start + 1);
    for (due += sampling.pairs; due >= 1 && then.length > 0; due--) {
      const [other] = then.splice(random.below(then.length), 1);
      twice.push(await runUpdate(flow, [place, other!]));
    }
  }
  const operations = whole.operations.reduce((sum, names) => sum + names.length, 0);
  return { flow: flow.name, operations, once: [...first, ...once], twice };
}

/** That were made: the power may go once, or twice. */
export function cutsOf({ once, twice }: UpdateMatrix): number {
  return [...once, ...twice].reduce((sum, { places }) => sum + places.length, 0);
}

/** A line for each violation. */
export function faultsOf({ once, twice, flow }: UpdateMatrix): readonly string[] {
  return [...once, ...twice].flatMap(({ places, violations, operations }) =>
    violations.map(what => {
      const where = places.map(({ start, cut }) => {
        const name = operations[start]?.[cut.operation];
        return `start ${start}, ${cut.operation} ${name}, ${JSON.stringify(cut.when)}`;
      });
      return `${flow}: ${where.join("; then ") || "uncut"}: ${what}`;
    }),
  );
}
