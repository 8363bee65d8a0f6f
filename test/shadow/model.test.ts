// Every order in which things can go wrong, to a depth; and at random far beyond it.
import test, { type ExecutionContext } from "ava";
import { Random } from "../../simulator/world/random.js";
import { leavesOf } from "../../src/shadow/schema.js";
import { Broken, Model, type World } from "./model.js";
import type { Json } from "./reference-cloud.js";

/** What may happen next: its name, what it costs, and the world after it. */
interface Move {
  readonly name: string;
  readonly cost: "nothing" | "news" | "fault";
  readonly make: () => World;
}

/** Others' writes, and what the product sets. */
interface Alphabet {
  readonly writes: readonly Json[];
  readonly sets: readonly { readonly [path: string]: number }[];
  readonly failing: string;
}

function movesOf(model: Model, world: World, alphabet: Alphabet): readonly Move[] {
  const moves: Move[] = [];
  const add = (name: string, cost: Move["cost"], make: () => World) =>
    moves.push({ name, cost, make });
  const { record, toCloud, toDevice } = world;
  for (const values of alphabet.sets) {
    const isNew = Object.keys(values).some(path => record.values[path] !== values[path]);
    const name = `the product sets ${JSON.stringify(values)}`;
    if (isNew) add(name, "news", () => model.set(world, values));
  }
  if (world.telling) {
    add("the product takes it", "nothing", () => model.answer(world));
    add("the product stops the agent", "news", () => model.answer(model.lose(world, "all")));
    return moves;
  }
  if (world.isQueued) add("its turn", "nothing", () => model.turn(world));
  if (world.isTimed) add("due", "nothing", () => model.due(world));
  if (record.state === "idle") add("subscribed", "nothing", () => model.subscribed(world));
  toCloud.forEach(({ operation, body }, i) => {
    const what = `${operation} ${JSON.stringify(body)}`;
    add(`the cloud gets ${what}`, "nothing", () => model.serve(world, i));
    add(`the cloud gets for the first of two times ${what}`, "fault", () =>
      model.serve(world, i, true),
    );
    add(`the cloud never gets ${what}`, "fault", () => model.refuse(world, i, undefined));
    for (const code of operation === "update" ? [413, 429] : [500])
      add(`the cloud says ${code} to ${what}`, "fault", () => model.refuse(world, i, code));
  });
  toDevice.forEach(({ suffix, body }, i) => {
    const what = `${suffix} ${JSON.stringify(body)}`;
    add(`the device gets ${what}`, "nothing", () => model.deliver(world, i));
    add(`the device gets for the first of two times ${what}`, "fault", () =>
      model.deliver(world, i, true),
    );
    if (suffix === "update/delta")
      add(`the device cannot read ${what}`, "fault", () => model.garble(world, i));
  });
  for (const state of alphabet.writes)
    add(`somebody writes ${JSON.stringify(state)}`, "news", () => model.write(world, state));
  if (world.cloud.sections) {
    add("somebody deletes it", "news", () => model.remove(world, false));
    add("somebody deletes it, two days pass", "news", () => model.remove(world, true));
  }
  add("the power goes", "news", () => model.restart(world));
  if (world.token !== undefined) add("no answer in time", "fault", () => model.timeout(world));
  if (record.state !== "idle")
    for (const what of ["all", "toCloud", "toDevice", "nothing"] as const)
      add(`the link goes, lost is ${what}`, "news", () => model.lose(world, what));
  const { failing } = alphabet;
  if (world.failing.length === 0)
    add("the product becomes unable", "news", () => ({ ...world, failing: [failing] }));
  else add("the product is able again", "news", () => model.retry({ ...world, failing: [] }));
  return moves;
}

/** How it came to this: for the message of a failure. */
interface Story {
  readonly name: string;
  readonly before: Story | undefined;
}

function told(story: Story | undefined): string {
  const lines: string[] = [];
  for (let at = story; at; at = at.before) lines.unshift(at.name);
  return lines.join("\n");
}

const calmSteps = 120;

interface Calmed {
  readonly updates: number;
  readonly reads: number;
}

