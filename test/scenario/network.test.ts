// Bad networks and bad brokers, on Node and on the XS engine: the agent comes back, at its own time, with everything it kept.
import anyTest, { type TestFn } from "ava";
import { bothWays, dark, type LinkFaults } from "../../simulator/world/faults.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Packet, type Script } from "../../simulator/world/scripted-broker.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { type LinkWorld, type LinkWorldOptions, openLinkWorld } from "./link-world.js";

const test = anyTest as TestFn;
const { worker64 } = await buildForTests();
const capMs = 120_000;
const baseMs = 1000;
const keepAliveMs = 60_000;

const engines: readonly (readonly [string, string | undefined])[] = [
  ["node", undefined],
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);

/** Keeps its session from the second connect on. */
function remembering(): Script {
  let sessionPresent = false;
  return (packet, link) => {
    if (packet.cmd !== "connect") return obliging(packet, link);
    link.reply({ cmd: "connack", returnCode: 0, sessionPresent });
    sessionPresent = true;
  };
}

async function within(options: LinkWorldOptions, story: (world: LinkWorld) => Promise<void>) {
  const world = await openLinkWorld(options);
  try {
    await story(world);
  } finally {
    await world.close();
  }
}

/** What each wait was of the longest it could have been, failures counted since the last stable success. */
function sharesOf(waits: readonly number[]): number[] {
  return waits.map((wait, i) => wait / Math.min(capMs, baseMs * 2 ** i));
}

/** Full jitter: anywhere between nothing and all, half on average. */
function looksUniform(shares: readonly number[]): boolean {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return (
    Math.min(...shares) < 0.1 &&
    Math.max(...shares) > 0.9 &&
    Math.max(...shares) < 1 &&
    mean > 0.4 &&
    mean < 0.6
  );
}

for (const [engine, worker] of engines) {
  const seeds = worker === undefined ? 30 : 2;

  test(`${engine}: five CONNECTs without an answer, then one, and all of it again: twelve dials with full jitter`, async t => {
    const shares: number[] = [];
    const firsts = new Set<number>();
    for (let seed = 1; seed <= seeds; seed++) {
      let connects = 0;
      const script: Script = (packet, link) => {
        if (packet.cmd !== "connect") return obliging(packet, link);
        if (++connects % 6 === 0) obliging(packet, link);
      };
      await within({ worker, seed, script }, async ({ clock, broker, network, seen }) => {
        t.true(await clock.runUntil(() => seen("online").length === 1, 240_000));
        await clock.run(70_000);
        network.cutAll();
        t.true(await clock.runUntil(() => seen("online").length === 2, 240_000));
        t.is(broker.all("connect").length, 12);
        const waits = seen("offline").map(({ retryInMs }) => retryInMs);
        t.is(waits.length, 11);
        shares.push(...sharesOf(waits.slice(0, 5)), ...sharesOf(waits.slice(5)));
        firsts.add(waits[0]!);
      });
    }
    t.true(firsts.size > seeds / 2, "each device waits a time of its own");
    if (seeds > 10) t.true(looksUniform(shares));
    t.true(shares.every(share => share < 1));
  });

  test(`${engine}: a broker that ends each session at once is come back to with growing jitter, never above the cap`, async t => {
    const shares: number[] = [];
    const sums = Array.from({ length: 10 }, () => 0);
    for (let seed = 1; seed <= seeds; seed++) {
      let connects = 0;
      const script: Script = (packet, link) => {
        obliging(packet, link);
        if (packet.cmd !== "connect" || ++connects > 10) return;
        if (connects % 2) link.reply({ cmd: "disconnect", reasonCode: 0x8b });
        link.close();
      };
      await within({ worker, seed, script }, async ({ clock, broker, seen }) => {
        t.true(await clock.runUntil(() => seen("offline").length === 10, 3_600_000));
        await clock.run(300_000);
        const waits = seen("offline").map(({ retryInMs }) => retryInMs);
        t.is(waits.length, 10, "the eleventh session holds");
        t.is(broker.all("connect").length, 11);
        t.true(Math.max(...waits) <= capMs);
        shares.push(...sharesOf(waits));
        for (const [i, wait] of waits.entries()) sums[i] = sums[i]! + wait;
      });
    }
    if (seeds > 10) {
      t.true(looksUniform(shares));
      for (let i = 2; i < 7; i++) t.true(sums[i]! > sums[i - 2]!, `${sums}`);
    }
  });

  test(`${engine}: a broker that never answers is asked for at the cap, not less and not more`, async t => {
    await within({ worker, script: () => undefined }, async ({ clock, seen }) => {
      await clock.run(14_400_000);
      const waits = seen("offline").map(({ retryInMs }) => retryInMs);
      t.true(Math.max(...waits) < capMs);
      const late = waits.slice(7).map(wait => wait / capMs);
      t.true(late.length > 100);
      t.true(looksUniform(late), `${late}`);
    });
  });

  test(`${engine}: half an hour of random cuts: it returns each time, telemetry is acknowledged once, complete and in order`, async t => {
    for (let seed = 1; seed <= Math.ceil(seeds / 6); seed++) {
      const random = new Random(seed * 104_729);
      await within({ worker, seed, script: remembering() }, async world => {
        const { clock, broker, network, seen } = world;
        let sent = 0;
        let cutAt = 20_000;
        while (clock.ticks() < 1_800_000) {
          world.send(`n${sent++}`);
          await clock.run(5000);
          if (clock.ticks() < cutAt) continue;
          await clock.run(random.below(4000));
          network.cutAll();
          t.true(await clock.runUntil(() => seen("online").at(-1)!.at > cutAt, capMs + 40_000));
          cutAt = clock.ticks() + random.below(120_000);
        }
        t.true(seen("offline").length > 10, `${seen("offline").length} cuts`);
        await clock.run(200_000);
        const where = `seed ${seed}`;
        const all = Array.from({ length: sent }, (_, i) => `n${i}`);
        t.deepEqual(
          seen("telemetry").map(({ channel }) => channel),
          all,
          where,
        );
        t.is(seen("telemetry").at(-1)!.dropped, 0);
        checkRepeats(t, broker.all("publish"), sent);
      });
    }
  });
}

