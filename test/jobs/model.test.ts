// Every order in which things can go wrong with two jobs, to a depth; and at random far beyond it.
import test from "ava";
import { Random } from "../../simulator/world/random.js";
import type { JobEvent } from "../../src/jobs/record.js";
import {
  atFirst,
  type Cut,
  cancel,
  crash,
  deliver,
  happen,
  hint,
  type Id,
  isOver,
  lose,
  nameOf,
  serve,
  silence,
  type World,
} from "./model.js";

interface Move {
  readonly name: string;
  /** Faults are counted, and bounded. */
  readonly isFault: boolean;
  readonly make: () => World;
}

const succeeded: JobEvent = {
  type: "finished",
  outcome: { status: "SUCCEEDED", details: new Map() },
};
const failed: JobEvent = { type: "finished", outcome: { status: "FAILED", details: new Map() } };
const cuts: readonly Cut[] = ["before", "after"];

function movesOf(world: World): readonly Move[] {
  const moves: Move[] = [];
  const add = (name: string, make: () => World) => moves.push({ name, isFault: false, make });
  const fault = (name: string, make: () => World) => moves.push({ name, isFault: true, make });
  const { record, running } = world;
  if (!record.isOnline) add("online", () => happen(world, { type: "subscribed" }));
  else fault("the link is lost", () => lose(world));
  world.toCloud.forEach((asked, i) => {
    add(`served ${asked.request} ${asked.status}`, () => serve(world, i));
    fault(`served ${asked.request} ${asked.status}, not heard`, () => serve(world, i, false));
  });
  world.toDevice.forEach(({ event }, i) => {
    add(`hears ${event.type}`, () => deliver(world, i));
    for (const cut of cuts) fault(`hears ${event.type}, cut ${cut}`, () => deliver(world, i, cut));
  });
  if (world.hints > 0 && record.isOnline) add("a hint", () => hint(world));
  // Where an answer may still come, it is late.
  const mayCome = [...world.toCloud, ...world.toDevice].some(({ token }) => token === world.token);
  if (world.token !== undefined && mayCome) fault("silence", () => silence(world));
  else if (world.token !== undefined) add("silence", () => silence(world));
  if (world.isTimed) add("due", () => happen({ ...world, isTimed: false }, { type: "due" }));
  if (world.isPacing) add("paced", () => happen({ ...world, isPacing: false }, { type: "paced" }));
  if (running) {
    add(`${running} succeeds`, () => happen(world, succeeded));
    fault(`${running} fails`, () => happen(world, failed));
    fault(`${running} restarts`, () => happen(world, { type: "restart" }));
    fault(`${running} reports`, () =>
      happen(world, { type: "report", details: new Map([["x", "1"]]) }),
    );
    for (const cut of cuts) {
      fault(`${running} succeeds, cut ${cut}`, () => happen(world, succeeded, cut));
      fault(`${running} restarts, cut ${cut}`, () => happen(world, { type: "restart" }, cut));
    }
  }
  fault("the power goes", () => crash(world));
  for (const id of ["a", "b"] as const)
    if (!isOver(world, id)) fault(`${id} is cancelled`, () => cancel(world, id));
  if (!world.isGateClosed) fault("the gate closes", () => ({ ...world, isGateClosed: true }));
  else add("the gate opens", () => ({ ...world, isGateClosed: false }));
  return moves;
}

/** Without another fault both jobs come to their end, and the device to rest. */
function settles(from: World): World {
  let world: World = { ...from, isGateClosed: false };
  for (let i = 0; i < 80; i++) {
    const move = movesOf(world).find(({ isFault }) => !isFault);
    if (!move) break;
    world = move.make();
  }
  const { record, cloud, said } = world;
  for (const id of ["a", "b"] as Id[]) {
    if (!isOver(world, id)) throw new Error(`${id} stays ${cloud[id].status}`);
    const isAgreed = cloud[id].status === "CANCELED" || cloud[id].status === said[id];
    if (!isAgreed) throw new Error(`${id} is ${cloud[id].status}, the device says ${said[id]}`);
  }
  if (record.state !== "idle" || record.request) throw new Error(`it stays ${record.state}`);
  return world;
}

function attempt(path: readonly string[], work: () => World): World {
  try {
    return work();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${path.join("\n")}`, { cause: error });
  }
}

test("every order of up to two faults", t => {
  const most = 2;
  const seen = new Map<string, number>();
  let front: {
    readonly world: World;
    readonly path: readonly string[];
    readonly faults: number;
  }[] = [{ world: atFirst, path: [], faults: 0 }];
  let states = 0;
  while (front.length > 0) {
    const next: typeof front = [];
    for (const { world, path, faults } of front)
      for (const { name, isFault, make } of movesOf(world)) {
        const count = faults + (isFault ? 1 : 0);
        if (count > most) continue;
        const longer = [...path, name];
        const after = attempt(longer, make);
        const key = nameOf(after);
        const known = seen.get(key);
        if (known !== undefined && known <= count) continue;
        seen.set(key, count);
        if (known === undefined) {
          states++;
          attempt(longer, () => settles(after));
        }
        next.push({ world: after, path: longer, faults: count });
      }
    front = next;
  }
  t.log(`${states} states`);
  t.true(states > 1000, `${states}`);
});

test("at random, with faults beyond number", t => {
  const random = new Random(11);
  for (let n = 0; n < 3000; n++) {
    let world = atFirst;
    const path: string[] = [];
    for (let i = 0; i < 60; i++) {
      const moves = movesOf(world);
      // Faults are rarer than what is to be expected.
      const isFault = random.below(4) === 0;
      const some = moves.filter(move => move.isFault === isFault);
      const move = (some.length > 0 ? some : moves)[random.below(some.length || moves.length)]!;
      path.push(move.name);
      world = attempt(path, move.make);
      attempt(path, () => settles(world));
    }
  }
  t.pass();
});
