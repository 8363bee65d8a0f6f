// A month of one device by chance: outages, restarts, power cuts, bits that turn over. At its end, delivered and told is what was promised.
import test from "ava";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { Agent } from "../../src/index.js";
import { judge, Promised, recover, sendOne, windowRecords } from "./delivery-story.js";
import { classes, HostileWorld, sumOf } from "./hostile-world.js";

const minute = 60_000;
const days = 30;

for (const seed of [1, 2]) {
  test(`a month by chance (${seed})`, async t => {
    const random = new Random(seed);
    const nor = new NorFlash({ blocks: 16, blockLength: 1024, seed });
    const outbox = {
      batchBytes: seed === 1 ? 0 : 1000,
      policies: {
        alert: { sectors: 3, whenFull: "drop-oldest" },
        telemetry: { sectors: 6, whenFull: "drop-oldest", ageLimitSeconds: 36_000 },
        bulk: { sectors: 4, whenFull: "refuse-new" },
      },
    } as const;
    const world = new HostileWorld({ nor, outbox });
    const promised = new Promised();
    const newPower = () => {
      const way = random.below(4);
      const when = (["before", "after"] as const)[way] ?? {
        part: random.below(100) / 100,
        isMixed: way === 3,
      };
      return new Power({ operation: 50 + random.below(3000), when });
    };
    let power = newPower();
    let agent: Agent = world.boot(power);
    const counts = { boots: 1, cuts: 0, outages: 0, flips: 0 };
    let downUntil = 0;
    for (let step = 0; step < (days * 1440) / 5; step++) {
      const isDown = step < downUntil;
      if (world.network.isUp === isDown) {
        world.network.isUp = !isDown;
        if (isDown) counts.outages++;
      }
      if (!isDown && random.below(150) === 0)
        downUntil = step + 1 + random.below(random.below(4) === 0 ? 220 : 20);
      if (random.below(400) === 0) power.cut();
      if (random.below(300) === 0) {
        nor.flip(1);
        counts.flips++;
      }
      if (!power.isOn) {
        if (power.operations > 0) counts.cuts++;
        counts.boots++;
        power = newPower();
        agent = world.boot(power);
      }
      sendOne(agent, power, promised, "telemetry", "x".repeat(random.below(40)));
      if (step % 3 === 0) sendOne(agent, power, promised, "bulk", "y".repeat(random.below(60)));
      if (step % 24 === 0) sendOne(agent, power, promised, "alert");
      await world.run(5 * minute);
    }
    power.cut();
    await recover(world);
    await recover(world);
    const ends = counts.boots + counts.outages;
    const { fault, doubles, both } = judge(world, promised, ends);
    t.is(fault, undefined, `seed ${seed}`);
    const told = sumOf(world.gaps());
    for (const name of classes) {
      const arrived = new Set(world.received(name).map(({ id }) => id)).size;
      t.log(
        `${name}: ${promised.counts[name]} sent, ${arrived} arrived, ${told[name]} told as lost`,
      );
    }
    t.true(told["telemetry"]! > 0 && told["bulk"]! > 0);
    t.true(doubles < ends * windowRecords(world.published));
    t.log(
      `${JSON.stringify(counts)}, ${doubles} doubles, ${both} told and delivered, ${promised.doubts.size} cut off in \`send\``,
    );
  });
}
