// Cuts the power at every flash operation of a day in an outbox's life, in every way, and asks what is there afterwards.
import { NorFlash } from "../../simulator/world/nor.js";
import type { Operation, Tear } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { type Entry, Outbox } from "../../src/outbox/outbox.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";

export const policies = [
  { sectors: 2, whenFull: "drop-oldest" },
  { sectors: 4, whenFull: "drop-oldest", ageLimitSeconds: 300 },
  { sectors: 3, whenFull: "refuse-new" },
] as const;

interface Promised {
  readonly id: number;
  readonly text: string;
}

type Doing =
  | { readonly what: "nothing" }
  | { readonly what: "append"; readonly priority: number; readonly text: string }
  | { readonly what: "acknowledge"; readonly id: number }
  | { readonly what: "drop"; readonly id: number }
  | { readonly what: "report"; readonly counts: readonly number[] };

/** What the product knows for sure, and the one thing it does not: the call that has not returned. */
class Model {
  /** Of each class, what was promised and neither acknowledged, oldest first. What was dropped stays: the gaps have to tell. */
  readonly promised: Promised[][] = [[], [], []];
  readonly acknowledged = new Set<number>();
  /** Given up by the product; counted in the gaps. */
  readonly dropped = new Set<number>();
  readonly refused = [0, 0, 0];
  /** What was reported: of each class refused ones, then all others. */
  readonly told = [0, 0, 0, 0, 0, 0];
  doing: Doing = { what: "nothing" };

  copy(): Model {
    const copy = new Model();
    this.promised.forEach((list, i) => {
      copy.promised[i] = [...list];
    });
    for (const id of this.acknowledged) copy.acknowledged.add(id);
    for (const id of this.dropped) copy.dropped.add(id);
    this.refused.forEach((n, i) => {
      copy.refused[i] = n;
    });
    this.told.forEach((n, i) => {
      copy.told[i] = n;
    });
    copy.doing = this.doing;
    return copy;
  }
}

const tellingOf = (outbox: Outbox): number[] => {
  const counts = [0, 0, 0, 0, 0, 0];
  for (const { priority, reason, count } of outbox.gaps())
    counts[priority * 2 + (reason === "refused" ? 0 : 1)]! += count;
  return counts;
};

const isSame = (a: readonly number[], b: readonly number[]) => a.every((n, i) => n === b[i]);

/** @throws an Error that says what a restart after a cut shows that must not be, or does not show that must */
function verify(outbox: Outbox, model: Model, now: number | undefined): void {
  const { doing } = model;
  if (outbox.gaps().some(({ reason }) => reason === "damaged")) throw new Error("damage was told");
  const missing = [0, 0, 0];
  const extra = [0, 0, 0];
  for (const priority of [0, 1, 2]) {
    const list = model.promised[priority]!;
    let index = 0;
    let previous = 0;
    let seen = 0;
    for (;;) {
      const entry = outbox.peek(priority, previous, now);
      if (entry === undefined) break;
      if (entry.id <= previous) throw new Error(`${entry.id} after ${previous}`);
      previous = entry.id;
      const text = fromUtf8(entry.payload);
      if (entry.topic !== topicOf(text)) throw new Error(`${text} with topic ${entry.topic}`);
      if (model.acknowledged.has(entry.id)) throw new Error(`acknowledged ${text} came back`);
      if (model.dropped.has(entry.id)) throw new Error(`dropped ${text} came back`);
      const found = list.findIndex(({ id }, i) => i >= index && id === entry.id);
      if (found < 0) {
        const isDoubt = doing.what === "append" && doing.priority === priority;
        if (!isDoubt || doing.text !== text) throw new Error(`${text} was never promised`);
        extra[priority]!++;
        continue;
      }
      if (list[found]!.text !== text) throw new Error(`${list[found]!.text} became ${text}`);
      if (seen > 0) {
        for (const lost of list.slice(index, found))
          if (!isExcused(lost, model)) throw new Error(`${lost.text} is lost between others`);
      }
      seen++;
      index = found + 1;
    }
    missing[priority] = list.length - seen;
    if (extra[priority]! > 1) throw new Error("a record came twice");
  }
  verifyGaps(outbox, model, missing);
}

function isExcused({ id }: Promised, { doing, dropped }: Model): boolean {
  return (
    dropped.has(id) || ((doing.what === "acknowledge" || doing.what === "drop") && doing.id === id)
  );
}

