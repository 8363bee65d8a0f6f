// A device that sleeps between its samples, over days: nothing measured is lost, and radio and flash are used as the policy says.
import test from "ava";
import { virtualHost } from "../../simulator/world/host.js";
import { Random } from "../../simulator/world/random.js";
import { Agent, limits } from "../../src/index.js";
import {
  cycleWorld,
  day,
  decisionOf,
  dialsOf,
  hour,
  minute,
  operationsOf,
  policy,
  type Wake,
} from "./cycle-world.js";

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
/** Where something is missing, twice or too early; -1 is nowhere. */
const wrongAt = (received: readonly { readonly n: number }[]) =>
  received.findIndex(({ n }, i) => n !== i);
const connected = (wakes: readonly Wake[]) => wakes.filter(wake => decisionOf(wake)?.connect);
const faults = (wakes: readonly Wake[]) =>
  wakes.flatMap(({ statuses }) =>
    statuses.flatMap(status => (status.type === "fault" ? [status.error] : [])),
  );

test("a week of samples each ten minutes: one link in six hours, one write to flash for a sample", async t => {
  const world = await cycleWorld();
  world.boot();
  await world.clock.run(7 * day + minute);
  const { wakes } = world;
  t.is(wakes.length, 7 * 144 + 1);
  t.deepEqual(faults(wakes), []);

  const [first, ...others] = wakes;
  t.deepEqual(decisionOf(first!), { connect: true, why: "contact" });
  const links = connected(others);
  t.true(links.every(wake => ["age", "contact"].includes(decisionOf(wake)!.why)));
  for (const [i, wake] of links.entries()) {
    const before = i === 0 ? 0 : links[i - 1]!.atMs;
    t.true(wake.atMs - before <= 6 * hour + 20 * minute, `link ${i} at ${wake.atMs}`);
  }

  // The beat is kept, links or not.
  t.true(wakes.every(({ atMs }, n) => atMs === n * 10 * minute));

  const ordinary = others.filter(wake => !decisionOf(wake)!.connect);
  t.deepEqual(
    ordinary.flatMap(wake => operationsOf(wake).named),
    [],
  );
  const writes = ordinary.map(wake => operationsOf(wake).nor.length);
  const wakesWithMore = writes.filter(count => count > 1).length;
  // Another topic, another sector: now and then.
  t.true(wakesWithMore <= ordinary.length / 20, `${wakesWithMore} of ${ordinary.length}`);
  t.true(ordinary.every(({ awakeMs }) => awakeMs === 0));

  const received = world.received();
  t.is(wrongAt(received), -1);
  t.true(received.length > 7 * 144 - 40);

  const week = 7;
  const onlineMs = links.reduce((sum, { awakeMs }) => sum + awakeMs, 0);
  const named = links.reduce((sum, wake) => sum + operationsOf(wake).named.length, 0);
  const bytes = ordinary
    .flatMap(wake => operationsOf(wake).nor)
    .reduce((sum, name) => sum + Number(name.split("+")[1] ?? 0), 0);
  t.log(`${(links.length / week).toFixed(1)} links a day`);
  t.log(`${Math.round(onlineMs / week)} ms awake for links a day, with ${received.length} records`);
  t.log(`${(bytes / ordinary.length).toFixed(1)} bytes of flash for a wake-up without a link`);
  t.log(`0 named values for such a wake-up, ${(named / week).toFixed(1)} a day for the links`);
});

test("an alert connects at once, and brings what waits along", async t => {
  const world = await cycleWorld();
  world.settings.product = (agent, cycle, n) => {
    agent.telemetry.send("climate", { n });
    if (n === 10) agent.telemetry.send("alarm", { n }, { priority: "alert" });
    cycle.sleep();
  };
  world.boot();
  await world.clock.run(2 * hour);
  const decisions = world.wakes.map(wake => decisionOf(wake)!.why);
  t.is(decisions[10], "alert");
  t.is(decisions.filter(why => why !== "nothing due").length, 2);
  t.deepEqual(
    world.received("alarm").map(({ n }) => n),
    [10],
  );
  t.deepEqual(
    world.received().map(({ n }) => n),
    upTo(11),
  );
  const { awakeMs } = world.wakes[10]!;
  t.true(awakeMs < 5000, `${awakeMs} ms`);
});

test("settings that were changed while it slept are in force with the next link", async t => {
  const world = await cycleWorld();
  world.boot();
  await world.clock.run(hour);
  world.cloud.updateDesired("node-SN-1", { level: 7 });
  await world.clock.run(7 * hour);
  t.deepEqual(world.settings.settingsHeard[0], { level: 7 });
  // Stored, so that each start of the program hears of them.
  t.true(world.settings.settingsHeard.length > 3);
  t.like(world.cloud.shadow("node-SN-1"), { state: { reported: { level: 7 } } });
});

