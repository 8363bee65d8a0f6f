// A change of identity against brokers that say no where it hurts, in virtual time.
import test from "ava";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Random } from "../../simulator/world/random.js";
import {
  obliging,
  type Packet,
  ScriptedBroker,
  type ScriptedLink,
} from "../../simulator/world/scripted-broker.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentOptions, type AgentStatus } from "../../src/index.js";
import { heldIn } from "./identity.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;

interface Extra {
  /** @returns whether it has answered */
  readonly answer?: (packet: Packet, link: ScriptedLink, registrations: number) => boolean;
  readonly thingName?: string;
  readonly token?: string;
  readonly host?: (host: Host) => Host;
  readonly options?: Partial<AgentOptions>;
}

/** A broker that certifies and registers whoever asks, apart from what `answer` does instead. */
function world({
  answer = () => false,
  thingName = "node-1",
  token = "token",
  host: change = host => host,
  options = {},
}: Extra = {}) {
  const clock = new VirtualClock();
  let certificates = 0;
  let registrations = 0;
  const broker = new ScriptedBroker((packet, link) => {
    if (answer(packet, link, registrations)) return;
    obliging(packet, link);
    if (packet.cmd !== "publish") return;
    const reply = (payload: object) =>
      link.reply({
        cmd: "publish",
        qos: 0,
        dup: false,
        retain: false,
        topic: `${packet.topic}/accepted`,
        payload: JSON.stringify(payload),
      });
    if (packet.topic.startsWith("$aws/certificates/")) {
      const { certificateSigningRequest } = JSON.parse(String(packet.payload));
      reply({
        certificateId: `c${++certificates}`,
        // Whatever holds the key passes for a certificate of it.
        certificatePem: certificateSigningRequest.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
        certificateOwnershipToken: token,
      });
    }
    if (packet.topic.startsWith("$aws/provisioning-templates/")) {
      registrations++;
      reply({ thingName });
    }
  });
  const network = new Network(clock, broker.accept);
  const flash = new Flash();
  const statuses: AgentStatus[] = [];
  const host = virtualHost({ id: "b", clock, random: new Random(1), network, flash });
  const agent = new Agent({
    host: change(host),
    endpoint: "first.test",
    trustAnchors: [pem("CERTIFICATE")],
    identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
    rotation: { enrolling: { template: "t", parameters: {} } },
    onStatus: status => {
      statuses.push(status);
      onStatus.call?.(status);
    },
    ...options,
  });
  const onStatus: { call?: (status: AgentStatus) => void } = {};
  agent.settings({ led: { type: "enum", values: ["off", "red"], default: "off" } });
  agent.start();
  const seen = <T extends AgentStatus["type"]>(type: T) =>
    statuses.filter(status => status.type === type) as Extract<AgentStatus, { type: T }>[];
  return { agent, clock, broker, network, flash, seen, statuses, onStatus };
}

const given = "given";

test("rotation against an obliging broker", async t => {
  const { agent, clock, seen } = world();
  await clock.run(1000);
  agent.rotate();
  await clock.run(5000);
  t.is(seen("rotated").length, 1);
});

test("rotation that is asked for between two links: the replies are subscribed to on the next", async t => {
  const { agent, clock, broker, network, onStatus } = world();
  await clock.run(1000);
  onStatus.call = ({ type }) => {
    if (type === "offline") agent.rotate();
  };
  network.cutAll();
  await clock.run(5000);
  const topics = broker.all("subscribe").flatMap(each => each.subscriptions.map(s => s.topic));
  t.true(topics.includes("$aws/certificates/create-from-csr/json/accepted"));
});

const denials: { readonly [how: string]: NonNullable<Extra["answer"]> } = {
  "closes on its subscriptions": (packet, link, registrations) => {
    if (packet.cmd !== "subscribe" || registrations === 0) return false;
    link.close();
    return true;
  },
  "refuses its subscriptions": (packet, link, registrations) => {
    if (packet.cmd !== "subscribe" || registrations === 0) return false;
    const granted = packet.subscriptions.map(() => 0x87);
    link.reply({ cmd: "suback", messageId: packet.messageId!, granted });
    return true;
  },
  "refuses its proof": (packet, link, registrations) => {
    if (packet.cmd !== "publish" || registrations === 0 || !packet.topic.startsWith("dt/"))
      return false;
    link.reply({ cmd: "puback", messageId: packet.messageId!, reasonCode: 0x87 });
    return true;
  },
  "never acknowledges its proof": (packet, _link, registrations) =>
    packet.cmd === "publish" && registrations > 0 && packet.topic.startsWith("dt/"),
};