type Publish = Extract<Packet, { cmd: "publish" }>;

/** In MQTT 5 with aliases not given, each topic stands in full: the first of each in order, the others marked as repeated. */
function checkRepeats(
  t: { true(value: boolean, text?: string): void },
  all: Publish[],
  sent: number,
) {
  const first = new Map<string, number | undefined>();
  for (const { topic, dup, messageId } of all) {
    if (!first.has(topic)) {
      t.true(topic === `dt/node-1/n${first.size}`, topic);
      first.set(topic, messageId);
    } else t.true(dup && first.get(topic) === messageId, `${topic} again`);
  }
  t.true(first.size === sent);
}

test("a link that goes dark is closed within one and a half keep-alive of its last byte, and what was in flight arrives later", async t => {
  const script = remembering();
  for (const darkAfterMs of [0, 10, 20_000, 29_990, 30_020, 31_000, 44_000, 60_500, 89_000]) {
    for (const faults of [dark, { toDevice: { swallows: true } }]) {
      await within({ script }, async ({ clock, network, seen, send, broker }) => {
        t.true(await clock.runUntil(() => seen("online").length === 1, 1000));
        await clock.run(darkAfterMs);
        const darkAt = clock.ticks();
        network.faults = faults;
        t.true(await clock.runUntil(() => seen("offline").length === 1, 600_000));
        const [lost] = seen("offline");
        const silentMs = lost!.at - darkAt;
        t.is(lost!.error.code, "mqtt/keep-alive");
        t.true(silentMs <= keepAliveMs * 1.5, `dark at ${darkAfterMs}: ${silentMs} ms`);
        send("kept");
        network.faults = {};
        t.true(await clock.runUntil(() => seen("telemetry").length === 1, capMs));
        t.is(broker.all("publish").length, 1);
      });
    }
  }
});

