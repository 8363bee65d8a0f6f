// From `send` by way of flash to a cloud that is not kind: brokers that refuse, clocks that jump, flash that fails, products that
// call back from inside.
import test from "ava";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import type { Packet, ScriptedLink } from "../../simulator/world/scripted-broker.js";
import type { Agent, AgentStatus } from "../../src/index.js";
import { limits } from "../../src/limits.js";
import { Outbox } from "../../src/outbox/outbox.js";
import { toUtf8 } from "../../src/util/bytes.js";
import { deliveryWorld } from "./delivery-world.js";
import { classes, HostileWorld, sumOf, upTo } from "./hostile-world.js";

const hour = 3_600_000;
const year = 365 * 24 * hour;
const tight = {
  policies: {
    alert: { sectors: 2, whenFull: "drop-oldest" },
    telemetry: { sectors: 2, whenFull: "drop-oldest" },
    bulk: { sectors: 2, whenFull: "refuse-new" },
  },
} as const;
const five = { mqtt: { protocolVersion: 5 } } as const;

const isData = (packet: Packet) => packet.cmd === "publish" && !packet.topic.endsWith("/gaps");

/** Answers PUBLISH with a reason of MQTT 5 as long as `isRefusing`. */
function refusing(reasonCode: number, isRefusing: () => boolean) {
  return (packet: Packet, link: ScriptedLink): boolean => {
    if (packet.cmd !== "publish" || !isData(packet) || !isRefusing()) return false;
    link.reply({ cmd: "puback", messageId: packet.messageId!, reasonCode });
    return true;
  };
}

// -- brokers --

for (const reasonCode of [0x80, 0x83, 0x97]) {
  test(`a broker that is over its quota, or has no reason, loses nothing (0x${reasonCode.toString(16)})`, async t => {
    let isRefusing = true;
    const answer = refusing(reasonCode, () => isRefusing);
    const world = new HostileWorld({ ...five, answer });
    const agent = world.boot();
    for (let n = 0; n < 10; n++) agent.telemetry.send("telemetry", { n });
    await world.run(600_000);
    t.true(world.published.length < 30, `${world.published.length} messages in ten minutes`);
    t.true(world.seen("fault").length < 20);
    isRefusing = false;
    world.published.length = 0;
    await world.run(hour);
    t.deepEqual(world.numbers("telemetry"), upTo(10));
    t.deepEqual(world.gaps(), []);
    t.is(world.seen("offline").length, 0);
  });
}

test("what a broker refuses for good is given up, and told", async t => {
  const world = new HostileWorld({ ...five, answer: refusing(0x87, () => true) });
  const agent = world.boot();
  for (let n = 0; n < 10; n++) agent.telemetry.send("telemetry", { n });
  await world.run(60_000);
  t.deepEqual(world.numbers("telemetry"), upTo(10));
  t.is(world.seen("telemetryRefused").length, 10);
  t.is(sumOf(world.gaps())["telemetry"], 10);
});

test("a broker that refuses forever for a reason that may pass does not keep a record forever", async t => {
  const world = new HostileWorld({ ...five, answer: refusing(0x80, () => true) });
  const agent = world.boot();
  agent.telemetry.send("telemetry", { n: 0 });
  await world.run(24 * hour);
  t.true(world.published.length < 40, `${world.published.length} messages in a day`);
  t.is(sumOf(world.gaps())["telemetry"], 1);
});

test("records that are too many for one packet of the broker go in smaller ones", async t => {
  const answer = (packet: Packet, link: ScriptedLink) => {
    if (packet.cmd !== "connect") return false;
    link.reply({
      cmd: "connack",
      sessionPresent: false,
      reasonCode: 0,
      properties: { maximumPacketSize: 600 },
    });
    return true;
  };
  const world = new HostileWorld({ ...five, answer, outbox: { batchBytes: 5000 } });
  world.network.isUp = false;
  const agent = world.boot();
  for (let n = 0; n < 100; n++) agent.telemetry.send("telemetry", { n });
  agent.telemetry.send("telemetry", { n: 100, text: "x".repeat(1000) });
  agent.telemetry.send("telemetry", { n: 101 });
  world.network.isUp = true;
  await world.run(300_000);
  t.deepEqual(world.numbers("telemetry"), [...upTo(100), 101]);
  t.true(world.published.length < 60, `${world.published.length} messages`);
  t.is(sumOf(world.gaps())["telemetry"], 1);
});

