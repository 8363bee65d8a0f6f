// The agent against a broker that does what a test wants, in virtual time.
import test from "ava";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { Power } from "../simulator/world/power.js";
import { Random } from "../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../simulator/world/scripted-broker.js";
import { Agent, type AgentOptions, type AgentStatus } from "../src/index.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
const identity = { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };

function world(script: Script = obliging, more: Partial<AgentOptions> = {}) {
  const clock = new VirtualClock();
  const broker = new ScriptedBroker(script);
  const network = new Network(clock, broker.accept);
  const statuses: AgentStatus[] = [];
  const host = virtualHost({
    id: "board-1",
    clock,
    random: new Random(1),
    network,
    flash: new Flash(),
    power: new Power(),
  });
  const options: AgentOptions = {
    host,
    endpoint: "cloud.test",
    trustAnchors: [pem("CERTIFICATE")],
    identity,
    onStatus: status => statuses.push(status),
    ...more,
  };
  const agent = new Agent(options);
  const seen = (type: AgentStatus["type"]) => statuses.filter(status => status.type === type);
  return { agent, broker, clock, network, statuses, seen, options };
}

test("connects with client id, persistent session and keep-alive, and stops with DISCONNECT", async t => {
  const { agent, broker, clock, seen } = world();
  agent.start();
  await clock.run(1000);
  const [connect] = broker.all("connect");
  t.is(connect?.clientId, "node-1");
  t.is(connect?.clean, false);
  t.is(connect?.keepalive, 60);
  t.is(seen("online").length, 1);
  agent.stop();
  await clock.run(1000);
  t.is(broker.all("disconnect").length, 1);
  t.is(seen("stopped").length, 1);
  t.is(clock.pending, 0, "no timer is left");
});

test("an agent that was stopped starts again", async t => {
  const { agent, broker, clock } = world();
  for (let i = 0; i < 3; i++) {
    agent.start();
    agent.start();
    await clock.run(1000);
    agent.stop();
    await clock.run(1000);
  }
  t.is(broker.all("connect").length, 3);
  t.is(broker.all("disconnect").length, 3);
});

test("stopping while connecting or waiting leaves nothing behind", async t => {
  const { agent, clock, network, seen } = world();
  agent.start();
  agent.stop();
  t.is(seen("stopped").length, 1);
  network.isUp = false;
  agent.start();
  await clock.run(60);
  agent.stop();
  await clock.run(1000);
  t.is(seen("stopped").length, 2);
  t.is(clock.pending, 0);
});

test("a silent broker is left after one and a half keep-alives, and dialed again", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "pingreq") obliging(packet, link);
  });
  agent.start();
  await clock.run(89_000);
  t.is(seen("offline").length, 0);
  await clock.run(3000);
  const [offline] = seen("offline");
  t.is(offline?.type === "offline" && offline.error.code, "mqtt/keep-alive");
  await clock.run(3000);
  t.is(broker.all("connect").length, 2);
});

test("a broker that answers pings keeps its idle link", async t => {
  const { agent, broker, clock, seen } = world();
  agent.start();
  await clock.run(3_600_000);
  t.is(broker.all("connect").length, 1);
  t.is(seen("offline").length, 0);
  t.true(broker.all("pingreq").length >= 60);
});

test("without CONNACK the link is given up after the deadline", async t => {
  const { agent, clock, seen } = world(() => undefined);
  agent.start();
  await clock.run(41_000);
  const [offline] = seen("offline");
  t.is(offline?.type === "offline" && offline.error.code, "connection/timeout");
});

test("a refused CONNACK is reported with its code and tried again after a while", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd === "connect")
      link.reply({ cmd: "connack", returnCode: 5, sessionPresent: false });
  });
  agent.start();
  await clock.run(1000);
  const [offline] = seen("offline");
  t.true(
    offline?.type === "offline" && offline.error.message.includes("CONNACK 0x87 not authorized"),
  );
  t.is(broker.all("connect").length, 1);
  await clock.run(121_000);
  t.true(broker.all("connect").length >= 2);
});