/** Every record that is missing is counted, once. */
function verifyGaps(outbox: Outbox, model: Model, missing: readonly number[]): void {
  const { doing } = model;
  const gaps = tellingOf(outbox);
  const told = doing.what === "report" ? doing.counts : [0, 0, 0, 0, 0, 0];
  const allowed: number[][] = [];
  for (const isTold of [false, true]) {
    const expected = [0, 1, 2].flatMap(priority => [model.refused[priority]!, missing[priority]!]);
    const base = expected.map((n, i) => n - model.told[i]! - (isTold ? told[i]! : 0));
    allowed.push(base);
    if (doing.what === "append") {
      const more = [...base];
      more[doing.priority * 2]!++;
      allowed.push(more);
    }
    if (doing.what === "acknowledge") {
      for (const priority of [0, 1, 2]) {
        if (!model.promised[priority]!.some(({ id }) => id === doing.id)) continue;
        const less = [...base];
        less[priority * 2 + 1]!--;
        allowed.push(less);
      }
    }
  }
  if (!allowed.some(counts => isSame(counts, gaps)))
    throw new Error(`gaps ${gaps}, expected ${allowed.join(" or ")}`);
}

const topicOf = (text: string) => `dt/${text.charCodeAt(text.length - 1) % 3}`;

/** A product that lives by chance. Every call it makes is in the model before it is made. */
class Life {
  readonly #random: Random;
  readonly #model: Model;
  #count: number;
  #time: number;

  constructor(random: Random, model: Model, count: number) {
    this.#random = random;
    this.#model = model;
    this.#count = count;
    this.#time = count * 1000;
  }

  get now(): number {
    return this.#time;
  }

  step(outbox: Outbox): void {
    const chance = this.#random.below(100);
    if (chance < 66) this.#append(outbox);
    else if (chance < 88) this.#acknowledge(outbox);
    else if (chance < 91) this.#drop(outbox);
    else if (chance < 94) this.#report(outbox);
    else if (chance < 97) outbox.peek(this.#random.below(3), 0, this.#time);
    else this.#time += 40_000;
    this.#model.doing = { what: "nothing" };
  }

  #append(outbox: Outbox): void {
    const model = this.#model;
    const priority = [0, 1, 1, 1, 2, 2][this.#random.below(6)]!;
    const text = `${priority}:${"x".repeat(this.#random.below(40))}${++this.#count}`;
    this.#time += 1000;
    model.doing = { what: "append", priority, text };
    const id = outbox.append({
      priority,
      topic: topicOf(text),
      payload: toUtf8(text),
      time: this.#time,
      isTimeCertain: this.#count % 5 !== 0,
    });
    if (id === undefined) model.refused[priority]!++;
    else model.promised[priority]!.push({ id, text });
  }

  #any(outbox: Outbox): Entry | undefined {
    const priority = this.#random.below(3);
    let entry = outbox.peek(priority);
    for (let skip = this.#random.below(4); skip > 0 && entry; skip--)
      entry = outbox.peek(priority, entry.id) ?? entry;
    return entry;
  }

  #acknowledge(outbox: Outbox): void {
    const entry = this.#any(outbox);
    if (entry === undefined) return;
    this.#model.doing = { what: "acknowledge", id: entry.id };
    if (!outbox.acknowledge(entry)) throw new Error("not acknowledged");
    this.#model.acknowledged.add(entry.id);
    const list = this.#model.promised[entry.priority]!;
    list.splice(
      list.findIndex(({ id }) => id === entry.id),
      1,
    );
  }

  #drop(outbox: Outbox): void {
    const entry = this.#any(outbox);
    if (entry === undefined) return;
    this.#model.doing = { what: "drop", id: entry.id };
    if (!outbox.drop(entry, "rejected")) throw new Error("not dropped");
    this.#model.dropped.add(entry.id);
  }

  #report(outbox: Outbox): void {
    const counts = tellingOf(outbox);
    this.#model.doing = { what: "report", counts };
    if (!outbox.reported(outbox.gaps())) throw new Error("not reported");
    counts.forEach((n, i) => {
      this.#model.told[i]! += n;
    });
  }
}

/** In place of the power: before each operation is done, every way in which it could be cut. */
class Fork {
  readonly isOn = true;
  readonly #nor: NorFlash;
  readonly #tears: (name: string) => readonly Tear[];
  readonly #onCut: (image: NorFlash, what: string) => void;