test("a broker that closes the link on each publish gets fewer and fewer, and the shadow its turn", async t => {
  let isClosing = true;
  const answer = (packet: Packet, link: ScriptedLink) => {
    if (!isData(packet) || !isClosing) return false;
    link.close();
    return true;
  };
  const world = new HostileWorld({ answer });
  const agent = world.boot();
  for (let n = 0; n < 10; n++) agent.telemetry.send("telemetry", { n });
  await world.run(4 * hour);
  t.true(world.published.length < 60, `${world.published.length} publishes in 4 hours`);
  isClosing = false;
  world.published.length = 0;
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), upTo(10));
  t.deepEqual(world.gaps(), []);
});

test("a broker that never acknowledges gets a window of messages a link, and no record is forgotten", async t => {
  let isSilent = true;
  const answer = (packet: Packet) => isData(packet) && isSilent;
  const world = new HostileWorld({ answer });
  const agent = world.boot();
  for (let n = 0; n < 50; n++) agent.telemetry.send("telemetry", { n });
  await world.run(hour);
  t.true(world.numbers("telemetry").every(n => n < limits.drainInFlight));
  isSilent = false;
  world.published.length = 0;
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), upTo(50));
});

test("acknowledgements twice, out of order, of nobody's and late: each record once", async t => {
  const waiting: { readonly id: number; readonly link: ScriptedLink }[] = [];
  const world = new HostileWorld({
    answer: (packet, link) => {
      if (packet.cmd !== "publish" || packet.qos !== 1) return false;
      waiting.push({ id: packet.messageId!, link });
      return true;
    },
  });
  const agent = world.boot();
  for (let n = 0; n < 40; n++) agent.telemetry.send("telemetry", { n });
  for (let i = 0; i < 200; i++) {
    await world.run(500);
    for (const { id, link } of waiting.splice(0).reverse()) {
      for (const messageId of [id, id, 60_000, id]) link.reply({ cmd: "puback", messageId });
    }
  }
  t.deepEqual(world.numbers("telemetry"), upTo(40));
  t.is(world.seen("telemetry").length, 40);
  t.deepEqual(world.gaps(), []);
});

test("one message at a time, if the broker wants it so: all arrive in order", async t => {
  const world = new HostileWorld({
    ...five,
    answer: (packet, link) => {
      if (packet.cmd !== "connect") return false;
      link.reply({
        cmd: "connack",
        sessionPresent: false,
        reasonCode: 0,
        properties: { receiveMaximum: 1 },
      });
      return true;
    },
  });
  const agent = world.boot();
  for (let n = 0; n < 100; n++) agent.telemetry.send("telemetry", { n });
  await world.run(60_000);
  t.deepEqual(world.numbers("telemetry"), upTo(100));
});

// -- gaps --

test("a report of gaps is one at a time, and losses meanwhile are in the next", async t => {
  const held: { readonly id: number; readonly link: ScriptedLink }[] = [];
  const world = new HostileWorld({
    outbox: tight,
    blocks: 9,
    answer: (packet, link) => {
      if (packet.cmd !== "publish" || isData(packet)) return false;
      held.push({ id: packet.messageId!, link });
      return true;
    },
  });
  world.network.isUp = false;
  const agent = world.boot();
  const more = (count: number) => {
    for (let n = 0; n < count; n++)
      agent.telemetry.send("bulk", { n, text: "x".repeat(100) }, { priority: "bulk" });
  };
  more(100);
  world.network.isUp = true;
  await world.run(5000);
  for (let round = 0; round < 40; round++) {
    if (round < 30) more(20);
    await world.run(3000);
    for (const { id, link } of held.splice(0)) link.reply({ cmd: "puback", messageId: id });
    await world.run(3000);
  }
  t.is(held.length, 0);
  const refused = world.seen("telemetryRefused").length;
  t.true(refused > 0);
  t.is(sumOf(world.gaps())["bulk"], refused);
  const ids = world.gaps().map(report => (report as { id?: string }).id);
  t.is(new Set(ids).size, ids.length, "none twice");
});

test("a report of gaps whose acknowledgement was lost comes again with the same id", async t => {
  let isSilent = true;
  const world = new HostileWorld({
    outbox: tight,
    blocks: 9,
    answer: packet => packet.cmd === "publish" && !isData(packet) && isSilent,
  });
  world.network.isUp = false;
  const agent = world.boot();
  for (let n = 0; n < 300; n++) agent.telemetry.send("telemetry", { n, text: "x".repeat(40) });
  world.network.isUp = true;
  await world.run(10_000);
  t.is(world.gaps().length, 1);
  world.network.cutAll();
  isSilent = false;
  await world.run(hour);
  t.is(world.gaps().length, 2);
  const sum = sumOf(world.gaps())["telemetry"]!;
  t.is(sum + new Set(world.received("telemetry").map(({ id }) => id)).size, 300);
});