test("telemetry is sent at QoS 1 to the thing's topic, with its time", async t => {
  const { agent, broker, clock, seen } = world();
  agent.start();
  await clock.run(1000);
  agent.telemetry.send("climate", { temperature: 21.5 });
  agent.telemetry.send("climate", { temperature: 22 }, { QoS: 0 });
  await clock.run(1000);
  const [first, second] = broker.all("publish");
  t.is(first?.topic, "dt/node-1/climate");
  t.is(first?.qos, 1);
  t.deepEqual(JSON.parse(String(first?.payload)), {
    time: Date.UTC(2026, 0, 1) + 1000,
    temperature: 21.5,
  });
  t.is(second?.qos, 0);
  t.is(seen("telemetry").length, 1);
});

test("telemetry without PUBACK is sent again on the next link, with the same packet id, and only until acknowledged", async t => {
  const { agent, broker, clock } = world((packet, link) => {
    if (packet.cmd === "connect")
      link.reply({ cmd: "connack", returnCode: 0, sessionPresent: link.index > 0 });
    else if (packet.cmd !== "publish" || link.index > 0) obliging(packet, link);
  });
  agent.start();
  await clock.run(1000);
  agent.telemetry.send("climate", { temperature: 21.5 });
  await clock.run(1000);
  for (let i = 0; i < 2; i++) {
    broker.link!.close();
    await clock.run(10_000);
  }
  const publishes = broker.all("publish");
  t.is(publishes.length, 2);
  t.deepEqual(
    publishes.map(publish => publish.dup),
    [false, true],
  );
  t.is(publishes[0]?.messageId, publishes[1]?.messageId);
});

test("70,000 publishes: ids are never 0, never one in flight, at most 8 at once, within the pace", async t => {
  const unanswered = new Set<number>();
  const faults: string[] = [];
  const perSecond = new Map<number, number>();
  const chance = new Random(7);
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "publish") return obliging(packet, link);
    const messageId = packet.messageId!;
    const second = Math.floor(clock.ticks() / 1000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    if (messageId === 0 || unanswered.has(messageId)) faults.push(`id ${messageId}`);
    if (unanswered.size >= 8) faults.push(`${unanswered.size} in flight`);
    unanswered.add(messageId);
    // Out of order, and slowly enough for the window to fill.
    clock.set(() => {
      unanswered.delete(messageId);
      link.reply({ cmd: "puback", messageId });
    }, chance.below(150));
  });
  agent.start();
  await clock.run(1000);
  for (let i = 0; i < 7000; i++) {
    for (let k = 0; k < 10; k++) agent.telemetry.send("c", { k });
    await clock.run(300);
  }
  await clock.run(5000);
  t.deepEqual(faults, []);
  t.is(broker.all("publish").length, 70_000);
  t.is(seen("telemetry").length, 70_000);
  // Seconds here and the agent's own do not begin together: two of its windows may touch one of these.
  t.true(Math.max(...perSecond.values()) <= 160);
});

test("while offline the oldest telemetry is dropped, counted, and the rest arrives in order", async t => {
  const { agent, broker, clock, seen } = world();
  for (let i = 0; i < 40; i++) agent.telemetry.send("c", { i });
  agent.start();
  await clock.run(5000);
  const order = broker.all("publish").map(publish => JSON.parse(String(publish.payload)).i);
  t.deepEqual(
    order,
    Array.from({ length: 32 }, (_, i) => i + 8),
  );
  const last = seen("telemetry").at(-1);
  t.is(last?.type === "telemetry" && last.dropped, 8);
});

