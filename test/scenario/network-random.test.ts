// Whatever the network does, and in whatever order: nothing is acknowledged twice or out of turn, and once it is well all is.
import test from "ava";
import type { FlowFaults, LinkFaults, NameFaults, Segments } from "../../simulator/world/faults.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Script } from "../../simulator/world/scripted-broker.js";
import { openLinkWorld } from "./link-world.js";
import { openWorld } from "./world.js";

const seeds = 60;
const rounds = 40;

/** Each fault once in a few; half of the time a direction has none. */
function anyFlow(random: Random): FlowFaults {
  const isOne = (of: number) => random.below(of) === 0;
  if (isOne(2)) return {};
  return {
    ...(isOne(3) ? { delayMs: random.below(8000) } : {}),
    ...(isOne(3) ? { jitterMs: random.below(4000) } : {}),
    ...(isOne(4) ? { bytesPerSecond: 1 + random.below(2000) } : {}),
    ...(isOne(2)
      ? { segments: (["bytes", "random", "dozen"] satisfies Segments[])[random.below(3)]! }
      : {}),
    ...(isOne(5) ? { resetAfterBytes: random.below(5000) } : {}),
    ...(isOne(5) ? { swallows: true } : {}),
  };
}

function anyFaults(random: Random): LinkFaults {
  return {
    dial: (["open", "open", "open", "refused", "silent"] as const)[random.below(5)]!,
    toServer: anyFlow(random),
    toDevice: anyFlow(random),
    ...(random.below(4) === 0 ? { resetAfterMs: random.below(300_000) } : {}),
  };
}

function anyNames(random: Random): NameFaults {
  return {
    fate: (["found", "found", "found", "absent", "failed", "silent"] as const)[random.below(6)]!,
    addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.3"].slice(0, 1 + random.below(3)),
  };
}

/** Keeps its session, and acknowledges what it has whenever it gets it. */
function remembering(): Script {
  let sessionPresent = false;
  return (packet, link) => {
    if (packet.cmd !== "connect") return obliging(packet, link);
    link.reply({ cmd: "connack", returnCode: 0, sessionPresent });
    sessionPresent = true;
  };
}

test(`${seeds} seeded hours of every fault in any mixture end online, with telemetry complete, in order and told once`, async t => {
  let ends = 0;
  let dropped = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const where = `seed ${seed}`;
    const random = new Random(seed * 15_485_863);
    const world = await openLinkWorld({ seed, script: remembering() });
    const { clock, network, broker, seen } = world;
    let sent = 0;
    for (let round = 0; round < rounds; round++) {
      const isWell = random.below(3) === 0;
      network.faults = isWell ? {} : anyFaults(random);
      network.names = isWell ? {} : anyNames(random);
      const dead = random.below(3) === 0 ? "10.0.0.1" : undefined;
      network.fate = ({ address }) => (address === dead ? "silent" : "open");
      if (random.below(5) === 0) network.cutAll();
      for (let left = random.below(6); left > 0; left--) {
        world.send(`n${sent++}`);
        await clock.run(random.below(30_000));
      }
      await clock.run(random.below(120_000));
    }
    network.faults = {};
    network.names = {};
    network.fate = () => "open";
    await clock.run(600_000);
    world.send(`n${sent++}`);
    await clock.run(5000);
    ends += seen("offline").length;
    t.deepEqual(
      seen("fault").map(({ error }) => error.message),
      [],
      where,
    );
    t.is(seen("telemetryRefused").length, 0, where);
    const told = seen("telemetry").map(({ channel }) => Number(channel.slice(1)));
    const lost = seen("telemetry").at(-1)!.dropped;
    dropped += lost;
    t.is(told.length + lost, sent, `${where}: each is acknowledged, or counted as dropped`);
    t.is(told.at(-1), sent - 1, where);
    t.true(
      told.every((number, i) => i === 0 || number > told[i - 1]!),
      `${where}: ${told}`,
    );
    const arrived = [...new Set(broker.all("publish").map(({ topic }) => topic))];
    t.deepEqual(
      arrived,
      told.map(number => `dt/node-1/n${number}`),
      `${where}: each had arrived before it was told`,
    );
    t.true(clock.pending < 10, where);
    t.is(network.open, 1, where);
    world.stop();
    await clock.run(100_000);
    t.deepEqual([clock.pending, network.open], [0, 0], where);
  }
  t.log(`${ends} links ended, ${dropped} messages dropped for want of room`);
  t.true(ends > seeds * 10);
});

test("a blank board in seeded hours of any network earns one identity and follows its shadow in the end", async t => {
  let ends = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const where = `seed ${seed}`;
    const random = new Random(seed * 32_452_843);
    const world = await openWorld(seed);
    const { clock, network, cloud } = world;
    world.boot();
    let wanted: { led: string; sampleSeconds: number } | undefined;
    for (let round = 0; round < 30; round++) {
      const isWell = random.below(3) === 0;
      network.faults = isWell ? {} : anyFaults(random);
      network.names = isWell ? {} : { fate: anyNames(random).fate! };
      if (random.below(5) === 0) network.cutAll();
      if (random.below(3) === 0 && cloud.things().length > 0) {
        const led = ["off", "red", "blue"][random.below(3)]!;
        wanted = { led, sampleSeconds: 30 + random.below(300) };
        cloud.updateDesired("node-SN-1", wanted);
      }
      await clock.run(random.below(240_000));
    }
    network.faults = {};
    network.names = {};
    await clock.run(900_000);
    ends += world.seen("offline").length;
    t.deepEqual(cloud.clients(), ["node-SN-1"], where);
    t.is(cloud.things().length, 1, where);
    const shadow = cloud.shadow("node-SN-1") as { state: { reported: object; delta?: object } };
    t.is(shadow.state.delta, undefined, where);
    if (wanted) t.like(shadow.state.reported, wanted, where);
    t.deepEqual(world.seen("fault"), [], where);
  }
  t.log(`${ends} links ended`);
});