// -- flash --

for (const what of ["write", "erase", "read", "status"] as const) {
  test(`flash that fails at every ${what}: said, not in a loop; the link stays, and what can arrive does`, async t => {
    const world = new HostileWorld();
    let isFailing = false;
    const open = world.nor.open.bind(world.nor);
    world.nor.open = (...args) => {
      const flash = open(...args);
      const failing = <F extends (...args: never[]) => unknown>(name: string, work: F): F =>
        ((...args: never[]) => {
          if (isFailing && name === what) throw new Error(`${name} failed`);
          return work(...args);
        }) as F;
      return {
        status: failing("status", flash.status),
        read: failing("read", flash.read),
        write: failing("write", flash.write),
        eraseBlock: failing("erase", flash.eraseBlock),
        close: flash.close,
      };
    };
    const agent = world.boot();
    agent.telemetry.send("telemetry", { n: 0 });
    await world.run(10_000);
    t.deepEqual(world.numbers("telemetry"), [0]);
    isFailing = true;
    for (let n = 1; n < 300; n++) {
      t.notThrows(() => agent.telemetry.send("telemetry", { n, text: "x".repeat(50) }));
      await world.run(1000);
    }
    await world.run(hour);
    t.is(world.seen("offline").length, 0);
    t.true(world.faults().length <= 60, `${world.faults().length} faults in an hour`);
    const seen = new Set(world.numbers("telemetry"));
    const sums = sumOf(world.gaps())["telemetry"]!;
    t.is(seen.size + sums, 300, `${seen.size} arrived, ${sums} told`);
    t.true(world.published.length <= 300 + 8 + 50, `${world.published.length} messages`);
  });
}

test("flash that takes no erase any more keeps what it has for the cloud", async t => {
  const world = new HostileWorld({ blocks: 16 });
  world.network.isUp = false;
  const agent = world.boot();
  for (let n = 0; n < 400; n++) agent.telemetry.send("telemetry", { n, text: "x".repeat(40) });
  const { sectors } = new Outbox(world.nor.clone().open(), { generation: 1 }).status;
  t.true(sectors[1]! >= 5);
  for (let block = 0; block < 16; block++) world.nor.wearOut(block, 0);
  for (let n = 0; n < 200; n++)
    agent.telemetry.send("alert", { n, text: "x".repeat(40) }, { priority: "alert" });
  world.network.isUp = true;
  await world.run(hour);
  t.is(world.numbers("telemetry").length + sumOf(world.gaps())["telemetry"]!, 400);
  t.true(world.numbers("telemetry").length > 300, `${world.numbers("telemetry").length} of 400`);
});

test("a sector that cannot be read holds up its own class only", async t => {
  const world = new HostileWorld();
  world.network.isUp = false;
  const agent = world.boot();
  for (let n = 0; n < 5; n++)
    for (const priority of classes) agent.telemetry.send(priority, { n }, { priority });
  const at = new Outbox(world.nor.clone().open(), { generation: 1 }).peek(0)!.id;
  t.true(at > 0);
  // The first sector opened is that of the bulk, telemetry and alerts follow: this is the header of the alerts'.
  const block = [...upTo(16)].find(b => world.nor.bytes[b * 4096 + 5] === 0)!;
  world.nor.bytes.fill(0x55, block * 4096, block * 4096 + 32);
  world.network.isUp = true;
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), upTo(5));
  t.deepEqual(world.numbers("bulk"), upTo(5));
  t.is(world.seen("offline").filter(({ error }) => error.code.startsWith("outbox")).length, 0);
});

