// From the product's `send` by way of flash to the cloud: complete, in order within a class, doubles only for what was on its way.
import test from "ava";
import { Power } from "../../simulator/world/power.js";
import type { Agent } from "../../src/index.js";
import { limits } from "../../src/limits.js";
import { deliveryWorld, type Received } from "./delivery-world.js";

const hour = 3_600_000;
const numbers = (received: readonly Received[]) => received.map(({ n }) => n);
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** What was seen for the first time, in the order it came. */
const once = (received: readonly Received[]) =>
  received.filter(({ id }, i) => received.findIndex(other => other.id === id) === i);

test("an hour without a cable, a restart in the middle: all arrives, in order, once, with its own time", async t => {
  const world = await deliveryWorld();
  const power = new Power();
  let agent = world.boot(power);
  await world.clock.run(10_000);
  world.network.isUp = false;
  let n = 0;
  const sample = async (count: number) => {
    for (let i = 0; i < count; i++) {
      agent.telemetry.send("climate", { n: n++ });
      await world.clock.run(10_000);
    }
  };
  const begin = world.clock.now()!;
  await sample(180);
  power.cut();
  agent = world.boot();
  await sample(180);
  t.is(world.received("climate").length, 0);
  world.network.isUp = true;
  await world.clock.run(600_000);
  const received = world.received("climate");
  t.deepEqual(numbers(received), upTo(360));
  t.is(new Set(received.map(({ id }) => id)).size, 360);
  t.deepEqual(
    received.map(({ time }) => Math.round((time - begin) / 10_000)),
    upTo(360),
  );
  t.deepEqual(world.gaps(), []);
  t.deepEqual(
    world.faults().filter(({ code }) => code.startsWith("outbox")),
    [],
  );
});

test("alerts go before telemetry, telemetry before bulk, each in its order", async t => {
  const world = await deliveryWorld();
  const agent = world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  await world.clock.run(1000);
  for (let n = 0; n < 10; n++)
    for (const priority of ["bulk", "telemetry", "alert"] as const)
      agent.telemetry.send(priority, { n }, { priority });
  world.network.isUp = true;
  await world.clock.run(300_000);
  const order = world.events.flatMap(event => {
    const channel = event.type === "message" && event.topic.split("/")[2];
    return channel === "bulk" || channel === "telemetry" || channel === "alert" ? [channel] : [];
  });
  t.deepEqual(order, [
    ...Array(10).fill("alert"),
    ...Array(10).fill("telemetry"),
    ...Array(10).fill("bulk"),
  ]);
});

test("what exceeded its class is told: which class, how many, why, from when to when", async t => {
  const world = await deliveryWorld(9, {
    outbox: {
      policies: {
        alert: { sectors: 2, whenFull: "drop-oldest" },
        telemetry: { sectors: 2, whenFull: "drop-oldest" },
        bulk: { sectors: 2, whenFull: "refuse-new" },
      },
    },
  });
  const agent = world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  const begin = world.clock.now()!;
  const sent = 500;
  for (let n = 0; n < sent; n++) {
    for (const priority of ["telemetry", "bulk"] as const)
      agent.telemetry.send(priority, { n, text: "x".repeat(40) }, { priority });
    await world.clock.run(1000);
  }
  world.network.isUp = true;
  await world.clock.run(600_000);
  const [report, ...others] = world.gaps();
  t.deepEqual(others, []);
  const of = (name: string) => report!.gaps.filter(gap => gap.class === name);
  const [full, ...moreFull] = of("telemetry");
  t.is(full?.reason, "full");
  t.deepEqual(moreFull, []);
  t.is(world.received("telemetry").length + full!.count, sent);
  t.deepEqual(numbers(world.received("telemetry")), upTo(sent).slice(full!.count), "the newest");
  t.is(Math.round((full!.from - begin) / 1000), 0);
  t.is(Math.round((full!.to - begin) / 1000), full!.count - 1);
  const [refused] = of("bulk");
  t.is(refused?.reason, "refused");
  t.deepEqual(numbers(world.received("bulk")), upTo(sent - refused!.count), "the oldest");
  const told = world.statuses.filter(({ type }) => type === "telemetryRefused");
  t.is(told.length, refused!.count);
  await world.clock.run(hour);
  t.is(world.gaps().length, 1, "told once");
});

test("what is too old when the link is back is dropped, and told", async t => {
  const world = await deliveryWorld();
  const agent = world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  agent.telemetry.send("climate", { n: 0 }, { ageLimitSeconds: 60 });
  agent.telemetry.send("climate", { n: 1 });
  await world.clock.run(hour);
  world.network.isUp = true;
  await world.clock.run(600_000);
  t.deepEqual(numbers(world.received("climate")), [1]);
  t.like(world.gaps(), [{ gaps: [{ class: "telemetry", reason: "aged", count: 1 }] }]);
});

test("the pace holds, and leaves room for the shadow", async t => {
  const world = await deliveryWorld(32, { outbox: { messagesPerSecond: 5 } });
  const agent = world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  for (let n = 0; n < 300; n++) agent.telemetry.send("climate", { n });
  world.network.isUp = true;
  while (world.received("climate").length === 0) await world.clock.run(1000);
  const first = world.received("climate").length;
  await world.clock.run(20_000);
  const rate = (world.received("climate").length - first) / 20;
  t.true(rate > 4.8 && rate <= 5.1, `${rate} a second`);
  await world.clock.run(60_000);
  t.deepEqual(numbers(world.received("climate")), upTo(300));
});