test("a payload larger than the socket's window goes out in pieces and arrives whole", async t => {
  const { agent, broker, clock } = world();
  agent.start();
  await clock.run(1000);
  const text = "é".repeat(4000);
  agent.telemetry.send("big", { text }, { QoS: 1 });
  agent.telemetry.send("small", { a: 1 });
  await clock.run(3000);
  const [big, small] = broker.all("publish");
  t.is(JSON.parse(String(big?.payload)).text, text);
  t.is(small?.topic, "dt/node-1/small");
});

test("what cannot be sent is refused at once, by name, and the link stays", async t => {
  const { agent, clock, seen } = world();
  agent.start();
  await clock.run(1000);
  t.throws(() => agent.telemetry.send("a/b", { a: 1 }), { message: /channel "a\/b"/ });
  t.throws(() => agent.telemetry.send("c", { a: Number.NaN }), { message: /NaN/ });
  t.throws(() => agent.telemetry.send("c", { text: "x".repeat(9000) }), {
    message: /9\d\d\d bytes in "c"/,
  });
  await clock.run(1000);
  t.is(seen("offline").length, 0);
});

const following = () => ({ seconds: { type: "integer", min: 1, max: 60, default: 5 } as const });

/** Answers the shadow's get with a document that is always the same, and accepts every update. */
const withShadow =
  (document: string): Script =>
  (packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !packet.topic.includes("/shadow/")) return;
    const { clientToken } = JSON.parse(String(packet.payload));
    const isGet = packet.topic.endsWith("get");
    const payload = isGet
      ? document.replace("TOKEN", clientToken)
      : JSON.stringify({ state: {}, version: 5, clientToken });
    link.reply({
      cmd: "publish",
      topic: `${packet.topic}/accepted`,
      payload,
      qos: isGet ? 1 : 0,
      messageId: 77,
      dup: false,
      retain: false,
    });
  };

test("the shadow is read after its topics are granted, applied, saved and reported", async t => {
  const script = withShadow(
    '{"state":{"desired":{"seconds":9,"other":[1]}},"version":4,"clientToken":"TOKEN"}',
  );
  const { agent, broker, clock } = world(script);
  const settings = agent.settings(following());
  const changes: unknown[] = [];
  settings.onChange = changed => changes.push(changed);
  agent.start();
  await clock.run(2000);
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.is(settings.values.seconds, 9);
  const order = broker.received.map(({ packet }) => packet.cmd).slice(0, 5);
  t.deepEqual(order, ["connect", "subscribe", "publish", "publish", "puback"]);
  const update = broker.all("publish").find(publish => publish.topic.endsWith("/shadow/update"));
  t.deepEqual(JSON.parse(String(update?.payload)).state, {
    reported: { seconds: 9, _verdicts: { other: "unknown" } },
  });
});

test("a message is acknowledged after it was handled, and a throwing onChange is reported, not fatal", async t => {
  const { agent, broker, clock, seen } = world(
    withShadow('{"state":{"desired":{"seconds":9}},"version":4,"clientToken":"TOKEN"}'),
  );
  const settings = agent.settings(following());
  settings.onChange = () => {
    throw new Error("no such LED");
  };
  agent.start();
  await clock.run(2000);
  t.is(broker.all("puback").length, 1);
  const [fault] = seen("fault");
  t.true(fault?.type === "fault" && fault.error.message.includes("onChange threw for seconds"));
  t.is(seen("offline").length, 0);
});

test("an answer to another client's request is not taken", async t => {
  const { agent, clock } = world(
    withShadow('{"state":{"desired":{"seconds":9}},"version":4,"clientToken":"other"}'),
  );
  const settings = agent.settings(following());
  agent.start();
  await clock.run(2000);
  t.is(settings.values.seconds, 5);
});

const evil: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["a packet type no server sends", Uint8Array.of(0xf0, 0)],
  ["an endless remaining length", Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff)],
  ["a second CONNACK", Uint8Array.of(0x20, 3, 0, 0, 0)],
  ["a topic that is not UTF-8", Uint8Array.of(0x30, 4, 0, 1, 0xff, 0)],
];