test("records of a stranger's partition that no topic can be made of are given up, and do not cost the link", async t => {
  const nor = new NorFlash({ blocks: 16 });
  const stranger = new Outbox(nor.open(), { generation: 77 });
  for (const topic of ["a/+/b", "#", "x".repeat(250), "a/b/c/d/e/f/g/h", "ok"])
    stranger.append({
      priority: 0,
      topic,
      payload: toUtf8('{"n":0}'),
      time: 5,
      isTimeCertain: true,
    });
  stranger.append({
    priority: 0,
    topic: "ok",
    payload: toUtf8("]["),
    time: 5,
    isTimeCertain: true,
  });
  stranger.append({
    priority: 0,
    topic: "ok",
    payload: new Uint8Array(0),
    time: 5,
    isTimeCertain: true,
  });
  const world = new HostileWorld({ nor });
  const agent = world.boot();
  agent.telemetry.send("telemetry", { n: 1 });
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), [1]);
  t.deepEqual(world.numbers("ok"), [0]);
  t.is(world.seen("offline").length, 0);
  t.true(sumOf(world.gaps())["alert"]! >= 4);
});

test("another partition at the next boot: its records go out, ids do not meet", async t => {
  const world = new HostileWorld();
  world.network.isUp = false;
  const power = new Power();
  const first = world.boot(power);
  for (let n = 0; n < 5; n++) first.telemetry.send("telemetry", { n });
  power.cut();
  const old = world.nor;
  world.nor = new NorFlash({ blocks: 12 });
  const power2 = new Power();
  const second = world.boot(power2);
  for (let n = 5; n < 10; n++) second.telemetry.send("telemetry", { n });
  world.network.isUp = true;
  await world.run(hour);
  power2.cut();
  world.nor = old;
  world.boot();
  await world.run(hour);
  const received = world.received("telemetry");
  t.deepEqual(received.map(({ n }) => n).sort(), upTo(10));
  t.is(new Set(received.map(({ id }) => id)).size, 10);
});

test("a bit that turns over where nothing was written is no loss", t => {
  const nor = new NorFlash({ blocks: 9, blockLength: 512 });
  const policies = [2, 2, 2].map(sectors => ({ sectors, whenFull: "drop-oldest" as const }));
  const open = () => new Outbox(nor.open(), { generation: 1, policies });
  const record = {
    priority: 1,
    topic: "t",
    payload: new Uint8Array(200),
    time: 5,
    isTimeCertain: true,
  };
  for (const at of [480, 483, 484, 499]) {
    const outbox = open();
    const ids = upTo(2).map(() => outbox.append(record)!);
    const block = upTo(9).find(b => nor.bytes[b * 512 + 5] === 1 && nor.bytes[b * 512] === 0x53)!;
    nor.bytes[block * 512 + at]! ^= 4;
    ids.push(outbox.append(record)!);
    for (const id of ids) t.true(open().acknowledge({ id, priority: 1 }));
    t.is(open().peek(1), undefined);
    t.deepEqual(open().gaps(), [], `${at}`);
  }
});

// -- clocks --

test("clocks that jump by years, say nonsense, and are set late: all arrives in order, `send` never throws", async t => {
  const world = new HostileWorld();
  world.network.isUp = false;
  let shift: number | undefined = 0;
  const agent = world.boot(new Power(), () =>
    shift === undefined ? undefined : world.clock.now() + shift,
  );
  const shifts = [
    undefined,
    0,
    30 * year,
    -20 * year,
    0,
    9000 * year,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    0.5,
    -100 * year,
    undefined,
  ];
  let n = 0;
  for (shift of shifts) {
    for (let i = 0; i < 5; i++) {
      t.notThrows(() => agent.telemetry.send("telemetry", { n: n++ }), `${shift}`);
      await world.run(1000);
    }
  }
  shift = 0;
  world.network.isUp = true;
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), upTo(n));
  t.deepEqual(world.gaps(), []);
  for (const { time } of world.received("telemetry")) t.true(Number.isInteger(time) && time >= 0);
});

// -- products --

test("products that send, flush, stop and start from inside every status: nothing is lost, nothing runs forever", async t => {
  const types = new Map<AgentStatus["type"], number>();
  let sent = 0;
  let isRefusing = true;
  const world = new HostileWorld({
    ...five,
    outbox: tight,
    blocks: 9,
    answer: refusing(0x87, () => isRefusing),
    telemetry: { channels: { windowed: { windowSeconds: 1 } } },
    onStatus: ({ type }, agent) => {
      const count = (types.get(type) ?? 0) + 1;
      types.set(type, count);
      if (type === "telemetry" && count > 100) return;
      agent.telemetry.send("telemetry", { n: sent++ });
      agent.telemetry.send("windowed", { n: sent });
      agent.telemetry.flush();
      if (count % 5 === 0) {
        agent.stop();
        agent.start();
      }
      if (count % 7 === 0) {
        agent.start();
        agent.stop();
        agent.start();
      }
    },
  });
  const agent = world.boot();
  for (let i = 0; i < 30; i++) {
    agent.telemetry.send("telemetry", { n: sent++ });
    await world.run(2000);
    if (i === 15) isRefusing = false;
    if (i % 10 === 9) world.network.cutAll();
  }
  t.is(agent.observerFault, undefined);
  for (let i = 0; i < 30 && sent < 10_000; i++) {
    agent.start();
    await world.run(60_000);
  }
  t.log([...types].map(([type, count]) => `${type} ${count}`).join(", "));
  t.true(sent < 10_000, `${sent} sent`);
});