/** Goes on from `world` with nothing going wrong, until it is quiet, and judges. @returns what the device sent until then */
function calmed(model: Model, world: World, known: Map<string, Calmed>, story: Story): Calmed {
  let at = world;
  const path: { key: string; updates: number; reads: number }[] = [];
  let rest: Calmed = { updates: 0, reads: 0 };
  const names: string[] = [];
  try {
    for (;;) {
      const key = model.keyOf(at);
      const before = known.get(key);
      if (before) {
        rest = before;
        break;
      }
      const next = model.calm(at);
      if (!next) {
        model.check(at);
        known.set(key, rest);
        break;
      }
      const { operation } =
        next.tokens > at.tokens ? next.toCloud.at(-1)! : { operation: undefined };
      path.push({
        key,
        updates: operation === "update" ? 1 : 0,
        reads: operation === "get" ? 1 : 0,
      });
      names.push(
        JSON.stringify([next.record.state, next.toCloud.at(-1), next.toDevice, next.record]),
      );
      if (path.length > calmSteps) throw new Broken("it does not become quiet");
      at = next;
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const state = process.env["VERBOSE"] ? `\n${names.join("\n")}` : "";
    throw new Broken(`${error.message}\nafter\n${told(story)}\nand calm${state}`);
  }
  for (const { key, updates, reads } of path.reverse()) {
    rest = { updates: rest.updates + updates, reads: rest.reads + reads };
    known.set(key, rest);
  }
  return rest;
}

interface Count {
  states: number;
  transitions: number;
  depth: number;
  mostUpdates: number;
  mostReads: number;
}

/** Every state within so much news and so many faults, and every order of the messages between them. */
function explore(
  model: Model,
  start: World,
  alphabet: Alphabet,
  bounds: { readonly news: number; readonly faults: number },
  known: Map<string, Calmed>,
): Count {
  const count = { states: 0, transitions: 0, depth: 0, mostUpdates: 0, mostReads: 0 };
  const seen = new Set<string>();
  type At = { world: World; news: number; faults: number; story: Story };
  let frontier: At[] = [];
  const visit = (world: World, news: number, faults: number, story: Story, into: At[]) => {
    const key = `${news}${faults}${model.keyOf(world)}`;
    if (seen.has(key)) return;
    seen.add(key);
    const { updates, reads } = calmed(model, world, known, story);
    count.mostUpdates = Math.max(count.mostUpdates, updates);
    count.mostReads = Math.max(count.mostReads, reads);
    into.push({ world, news, faults, story });
  };
  visit(start, bounds.news, bounds.faults, { name: "start", before: undefined }, frontier);
  for (; frontier.length > 0; count.depth++) {
    const next: At[] = [];
    for (const { world, news, faults, story } of frontier) {
      for (const move of movesOf(model, world, alphabet)) {
        const newsLeft = news - (move.cost === "news" ? 1 : 0);
        const faultsLeft = faults - (move.cost === "fault" ? 1 : 0);
        if (newsLeft < 0 || faultsLeft < 0) continue;
        const after = { name: move.name, before: story };
        count.transitions++;
        visit(made(move, after), newsLeft, faultsLeft, after, next);
      }
    }
    frontier = next;
  }
  count.states = seen.size;
  return count;
}

function made(move: Move, story: Story): World {
  try {
    return move.make();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Broken(`${error.message}\nafter\n${told(story)}`);
  }
}

const small = new Model(
  leavesOf({
    a: { type: "integer", min: 0, max: 1, default: 0, wins: "device" },
    b: { type: "integer", min: 0, max: 1, default: 0 },
  }),
);

const smallAlphabet: Alphabet = {
  writes: [
    { desired: { a: 1 } },
    { desired: { a: 0 } },
    { desired: { b: 1 } },
    { desired: { b: 9 } },
    { desired: { b: null } },
    { desired: { z: 1 } },
    { desired: { z: null } },
    { reported: { b: 1 } },
    { reported: null },
  ],
  sets: [{ a: 1 }, { a: 0 }, { b: 1 }],
  failing: "b",
};

function say(t: ExecutionContext, text: string): void {
  console.log(text);
  t.log(text);
}

const settled = (model: Model, world: World): World => {
  for (let at = world; ; ) {
    const next = model.calm(at);
    if (!next) return at;
    at = next;
  }
};

const fresh = () => small.begin();
const quiet = () => settled(small, small.begin());
const wanted = () => settled(small, small.write(small.begin(), { desired: { a: 0, b: 0 } }));

/** Names where it begins, and how many things happen: news to somebody, faults of network or service. */
const explorations: readonly [string, () => World, number, number][] = [
  ["a device that is new", fresh, 1, 1],
  ["nothing is wanted", quiet, 2, 0],
  ["nothing is wanted", quiet, 1, 1],
  ["both settings are wanted", wanted, 2, 0],
  ["both settings are wanted", wanted, 1, 1],
];

for (const [name, start, news, faults] of explorations)
  test(`${name}: ${news} news, ${faults} faults, and every order of messages end well`, t => {
    const before = performance.now();
    const count = explore(small, start(), smallAlphabet, { news, faults }, new Map());
    const seconds = ((performance.now() - before) / 1000).toFixed(1);
    say(
      t,
      `${name}, ${news} news, ${faults} faults: ${count.states} states, ${count.transitions} transitions, ` +
        `depth ${count.depth}, at most ${count.mostUpdates} updates and ${count.mostReads} reads to quiet, ${seconds} s`,
    );
    t.true(count.mostUpdates <= 2);
    t.true(count.mostReads <= 3);
  });

const large = new Model(
  leavesOf({
    a: { type: "integer", min: 0, max: 5, default: 0, wins: "device" },
    b: { type: "integer", min: 0, max: 5, default: 0 },
    g: {
      type: "group",
      members: {
        c: { type: "integer", min: 0, max: 5, default: 0, wins: "device" },
        h: { type: "group", members: { d: { type: "integer", min: 0, max: 5, default: 0 } } },
      },
    },
  }),
);

function anyAlphabet(random: Random): Alphabet {
  const value = () => [0, 1, 2, 3, 9, "x", null, {}, [1]][random.below(9)] as Json;
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`n${i}`, value()]));
  const number = () => random.below(4);
  return {
    writes: [
      { desired: { a: value(), b: value() } },
      { desired: { b: number(), g: { c: number(), h: { d: number() } } } },
      { desired: { g: { c: value(), h: { d: value() }, z: value() } } },
      { desired: { g: value() } },
      { desired: random.below(3) === 0 ? many : { z: value() } },
      { reported: { b: value(), g: random.below(2) === 0 ? null : { c: 2 } } },
      [null, { desired: null }, { reported: null }, { reported: { _verdicts: null } }][
        random.below(4)
      ] as Json,
    ],
    sets: [{ a: number() }, { b: number() }, { "g.c": number(), "g.h.d": number() }],
    failing: ["a", "b", "g.h.d"][random.below(3)]!,
  };
}

const runs = Number(process.env["RUNS"] ?? 1500);
const length = 200;

test(`${runs} seeded runs of ${length} steps each end well from wherever they are`, t => {
  const before = performance.now();
  let transitions = 0;
  let judged = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const random = new Random(seed);
    let world = large.begin();
    let story: Story = { name: `seed ${seed}`, before: undefined };
    for (let i = 0; i < length; i++) {
      const all = movesOf(large, world, anyAlphabet(random));
      const free = all.filter(({ cost }) => cost === "nothing");
      const isCalm = free.length > 0 && (free.length > 8 || random.below(4) > 0);
      const moves = isCalm ? free : all;
      const move = moves[random.below(moves.length)]!;
      story = { name: move.name, before: story };
      world = made(move, story);
      transitions++;
      if (i % 20 > 0) continue;
      calmed(large, world, new Map(), story);
      judged++;
    }
  }
  const seconds = ((performance.now() - before) / 1000).toFixed(1);
  say(t, `${runs} runs: ${transitions} transitions, ${judged} states judged, ${seconds} s`);
  t.is(transitions, runs * length);
});