const unreadable: readonly (readonly [what: string, suffix: string, payload: string | Buffer])[] = [
  ["100,000 nested arrays, to their end or not", "get/accepted", `{"state":${"[".repeat(20_000)}`],
  ["a document of no bytes", "get/accepted", ""],
  ["an acknowledgement of no bytes", "update/accepted", ""],
  ["a rejection that is no JSON", "update/rejected", "no"],
  ["a delta that is no JSON", "update/delta", "{"],
  ["a delta without a version", "update/delta", '{"state":{"seconds":9}}'],
  ["a delta that is not UTF-8", "update/delta", Buffer.from([0x22, 0xff, 0x22])],
];

for (const [what, bytes] of evil) {
  test(`${what} ends in a protocol error and a closed link, and the agent dials again`, async t => {
    const { agent, broker, clock, seen } = world(
      withShadow('{"state":{},"version":1,"clientToken":"TOKEN"}'),
    );
    const settings = agent.settings(following());
    agent.start();
    await clock.run(1000);
    broker.link!.raw(bytes);
    await clock.run(1000);
    const [offline] = seen("offline");
    t.is(offline?.type === "offline" && offline.error.kind, "protocol");
    await clock.run(5000);
    t.true(broker.all("connect").length >= 2);
    t.is(settings.values.seconds, 5);
  });
}

for (const [what, suffix, payload] of unreadable) {
  test(`${what}: acknowledged and dropped, or it would come again for ever; the link stays`, async t => {
    const { agent, broker, clock, seen } = world(
      withShadow('{"state":{},"version":1,"clientToken":"TOKEN"}'),
    );
    const settings = agent.settings(following());
    agent.start();
    await clock.run(1000);
    broker.link!.reply({
      cmd: "publish",
      topic: `$aws/things/node-1/shadow/${suffix}`,
      payload,
      qos: 1,
      messageId: 77,
      dup: false,
      retain: false,
    });
    await clock.run(5000);
    t.is(seen("offline").length, 0);
    t.true(broker.all("puback").some(({ messageId }) => messageId === 77));
    // An answer that nobody waits for is another client's.
    const faults = seen("fault").map(fault => fault.type === "fault" && fault.error.kind);
    const isOurs = suffix === "update/delta" || suffix === "update/accepted";
    t.deepEqual(faults, isOurs ? ["protocol"] : []);
    t.is(settings.values.seconds, 5);
    broker.link!.reply({
      cmd: "publish",
      topic: "$aws/things/node-1/shadow/update/delta",
      payload: '{"state":{"seconds":9},"version":7}',
      qos: 1,
      messageId: 78,
      dup: false,
      retain: false,
    });
    await clock.run(5000);
    t.is(settings.values.seconds, 9, "and what comes after is followed");
  });
}

test("a message too long to keep is read to its end, acknowledged and reported", async t => {
  const { agent, broker, clock, seen } = world();
  agent.settings(following());
  agent.start();
  await clock.run(1000);
  const payload = Buffer.alloc(131_072);
  broker.link!.reply({
    cmd: "publish",
    topic: "big",
    payload,
    qos: 1,
    messageId: 9,
    dup: false,
    retain: false,
  });
  await clock.run(3000);
  t.true(broker.all("puback").some(puback => puback.messageId === 9));
  const [fault] = seen("fault");
  t.true(fault?.type === "fault" && fault.error.message.includes("131072 bytes"));
  t.is(seen("offline").length, 0);
});

test("nothing is asked of the shadow while its answers could not be heard", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "subscribe") return obliging(packet, link);
    const granted = packet.subscriptions.map(({ topic }) => (topic.endsWith("delta") ? 0x80 : 1));
    link.reply({ cmd: "suback", messageId: packet.messageId!, granted });
  });
  agent.settings(following());
  agent.start();
  await clock.run(2000);
  t.is(seen("fault").length, 1);
  t.is(broker.all("publish").length, 0, "nothing is asked while an answer could not be heard");
});

