// The link against brokers and networks of every kind, in virtual time: versions, take-over, endpoints, addresses, deadlines.
import test from "ava";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power, PowerCut } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import type { Host, ResolveOptions, Resolver } from "../../src/host.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;

interface Extra {
  readonly options?: Partial<AgentOptions>;
  readonly host?: (host: Host, clock: VirtualClock) => Partial<Host>;
}

function world(script: Script = obliging, { options = {}, host: change }: Extra = {}) {
  const clock = new VirtualClock();
  const broker = new ScriptedBroker(script);
  const network = new Network(clock, broker.accept);
  const flash = new Flash();
  const statuses: AgentStatus[] = [];
  const dials: { host: string; address: string; port: number; at: number }[] = [];
  network.onDial = ({ host, address, port }) =>
    dials.push({ host, address, port, at: clock.ticks() });
  const random = new Random(1);
  const boot = (more: Partial<AgentOptions> = {}) => {
    const host = virtualHost({ id: "b", clock, random, network, flash, power: new Power() });
    const agent = new Agent({
      host: { ...host, ...change?.(host, clock) },
      endpoint: "first.test",
      trustAnchors: [pem("CERTIFICATE")],
      identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
      onStatus: status => statuses.push(status),
      ...options,
      ...more,
    });
    agent.start();
    return agent;
  };
  const seen = <T extends AgentStatus["type"]>(type: T) =>
    statuses.filter(status => status.type === type) as Extract<AgentStatus, { type: T }>[];
  return { boot, clock, broker, network, flash, seen, dials };
}

test("MQTT 5 is spoken where the broker takes it, with what the link needs", async t => {
  const { boot, clock, broker, seen } = world(obliging, {
    options: { mqtt: { userProperties: [["fleet", "north"]] } },
  });
  const agent = boot();
  await clock.run(1000);
  const [connect] = broker.all("connect");
  t.is(connect?.protocolVersion, 5);
  t.deepEqual(JSON.parse(JSON.stringify(connect?.properties)), {
    sessionExpiryInterval: 3600,
    receiveMaximum: 64,
    maximumPacketSize: 149_504,
    topicAliasMaximum: 8,
    userProperties: { fleet: "north" },
  });
  t.is(seen("online")[0]?.protocolVersion, 5);
  t.is(agent.link.protocolVersion, 5);
});

/** A broker of 3.1.1 only, which says so, or just closes. */
const old =
  (answer: "returnCode" | "close"): Script =>
  (packet, link) => {
    if (packet.cmd !== "connect" || packet.protocolVersion === 4) return obliging(packet, link);
    if (answer === "close") link.close();
    else link.raw(Uint8Array.of(0x20, 2, 0, 1));
  };

test("a broker of MQTT 3.1.1 is found out, whether it says so or closes, and dialed with it from then on", async t => {
  for (const answer of ["returnCode", "close"] as const) {
    const { boot, clock, broker, seen } = world(old(answer));
    boot();
    await clock.run(30_000);
    t.is(seen("online")[0]?.protocolVersion, 4, answer);
    const dialed = broker.all("connect").length;
    t.true(dialed <= 3, `${dialed} dials`);
    broker.link!.close();
    await clock.run(10_000);
    t.is(broker.all("connect").at(-1)?.protocolVersion, 4);
    t.is(seen("online").length, 2);
  }
});

test("a broker of MQTT 5 only, which closed on two CONNECTs before, is not dialed with 3.1.1 for ever", async t => {
  const { boot, clock, broker, seen } = world((packet, link) => {
    if (packet.cmd !== "connect") return obliging(packet, link);
    if (link.index < 2) link.close();
    else if (packet.protocolVersion === 4) link.raw(Uint8Array.of(0x20, 2, 0, 1));
    else obliging(packet, link);
  });
  boot();
  await clock.run(120_000);
  t.deepEqual(
    broker.all("connect").map(each => each.protocolVersion),
    [5, 5, 4, 5],
  );
  t.is(seen("online")[0]?.protocolVersion, 5);
});

test("a product that asks for one version gets that one or none", async t => {
  const { boot, clock, broker, seen } = world(old("returnCode"), {
    options: { mqtt: { protocolVersion: 5 } },
  });
  boot();
  await clock.run(600_000);
  t.true(broker.all("connect").every(each => each.protocolVersion === 5));
  t.is(seen("offline")[0]?.error.code, "mqtt/version");
  t.true(broker.all("connect").length < 20);
});