test("a product that answers each refusal with another message is told once, not until the stack ends", async t => {
  let depth = 0;
  let deepest = 0;
  const world = new HostileWorld({
    outbox: tight,
    blocks: 9,
    onStatus: ({ type }, agent) => {
      if (type !== "telemetryRefused") return;
      deepest = Math.max(deepest, ++depth);
      if (depth < 200)
        agent.telemetry.send("bulk", { text: "x".repeat(200) }, { priority: "bulk" });
      depth--;
    },
  });
  world.network.isUp = false;
  const agent = world.boot();
  for (let n = 0; n < 60; n++)
    agent.telemetry.send("bulk", { n, text: "x".repeat(200) }, { priority: "bulk" });
  t.is(deepest, 1);
});

test("10,000 sends in one tick, with the link up and with it down", async t => {
  const world = new HostileWorld({ blocks: 256, outbox: { messagesPerSecond: 50 } });
  const agent = world.boot();
  await world.run(5000);
  const begin = performance.now();
  for (let n = 0; n < 10_000; n++) agent.telemetry.send("telemetry", { n });
  const took = performance.now() - begin;
  t.true(world.clock.pending < 20);
  await world.run(300_000);
  t.deepEqual(world.numbers("telemetry"), upTo(10_000));
  t.log(`${Math.round(took)} ms for 10,000 sends`);
});

test("what was sent before `start` is on flash when `send` returns", async t => {
  const world = new HostileWorld();
  world.network.isUp = false;
  const power = new Power();
  const agent: Agent = world.boot(power);
  t.truthy(agent);
  power.cut();
  const { Agent: Class } = await import("../../src/index.js");
  const { virtualHost } = await import("../../simulator/world/host.js");
  const { identity } = await import("../shadow/device-world.js");
  const { clock, random, network, keyValue: flash, nor } = world;
  const early = new Class({
    ...identity,
    host: virtualHost({ id: "board-1", clock, random, network, flash, nor }),
    outbox: {},
    onStatus: () => undefined,
  });
  for (let n = 0; n < 50; n++) early.telemetry.send("telemetry", { n });
  world.boot();
  world.network.isUp = true;
  await world.run(hour);
  t.deepEqual(world.numbers("telemetry"), upTo(50));
});

test("readings called id or time are refused: doubles could not be told", async t => {
  const world = new HostileWorld();
  const agent = world.boot();
  for (const name of ["id", "time", "timeUncertain"])
    t.throws(() => agent.telemetry.send("telemetry", { [name]: 1 }), { code: "telemetry/limit" });
  await world.run(1000);
});

test("a window that flash cannot take is told; the others, and the product, go on", async t => {
  const world = new HostileWorld({
    nor: new NorFlash({ blocks: 16, blockLength: 512 }),
    telemetry: { channels: { wide: { windowSeconds: 10 }, small: { windowSeconds: 10 } } },
  });
  const agent = world.boot();
  await world.run(5000);
  for (let round = 0; round < 3; round++) {
    const wide: { [name: string]: number } = {};
    for (let i = 0; i < 20; i++) wide[`a-rather-long-name-${i}`] = i;
    t.notThrows(() => agent.telemetry.send("wide", wide));
    t.notThrows(() => agent.telemetry.send("small", { n: round }));
    await world.run(15_000);
  }
  await world.run(60_000);
  t.is(world.received("small").length, 3);
  t.is(world.seen("offline").length, 0);
  t.true(world.seen("telemetryRefused").length >= 3);
});