for (const [how, answer] of Object.entries(denials)) {
  test(`a new identity whose broker ${how} is given up after two links, the one in force comes back`, async t => {
    const { agent, clock, seen, flash } = world({ answer });
    await clock.run(1000);
    agent.rotate();
    await clock.run(600_000);
    t.is(seen("registered").length, 1);
    t.is(seen("rotationFailed").length, 1);
    t.is(heldIn(flash).record.enrollment, undefined);
    t.is(heldIn(flash).record.identity?.slot, given);
  });
}

test("another rotation that is asked for while the retired certificate is being reported is not forgotten", async t => {
  const { agent, clock, seen, onStatus } = world();
  await clock.run(1000);
  onStatus.call = ({ type }) => {
    if (type !== "rotated") return;
    delete onStatus.call;
    clock.set(() => agent.rotate(), 0);
  };
  agent.rotate();
  await clock.run(10_000);
  t.is(seen("rotated").length, 2);
});

test("a registration under another name: session, client id and shadow topics follow the name", async t => {
  const claim = { certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };
  let name = "one";
  const { agent, clock, broker, seen } = world({
    options: { identity: { claim, template: "t", parameters: {} }, rotation: {} },
    answer: (packet, link) => {
      if (packet.cmd !== "publish" || !packet.topic.includes("provisioning-templates"))
        return false;
      link.reply({ cmd: "puback", messageId: packet.messageId! });
      link.reply({
        cmd: "publish",
        qos: 0,
        dup: false,
        retain: false,
        topic: `${packet.topic}/accepted`,
        payload: JSON.stringify({ thingName: name }),
      });
      return true;
    },
  });
  await clock.run(5000);
  t.is(agent.thingName, "one");
  name = "two";
  agent.rotate();
  await clock.run(5000);
  t.is(seen("rotated").length, 1);
  t.is(agent.thingName, "two");
  t.is(broker.all("connect").at(-1)?.clientId, "two");
  const topics = broker
    .all("subscribe")
    .at(-1)!
    .subscriptions.map(each => each.topic);
  t.true(topics.includes("$aws/things/two/shadow/get/accepted"));
  t.false(topics.some(topic => topic.includes("/one/")));
});

test("a new identity that is never let in costs fewer and fewer dials and writes, also with a claim", async t => {
  const claim = { certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };
  const { clock, broker } = world({
    options: { identity: { claim, template: "t", parameters: {} }, rotation: {} },
    answer: (packet, link) => {
      if (packet.cmd !== "connect" || packet.clientId === "b") return false;
      link.close();
      return true;
    },
  });
  await clock.run(4 * 3_600_000);
  const dials = broker.all("connect").length;
  t.true(dials < 400, `${dials} dials in four hours`);
});

test("a shadow's answer to what was not asked ends no link", async t => {
  const { clock, seen } = world({
    answer: (packet, link) => {
      if (packet.cmd !== "publish" || !packet.topic.endsWith("/shadow/get")) return false;
      link.reply({ cmd: "puback", messageId: packet.messageId! });
      const { clientToken } = JSON.parse(String(packet.payload));
      const topic = packet.topic.replace("/get", "/update/accepted");
      const payload = JSON.stringify({ clientToken, version: 1 });
      link.reply({ cmd: "publish", qos: 0, dup: false, retain: false, topic, payload });
      return true;
    },
  });
  await clock.run(10_000);
  t.is(seen("offline").length, 0);
});

test("nothing is written about an identity that could not be read again", async t => {
  const odd: readonly Extra[] = [
    {
      host: host => ({
        ...host,
        clock: { ...host.clock, ticks: () => host.clock.ticks(), now: () => 1.8e12 + 0.5 },
      }),
    },
    { token: "half a pair: \ud800" },
    { token: "zero \u0000" },
  ];
  for (const extra of odd) {
    const { agent, clock, flash, onStatus } = world(extra);
    await clock.run(1000);
    onStatus.call = ({ type }) => {
      if (type === "certified") t.is(heldIn(flash).record.enrollment?.state, "certified");
    };
    agent.rotate();
    await clock.run(300_000);
    t.is(agent.observerFault, undefined);
    t.notThrows(() => heldIn(flash));
  }
});

test("a device whose policy does not allow its shadow can change its identity all the same", async t => {
  const { agent, clock, seen } = world({
    answer: (packet, link) => {
      if (packet.cmd !== "subscribe") return false;
      const granted = packet.subscriptions.map(({ topic }) =>
        topic.includes("shadow") ? 0x87 : 1,
      );
      link.reply({ cmd: "suback", messageId: packet.messageId!, granted });
      return true;
    },
  });
  await clock.run(1000);
  agent.rotate();
  await clock.run(10_000);
  t.is(seen("rotated").length, 1);
});
