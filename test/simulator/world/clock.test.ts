// Virtual time: by due time, then in the order of asking, whatever is set, repeated and cleared meanwhile.
import test from "ava";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Random } from "../../../simulator/world/random.js";

test("timers fire by due time, then in the order they were asked for; cleared ones never do", async t => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const clock = new VirtualClock();
    const wanted: (readonly [at: number, order: number])[] = [];
    const fired: (readonly [at: number, order: number])[] = [];
    for (let order = 0; order < 200; order++) {
      const dueAt = random.below(50);
      const handle = clock.set(() => fired.push([clock.ticks(), order]), dueAt);
      if (random.below(3) === 0) clock.clear(handle);
      else wanted.push([dueAt, order]);
    }
    t.is(clock.pending, wanted.length);
    await clock.run(100);
    t.deepEqual(
      fired,
      wanted.sort((a, b) => a[0] - b[0] || a[1] - b[1]),
      `seed ${seed}`,
    );
    t.is(clock.pending, 0);
  }
});

test("a repeat keeps its beat and its place; clearing it, twice or from inside, ends it", async t => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  const beat = clock.repeat(() => fired.push(`beat ${clock.ticks()}`), 10);
  clock.set(() => fired.push("between"), 20);
  const self = clock.repeat(() => {
    fired.push("once");
    clock.clear(self);
  }, 15);
  await clock.run(30);
  clock.clear(beat);
  clock.clear(beat);
  clock.clear(undefined);
  await clock.run(30);
  t.deepEqual(fired, ["beat 10", "once", "beat 20", "between", "beat 30"]);
  t.is(clock.pending, 0);
  t.is(clock.ticks(), 60);
});
