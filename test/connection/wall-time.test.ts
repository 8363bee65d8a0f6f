// The time at which a server's certificates are judged, whatever the clock says.
import test from "ava";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
const day = 86_400_000;
const noon = Date.UTC(2026, 5, 1, 12);
const midnight = Date.UTC(2026, 5, 1);

/** A device whose wall clock says what the test wants. */
function world(more: Partial<AgentOptions> = {}) {
  const clock = new VirtualClock();
  const network = new Network(clock, new ScriptedBroker(obliging).accept);
  const flash = new Flash();
  const statuses: AgentStatus[] = [];
  const judgedAt: number[] = [];
  const offered: unknown[] = [];
  const wall: { now: number | undefined } = { now: undefined };
  const boot = (power = new Power()) => {
    const host = virtualHost({
      id: "board-1",
      clock,
      random: new Random(1),
      network,
      flash,
      power,
    });
    network.onDial = ({ secure }) => {
      judgedAt.push(secure.now);
      offered.push(secure.applicationLayerProtocolNegotiation);
    };
    const agent = new Agent({
      host: {
        ...host,
        clock: { ticks: () => clock.ticks(), now: () => wall.now },
      },
      endpoint: "cloud.test",
      trustAnchors: [pem("CERTIFICATE")],
      identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
      onStatus: status => statuses.push(status),
      ...more,
    });
    agent.start();
    return agent;
  };
  const codes = (type: "offline" | "fault") =>
    statuses.flatMap(status =>
      status.type === type ? [(status as { error: { code: string } }).error.code] : [],
    );
  return { boot, clock, network, flash, statuses, judgedAt, offered, wall, codes };
}

test("a clock that is set after 20 seconds is waited for, then the device connects", async t => {
  const { boot, clock, network, judgedAt, wall, codes, statuses } = world({ builtAt: midnight });
  wall.now = 0;
  boot();
  await clock.run(20_000);
  t.is(network.dialed, 0);
  wall.now = noon;
  await clock.run(2000);
  t.deepEqual(judgedAt, [noon]);
  t.deepEqual(codes("offline"), []);
  t.deepEqual(codes("fault"), []);
  t.true(statuses.some(({ type }) => type === "online"));
});

test("a clock that is never set, and no floor: nothing is dialed, and every wait is bounded", async t => {
  const { boot, clock, network, codes, wall, statuses } = world();
  boot();
  await clock.run(600_000);
  t.is(network.dialed, 0);
  t.true(codes("offline").length >= 5, String(codes("offline").length));
  t.true(codes("offline").every(code => code === "connection/clock"));
  wall.now = noon;
  await clock.run(150_000);
  t.true(statuses.some(({ type }) => type === "online"));
});

test("a clock that is never set is replaced by the build time, after the wait, and that is told", async t => {
  const { boot, clock, judgedAt, codes } = world({ builtAt: midnight });
  boot();
  await clock.run(29_000);
  t.deepEqual(judgedAt, []);
  await clock.run(3000);
  t.deepEqual(judgedAt, [midnight]);
  t.deepEqual(codes("fault"), ["connection/clock"]);
});

test("the floor follows confirmed time by the day, outlives a restart, and never goes back", async t => {
  const { boot, clock, judgedAt, wall, flash } = world({ builtAt: midnight - 400 * day });
  wall.now = noon;
  const agent = boot();
  await clock.run(2000);
  t.deepEqual(judgedAt, [noon]);
  const kept = flash.values("skerry");
  t.deepEqual([...kept.keys()], ["time.1"]);
  const [before] = [...kept.values()];
  agent.stop();
  await clock.run(5000);
  // Back to the year before: judged at the floor.
  wall.now = noon - 300 * day;
  boot();
  await clock.run(40_000);
  t.deepEqual(judgedAt.slice(1), [midnight]);
  t.deepEqual([...flash.values("skerry").values()], [before]);
});

test("a clock that jumps ahead moves the floor only where a server was believed", async t => {
  const { boot, clock, network, judgedAt, wall, flash } = world({ builtAt: midnight });
  wall.now = noon + 4000 * day;
  network.isUp = false;
  const agent = boot();
  await clock.run(60_000);
  t.is(flash.values("skerry").size, 0);
  agent.stop();
  network.isUp = true;
  wall.now = noon;
  boot();
  await clock.run(2000);
  t.is(judgedAt.at(-1), noon);
});

test("a floor of which any bit has changed is not believed", async t => {
  const { boot, clock, judgedAt, wall, flash } = world({ builtAt: midnight });
  wall.now = noon + day;
  const agent = boot();
  await clock.run(2000);
  agent.stop();
  await clock.run(5000);
  const kept = flash.peek("skerry", "time.1")!;
  wall.now = noon;
  for (let bit = 0; bit < kept.length * 8; bit++) {
    const damaged = kept.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const store = flash.provider(new Power()).open({ path: "skerry" });
    for (const place of ["time.0", "time.1"]) store.write(place, damaged);
    const next = boot();
    await clock.run(2000);
    t.is(judgedAt.at(-1), noon, `bit ${bit}`);
    next.stop();
    await clock.run(5000);
  }
});

test("a flash that does not take the floor costs a report, not the link", async t => {
  const { boot, clock, wall, codes, statuses } = world();
  wall.now = noon;
  const power = new Power();
  power.spend = () => {
    throw new Error("worn");
  };
  boot(power);
  await clock.run(60_000);
  t.deepEqual(codes("fault"), ["storage/write"]);
  t.deepEqual(codes("offline"), []);
  t.is(statuses.filter(({ type }) => type === "online").length, 1);
});

test("stopping while the clock is waited for leaves nothing behind", async t => {
  const { boot, clock, network } = world();
  const agent = boot();
  await clock.run(5000);
  agent.stop();
  t.is(clock.pending, 0);
  await clock.run(60_000);
  t.is(network.dialed, 0);
});

test("a build time that is none is refused", t => {
  for (const builtAt of [-1, 0.5, Number.NaN, 1e300]) {
    t.throws(() => world({ builtAt }).boot(), { message: /options\.builtAt/ }, String(builtAt));
  }
});

test("port 443 offers the protocol the service wants there; the product may say another", async t => {
  const seen: unknown[] = [];
  for (const more of [
    { port: 443 },
    { port: 8883 },
    { port: 8443, applicationLayerProtocolNegotiation: ["mqtt"] },
  ]) {
    const { boot, clock, wall, offered } = world(more);
    wall.now = noon;
    boot();
    await clock.run(1000);
    seen.push(offered[0]);
  }
  t.deepEqual(seen, [["x-amzn-mqtt-ca"], undefined, ["mqtt"]]);
});