test("alerts without end stay within the day's budget; all of them arrive", async t => {
  const world = await cycleWorld();
  world.settings.product = (agent, cycle, n) => {
    agent.telemetry.send("alarm", { n }, { priority: "alert" });
    cycle.sleep();
  };
  world.boot();
  await world.clock.run(3 * day);
  for (const begin of [0, day, 2 * day]) {
    const ofDay = world.wakes.filter(({ atMs }) => atMs >= begin && atMs < begin + day);
    t.true(dialsOf(ofDay) <= policy.budgetConnectsPerDay, `${dialsOf(ofDay)} dials`);
  }
  t.true(world.wakes.some(wake => decisionOf(wake)!.why === "budget"));
  const received = world.received("alarm");
  t.is(wrongAt(received), -1);
  t.true(received.length > 2 * 144);
});

test("two days without a network: dials become rare, and nothing is lost", async t => {
  const world = await cycleWorld();
  world.boot();
  await world.clock.run(hour);
  world.network.isUp = false;
  const before = world.wakes.length;
  await world.clock.run(2 * day);
  const dark = world.wakes.slice(before);
  t.is(dark.length, 2 * 144);
  t.true(
    dark.some(wake => decisionOf(wake)!.why === "backoff" || decisionOf(wake)!.why === "budget"),
  );
  t.true(dialsOf(dark) <= 2 * policy.budgetConnectsPerDay + 2, `${dialsOf(dark)} dials`);
  const darkMs = dark.reduce((sum, { awakeMs }) => sum + awakeMs, 0);
  t.log(
    `${dialsOf(dark) / 2} dials and ${Math.round(darkMs / 2)} ms awake a day without a network`,
  );
  world.network.isUp = true;
  await world.clock.run(12 * hour);
  const received = world.received();
  t.is(wrongAt(received), -1);
  t.true(received.length > before + 2 * 144);
});

test("power that was lost takes the retained memory: the device connects, and counts what waits on flash", async t => {
  const world = await cycleWorld();
  world.boot();
  await world.clock.run(3 * hour + minute);
  const waiting = world.wakes.at(-1)!.cycle.state.waiting[1];
  t.true(waiting > 10);
  world.sleep.losePower();
  world.network.isUp = false;
  world.boot();
  const { cycle } = world.wakes.at(-1)!;
  t.deepEqual(cycle.state.waiting, [0, waiting + 1, 0]);
  t.is(decisionOf(world.wakes.at(-1)!)!.why, "contact");
  await world.clock.run(10 * minute);
  world.network.isUp = true;
  // Six ordinary dials a day: four hours lie between two.
  await world.clock.run(5 * hour);
  const received = world.received();
  t.is(wrongAt(received), -1);
  t.true(received.length >= 20);
});

test("garbage in the retained memory begins the cycle anew", async t => {
  const world = await cycleWorld();
  world.sleep.write(new Uint8Array(64).fill(0x5a));
  world.boot();
  await world.clock.run(hour);
  t.is(decisionOf(world.wakes[0]!)!.why, "contact");
  t.is(connected(world.wakes).length, 1);
});

test("without a clock after sleep the cycle goes on, and samples say that their time is uncertain", async t => {
  const world = await cycleWorld();
  world.boot();
  await world.clock.run(hour);
  world.settings.isClockSet = false;
  await world.clock.run(day);
  t.true(world.wakes.every(({ atMs }, n) => atMs === n * 10 * minute));
  const links = connected(world.wakes);
  t.true(links.length >= 4 && links.length <= 6, `${links.length} links`);
  const received = world.received();
  t.is(wrongAt(received), -1);
  t.true(received.length > 100);
  t.true(received.slice(10).every(({ timeUncertain }) => timeUncertain === true));
});

test("woken each second by something else, the device keeps its budget", async t => {
  const world = await cycleWorld({}, { ...policy, maxWaitingRecords: 20 });
  world.boot();
  await world.clock.run(hour);
  for (let i = 0; i < 3600; i++) {
    if (world.sleep.isAsleep) world.sleep.wake();
    await world.clock.run(1000);
  }
  t.true(world.wakes.length > 3000);
  t.true(dialsOf(world.wakes) <= policy.budgetConnectsPerDay + 2, `${dialsOf(world.wakes)} dials`);
  const { elapsedMs } = world.wakes.at(-1)!.cycle.state;
  t.true(Math.abs(elapsedMs - 2 * hour) < 2 * minute, `${elapsedMs}`);
  await world.clock.run(2 * day);
  const received = world.received();
  // A link ends after two minutes, whatever is on its way then: that comes twice, under the same id.
  const ids = received.map(({ id }) => id);
  t.is(wrongAt(received.filter(({ id }, i) => ids.indexOf(id) === i)), -1);
  t.true(
    received.length - new Set(ids).size <= limits.drainInFlight * connected(world.wakes).length,
  );
});