test("100,000 records drain in a time that grows with their number", async t => {
  const took = [];
  for (const count of [10_000, 80_000]) {
    const nor = new NorFlash({ blocks: 2048 });
    const outbox = new Outbox(nor.open(), { generation: 1 });
    const payload = toUtf8('{"n":1}');
    for (let n = 0; n < count; n++)
      outbox.append({ priority: 1, topic: "telemetry", payload, time: n, isTimeCertain: true });
    nor.resetCounts();
    const world = new HostileWorld({
      nor,
      outbox: { batchBytes: 5000, messagesPerSecond: 50, bytesPerSecond: 10_000_000 },
    });
    const begin = performance.now();
    world.boot();
    await world.run(600_000);
    took.push(performance.now() - begin);
    t.is(world.received("telemetry").length, count);
    t.log(
      `${count}: ${Math.round(took.at(-1)!)} ms, ${(nor.counts.reads / count).toFixed(1)} reads each`,
    );
  }
});

test("another identity while records are on their way: all arrive, doubles are those on their way", async t => {
  const world = await deliveryWorld(32, { outbox: { messagesPerSecond: 10 } });
  const agent = world.boot();
  await world.clock.run(10_000);
  for (let n = 0; n < 400; n++) agent.telemetry.send("climate", { n });
  await world.clock.run(5000);
  agent.rotate();
  await world.clock.run(300_000);
  t.true(world.statuses.some(({ type }) => type === "rotated"));
  const received = world.received("climate");
  t.deepEqual([...new Set(received.map(({ n }) => n))], upTo(400));
  t.true(received.length - 400 <= 4 * limits.drainInFlight, `${received.length}`);
  t.deepEqual(world.gaps(), []);
});

test("stop with messages on their way, then start: all arrive, doubles within the window", async t => {
  const world = new HostileWorld();
  const agent = world.boot();
  await world.run(5000);
  for (let n = 0; n < 300; n++) agent.telemetry.send("telemetry", { n });
  for (let round = 0; round < 10; round++) {
    await world.run(1010);
    agent.stop();
    if (round % 2 === 0) await world.run(3000);
    agent.start();
    await world.run(1000 + 37 * round);
  }
  await world.run(hour);
  t.deepEqual([...new Set(world.numbers("telemetry"))], upTo(300));
  t.true(world.numbers("telemetry").length <= 300 + 10 * limits.drainInFlight);
  agent.stop();
  await world.run(10_000);
  t.is(world.clock.pending, 0, "no timer is left");
});

test("without an outbox, a broker that never acknowledges leaves room for shadows", async t => {
  const world = new HostileWorld({
    outbox: undefined as never,
    answer: packet => isData(packet),
  });
  const agent = world.boot();
  for (let n = 0; n < 32; n++) agent.telemetry.send("telemetry", { n });
  await world.run(5000);
  t.true(world.published.length < limits.inFlight, `${world.published.length}`);
});

test("a record dropped for newer ones while it is on its way, and delivered after all, is not told as lost", async t => {
  const held: { readonly id: number; readonly link: ScriptedLink }[] = [];
  let isHolding = true;
  const world = new HostileWorld({
    outbox: tight,
    blocks: 9,
    answer: (packet, link) => {
      if (packet.cmd !== "publish" || !isHolding) return false;
      held.push({ id: packet.messageId!, link });
      return true;
    },
  });
  const agent = world.boot();
  await world.run(3000);
  for (let n = 0; n < 400; n++) agent.telemetry.send("telemetry", { n, text: "x".repeat(40) });
  await world.run(1000);
  isHolding = false;
  for (const { id, link } of held) link.reply({ cmd: "puback", messageId: id });
  await world.run(hour);
  const received = new Set(world.numbers("telemetry"));
  t.is(received.size + sumOf(world.gaps())["telemetry"]!, 400);
});

test("without an outbox, a product that answers each refusal with another message goes on, and so does all else", async t => {
  let sent = 0;
  let depth = 0;
  let deepest = 0;
  const world = new HostileWorld({
    outbox: undefined as never,
    answer: (packet, link) => {
      if (packet.cmd !== "connect") return false;
      const properties = { maximumPacketSize: 100 };
      link.reply({ cmd: "connack", sessionPresent: false, reasonCode: 0, properties });
      return true;
    },
    onStatus: ({ type }, agent) => {
      if (type !== "telemetryRefused" || sent >= 500) return;
      deepest = Math.max(deepest, ++depth);
      agent.telemetry.send("telemetry", { n: sent++, text: "x".repeat(200) });
      depth--;
    },
  });
  const agent = world.boot();
  await world.run(5000);
  agent.telemetry.send("telemetry", { n: sent++, text: "x".repeat(200) });
  await world.run(5000);
  t.is(deepest, 1);
  t.true(sent <= limits.telemetryMessages + 2, `${sent}`);
});