test("telemetry sent into the dark is kept and acknowledged once when the light is back", async t => {
  for (const [engine, worker] of engines) {
    await within({ worker, script: remembering() }, async ({ clock, network, seen, send }) => {
      await clock.run(5000);
      network.faults = dark;
      for (let i = 0; i < 12; i++) send(`n${i}`);
      const darkAt = clock.ticks();
      await clock.runUntil(() => seen("offline").length === 1, 600_000);
      t.true(seen("offline")[0]!.at - darkAt <= keepAliveMs * 1.5, engine);
      await clock.run(600_000);
      network.faults = {};
      t.true(await clock.runUntil(() => seen("telemetry").length === 12, capMs + 60_000), engine);
      await clock.run(200_000);
      const channels = seen("telemetry").map(({ channel }) => channel);
      t.deepEqual(
        channels,
        Array.from({ length: 12 }, (_, i) => `n${i}`),
        engine,
      );
    });
  }
});

test("names that are absent, fail or stay unanswered for ten minutes: back within one cap of the end", async t => {
  for (const fate of ["absent", "failed", "silent"] as const) {
    for (let seed = 1; seed <= 5; seed++) {
      await within({ script: obliging, seed }, async ({ clock, network, seen }) => {
        network.names = { fate };
        await clock.run(600_000);
        t.is(seen("online").length, 0);
        network.names = {};
        t.true(await clock.runUntil(() => seen("online").length === 1, capMs + 11_000), fate);
      });
    }
  }
});

test("a dead first address costs its deadline, whether refused or silent, and not a backoff", async t => {
  for (const kind of ["refused", "silent"] as const) {
    await within({ script: obliging }, async ({ clock, network, seen }) => {
      network.names = { addresses: ["10.0.0.1", "10.0.0.2"] };
      network.fate = ({ address }) => (address === "10.0.0.1" ? kind : "open");
      t.true(await clock.runUntil(() => seen("online").length === 1, 25_000), kind);
      t.is(seen("offline").length, 0);
    });
  }
});

/** The same day for every network: telemetry one by one and by the dozens, messages from the cloud, a cut, more of it. */
async function day(faults: LinkFaults, worker: string | undefined) {
  const script = remembering();
  let told: unknown;
  await within({ worker, script }, async ({ clock, network, broker, statuses, send }) => {
    network.faults = faults;
    await clock.run(10_000);
    send("single");
    await clock.run(10_000);
    for (let i = 0; i < 30; i++) send(`burst${i}`);
    await clock.run(60_000);
    network.cutAll();
    await clock.run(30_000);
    for (let i = 0; i < 6; i++) send(`late${i}`);
    await clock.run(60_000);
    told = {
      statuses: statuses.map(({ at: _at, ...status }) => JSON.parse(JSON.stringify(status))),
      packets: broker.received
        .filter(({ packet }) => packet.cmd !== "pingreq")
        .map(({ link, packet }) => ({ link, packet: plain(packet) })),
    };
  });
  return told;
}

const plain = (packet: Packet) => JSON.parse(JSON.stringify(packet));

test("split at every byte, at random, or merged by the dozen: the same statuses, the same packets at the broker", async t => {
  for (const [engine, worker] of engines) {
    const whole = await day({}, worker);
    for (const segments of ["bytes", "random", "dozen"] as const) {
      t.deepEqual(await day(bothWays({ segments }), worker), whole, `${engine}: ${segments}`);
    }
  }
});

test("at one byte per second a quiet link lives on; a busy one ends by a deadline, and all is delivered when the line is back", async t => {
  for (const [engine, worker] of engines) {
    await within({ worker, script: remembering() }, async ({ clock, network, seen, send }) => {
      await clock.run(5000);
      network.faults = bothWays({ bytesPerSecond: 1 });
      await clock.run(1_800_000);
      t.is(seen("offline").length, 0, `${engine}: pings alone get through`);
      for (let i = 0; i < 10; i++) send(`n${i}`);
      t.true(await clock.runUntil(() => seen("offline").length > 0, 200_000), engine);
      t.is(seen("offline")[0]!.error.kind, "timeout");
      await clock.run(600_000);
      t.is(seen("online").length, 1, "no handshake fits into its deadline");
      t.is(seen("fault").length, 0);
      network.faults = {};
      t.true(await clock.runUntil(() => seen("telemetry").length === 10, capMs + 60_000), engine);
      await clock.run(100_000);
      t.is(new Set(seen("telemetry").map(({ channel }) => channel)).size, 10);
    });
  }
});