test("options that cannot be are refused before anything is opened, by name and value", t => {
  const { options } = world();
  const bad: [Partial<AgentOptions>, RegExp][] = [
    [{ endpoint: "a b" }, /options\.endpoint "a b"/],
    [{ port: 0 }, /options\.port 0 is not 1 to 65535/],
    [{ keepAliveSeconds: 5 }, /options\.keepAliveSeconds 5/],
    [{ trustAnchors: [] }, /options\.trustAnchors is empty/],
    [{ trustAnchors: ["x"] }, /options\.trustAnchors\[0\]: no CERTIFICATE/],
    [{ identity: { ...identity, thingName: "a/b" } }, /thingName "a\/b"/],
    [{ identity: { ...identity, key: "x" } }, /identity\.key: no PRIVATE KEY/],
    [
      { telemetry: { topic: "a/b/c/d/e/f/g/{thing}/{channel}" } },
      /telemetry\.topic .*: topic .* has 8 slashes/,
    ],
    [{ telemetry: { topic: "x" } }, /telemetry\.topic "x" has no \{channel\}/],
  ];
  for (const [more, message] of bad)
    t.throws(() => new Agent({ ...options, ...more }), { message });
});

test("an observer that throws does not stop the agent", async t => {
  const { agent, broker, clock } = world(obliging, {
    onStatus: () => {
      throw new Error("observer");
    },
  });
  agent.start();
  await clock.run(1000);
  t.is(broker.all("connect").length, 1);
  t.is((agent.observerFault as Error).message, "observer");
});

/** A broker that swallows the first link's packets of one kind, however often they come. */
const swallowing =
  (cmd: "subscribe" | "publish"): Script =>
  (packet, link) => {
    if (packet.cmd !== cmd || link.index > 0) obliging(packet, link);
  };

test("MQTT 3.1.1: what is not acknowledged is sent again on the same link, same id, DUP on PUBLISH; then the link is given up", async t => {
  for (const cmd of ["subscribe", "publish"] as const) {
    const { agent, broker, clock, seen } = world(swallowing(cmd), { mqtt: { protocolVersion: 4 } });
    agent.settings(following());
    agent.start();
    await clock.run(1000);
    agent.telemetry.send("c", { a: 1 });
    await clock.run(15_000);
    const [first] = broker.all(cmd);
    const sent = broker.all(cmd).filter(({ messageId }) => messageId === first!.messageId);
    t.is(sent.length, 2, `${cmd} within 15 s`);
    t.deepEqual(
      sent.map(packet => packet.cmd === "publish" && packet.dup),
      [false, cmd === "publish"],
    );
    t.is(broker.all("connect").length, 1);
    await clock.run(30_000);
    const [offline] = seen("offline");
    t.is(offline?.type === "offline" && offline.error.code, "mqtt/unacknowledged");
    await clock.run(5000);
    t.is(seen("telemetry").length, 1);
    t.is(broker.all("connect").length, 2);
  }
});

test("MQTT 5: nothing is sent again on the same link; it is given up, and what was in flight goes over the next", async t => {
  for (const cmd of ["subscribe", "publish"] as const) {
    const { agent, broker, clock, seen } = world(swallowing(cmd));
    agent.settings(following());
    agent.start();
    await clock.run(1000);
    agent.telemetry.send("c", { a: 1 });
    await clock.run(38_000);
    const ids = broker.all(cmd).map(({ messageId }) => messageId);
    t.is(new Set(ids).size, ids.length, cmd);
    t.is(seen("offline").length, 0);
    await clock.run(10_000);
    const [offline] = seen("offline");
    t.is(offline?.type === "offline" && offline.error.code, "mqtt/unacknowledged");
    t.is(seen("telemetry").length, 1);
  }
});