test("aliases are given as far as the server takes them, and begin anew with each link", async t => {
  const { boot, clock, broker } = world((packet, link) => {
    if (packet.cmd !== "connect") return obliging(packet, link);
    const properties = { topicAliasMaximum: 2 };
    link.reply({ cmd: "connack", reasonCode: 0, sessionPresent: true, properties });
  });
  const agent = boot();
  await clock.run(1000);
  for (const channel of ["a", "b", "c", "a", "b", "c"]) agent.telemetry.send(channel, { x: 1 });
  await clock.run(1000);
  const shown = () =>
    broker.all("publish").map(({ topic, properties }) => [topic, properties?.topicAlias]);
  t.deepEqual(shown(), [
    ["dt/node-1/a", 1],
    ["dt/node-1/b", 2],
    ["dt/node-1/c", undefined],
    ["", 1],
    ["", 2],
    ["dt/node-1/c", undefined],
  ]);
  broker.link!.close();
  await clock.run(5000);
  agent.telemetry.send("b", { x: 1 });
  await clock.run(1000);
  t.deepEqual(shown().at(-1), ["dt/node-1/b", 1]);
});

test("the server's receive maximum, packet size and keep-alive hold", async t => {
  const held: number[] = [];
  const { boot, clock, broker, seen } = world((packet, link) => {
    if (packet.cmd === "connect") {
      const properties = { receiveMaximum: 2, maximumPacketSize: 200, serverKeepAlive: 30 };
      link.reply({ cmd: "connack", reasonCode: 0, sessionPresent: true, properties });
    } else if (packet.cmd === "publish") held.push(packet.messageId!);
    else obliging(packet, link);
  });
  const agent = boot();
  await clock.run(1000);
  agent.telemetry.send("c", { text: "x".repeat(300) });
  for (let i = 0; i < 5; i++) agent.telemetry.send("c", { i });
  await clock.run(2000);
  t.is(held.length, 2);
  t.regex(seen("telemetryRefused")[0]!.error.message, /more than the broker takes/);
  for (const messageId of held.splice(0)) broker.link!.reply({ cmd: "puback", messageId });
  await clock.run(1000);
  t.is(held.length, 2);
  await clock.run(30_000);
  t.true(broker.all("pingreq").length >= 2);
});

test("a publish the broker refuses is reported with its reason, and the link stays", async t => {
  const { boot, clock, seen } = world((packet, link) => {
    if (packet.cmd !== "publish") return obliging(packet, link);
    link.reply({ cmd: "puback", messageId: packet.messageId!, reasonCode: 0x87 });
  });
  const agent = boot();
  await clock.run(1000);
  agent.telemetry.send("c", { a: 1 });
  await clock.run(1000);
  t.is(
    seen("telemetryRefused")[0]?.error.message,
    "PUBLISH dt/node-1/c: PUBACK 0x87 not authorized",
  );
  t.is(seen("offline").length, 0);
});

test("whose session is taken over holds off, so that two of one name do not throw each other out all day", async t => {
  const { boot, clock, broker, seen } = world((packet, link) => {
    obliging(packet, link);
    if (packet.cmd === "connect") {
      const reasonString = "connected from elsewhere";
      link.reply({ cmd: "disconnect", reasonCode: 0x8e, properties: { reasonString } });
    }
  });
  boot();
  await clock.run(3_600_000);
  const ends = seen("offline");
  t.is(ends[0]?.error.code, "mqtt/taken-over");
  t.is(ends[0]?.error.message, "MQTT: DISCONNECT 0x8e session taken over connected from elsewhere");
  t.true(ends.every(({ retryInMs }) => retryInMs >= 60_000 && retryInMs <= 120_000));
  t.true(broker.all("connect").length <= 60);
});

test("a busy server is come back to with backoff, one that refuses after the cap at random", async t => {
  for (const [reasonCode, code] of [
    [0x97, "mqtt/busy"],
    [0x88, "mqtt/busy"],
    [0x87, "mqtt/refused"],
    [0x85, "mqtt/refused"],
  ] as const) {
    const { boot, clock, seen } = world((packet, link) => {
      if (packet.cmd === "connect")
        link.reply({ cmd: "connack", reasonCode, sessionPresent: false });
    });
    boot();
    await clock.run(400_000);
    t.true(seen("offline").every(({ error }) => error.code === code));
    const first = seen("offline")[0]!.retryInMs;
    t.is(first <= 1000, code === "mqtt/busy", `${reasonCode}: ${first}`);
  }
});

