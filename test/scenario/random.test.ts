// Whatever happens to network and power, and whenever the cloud changes its mind: at the end the device follows.
import test from "ava";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { openWorld } from "./world.js";

const seeds = 40;

test(`${seeds} seeded hours of cuts, power losses and changed settings end provisioned, online and in agreement`, async t => {
  let cuts = 0;
  let powerLosses = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const world = await openWorld(seed);
    const random = new Random(seed * 7919);
    let power = new Power(random.below(30));
    world.boot(power);
    let wanted: { led: string; sampleSeconds: number } | undefined;
    for (let round = 0; round < 30; round++) {
      await world.clock.run(random.below(240_000));
      const chance = random.below(5);
      if (chance === 0) {
        world.network.isUp = !world.network.isUp;
        cuts++;
      } else if (chance === 1 || !power.isOn) {
        power.cut();
        power = new Power(random.below(40));
        world.boot(power);
        powerLosses++;
      } else if (chance === 2) {
        world.cloud.disconnect("node-SN-1");
      } else if (chance === 3 && world.cloud.things().length > 0) {
        wanted = {
          led: ["off", "red", "blue"][random.below(3)]!,
          sampleSeconds: 1 + random.below(3600),
        };
        world.cloud.updateDesired("node-SN-1", wanted);
      }
    }
    world.network.isUp = true;
    power.cut();
    world.boot();
    await world.clock.run(900_000);
    const where = `seed ${seed}`;
    t.deepEqual(world.cloud.clients(), ["node-SN-1"], where);
    t.is(world.cloud.things().length, 1, where);
    const shadow = world.cloud.shadow("node-SN-1") as {
      state: { reported: object; delta?: object };
    };
    t.is(shadow.state.delta, undefined, where);
    if (wanted)
      t.deepEqual(
        shadow.state.reported,
        { sampleSeconds: wanted.sampleSeconds, alertAbove: 27, led: wanted.led },
        where,
      );
    const bugs = world.statuses.filter(
      status => status.type === "fault" && status.error.code === "agent/illegal-event",
    );
    t.is(bugs.length, 0, where);
  }
  t.log(`${cuts} times the network changed, ${powerLosses} times the power went`);
  t.true(cuts > 50 && powerLosses > 50);
});