test("acknowledgements that are unknown, doubled or for another kind change nothing", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd === "publish" && packet.qos === 1) {
      const messageId = packet.messageId!;
      link.reply({ cmd: "suback", messageId, granted: [1] });
      link.reply({ cmd: "unsuback", messageId, granted: [0] });
      for (let i = 0; i < 3; i++) link.reply({ cmd: "puback", messageId });
      link.reply({ cmd: "puback", messageId: 60_000 });
      return;
    }
    if (packet.cmd === "subscribe") link.reply({ cmd: "puback", messageId: packet.messageId! });
    obliging(packet, link);
    if (packet.cmd === "subscribe") obliging(packet, link);
  });
  agent.settings(following());
  agent.start();
  for (let i = 0; i < 20; i++) {
    agent.telemetry.send("c", { i });
    await clock.run(1000);
  }
  t.is(seen("telemetry").length, 20);
  t.is(seen("offline").length, 0);
  t.is(broker.all("subscribe").length, 1);
});

test("a refused filter costs the shadow, not the link and its telemetry", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "subscribe") return obliging(packet, link);
    const granted = packet.subscriptions.map(({ topic }) => (topic.endsWith("delta") ? 0x80 : 1));
    link.reply({ cmd: "suback", messageId: packet.messageId!, granted });
  });
  agent.settings(following());
  agent.start();
  for (let i = 0; i < 60; i++) {
    agent.telemetry.send("c", { i });
    await clock.run(60_000);
  }
  t.is(broker.all("connect").length, 1);
  t.is(seen("telemetry").length, 60);
  const faults = seen("fault");
  t.true(faults.every(fault => fault.type === "fault" && fault.error.code === "mqtt/subscribe"));
  t.is(faults.length, 4, "asked for again three times on one link, and no more");
  t.is(broker.all("subscribe").length, 4);
});

test("a CONNECT that is answered by closing is told apart from a link that broke", async t => {
  const { agent, clock, seen } = world((packet, link) => {
    if (packet.cmd === "connect") link.close();
  });
  agent.start();
  await clock.run(1000);
  const [offline] = seen("offline");
  t.is(offline?.type === "offline" && offline.error.code, "mqtt/unanswered");
});

test("stored settings are told to the product at the next start; before it none can be set", async t => {
  const script = withShadow(
    '{"state":{"desired":{"seconds":9}},"version":4,"clientToken":"TOKEN"}',
  );
  const { agent, clock, options } = world(script);
  const first = agent.settings(following());
  t.throws(() => first.set({ seconds: 7 }), { message: /settings are set after start/ });
  agent.start();
  await clock.run(2000);
  agent.stop();
  await clock.run(2000);

  const again = new Agent(options);
  const settings = again.settings(following());
  const changes: unknown[] = [];
  settings.onChange = changed => changes.push(changed);
  again.start();
  t.deepEqual(changes, [{ seconds: 9 }]);
  await clock.run(2000);
  t.deepEqual(changes, [{ seconds: 9 }], "and not again by the document");
  t.throws(() => settings.set({ toString: 5 } as never), { message: /toString is not declared/ });
});

test("an update that was refused for a passing reason is sent again", async t => {
  let refusals = 0;
  const { agent, broker, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "publish" || !packet.topic.includes("/shadow/"))
      return obliging(packet, link);
    obliging(packet, link);
    const { clientToken } = JSON.parse(String(packet.payload));
    const isRefused = packet.topic.endsWith("update") && refusals++ === 0;
    const payload = isRefused
      ? JSON.stringify({ code: 500, message: "Internal service failure", clientToken })
      : JSON.stringify({ state: {}, version: 1, clientToken });
    const topic = `${packet.topic}/${isRefused ? "rejected" : "accepted"}`;
    link.reply({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false });
  });
  agent.settings(following());
  agent.start();
  await clock.run(5000);
  t.is(broker.all("publish").filter(({ topic }) => topic.endsWith("update")).length, 2);
  t.is(seen("offline").length, 0);
});