test("a server that breaks the rules is told so before the link ends", async t => {
  const { boot, clock, broker } = world();
  boot();
  await clock.run(1000);
  broker.link!.raw(Uint8Array.of(0x20, 3, 0, 0, 0));
  await clock.run(1000);
  t.is(broker.all("disconnect")[0]?.reasonCode, 0x82);
});

test("the will is sent with CONNECT, under the thing's name", async t => {
  const will = { topic: "status/{thing}", message: "gone", QoS: 1, retain: true } as const;
  for (const protocolVersion of [4, 5] as const) {
    const { boot, clock, broker } = world(obliging, {
      options: { mqtt: { will, protocolVersion } },
    });
    boot();
    await clock.run(1000);
    const sent = broker.all("connect")[0]?.will;
    t.is(sent?.topic, "status/node-1");
    t.is(String(sent?.payload), "gone");
    t.is(sent?.qos, 1);
    t.is(sent?.retain, true);
  }
});

test("a move is kept once a session was held there, also over a restart; new firmware has the last word", async t => {
  const { boot, clock, dials, seen } = world();
  const agent = boot();
  t.throws(() => agent.moveTo({ endpoint: "not a host" }), { message: /not a host name/ });
  await clock.run(1000);
  agent.moveTo({ endpoint: "second.test", port: 443 });
  await clock.run(3000);
  t.deepEqual(
    dials.map(({ host, port }) => `${host}:${port}`),
    ["first.test:8883", "second.test:443"],
  );
  t.deepEqual(seen("moved"), [{ type: "moved", endpoint: "second.test", port: 443 }]);
  agent.stop();
  await clock.run(5000);
  const again = boot();
  await clock.run(1000);
  t.is(dials.at(-1)?.host, "second.test");
  again.stop();
  await clock.run(5000);
  boot({ endpoint: "third.test" });
  await clock.run(1000);
  t.is(dials.at(-1)?.host, "third.test");
});

test("a move that is asked for while dialing is made after it, and counts only what was dialed after it", async t => {
  const { boot, clock, dials, seen } = world();
  const agent = boot();
  await clock.run(30);
  agent.moveTo({ endpoint: "second.test" });
  await clock.run(3000);
  t.deepEqual(
    dials.map(({ host }) => host),
    ["first.test", "second.test"],
  );
  t.is(seen("moved").length, 1);
  t.is(agent.link.endpoint.host, "second.test");
});

test("an endpoint where no session can be held is given up, and the one before is gone back to", async t => {
  const { boot, clock, dials, seen, network } = world();
  const agent = boot();
  await clock.run(1000);
  const connect = network.onDial;
  let isDead = false;
  network.onDial = options => {
    connect(options);
    isDead = options.host === "second.test";
    if (isDead) clock.set(() => network.cutAll(), 10);
  };
  agent.moveTo({ endpoint: "second.test" });
  await clock.run(400_000);
  t.is(dials.filter(({ host }) => host === "second.test").length, 5);
  t.is(dials.at(-1)?.host, "first.test");
  t.is(seen("fault")[0]?.error.code, "connection/endpoint");
  t.is(agent.link.state, "online");
  t.is(agent.link.endpoint.host, "first.test");
});