  constructor(
    nor: NorFlash,
    tears: (name: string) => readonly Tear[],
    onCut: (image: NorFlash, what: string) => void,
  ) {
    this.#nor = nor;
    this.#tears = tears;
    this.#onCut = onCut;
  }

  spend(operation: Operation): void {
    const before = this.#nor.bytes.slice();
    for (const tear of this.#tears(operation.name)) {
      operation.tear(tear);
      const image = this.#nor.clone();
      this.#nor.bytes.set(before);
      this.#onCut(image, `${operation.name}, ${tear.part}${tear.isMixed ? " mixed" : ""}`);
    }
    operation.perform();
    this.#onCut(this.#nor.clone(), `${operation.name}, done`);
  }
}

/** Not at all, at each of a record's bytes, and as the cells please. */
function everyTear(name: string): readonly Tear[] {
  const length = Number(/\+(\d+)/.exec(name)?.[1] ?? 8);
  const tears: Tear[] = [];
  for (let byte = 0; byte < length; byte++) tears.push({ part: byte / length, isMixed: false });
  for (const part of [0.1, 0.5, 0.9, 0.99]) tears.push({ part, isMixed: true });
  return tears;
}

const fewTears: readonly Tear[] = [
  { part: 0, isMixed: false },
  { part: 0.5, isMixed: false },
  { part: 0.7, isMixed: true },
];

export interface CutReport {
  readonly once: number;
  readonly twice: number;
  readonly failures: readonly string[];
}

/**
 * @param seed   of the life
 * @param steps  of the life
 * @param sample every so many cuts life goes on after it, and its operations are cut as well
 */
export function cutEverywhere(
  seed: number,
  steps: number,
  sample: number,
  writeAlign = 1,
): CutReport {
  let once = 0;
  let twice = 0;
  const failures: string[] = [];
  const attempt = (where: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      if (failures.length < 5) failures.push(`seed ${seed}, ${where}: ${(error as Error).message}`);
    }
  };
  const options = { blocks: 12, blockLength: 512, writeAlign, seed };
  const nor = new NorFlash(options);
  const model = new Model();
  const random = new Random(seed);
  const life = new Life(random, model, 0);
  const mount = (image: NorFlash, power?: Fork) =>
    new Outbox(image.open(power), { policies, generation: 9 });

  const again = (image: NorFlash, where: string) => {
    const copy = model.copy();
    const second = new Fork(
      image,
      () => fewTears,
      (twiceCut, what) => {
        twice++;
        attempt(`${where}; ${what}`, () => verify(mount(twiceCut), copy, undefined));
      },
    );
    attempt(`${where}, going on`, () => {
      const outbox = mount(image, second);
      verify(outbox, copy, undefined);
      settleDoubt(outbox, copy);
      const onwards = new Life(new Random(once), copy, 1_000_000 + once);
      for (let i = 0; i < 4; i++) onwards.step(outbox);
      verify(mount(image), copy, undefined);
    });
  };

  const power = new Fork(nor, everyTear, (image, what) => {
    once++;
    const where = `${model.doing.what}: ${what}`;
    if (once % sample === 0) again(image, where);
    else attempt(where, () => verify(mount(image), model, once % 3 === 0 ? 0 : undefined));
  });
  const outbox = mount(nor, power);
  attempt("life", () => {
    let current = outbox;
    for (let step = 0; step < steps; step++) {
      life.step(current);
      if (random.below(50) === 0) current = mount(nor, power);
    }
    verify(current, model, undefined);
  });
  if (nor.counts.faults > 0) failures.push(`seed ${seed}: ${nor.counts.faults} broken rules`);
  return { once, twice, failures };
}

/** After a restart the product takes what it sees for what is. */
function settleDoubt(outbox: Outbox, model: Model): void {
  const gaps = tellingOf(outbox);
  for (const priority of [0, 1, 2]) {
    const list: Promised[] = [];
    for (let after = 0; ; ) {
      const entry = outbox.peek(priority, after);
      if (entry === undefined) break;
      list.push({ id: entry.id, text: fromUtf8(entry.payload) });
      after = entry.id;
    }
    model.promised[priority] = list;
    model.refused[priority] = gaps[priority * 2]!;
    model.told[priority * 2] = 0;
    model.told[priority * 2 + 1] = -gaps[priority * 2 + 1]!;
  }
  model.dropped.clear();
  model.doing = { what: "nothing" };
}