test("two writers that refuse each other's updates do not race for ever", async t => {
  const { agent, broker, clock, seen } = world((packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !packet.topic.includes("/shadow/")) return;
    const { clientToken } = JSON.parse(String(packet.payload));
    const isUpdate = packet.topic.endsWith("update");
    const payload = isUpdate
      ? JSON.stringify({ code: 409, message: "Version conflict", clientToken })
      : JSON.stringify({ state: {}, version: 1, clientToken });
    const topic = `${packet.topic}/${isUpdate ? "rejected" : "accepted"}`;
    link.reply({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false });
  });
  agent.settings(following());
  agent.start();
  await clock.run(600_000);
  t.true(
    broker.all("publish").length < 100,
    `${broker.all("publish").length} requests in ten minutes`,
  );
  t.is(seen("offline").length, 0, "the link has nothing to do with it");
});

test("stopping and starting from inside any status leaves one link and no timer", async t => {
  for (const when of ["connecting", "online", "reported", "telemetry", "offline"] as const) {
    for (const again of [false, true]) {
      let count = 0;
      const { agent, broker, clock, network, statuses } = world(
        withShadow('{"state":{},"version":4,"clientToken":"TOKEN"}'),
        {
          onStatus: status => {
            statuses.push(status);
            if (status.type !== when || count++ > 0) return;
            agent.stop();
            if (again) agent.start();
          },
        },
      );
      agent.settings(following());
      agent.telemetry.send("c", { a: 1 });
      agent.start();
      await clock.run(3000);
      network.isUp = false;
      await clock.run(100);
      network.isUp = true;
      await clock.run(300_000);
      const title = `${when}, ${again ? "start" : "stop"}`;
      t.is(statuses.filter(({ type }) => type === "fault").length, 0, title);
      const isOnline = statuses
        .filter(({ type }) => type === "online" || type === "stopped")
        .at(-1);
      t.is(isOnline?.type, again ? "online" : "stopped", title);
      agent.stop();
      await clock.run(5000);
      t.is(clock.pending, 0, title);
      const after = broker.received.filter(({ packet }, i) =>
        broker.received
          .slice(0, i)
          .some(
            earlier =>
              earlier.packet.cmd === "disconnect" &&
              earlier.link === broker.received[i]!.link &&
              packet.cmd !== "disconnect",
          ),
      );
      t.deepEqual(
        after.map(({ packet }) => packet.cmd),
        [],
        `${title}: nothing after DISCONNECT`,
      );
    }
  }
});

test("a generator of random bytes that fails lets nothing escape, and the longest wait is taken", async t => {
  const { clock, options, statuses, broker } = world();
  let isBroken = false;
  const { crypto } = options.host;
  const random = (length: number) => {
    if (isBroken) throw new Error("no entropy");
    return crypto.random(length);
  };
  const agent = new Agent({ ...options, host: { ...options.host, crypto: { ...crypto, random } } });
  agent.start();
  await clock.run(1000);
  isBroken = true;
  broker.link!.close();
  await clock.run(500);
  const offline = statuses.find(({ type }) => type === "offline");
  t.true(offline?.type === "offline" && offline.retryInMs === 999);
  await clock.run(5000);
  t.is(broker.all("connect").length, 2);
});

test("storage that cannot be opened is reported and tried again, until stopped", async t => {
  const { clock, options, statuses, broker } = world();
  let isBroken = true;
  const keyValue = {
    open: (where: { readonly path: string }) => {
      if (isBroken) throw new Error("flash is not there");
      return options.host.keyValue.open(where);
    },
  };
  const agent = new Agent({ ...options, host: { ...options.host, keyValue } });
  agent.start();
  await clock.run(130_000);
  t.is(statuses.filter(({ type }) => type === "fault").length, 3);
  isBroken = false;
  await clock.run(61_000);
  t.is(broker.all("connect").length, 1);
  agent.stop();
  await clock.run(5000);
  t.is(clock.pending, 0);
});
