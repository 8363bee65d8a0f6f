// The power goes at every flash operation between `send` and the cloud, and again while the device recovers.
import test from "ava";
import { type Cut, Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { judge, live, recover, smallWorld } from "./delivery-story.js";
import { sumOf } from "./hostile-world.js";

const ways: readonly Cut["when"][] = [
  "before",
  "after",
  { part: 0.5, isMixed: false },
  { part: 0.7, isMixed: true },
];

async function uncut() {
  const world = smallWorld();
  const power = new Power();
  const promised = await live(world, power);
  const { operations } = power;
  power.cut();
  const second = new Power();
  await recover(world, second);
  return { world, promised, operations };
}

test("the story pushes out, ages, refuses, reports and batches", async t => {
  const { world, promised, operations } = await uncut();
  t.is(judge(world, promised, 1).fault, undefined);
  const reasons = new Set(world.gaps().flatMap(({ gaps }) => gaps.map(({ reason }) => reason)));
  t.deepEqual([...reasons].sort(), ["aged", "full", "refused"]);
  t.true(world.published.some(({ text }) => text.startsWith("[") && text.includes("},{")));
  t.log(
    `${operations} flash operations, ${JSON.stringify(promised.counts)}, ${JSON.stringify(sumOf(world.gaps()))}`,
  );
});

test("the power goes at every flash operation: delivered and told are what was promised, of each class", async t => {
  const { operations } = await uncut();
  let cuts = 0;
  let doubles = 0;
  let both = 0;
  const failures: string[] = [];
  for (let operation = 0; operation < operations; operation++) {
    for (const when of ways) {
      const world = smallWorld();
      const promised = await live(world, new Power({ operation, when }));
      await recover(world);
      const verdict = judge(world, promised, 2);
      if (verdict.fault) failures.push(`${operation}, ${JSON.stringify(when)}: ${verdict.fault}`);
      cuts++;
      doubles += verdict.doubles;
      both += verdict.both;
    }
  }
  t.deepEqual(failures.slice(0, 5), []);
  t.log(
    `${cuts} cuts over ${operations} operations, ${doubles} doubles, ${both} told and delivered`,
  );
  console.log(`delivery: ${cuts} power cuts, nothing promised lost without a count`);
});

test("the power goes again while the device recovers: the same holds", async t => {
  const { operations } = await uncut();
  const random = new Random(21);
  let pairs = 0;
  let second = 0;
  const failures: string[] = [];
  for (let i = 0; i < 300; i++) {
    const when = ways[random.below(ways.length)]!;
    const again = { operation: random.below(25), when: ways[random.below(ways.length)]! };
    const operation = random.below(operations);
    const world = smallWorld();
    const promised = await live(world, new Power({ operation, when }));
    const power = new Power(again);
    await recover(world, power);
    if (!power.isOn) second++;
    power.cut();
    await recover(world);
    const { fault } = judge(world, promised, 3);
    if (fault)
      failures.push(`${operation} ${JSON.stringify(when)}, ${JSON.stringify(again)}: ${fault}`);
    pairs++;
  }
  t.deepEqual(failures.slice(0, 5), []);
  t.true(second > pairs / 3);
  t.log(`${pairs} pairs, ${second} of them with a cut in the recovery`);
  console.log(`delivery: ${second} pairs of power cuts, nothing promised lost without a count`);
});