test("records of a channel go together, as many as a message may hold", async t => {
  const world = await deliveryWorld(16, { outbox: { batchBytes: 5000 } });
  const agent = world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  for (let n = 0; n < 300; n++) agent.telemetry.send(n < 150 ? "climate" : "light", { n });
  world.network.isUp = true;
  await world.clock.run(300_000);
  t.deepEqual(numbers([...world.received("climate"), ...world.received("light")]), upTo(300));
  const sizes = world.events.flatMap(event =>
    event.type === "message" && event.topic.endsWith("climate") ? [event.payload.length] : [],
  );
  t.true(sizes.length <= 4 && sizes.every(size => size <= 5000), `${sizes}`);
});

test("QoS 0 goes past the flash while the link is up, and by way of it while it is not", async t => {
  const world = await deliveryWorld();
  const agent = world.boot();
  await world.clock.run(10_000);
  const { programmed } = world.nor.counts;
  agent.telemetry.send("climate", { n: 0 }, { QoS: 0 });
  await world.clock.run(10_000);
  t.is(world.nor.counts.programmed, programmed);
  t.deepEqual(numbers(world.received("climate")), [0]);
  world.network.isUp = false;
  await world.clock.run(200_000);
  agent.telemetry.send("climate", { n: 1 }, { QoS: 0 });
  world.network.isUp = true;
  await world.clock.run(300_000);
  t.deepEqual(numbers(world.received("climate")), [0, 1]);
});

test("a partition that cannot be used is said once; telemetry waits in memory then", async t => {
  for (const [blocks, outbox, expected] of [
    [16, { partition: "other" }, "storage/write"],
    [4, {}, "outbox/partition"],
  ] as const) {
    const world = await deliveryWorld(blocks, { outbox });
    const agent = world.boot();
    agent.telemetry.send("climate", { n: 0 });
    await world.clock.run(10_000);
    t.deepEqual(
      world.faults().map(({ code }) => code),
      [expected],
    );
    t.deepEqual(numbers(world.received("climate")), [0]);
  }
});

test("what was sent before the agent started is kept like all else, and goes first", async t => {
  const world = await deliveryWorld();
  const power = new Power();
  const agent = world.make(power);
  agent.telemetry.send("climate", { n: 0 });
  power.cut();
  const again = world.make();
  again.telemetry.send("climate", { n: 1 });
  again.start();
  await world.clock.run(60_000);
  t.deepEqual(numbers(world.received("climate")), [0, 1]);
  t.true(world.received("climate").every(({ id }) => typeof id === "string"));
});

test("what was sent before a device had its name arrives under it", async t => {
  const world = await deliveryWorld();
  world.network.isUp = false;
  const agent = world.boot();
  agent.telemetry.send("climate", { n: 0 });
  await world.clock.run(hour);
  world.network.isUp = true;
  await world.clock.run(600_000);
  t.deepEqual(numbers(world.received("climate")), [0]);
});

/** Samples each second for a while, with and without a link; ends when all is quiet. @returns how many `send` has promised */
async function live(
  world: Awaited<ReturnType<typeof deliveryWorld>>,
  power: Power,
): Promise<number> {
  let agent: Agent = world.boot(power);
  let promised = 0;
  const send = () => {
    try {
      agent.telemetry.send("climate", { n: promised });
      // Power that went while it was being kept: the product would not have heard of it.
      if (power.isOn) promised++;
    } catch (error) {
      if (power.isOn) throw error;
    }
  };
  for (let round = 0; round < 12 && power.isOn; round++) {
    world.network.isUp = round % 4 >= 2;
    send();
    await world.clock.run(round === 2 ? 90_000 : 1000);
  }
  world.network.isUp = true;
  await world.clock.run(30_000);
  if (power.isOn) power.cut();
  agent = world.boot();
  await world.clock.run(200_000);
  agent.stop();
  await world.clock.run(10_000);
  return promised;
}

test("the power goes at every flash operation, torn or not: what was promised arrives, doubles are those on their way", async t => {
  const whole = new Power();
  t.is(await live(await deliveryWorld(9), whole), 12);
  const { operations } = whole;
  let cuts = 0;
  let doubles = 0;
  for (let operation = 0; operation < operations; operation++) {
    for (const when of ["before", "after", { part: 0.5, isMixed: false }] as const) {
      const world = await deliveryWorld(9);
      const promised = await live(world, new Power({ operation, when }));
      const received = world.received("climate");
      const seen = numbers(once(received));
      const title = `operation ${operation}, ${JSON.stringify(when)}`;
      t.deepEqual(
        seen.filter(n => n < promised),
        upTo(promised),
        title,
      );
      t.true(received.length - seen.length <= limits.drainInFlight, title);
      doubles += received.length - seen.length;
      cuts++;
    }
  }
  t.log(
    `${cuts} cuts over ${operations} operations: nothing promised was lost, ${doubles} doubles`,
  );
});
