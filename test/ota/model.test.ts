// Every order in which things can go wrong with an update, to a depth, with the power cut at every durable step; and at random far
// beyond it.
import test from "ava";
import { Random } from "../../simulator/world/random.js";
import { AgentError } from "../../src/errors.js";
import { Machine } from "./model.js";
import { atFirst, Broken, type Image, isOver, nameOf, type World } from "./model-world.js";

interface Move {
  readonly name: string;
  /** Faults are counted, and bounded. */
  readonly isFault: boolean;
  readonly after: World;
}

const first: Image = {
  kind: "good",
  identity: "0",
  version: "1.0.0",
  to: "1.0.0",
  ends: "SUCCEEDED",
};
const good: Image = { ...first, identity: "good", version: "2.0.0", to: "2.0.0" };
const better: Image = { ...first, identity: "better", version: "3.0.0", to: "3.0.0" };
const plain: Image = { ...good, identity: "plain", to: "" };
const crashes: Image = { ...good, kind: "crashes", identity: "crashes", ends: "FAILED" };
const unwell: Image = { ...crashes, kind: "unwell", identity: "unwell" };
const corrupt: Image = { ...crashes, kind: "corrupt", identity: "corrupt" };
/** Another than its manifest says, on a platform that does not tell before. */
const mislabelled: Image = { ...good, identity: "other", version: "2.1.0", ends: "FAILED" };
const older: Image = { ...plain, identity: "older", version: "0.9.0", ends: "FAILED" };

const scenarios: Readonly<Record<string, readonly Image[]>> = {
  "one that is good, then a better one": [first, good, better],
  "one without a manifest, then one with": [first, plain, better],
  "one that crashes, then a good one": [first, crashes, better],
  "one that crashes, and again": [first, crashes, crashes],
  "one that is not well, and again": [first, unwell, unwell],
  "one that is not what was signed, then a good one": [first, corrupt, good],
  "one of another version, then a good one": [first, mislabelled, better],
  "one that is older than it had to be, then a good one": [first, older, good],
  "one that is good, and again": [first, good, { ...good, ends: "REJECTED" }],
};

const broken = new AgentError("ota/source", "the link broke");

/** @param isCalm without faults */
function movesOf(world: World, images: readonly Image[], isCalm = false): readonly Move[] {
  const moves: Move[] = [];
  const make = (name: string, isFault: boolean, work: (machine: Machine) => void) => {
    const machine = new Machine(world, images);
    machine.attempt(() => work(machine));
    moves.push({ name, isFault, after: machine.world });
  };
  const fault = (name: string, work: (machine: Machine) => void) => {
    if (!isCalm) make(name, true, work);
  };
  /** And with the power cut before each of its durable steps. */
  const add = (name: string, work: (machine: Machine) => void) => {
    make(name, false, work);
    for (let left = 0; !isCalm; left++) {
      const machine = new Machine(world, images);
      if (!machine.attempt(() => work(machine), left)) break;
      moves.push({ name: `${name}, cut at ${left}`, isFault: true, after: machine.world });
    }
  };
  const now = new Machine(world, images);
  const { job, image, isOnTrial } = now;
  const { isOnline, doing } = world;
  const isHandling = world.held >= 0;
  const { state } = world.record;
  if (world.isRestarting) add("restarts", machine => machine.restart());
  if (!isOnline)
    add("online", ({ world }) => Object.assign(world, { isOnline: true, isTimeKnown: true }));
  else fault("the link is lost", ({ world }) => Object.assign(world, { isOnline: false }));
  if (isOnline && now.isCancelled) add("hears of it", machine => machine.heard());
  if (isOnline && job && !job.said && !isHandling && !world.isRestarting)
    add("offered", machine => machine.offer());
  if (isOnline && job?.said) add("told", machine => machine.told());
  if (isOnline && doing === "fetch") {
    add("fetched", machine => machine.fetched());
    fault("the download fails", machine => {
      machine.spoil();
      machine.event({ type: "failed", error: broken });
    });
  }
  if (doing === "verify") add("verified", machine => machine.verified());
  if (doing === "announce" && state === "announcing" && isOnline)
    add("announced", machine => machine.event({ type: "announced" }));
  if (doing === "ask" && state === "waiting") {
    add("allowed", machine => machine.allowed());
    fault("allowed, not saved", machine => {
      machine.spoil();
      machine.world.isFull = true;
      machine.allowed();
    });
    fault("allowed, not switched", machine => {
      machine.spoil();
      machine.allowed(true);
    });
  }
  const overdue = (machine: Machine) => {
    machine.spoil();
    machine.event({ type: "givenUp", cause: "overdue" });
  };
  if (doing === "watch") {
    if (!isOnTrial) throw new Broken("tried without being on trial");
    if (image.kind === "unwell") add("overdue", overdue);
    else fault("overdue", overdue);
  }
  if (doing === "watch" && !world.isWell && isOnline && image.kind === "good") {
    add("well", machine => {
      machine.world.isWell = true;
      machine.event({ type: "well" });
    });
    fault("not well", machine => machine.event({ type: "unwell" }));
  }
  if (doing === "watch" && world.isWell) {
    add("settled", machine => machine.settled());
    fault("well again", machine => machine.event({ type: "well" }));
    fault("well no more", machine => {
      machine.world.isWell = false;
      machine.event({ type: "unwell" });
    });
    fault("settled, not saved", machine => {
      machine.world.isFull = true;
      machine.settled();
    });
  }
  fault("the power goes", machine => machine.powerCut());
  if (job && !isOver(job)) fault("cancelled", machine => machine.cancel());
  if (world.day < 3)
    fault("a day passes", ({ world }) => Object.assign(world, { day: world.day + 1 }));
  return moves;
}

