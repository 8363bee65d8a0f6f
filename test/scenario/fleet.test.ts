// A fleet whose power, or whose cloud, comes back for all at once: nobody is run over, and nobody waits for long.
import test, { type ExecutionContext } from "ava";
import { sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { Cloud } from "../../simulator/cloud/cloud.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { dark } from "../../simulator/world/faults.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Agent } from "../../src/index.js";

const fleetSize = 500;
/** One in twenty. */
const mostPerSecond = 25;
/** Two backoff caps. */
const mostMs = 240_000;
const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;

/** Default options, power that has just come back for all. */
function openFleet(seed: number) {
  const clock = new VirtualClock();
  const connects: number[] = [];
  const broker = new ScriptedBroker((packet, link) => {
    if (packet.cmd === "connect") connects.push(clock.ticks());
    obliging(packet, link);
  });
  const network = new Network(clock, broker.accept);
  const online = new Set<number>();
  for (let i = 0; i < fleetSize; i++) {
    const agent = new Agent({
      host: virtualHost({
        id: `board-${i}`,
        clock,
        random: new Random(seed * fleetSize + i),
        network,
        flash: new Flash(),
        resetReason: "powerOn",
      }),
      endpoint: "cloud.test",
      trustAnchors: [pem("CERTIFICATE")],
      identity: {
        thingName: `node-${i}`,
        certificate: pem("CERTIFICATE"),
        key: pem("PRIVATE KEY"),
      },
      onStatus: ({ type }) => {
        if (type === "online") online.add(i);
        if (type === "offline") online.delete(i);
      },
    });
    agent.start();
  }
  const allOnline = () => clock.runUntil(() => online.size === fleetSize, 3_600_000);
  return { clock, network, connects, online, allOnline };
}

/** The most in any 1000 ms, wherever they begin. */
function peakOf(times: readonly number[]): number {
  let peak = 0;
  let from = 0;
  for (let to = 0; to < times.length; to++) {
    while (times[to]! - times[from]! >= 1000) from++;
    peak = Math.max(peak, to - from + 1);
  }
  return peak;
}

function judge(t: ExecutionContext, what: string, connects: readonly number[], tookMs: number) {
  const peak = peakOf(connects);
  t.log(`${what}: peak ${peak} connects a second, all ${fleetSize} online after ${tookMs} ms`);
  t.true(peak <= mostPerSecond, `${peak} in a second`);
  t.true(tookMs <= mostMs, `${tookMs} ms`);
}

test("power comes back for five hundred at once: no second sees more than one in twenty, all are in within two caps", async t => {
  for (const seed of [1, 2, 3]) {
    const { clock, connects, allOnline } = openFleet(seed);
    t.true(await allOnline());
    judge(t, `power, seed ${seed}`, connects, clock.ticks());
    t.is(connects.length, fleetSize);
  }
});

test("a cloud that comes back after five minutes: the same bounds", async t => {
  for (const seed of [1, 2, 3]) {
    const { clock, network, connects, online, allOnline } = openFleet(seed);
    t.true(await allOnline());
    await clock.run(300_000);
    network.isUp = false;
    await clock.run(300_000);
    t.is(online.size, 0);
    network.isUp = true;
    const backAt = clock.ticks();
    connects.length = 0;
    t.true(await allOnline());
    judge(t, `cloud, seed ${seed}`, connects, clock.ticks() - backAt);
  }
});

test("a network that goes dark for five minutes: each notices at its own time, and the same bounds hold", async t => {
  const { clock, network, connects, allOnline } = openFleet(1);
  t.true(await allOnline());
  await clock.run(300_000);
  network.faults = dark;
  await clock.run(300_000);
  network.faults = {};
  const backAt = clock.ticks();
  connects.length = 0;
  t.true(await allOnline());
  judge(t, "dark", connects, clock.ticks() - backAt);
});

// The first retry comes within a second, for each device of its own: a cloud that drops all and is there at once has them all
// back in that second. This is what it costs, no bound is promised.
test("a cloud that is gone for moments has everybody back within two caps; the peaks are told", async t => {
  for (const outageMs of [0, 1000, 5000, 30_000]) {
    const { clock, network, connects, allOnline } = openFleet(1);
    t.true(await allOnline());
    await clock.run(300_000);
    network.isUp = false;
    await clock.run(outageMs);
    network.isUp = true;
    const backAt = clock.ticks();
    connects.length = 0;
    t.true(await allOnline());
    const tookMs = clock.ticks() - backAt;
    t.log(`gone for ${outageMs} ms: peak ${peakOf(connects)} a second, all after ${tookMs} ms`);
    t.true(tookMs <= mostMs);
  }
});

test("five hundred blank boards powered on together are provisioned by the local cloud within two caps", async t => {
  const serials = Array.from({ length: fleetSize }, (_, i) => `SN-${i}`);
  const random = new Random(1);
  const connects: number[] = [];
  let provisioned = 0;
  let cloud: Cloud | undefined;
  const clock = new VirtualClock({ idle: () => cloud?.idle() ?? Promise.resolve() });
  const opened = await Cloud.open({
    allow: serials,
    clock,
    timer: clock,
    random: length => random.bytes(length),
    onEvent: ({ type }) => type === "clientConnected" && connects.push(clock.ticks()),
  });
  cloud = opened;
  const network = new Network(clock, (link, peer) => opened.accept(link, peer));
  const claim = opened.claim();
  for (const [i, serialNumber] of serials.entries()) {
    const host = virtualHost({
      id: `board-${i}`,
      clock,
      random: new Random(i),
      network,
      flash: new Flash(),
      resetReason: "powerOn",
    });
    const place = { endpoint: "cloud.test", port: 8883, trustAnchors: [claim.trustAnchor] };
    const config = { ...place, claim, template: "sensor-node", serialNumber };
    sensorNode(host, config, ({ type }) => {
      if (type === "provisioned") provisioned++;
    }).start();
  }
  t.true(await clock.runUntil(() => provisioned === fleetSize, mostMs));
  t.is(opened.things().length, fleetSize);
  const peak = peakOf(connects);
  t.log(`peak ${peak} connects a second, claims and devices, all after ${clock.ticks()} ms`);
  t.true(connects.length <= 2 * fleetSize);
  t.true(peak <= 2 * mostPerSecond);
});