test("a crash before sleep loses no record and no dial from the counts", async t => {
  const world = await cycleWorld();
  const sendAndSleep = world.settings.product;
  world.boot();
  await world.clock.run(hour + minute);
  const { waiting, dialsToday } = world.wakes.at(-1)!.cycle.state;
  world.settings.product = agent => {
    agent.telemetry.send("climate", { n: world.wakes.length - 1 });
    throw new Error("the product's own");
  };
  // A watchdog, or an exception, starts the program again at once.
  for (let i = 0; i < 3; i++) t.throws(() => world.sleep.wake(), { message: /own/ });
  const after = world.wakes.at(-1)!.cycle.state;
  t.deepEqual(after.waiting, [0, waiting[1] + 3, 0]);
  t.is(after.dialsToday, dialsToday);
  world.settings.product = sendAndSleep;
  world.boot();
  await world.clock.run(7 * hour);
  const received = world.received();
  t.is(wrongAt(received), -1);
});

test("a crash while it dials counts as a dial", async t => {
  const world = await cycleWorld();
  world.settings.product = (agent, cycle, n) => {
    agent.telemetry.send("alarm", { n }, { priority: "alert" });
    cycle.sleep();
  };
  for (let i = 0; i < 40; i++) {
    world.boot();
    world.wakes.at(-1)!.power.cut();
  }
  t.true(dialsOf(world.wakes) <= policy.budgetConnectsPerDay, `${dialsOf(world.wakes)} dials`);
});

test("without retained memory the state is a named value: one write for a wake-up", async t => {
  const world = await cycleWorld();
  world.settings.hasRetained = false;
  world.boot();
  await world.clock.run(day);
  const ordinary = world.wakes.slice(1).filter(wake => !decisionOf(wake)!.connect);
  t.true(ordinary.every(wake => operationsOf(wake).named.join() === "write cycle"));
  t.true(connected(world.wakes).length <= 6);
});

test("windows end before sleep, and their message is counted", async t => {
  const world = await cycleWorld({
    telemetry: { channels: { climate: { windowSeconds: 3600 } } },
  });
  world.settings.product = (agent, cycle, n) => {
    for (let i = 0; i < 5; i++) agent.telemetry.send("climate", { n });
    cycle.sleep();
  };
  world.boot();
  await world.clock.run(hour + minute);
  t.deepEqual(world.wakes.at(-1)!.cycle.state.waiting, [0, 6, 0]);
  t.is(world.received().length, 1);
});

test("a link that brings nothing is over in time, and followed by a backoff", async t => {
  const world = await cycleWorld({}, { ...policy, linkSeconds: 30 });
  world.network.isUp = false;
  world.boot();
  await world.clock.run(10 * minute - 1);
  const [first] = world.wakes;
  t.true(first!.awakeMs <= 35_000, `${first!.awakeMs} ms`);
  t.is(first!.cycle.state.failures, 1);
});

test("a host that cannot sleep, and an agent without an outbox, are refused in words", async t => {
  const world = await cycleWorld();
  const { clock, network, flash, cloud, nor, sleep } = world;
  const agent = (canSleep: boolean, hasOutbox: boolean) =>
    new Agent({
      host: virtualHost({
        id: "board-1",
        clock,
        random: new Random(1),
        network,
        flash,
        nor,
        ...(canSleep && { sleep }),
      }),
      endpoint: "cloud.test",
      trustAnchors: [cloud.claim().trustAnchor],
      identity: { template: "sensor-node", claim: cloud.claim(), parameters: {} },
      ...(hasOutbox && { outbox: {} }),
    });
  const code = "agent/options";
  t.throws(() => agent(false, true).cycle(policy), { code, message: /this host cannot sleep/ });
  t.throws(() => agent(true, false).cycle(policy), { code, message: /outbox is missing/ });
  const one = agent(true, true);
  t.throws(() => one.cycle({ ...policy, sampleSeconds: 0 }), { code, message: /sampleSeconds 0/ });
  t.throws(() => one.cycle({ ...policy, linkSeconds: 5 }), { code, message: /linkSeconds 5/ });
  one.cycle(policy);
  t.throws(() => one.cycle(policy), { code, message: /one already/ });
});