test("power cut at every flash operation of a move: the device comes back at one endpoint or the other, never stuck", async t => {
  const clock = new VirtualClock();
  const network = new Network(clock, new ScriptedBroker(obliging).accept);
  const seen = new Set<string>();
  for (let cut = 0; cut < 6; cut++) {
    const flash = new Flash();
    const start = (power: Power) => {
      const random = new Random(cut);
      const agent = new Agent({
        host: virtualHost({ id: "b", clock, random, network, flash, power }),
        endpoint: "first.test",
        trustAnchors: [pem("CERTIFICATE")],
        identity: { thingName: "n", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
      });
      agent.start();
      return agent;
    };
    // The first operation notes the time; the two after it belong to the move.
    const power = new Power(2 + cut);
    const agent = start(power);
    await clock.run(1000);
    try {
      agent.moveTo({ endpoint: "second.test" });
    } catch (error) {
      t.true(error instanceof PowerCut);
    }
    await clock.run(3000);
    t.is(power.isOn, cut >= 4, `cut ${cut}`);
    power.cut();
    const next = start(new Power());
    await clock.run(3000);
    t.is(next.link.state, "online", `cut ${cut}`);
    seen.add(next.link.endpoint.host);
    next.stop();
    await clock.run(3000);
  }
  t.deepEqual([...seen], ["first.test", "second.test"]);
});

test("silence halves the keep-alive down to 30 s, and a link that held half a day stretches it again", async t => {
  let isMute = false;
  const { boot, clock, broker } = world(
    (packet, link) => {
      if (!isMute || packet.cmd === "connect") obliging(packet, link);
    },
    { options: { keepAliveSeconds: 120 } },
  );
  boot();
  const keepAlives = () => broker.all("connect").map(each => each.keepalive);
  for (let i = 0; i < 3; i++) {
    isMute = false;
    await clock.run(600_000);
    isMute = true;
    const before = keepAlives().length;
    await clock.runUntil(() => keepAlives().length > before, 600_000);
  }
  t.deepEqual(keepAlives().slice(0, 4), [120, 60, 30, 30]);
  isMute = false;
  await clock.run(50_000_000);
  broker.link!.close();
  await clock.run(5000);
  t.is(keepAlives().at(-1), 45);
});

/** A resolver that answers with what the test wants, or not at all. */
function resolving(answer: (options: ResolveOptions) => void): NonNullable<Extra["host"]> {
  return (_, clock) => ({
    dns: {
      io: class implements Resolver {
        #isOpen = true;
        resolve(options: ResolveOptions): void {
          clock.set(() => this.#isOpen && answer(options), 20);
        }
        close(): void {
          this.#isOpen = false;
        }
      },
    },
  });
}

test("a name that is not answered, or does not exist, costs its deadline and a backoff", async t => {
  const silent = world(obliging, { host: resolving(() => undefined) });
  silent.boot();
  await silent.clock.run(11_000);
  t.is(silent.seen("offline")[0]?.error.code, "connection/timeout");
  t.is(silent.seen("offline")[0]?.error.message, "first.test: no address in 10000 ms");
  const absent = world(obliging, {
    host: resolving(options => options.onError(options.host, new Error("NXDOMAIN"))),
  });
  absent.boot();
  await absent.clock.run(1000);
  t.is(absent.seen("offline")[0]?.error.code, "connection/resolve");
});

test("a dead address is left for the next one, refused or silent; the same dial comes online", async t => {
  for (const kind of ["refused", "silent"] as const) {
    const { boot, clock, seen, dials, network } = world(obliging, {
      host: resolving(options => options.onResolved(options.host, "10.0.0.1", ["10.0.0.2"])),
    });
    network.fate = ({ address }) => (address === "10.0.0.1" ? kind : "open");
    boot();
    await clock.run(25_000);
    t.deepEqual(
      dials.map(({ address }) => address),
      ["10.0.0.1", "10.0.0.2"],
    );
    t.is(seen("offline").length, 0);
    t.is(seen("online").length, 1, kind);
  }
});

test("every stage has its deadline: a silent handshake and a missing CONNACK are named", async t => {
  const dark = world();
  dark.network.fate = () => "silent";
  dark.boot();
  await dark.clock.run(21_000);
  t.regex(dark.seen("offline")[0]!.error.message, /no TLS with 127\.0\.0\.1 in 20000 ms/);
  const mute = world(() => undefined);
  mute.boot();
  await mute.clock.run(11_000);
  t.regex(mute.seen("offline")[0]!.error.message, /no CONNACK in 10000 ms/);
});

test("power that comes back for a whole fleet: the first dial has a time of its own; a restart dials at once", async t => {
  const reset = (resetReason: "powerOn" | "restart") => (host: Host) => ({
    system: { ...host.system, resetReason },
  });
  const cold = world(obliging, { host: reset("powerOn") });
  const agent = cold.boot();
  await cold.clock.run(60_000);
  const [waiting] = cold.seen("waiting");
  t.true(waiting!.inMs > 0 && waiting!.inMs < 60_000);
  t.is(cold.dials[0]!.at >= waiting!.inMs, true);
  agent.stop();
  await cold.clock.run(5000);
  agent.start();
  t.is(cold.seen("waiting").length, 1, "started by the product: at once");
  const warm = world(obliging, { host: reset("restart") });
  warm.boot();
  await warm.clock.run(1000);
  t.is(warm.seen("online").length, 1);
});

test("10,000 reconnects leave no timer, no socket and no memory behind", async t => {
  const { boot, clock, network, seen } = world((packet, link) => {
    obliging(packet, link);
    if (packet.cmd === "connect") clock.set(() => link.close(), 61_000);
  });
  const agent = boot();
  await clock.run(5000);
  const before = [clock.pending, network.open];
  while (seen("online").length < 10_000) await clock.run(10_000_000);
  await clock.runUntil(() => agent.link.state === "online", 600_000);
  await clock.run(5000);
  t.deepEqual([clock.pending, network.open], before);
  agent.stop();
  await clock.run(100_000);
  t.deepEqual([clock.pending, network.open], [0, 0]);
});

test("nothing follows DISCONNECT: no second one for a second stop, no ping, and the wait for its end has an end", async t => {
  const { boot, clock, broker, seen } = world(
    (packet, link) => {
      if (packet.cmd !== "disconnect") obliging(packet, link);
    },
    { options: { keepAliveSeconds: 30 } },
  );
  const agent = boot();
  await clock.run(14_500);
  agent.stop();
  const timer = clock.repeat(() => agent.stop(), 500);
  await clock.run(5000);
  clock.clear(timer);
  t.is(broker.all("disconnect").length, 1);
  t.is(broker.received.at(-1)?.packet.cmd, "disconnect");
  t.true(seen("stopped").length > 0);
});

test("a broker that takes QoS 0 only is refused: nothing is sent that it forbids", async t => {
  const { boot, clock, broker, seen } = world((packet, link) => {
    if (packet.cmd !== "connect") return obliging(packet, link);
    const properties = { maximumQoS: 0 };
    link.reply({ cmd: "connack", reasonCode: 0, sessionPresent: false, properties });
  });
  const agent = boot();
  agent.telemetry.send("count", { i: 1 });
  await clock.run(600_000);
  t.deepEqual(
    broker.received.filter(({ packet }) => packet.cmd === "publish"),
    [],
  );
  t.is(seen("offline")[0]?.error.code, "mqtt/refused");
  t.is(seen("online").length, 0);
});

test("a resolver that cannot be made costs one dial, and leaves no deadline that ends a later link", async t => {
  let isBroken = true;
  const { boot, clock, seen } = world(obliging, {
    host: ({ dns }) => ({
      dns: {
        get io() {
          if (isBroken) throw new Error("no more of them");
          return dns.io;
        },
      },
    }),
  });
  boot();
  isBroken = false;
  await clock.run(30_000);
  t.is(seen("offline").length, 1);
  t.is(seen("fault").length, 0);
  t.is(seen("online").length, 1);
});

test("a network that is back is dialed within ten seconds; one that flaps costs one more dial a minute at most", async t => {
  const { boot, clock, network, seen } = world();
  const agent = boot();
  await clock.run(120_000);
  network.isUp = false;
  await clock.run(3_600_000);
  t.is(agent.link.state, "waiting");
  // So long that it would not come by itself.
  while ((seen("offline").at(-1)?.retryInMs ?? 0) < 60_000) await clock.run(1000);
  network.isUp = true;
  agent.networkIsBack();
  const { inMs } = seen("waiting").at(-1)!;
  t.true(inMs < 10_000, `${inMs}`);
  await clock.run(11_000);
  t.is(agent.link.state, "online");
  const online = seen("online").length;
  agent.networkIsBack();
  t.is(agent.link.state, "online");

  const count = async (tells: boolean) => {
    network.isUp = false;
    await clock.run(3_600_000);
    const before = seen("connecting").length;
    for (let i = 0; i < 720; i++) {
      if (tells) agent.networkIsBack();
      await clock.run(5000);
    }
    return seen("connecting").length - before;
  };
  const [patient, hurried] = [await count(false), await count(true)];
  t.true(
    hurried > patient && hurried <= patient + 60,
    `${patient} dials without, ${hurried} with it`,
  );
  t.is(seen("online").length, online);

  agent.stop();
  await clock.run(1000);
  const before = seen("connecting").length;
  agent.networkIsBack();
  await clock.run(60_000);
  t.is(seen("connecting").length, before);
});
