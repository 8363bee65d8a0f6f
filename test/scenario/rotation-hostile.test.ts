// What a change of identity must survive: products that ask again at once, flash that refuses, clocks, brokers that say no.
import test from "ava";
import { Power } from "../../simulator/world/power.js";
import type { AgentStatus } from "../../src/index.js";
import { heldIn } from "./identity.js";
import { openWorld, type World } from "./world.js";

const day = 86_400_000;
const identityOf = (world: World) => heldIn(world.flash).record.identity;

async function provisioned(more: Parameters<World["boot"]>[2] = {}, power = new Power()) {
  const world = await openWorld();
  const agent = world.boot(power, "SN-1", more);
  await world.clock.run(10_000);
  return { world, agent, before: identityOf(world)! };
}

/** Calls `work` once, from inside `onStatus`. */
function during(world: World, type: AgentStatus["type"], work: () => void): void {
  const push = world.statuses.push.bind(world.statuses);
  let isDone = false;
  world.statuses.push = (...items) => {
    const length = push(...items);
    if (!isDone && items[0]!.type === type) {
      isDone = true;
      work();
    }
    return length;
  };
}

for (const type of ["rotated", "rotationFailed"] as const) {
  test(`a product that rotates again as soon as it is told "${type}" gets another identity and stays online`, async t => {
    const { world, agent } = await provisioned();
    if (type === "rotationFailed") {
      world.cloud.deny("SN-1");
    }
    during(world, type, () => {
      world.cloud.allow("SN-1");
      agent.rotate();
    });
    agent.rotate();
    await world.clock.runUntil(() => world.seen(type).length > 0, 600_000);
    const asked = world.statuses.length;
    await world.clock.run(600_000);
    const rest = world.statuses.slice(asked).map(each => each.type);
    t.is(rest.filter(each => each === "rotated").length, 1);
    t.is(rest.filter(each => each === "offline").length, 0);
    t.is(heldIn(world.flash).record.enrollment, undefined);
  });
}

test("rotation that is asked for twice is one certificate", async t => {
  const { world, agent } = await provisioned();
  agent.rotate();
  agent.rotate();
  await world.clock.run(60);
  agent.rotate();
  await world.clock.run(10_000);
  t.is(world.seen("rotated").length, 1);
  t.is(world.cloudSaw("certificateIssued").length, 2);
});

test("flash that refuses the journal of a rotation that is done: both keys stay until a restart has written it", async t => {
  const { world, agent, before } = await provisioned();
  const domain = world.flash.values("skerry") as Map<string, Uint8Array>;
  const set = domain.set.bind(domain);
  let isFull = false;
  domain.set = (key, value) => {
    if (isFull && key.startsWith("identity.")) throw new Error("worn out");
    return set(key, value);
  };
  during(world, "registered", () => {
    isFull = true;
  });
  agent.rotate();
  await world.clock.run(10_000);
  t.is(world.seen("rotated").length, 1);
  agent.stop();
  await world.clock.run(5000);
  isFull = false;
  t.is(heldIn(world.flash).record.enrollment?.state, "registered");
  world.statuses.length = 0;
  world.boot();
  await world.clock.run(20_000);
  t.is(world.seen("rotated").length, 1);
  t.not(identityOf(world)?.certificateId, before.certificateId);
  t.false(world.seen("connecting").some(each => each.type === "connecting" && each.as === "claim"));
});

test("flash that refuses every write of a rotation costs the rotation, not the link", async t => {
  for (const refused of ["identity.", "key."]) {
    const { world, agent, before } = await provisioned();
    const domain = world.flash.values("skerry") as Map<string, Uint8Array>;
    const set = domain.set.bind(domain);
    domain.set = (key, value) => {
      if (key.startsWith(refused)) throw new Error("worn out");
      return set(key, value);
    };
    world.statuses.length = 0;
    agent.rotate();
    await world.clock.run(600_000);
    t.is(world.seen("offline").length, 0, refused);
    t.is(world.seen("rotationFailed").length, 1, refused);
    t.deepEqual(identityOf(world), before);
  }
});

test("flash that refuses a rotation by age is asked once a day", async t => {
  const { world } = await provisioned({ rotateAfterDays: 30 });
  const domain = world.flash.values("skerry") as Map<string, Uint8Array>;
  domain.set = key => {
    throw new Error(`worn out: ${key}`);
  };
  await world.clock.run(40 * day);
  t.is(world.seen("offline").length, 0);
  const failures = world.seen("rotationFailed").length;
  t.true(failures >= 9 && failures <= 12, `${failures}`);
});

test("a clock that is ahead, or certificates dated back: an age is a reason to ask once a day, not with every link", async t => {
  const { world } = await provisioned({ rotateAfterDays: 1 });
  world.clock.now = () => Date.UTC(2026, 0, 1) + 40 * day + world.clock.ticks();
  await world.clock.run(10 * day);
  t.true(world.cloudSaw("certificateIssued").length <= 12);
});

test("an identity on trial that is refused for ever is asked for by age once a day", async t => {
  const { world, before } = await provisioned({ rotateAfterDays: 30 });
  const push = world.statuses.push.bind(world.statuses);
  world.statuses.push = (...items) => {
    if (items[0]!.type === "certified") {
      const { certificateId } = items[0]!;
      world.clock.set(() => world.cloud.setCertificateStatus(certificateId, "INACTIVE"), 60);
    }
    return push(...items);
  };
  await world.clock.run(35 * day);
  const issued = world.cloudSaw("certificateIssued").length;
  t.true(issued >= 2 && issued <= 8, `${issued} certificates`);
  t.deepEqual(identityOf(world), before);
});

test("a move, or a stop and start, while the new identity proves itself: it proves itself on the next link", async t => {
  for (const kind of ["move", "stop"] as const) {
    const { world, agent } = await provisioned();
    world.statuses.length = 0;
    during(world, "online", () =>
      // Its proof is on the way then.
      world.clock.set(() => {
        if (kind === "move") agent.moveTo({ endpoint: "second.test" });
        else {
          agent.stop();
          agent.start();
        }
      }, 25),
    );
    agent.rotate();
    await world.clock.run(60_000);
    t.is(world.seen("rotated").length, 1, kind);
    t.is(world.seen("offline").length, 0, kind);
  }
});

test("a product that moves, stops or starts when it is told of a registration does no harm", async t => {
  for (const kind of ["move", "restart"] as const) {
    const { world, agent } = await provisioned();
    world.statuses.length = 0;
    during(world, "registered", () => {
      if (kind === "move") agent.moveTo({ endpoint: "second.test" });
      else {
        agent.stop();
        agent.start();
      }
    });
    agent.rotate();
    await world.clock.run(60_000);
    t.is(world.seen("rotated").length, 1, kind);
    t.is(world.seen("fault").length, 0, kind);
    t.is(world.seen("offline").length, 0, kind);
  }
});

test("a stopped agent waits for nothing, whatever it wanted to ask for one day", async t => {
  const waiting = [];
  for (const more of [{}, { rotateAfterDays: 30 }]) {
    const { world, agent } = await provisioned(more);
    agent.stop();
    await world.clock.run(10_000);
    waiting.push(world.clock.pending);
  }
  t.is(waiting[1], waiting[0]);
});