/** Without another fault every job comes to its end, and the device to rest. */
function settles(from: World, images: readonly Image[]): World {
  let world = from;
  for (let i = 0; i < 80; i++) {
    const [move] = movesOf(world, images, true);
    if (!move) break;
    world = move.after;
  }
  const { record, jobs, saved, floor, trials, running, slots, states, faults, day } = world;
  const say = (is: boolean, what: string) => {
    if (is) throw new Broken(`${what}: ${JSON.stringify(world)}`);
  };
  say(record.state !== "idle" || world.held >= 0 || world.isRestarting, `it stays ${record.state}`);
  say(states[running] !== "valid" || world.selected !== running, "what runs is not settled");
  const index = slots[running];
  const image = images[index]!;
  say(image.ends === "FAILED", "an image is there to stay that should not");
  jobs.forEach((job, i) => {
    const { ends, identity } = images[i + 1]!;
    say(!isOver(job), `a job stays ${job.status}`);
    say(job.status === "SUCCEEDED" && ends === "FAILED", "told a success");
    const isExcused = world.spoiled[i] || (ends === "REJECTED" && world.spoiled[i - 1]);
    say(job.status !== ends && !isExcused, `${job.status} instead of ${ends}`);
    say(job.status === "SUCCEEDED" && trials[i + 1] === 0, "told a success without a trial");
    say(job.status === "SUCCEEDED" && index < i + 1, "what was told to run does not");
    const all = trials.reduce((sum, n, j) => sum + (images[j]!.identity === identity ? n : 0), 0);
    say(all > 1 + faults + day - 1, `tried ${all} times`);
  });
  const own = jobs[index - 1];
  say(own !== undefined && !["SUCCEEDED", "CANCELED"].includes(own.status), `${own?.status} runs`);
  say(index > 0 && image.to !== "" && floor !== "1.5.0", "the floor is not raised");
  say(index === 0 && floor !== "", "the floor is raised");
  say(saved?.phase === "confirmed" && index === 0, "another image than the one that was confirmed");
  return world;
}

/** A start more, and nothing has changed. */
function rests(world: World, images: readonly Image[]): void {
  const machine = new Machine(world, images);
  machine.attempt(() => machine.powerCut());
  const after = settles(machine.world, images);
  const seen = ({ running, states, jobs, floor }: World) =>
    JSON.stringify({ running, states, floor, statuses: jobs.map(({ status }) => status) });
  const isSame = seen(after) === seen(world);
  if (!isSame) throw new Broken(`it does not rest: ${nameOf(world)} and ${nameOf(after)}`);
}

function attempt<Result>(path: readonly string[], work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${path.join("\n")}`, { cause: error });
  }
}

/** @returns states that were looked at */
function explore(images: readonly Image[], most: number, keepsTime = true): number {
  const seen = new Map<string, number>();
  let front = [{ world: atFirst(images, keepsTime), path: [] as readonly string[], faults: 0 }];
  while (front.length > 0) {
    const next: typeof front = [];
    for (const { world, path, faults } of front) {
      for (const { name, isFault, after } of attempt(path, () => movesOf(world, images))) {
        const count = faults + (isFault ? 1 : 0);
        if (count > most) continue;
        const key = nameOf(after);
        const known = seen.get(key);
        if (known !== undefined && known <= count) continue;
        seen.set(key, count);
        const longer = [...path, name];
        if (known === undefined) attempt(longer, () => rests(settles(after, images), images));
        next.push({ world: after, path: longer, faults: count });
      }
    }
    front = next;
  }
  return seen.size;
}

for (const [name, images] of Object.entries(scenarios)) {
  test.serial(`every order of up to two faults: ${name}`, t => {
    const states = explore(images, 2);
    t.log(`${states} states`);
    t.true(states > 300, `${states}`);
  });
}

test.serial(
  "every order of up to two faults: one that crashes, and again, without a clock that keeps time",
  t => {
    t.true(explore([first, crashes, crashes], 2, false) > 300);
  },
);

for (const keepsTime of [true, false]) {
  const clock = keepsTime ? "that keeps time" : "that has to be set at each start";
  test.serial(`the same image is tried again after a day, with a clock ${clock}`, t => {
    const images = [first, crashes, crashes];
    let world = atFirst(images, keepsTime);
    while (!isOver(world.jobs[0]!)) world = movesOf(world, images, true)[0]!.after;
    t.deepEqual(settles(world, images).trials, [0, 1, 0]);
    t.deepEqual(settles({ ...world, day: world.day + 1 }, images).trials, [0, 1, 1]);
  });
}

test.serial("at random, with faults beyond number", t => {
  const random = new Random(7);
  const all = Object.values(scenarios);
  for (let n = 0; n < 500; n++) {
    const images = all[n % all.length]!;
    let world = atFirst(images, n % 2 === 0);
    const path: string[] = [];
    for (let i = 0; i < 40; i++) {
      const moves = movesOf(world, images);
      const isFault = random.below(4) === 0;
      const some = moves.filter(move => move.isFault === isFault);
      const from = some.length > 0 ? some : moves;
      const move = from[random.below(from.length)]!;
      path.push(move.name);
      world = move.after;
    }
    attempt(path, () => rests(settles(world, images), images));
  }
  t.pass();
});
