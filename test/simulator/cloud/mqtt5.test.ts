import test, { type ExecutionContext } from "ava";
import { generate, type IConnectPacket, type IPublishPacket, type Packet } from "mqtt-packet";
import type { TestClient } from "./harness.js";
import { message, type Rig, rig } from "./rig.js";

const publish = (more: Partial<IPublishPacket> = {}): IPublishPacket => ({
  cmd: "publish",
  topic: "a",
  payload: "x",
  qos: 1,
  messageId: 1,
  dup: false,
  retain: false,
  ...more,
});

/** The reason code of the DISCONNECT that ended the connection; undefined when there was none. */
function goodbye(t: ExecutionContext, client: TestClient, what?: string): number | undefined {
  t.true(client.closed, what);
  const last = client.packets.at(-1);
  return last?.cmd === "disconnect" ? last.reasonCode : undefined;
}

function propertiesOf(packet: Packet | undefined): object {
  return (packet !== undefined && "properties" in packet && packet.properties) || {};
}

const subscribe = (topic: string, more: object = {}, messageId = 9): Packet => ({
  cmd: "subscribe",
  messageId,
  subscriptions: [{ topic, qos: 1, ...more }],
});

test("CONNACK tells what the cloud takes, and no more about the session than was asked", t => {
  const { connect5, events } = rig();
  t.deepEqual(propertiesOf(connect5("c").packets[0]), {
    receiveMaximum: 100,
    maximumQoS: 1,
    retainAvailable: true,
    maximumPacketSize: 149_504,
    topicAliasMaximum: 8,
    wildcardSubscriptionAvailable: true,
    subscriptionIdentifiersAvailable: false,
    sharedSubscriptionAvailable: true,
  });
  t.like(events[0], { type: "clientConnected", protocolVersion: 5, sessionPresent: false });
});

test("a keep-alive outside 30 to 1200 seconds is replaced, told, and held to", t => {
  for (const [asked, told] of [
    [0, 1200],
    [1, 30],
    [1201, 1200],
  ] as const) {
    const { connect5, time } = rig();
    const client = connect5("c", { keepalive: asked });
    t.like(client.packets[0], { properties: { serverKeepAlive: told } });
    time.advance(told * 1500 - 1);
    t.false(client.closed);
    time.advance(1);
    t.is(goodbye(t, client), 0x8d);
  }
});

test("without a client id one is assigned", t => {
  const { connect5, broker, events } = rig();
  const client = connect5("", { clean: true });
  const assigned = "07".repeat(16);
  t.like(client.packets[0], {
    reasonCode: 0,
    properties: { assignedClientIdentifier: assigned },
  });
  t.deepEqual(broker.clients(), [assigned]);
  t.like(events[0], { clientId: assigned });
});

const refused = test.macro({
  exec: (t: ExecutionContext, connect: Partial<IConnectPacket>, reasonCode: number) => {
    const { connect5, events } = rig();
    const client = connect5("c", connect);
    t.true(client.closed);
    t.is(client.packets.length, 1);
    t.like(client.packets[0], { cmd: "connack", sessionPresent: false, reasonCode });
    t.is(events[0]?.type, "connectionRefused");
    t.is(events.length, 1);
  },
  title: (what, _connect, code) => `CONNECT with ${what} is refused with 0x${code.toString(16)}`,
});
const will = (more: object) => ({ will: { topic: "w", payload: Buffer.from(""), ...more } });
test("a client id that begins with $", refused, { clientId: "$c" }, 0x85);
test("a client id of 129 bytes", refused, { clientId: "x".repeat(129) }, 0x85);
test("a client id the policy denies", refused, { clientId: "secret-Connect" }, 0x87);
test("a will the policy denies", refused, will({ topic: "secret-Publish" }), 0x87);
test("a will to a wildcard", refused, will({ topic: "a/+" }), 0x90);
test("a will to a topic with eight slashes", refused, will({ topic: "a/b/c/d/e/f/g/h/i" }), 0x90);
test("a retained will on a reserved topic", refused, will({ topic: "$aws/x", retain: true }), 0x90);
test("a will at QoS 2", refused, will({ qos: 2 }), 0x9b);
const large = { u: "x".repeat(8192) };
test(
  "a will with large properties",
  refused,
  will({ properties: { userProperties: large } }),
  0x97,
);
test("large user properties", refused, { properties: { userProperties: large } }, 0x97);
test("packets under 512 bytes", refused, { properties: { maximumPacketSize: 511 } }, 0x80);
test("a receive maximum of 0", refused, { properties: { receiveMaximum: 0 } }, 0x80);
test("SASL", refused, { properties: { authenticationMethod: "SCRAM" } }, 0x87);

test("a refusal says why, unless the client does not want to know", t => {
  const maximumPacketSize = 511;
  const said = rig().connect5("c", { properties: { maximumPacketSize } }).packets[0];
  t.like(said, { properties: { reasonString: "maximum packet size 511, at least 512" } });
  const properties = { maximumPacketSize, requestProblemInformation: false };
  t.deepEqual(propertiesOf(rig().connect5("c", { properties }).packets[0]), {});
});

test("a session lives as long as asked, at most the account's limit, and the limit is told", t => {
  const { connect5, time } = rig();
  const expiring = (sessionExpiryInterval: number) => ({
    clean: false,
    properties: { sessionExpiryInterval },
  });
  connect5("short", expiring(10)).lose();
  time.advance(9_999);
  const back = connect5("short", expiring(10));
  t.like(back.packets[0], { sessionPresent: true });
  t.false("sessionExpiryInterval" in propertiesOf(back.packets[0]));
  back.lose();
  time.advance(10_000);
  t.like(connect5("short", expiring(10)).packets[0], { sessionPresent: false });

  const long = connect5("long", expiring(0xffff_ffff));
  t.like(long.packets[0], { properties: { sessionExpiryInterval: 3600 } });
  long.lose();
  time.advance(3_600_000);
  t.like(connect5("long", expiring(1)).packets[0], { sessionPresent: false });
});

test("without an expiry a session ends with its connection, and a clean start forgets an older one", t => {
  const { connect5 } = rig();
  connect5("c", { clean: false }).lose();
  t.like(connect5("c", { clean: false }).packets[0], { sessionPresent: false });
  const properties = { sessionExpiryInterval: 60 };
  connect5("d", { properties }).subscribe("a").lose();
  t.like(connect5("d", { clean: false, properties }).packets[0], { sessionPresent: true });
  t.like(connect5("d", { clean: true, properties }).packets[0], { sessionPresent: false });
});

test("a session made with one version is not resumed with the other", t => {
  const { connect, connect5, broker } = rig();
  const properties = { sessionExpiryInterval: 60 };
  connect("c", { clean: false }).subscribe("a").lose();
  broker.publish(message("a"));
  const five = connect5("c", { clean: false, properties });
  t.like(five.packets[0], { sessionPresent: false });
  five.lose();
  t.like(connect("c", { clean: false }).packets[0], { sessionPresent: false });
  broker.publish(message("a"));
  t.deepEqual([...five.topics()], []);
});

test("DISCONNECT may change the session expiry, but not from zero", t => {
  const { connect5, time, reasons } = rig();
  const goodbyeWith = (sessionExpiryInterval: number): Packet => ({
    cmd: "disconnect",
    reasonCode: 0,
    properties: { sessionExpiryInterval },
  });
  const properties = { sessionExpiryInterval: 60 };
  connect5("c", { properties }).send(goodbyeWith(0));
  t.like(connect5("c", { clean: false, properties }).packets[0], { sessionPresent: false });
  connect5("c", { properties }).send(goodbyeWith(120));
  time.advance(119_000);
  t.like(connect5("c", { clean: false }).packets[0], { sessionPresent: true });
  connect5("c", { properties }).send(goodbyeWith(7200));
  time.advance(3_600_000);
  t.like(connect5("c", { clean: false }).packets[0], { sessionPresent: false });
  const none = connect5("d").send(goodbyeWith(1));
  t.is(goodbye(t, none), 0x82);
  t.is(reasons().at(-1), "CLIENT_ERROR");
});

test("0x04 publishes the will, a plain DISCONNECT does not, and its lifetime starts at the end", t => {
  const { connect, connect5, time } = rig();
  const witness = connect("w").subscribe("w");
  const reader = connect5("r").subscribe("w");
  const properties = { messageExpiryInterval: 30, contentType: "text/plain" };
  connect5("c", will({ properties })).send({ cmd: "disconnect", reasonCode: 0 });
  t.deepEqual(witness.topics(), []);
  const leaving = connect5("c", will({ properties }));
  time.advance(60_000);
  leaving.send({ cmd: "disconnect", reasonCode: 4 });
  t.deepEqual(witness.topics(), ["w"]);
  t.deepEqual({ ...reader.messages()[0]?.properties }, properties);
});

test("what a publisher says about a message reaches MQTT 5 subscribers in order, and no others", t => {
  const { connect, connect5 } = rig();
  const five = connect5("five").subscribe("a");
  const three = connect("three").subscribe("a");
  const properties = {
    payloadFormatIndicator: true,
    contentType: "text/plain",
    responseTopic: "b",
    correlationData: Buffer.from([1, 2]),
    userProperties: Object.assign(Object.create(null), { b: ["1", "2"], a: "3" }),
  };
  connect5("p").send(publish({ properties }));
  t.deepEqual(five.messages()[0]?.properties, properties);
  t.is(three.messages()[0]?.properties, undefined);
  connect("old").publish("a", "plain", 1);
  t.is(five.messages()[1]?.properties, undefined);
});

test("user properties keep their order when names repeat", t => {
  const { connect5, raw } = rig();
  const bytes: number[] = [];
  const reader = connect5("r").subscribe("a");
  reader.link.write = written => void bytes.push(...written);
  const pair = (name: string, value: string) => [
    0x26,
    0,
    1,
    name.charCodeAt(0),
    0,
    1,
    value.charCodeAt(0),
  ];
  const pairs = [...pair("a", "1"), ...pair("b", "2"), ...pair("a", "3")];
  const body = [0, 1, 0x61, pairs.length, ...pairs];
  raw(5)
    .connect("p")
    .sendBytes(Uint8Array.of(0x30, body.length, ...body));
  t.deepEqual(bytes.slice(-body.length), body);
});

test("a message's lifetime is clamped, counts down, and ends for either version", t => {
  const { connect, connect5, time } = rig();
  const properties = { sessionExpiryInterval: 3600 };
  connect5("five", { properties }).subscribe("a").lose();
  connect("three", { clean: false }).subscribe("a").lose();
  const publisher = connect5("p", { keepalive: 1200 });
  for (const messageExpiryInterval of [0, 30, 700_000]) {
    publisher.send(publish({ properties: { messageExpiryInterval } }));
  }
  time.advance(20_001);
  const left = connect5("five", { clean: false, properties }).messages();
  t.deepEqual(
    left.map(each => each.properties?.messageExpiryInterval),
    [9, 604_779],
  );
  t.is(connect("three", { clean: false }).messages().length, 2);
});

test("unacknowledged messages that expired are not sent again", t => {
  const { connect5, broker, time } = rig();
  const properties = { sessionExpiryInterval: 60 };
  const first = connect5("c", { properties }).subscribe("a");
  broker.publish(message("a", "x", { expiresAt: time.now() + 1000 }));
  t.is(first.messages()[0]?.properties?.messageExpiryInterval, 1);
  first.lose();
  time.advance(1000);
  t.deepEqual(connect5("c", { clean: false, properties }).topics(), []);
});

test("a message that may not live at all lives for a second", t => {
  const { connect5 } = rig();
  const reader = connect5("r").subscribe("a");
  connect5("p").send(publish({ properties: { messageExpiryInterval: 0 } }));
  t.like(reader.messages()[0], { properties: { messageExpiryInterval: 1 } });
});

test("an expired retained message is not delivered", t => {
  const { connect5, time } = rig();
  const properties = { messageExpiryInterval: 10 };
  connect5("p").send(publish({ retain: true, properties }));
  t.like(connect5("s").subscribe("a").messages()[0], { retain: true, properties });
  time.advance(10_000);
  t.deepEqual(connect5("late").subscribe("a").topics(), []);
});

test("a full store of retained messages throttles new topics until some expire", t => {
  const { connect, connect5, time } = rig({ limits: { retainedTopics: 1 } });
  const client = connect5("p");
  const properties = { messageExpiryInterval: 10 };
  client.send(publish({ retain: true, properties }));
  client.send(publish({ topic: "b", retain: true, messageId: 2 }));
  client.send(publish({ topic: "b", retain: true, payload: "", messageId: 3 }));
  t.deepEqual(
    client.packets.slice(1).map(each => (each.cmd === "puback" ? each.reasonCode : undefined)),
    [0, 0x97, 0],
  );
  const old = connect("old").publish("b", "x", 1, true);
  t.deepEqual(old.commands(), ["connack"]);
  time.advance(10_000);
  client.send(publish({ topic: "b", retain: true, messageId: 4 }));
  t.like(client.packets.at(-1), { cmd: "puback", reasonCode: 0 });
});

test("topic aliases stand for topics, on their own connection", t => {
  const { connect5 } = rig();
  const reader = connect5("r").subscribe("#");
  const aliased = (topic: string, topicAlias: number) =>
    publish({ topic, qos: 0, properties: { topicAlias } });
  const client = connect5("p").send(aliased("a", 1)).send(aliased("b", 8)).send(aliased("", 1));
  client.send(aliased("c", 1)).send(aliased("", 1)).send(aliased("", 8));
  t.deepEqual(reader.topics(), ["a", "b", "a", "c", "c", "b"]);
  t.deepEqual(reader.messages()[0]?.properties, undefined);
  t.is(goodbye(t, connect5("q").send(aliased("", 1))), 0x94);
  t.is(goodbye(t, connect5("q").send(aliased("a", 9))), 0x94);
  t.is(goodbye(t, connect5("q").send(aliased("a", 0))), 0x94);
});

test("a client that allows aliases gets the first topics by number", t => {
  const { connect5, broker } = rig();
  const client = connect5("c", { properties: { topicAliasMaximum: 2 } }).subscribeAt(0, "#");
  for (const topic of ["a", "b", "a", "c", "b", "c"]) broker.publish(message(topic));
  t.deepEqual(
    client.messages().map(each => [each.topic, each.properties?.topicAlias]),
    [
      ["a", 1],
      ["b", 2],
      ["", 1],
      ["c", undefined],
      ["", 2],
      ["c", undefined],
    ],
  );
});

test("no more than eight topics get an alias", t => {
  const { connect5, broker } = rig();
  const client = connect5("c", { properties: { topicAliasMaximum: 100 } }).subscribeAt(0, "#");
  for (let index = 1; index <= 9; index++) broker.publish(message(`a/${index}`));
  t.deepEqual(
    client.messages().map(each => each.properties?.topicAlias),
    [1, 2, 3, 4, 5, 6, 7, 8, undefined],
  );
});

test("what is kept of a message does not change with the bytes it came in", t => {
  const { connect5, raw } = rig();
  const correlationData = Buffer.from("first");
  const packet = publish({ retain: true, payload: "first", properties: { correlationData } });
  const bytes = Uint8Array.from(generate(packet, { protocolVersion: 5 }));
  raw(5).connect("p").sendBytes(bytes);
  bytes.fill(0);
  const [kept] = connect5("r").subscribe("a").messages();
  t.is(kept?.payload.toString(), "first");
  t.deepEqual(kept?.properties?.correlationData, correlationData);
});

test("the store of an absent client is bounded in bytes, properties included", t => {
  const { connect5, broker } = rig({ limits: { queuedBytes: 100 } });
  const properties = { sessionExpiryInterval: 60 };
  connect5("c", { properties }).subscribe("a").lose();
  const said = { userProperties: [["name", "x".repeat(41)]] as const };
  for (let index = 0; index < 5; index++) {
    broker.publish(message("a", "12345", { properties: said }));
  }
  t.is(connect5("c", { clean: false, properties }).messages().length, 2);
});

test("a message larger than the client takes is dropped and the next one follows", t => {
  const { connect5, broker } = rig();
  const properties = { maximumPacketSize: 512, receiveMaximum: 1, topicAliasMaximum: 1 };
  const client = connect5("c", { properties }).subscribe("#");
  broker.publish(message("large", "x".repeat(512)));
  broker.publish(message("small"));
  broker.publish(message("large", "x".repeat(600), { qos: 0 }));
  t.deepEqual(
    client.messages().map(each => [each.topic, each.properties?.topicAlias]),
    [["small", 1]],
  );
});

test("no more QoS 1 messages are in flight than the client's receive maximum", t => {
  const { connect5, broker } = rig();
  const client = connect5("c", { properties: { receiveMaximum: 2 } }).subscribe("a");
  for (let index = 0; index < 5; index++) broker.publish(message("a"));
  t.is(client.messages().length, 2);
  const messageId = client.messages()[0]?.messageId ?? 0;
  client.send({ cmd: "puback", messageId, reasonCode: 0x80 });
  t.is(client.messages().length, 3);
});

test("no answer explains itself to a client that does not want it", t => {
  const properties = { requestProblemInformation: false };
  const client = rig().connect5("c", { properties });
  client.send(publish({ topic: "secret-Publish" })).send(publish({ qos: 2 }));
  t.like(client.packets[1], { cmd: "puback", reasonCode: 0x87 });
  t.is(goodbye(t, client), 0x9b);
  t.deepEqual(client.packets.slice(1).map(propertiesOf), [{}, {}]);
});

test("a connection that is closed from inside its own publish is not written to", t => {
  const { connect, connect5, broker } = rig();
  const client = connect5("c");
  const reader = connect("r").subscribe("a");
  reader.link.write = () => void broker.deleteConnection("c");
  client.send(publish());
  t.deepEqual(client.commands(), ["connack", "disconnect"]);
});

const answered = test.macro({
  exec: (t: ExecutionContext, packet: IPublishPacket, code: number) => {
    const { connect5 } = rig();
    const reader = connect5("r").subscribe("#");
    const kept = connect5("c").send(packet);
    t.like(kept.packets[1], { cmd: "puback", messageId: 1, reasonCode: code });
    t.false(kept.closed);
    t.is(goodbye(t, connect5("d").send({ ...packet, qos: 0 })), code);
    t.deepEqual(reader.topics(), []);
  },
  title: (what, _packet, code) => `a publish ${what} is answered 0x${code.toString(16)}`,
});
test("the policy denies", answered, publish({ topic: "secret-Publish" }), 0x87);
test("to a topic of 257 bytes", answered, publish({ topic: "t".repeat(257) }), 0x90);
test("to an undefined reserved topic", answered, publish({ topic: "$undefined/x" }), 0x90);
test("retained on a reserved topic", answered, publish({ topic: "$aws/x", retain: true }), 0x90);
test(
  "with large correlation data",
  answered,
  publish({ properties: { correlationData: Buffer.alloc(8193) } }),
  0x97,
);
test(
  "with a large content type",
  answered,
  publish({ properties: { contentType: "x".repeat(257) } }),
  0x97,
);
test(
  "with large user properties",
  answered,
  publish({ properties: { userProperties: large } }),
  0x97,
);

const ends = test.macro({
  exec: (t: ExecutionContext, packet: Packet | Uint8Array, code: number) => {
    const { connect5, events } = rig();
    const client = connect5("c");
    if (packet instanceof Uint8Array) client.sendBytes(packet);
    else client.send(packet);
    t.is(goodbye(t, client), code);
    t.deepEqual(client.commands(), ["connack", "disconnect"]);
    const last = events.at(-1);
    t.like(last, { type: "clientDisconnected", reason: "CLIENT_ERROR" });
    t.true(last?.type === "clientDisconnected" && last.detail.length > 0);
  },
  title: (what, _packet, code) => `${what} ends the connection with 0x${code.toString(16)}`,
});
test("QoS 2", ends, publish({ qos: 2 }), 0x9b);
test("SUBSCRIBE at QoS 2", ends, subscribe("a", { qos: 2 }), 0x9b);
test(
  "a subscription identifier",
  ends,
  { ...subscribe("a"), properties: { subscriptionIdentifier: 1 } } as Packet,
  0xa1,
);
test(
  "a PUBLISH with a subscription identifier",
  ends,
  publish({ properties: { subscriptionIdentifier: 1 } }),
  0xa1,
);
test("a payload over 128 KB", ends, publish({ payload: "x".repeat(131_073) }), 0x95);
test("a packet over 146 KB", ends, Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f), 0x95);
test(
  "a response topic with a wildcard",
  ends,
  publish({ properties: { responseTopic: "#" } }),
  0x82,
);
test("a publish to a wildcard", ends, publish({ topic: "+" }), 0x81);
test("a second CONNECT", ends, { cmd: "connect", clientId: "x", protocolVersion: 5 }, 0x82);
test("AUTH", ends, { cmd: "auth", reasonCode: 0x18 }, 0x82);
test("PUBREL", ends, { cmd: "pubrel", messageId: 1, reasonCode: 0 }, 0x82);
test("a DISCONNECT code that is a server's", ends, Uint8Array.of(0xe0, 2, 0x01, 0), 0x81);
test("SUBSCRIBE without a filter", ends, Uint8Array.of(0x82, 3, 0, 1, 0), 0x82);
test("UNSUBSCRIBE without a filter", ends, Uint8Array.of(0xa2, 3, 0, 1, 0), 0x82);

test("each filter of a SUBSCRIBE gets its own answer and the connection stays", t => {
  const { connect5, broker } = rig();
  const filters = ["ok", "secret-Subscribe", "a/#/b", "a/b/c/d/e/f/g/h/i"];
  const client = connect5("c").subscribe(...filters);
  t.like(client.packets.at(-1), { cmd: "suback", granted: [1, 0x87, 0x8f, 0x8f] });
  const many = Array.from({ length: 9 }, (_, index) => `f${index}`);
  client.subscribe(...many);
  t.like(client.packets.at(-1), { granted: many.map(() => 0x97) });
  for (let index = 1; index < 49; index++) client.subscribe(`f/${index}`);
  client.subscribe("ok", "fiftieth", "fiftieth", "one-too-many");
  t.like(client.packets.at(-1), { granted: [1, 1, 1, 0x97] });
  t.false(client.closed);
  broker.publish(message("ok"));
  t.deepEqual(client.topics(), ["ok"]);
});

test("UNSUBACK has a code for each filter", t => {
  const { connect5, broker } = rig();
  const client = connect5("c").subscribe("a");
  client.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["a", "never", "#/a"] });
  t.like(client.packets.at(-1), { cmd: "unsuback", messageId: 9, granted: [0, 0, 0x8f] });
  broker.publish(message("a"));
  t.deepEqual(client.topics(), []);
});

test("retain handling: always, for a new subscription only, never", t => {
  const { connect5, broker } = rig();
  broker.publish(message("a", "kept", { retain: true }));
  const count = (client: TestClient) => client.messages().length;
  t.is(count(connect5("never").send(subscribe("a", { rh: 2 }))), 0);
  const fresh = connect5("new").send(subscribe("a", { rh: 1 }));
  t.is(count(fresh), 1);
  t.is(count(fresh.send(subscribe("a", { rh: 1 }))), 1);
  t.is(count(fresh.send(subscribe("a", { rh: 0 }))), 2);
});

test("a no-local subscription does not hear its own client", t => {
  const { connect5 } = rig();
  const client = connect5("c")
    .send(subscribe("a", { nl: true }))
    .send(subscribe("b"));
  client.send(publish()).send(publish({ topic: "b" }));
  t.deepEqual(client.topics(), ["b"]);
  connect5("other").send(publish());
  t.deepEqual(client.topics(), ["b", "a"]);
  client.send(subscribe("+")).send(publish());
  t.deepEqual(client.topics(), ["b", "a", "a"]);
});

const told = test.macro({
  exec: (t: ExecutionContext, act: (rig: Rig) => void, code: number | undefined, why: string) => {
    const world = rig();
    const client = world.connect5("c", will({}));
    const witness = world.connect("w").subscribe("w");
    act(world);
    t.is(goodbye(t, client), code);
    t.true(world.reasons().includes(why));
    if (why !== "SERVER_INITIATED_DISCONNECT") t.deepEqual(witness.topics(), ["w"]);
  },
  title: (what, _act, code) =>
    `${what} tells the client ${code === undefined ? "nothing" : `0x${code.toString(16)}`}`,
});
test("a take-over", told, ({ connect5 }) => void connect5("c"), 0x8e, "DUPLICATE_CLIENTID");
test("a take-over by MQTT 3.1.1", told, each => void each.connect("c"), 0x8e, "DUPLICATE_CLIENTID");
test(
  "a certificate that is switched off",
  told,
  each => each.broker.disconnectCertificate("cert"),
  0x8b,
  "FORBIDDEN_ACCESS",
);
test("shutting down", told, each => each.broker.close(), 0x8b, "SERVER_INITIATED_DISCONNECT");
test("a pulled cable", told, each => void each.broker.cut("c"), undefined, "CONNECTION_LOST");
test(
  "DeleteConnection",
  told,
  each => void each.broker.deleteConnection("c"),
  0x98,
  "API_INITIATED_DISCONNECT",
);

test("a fault in the cloud ends the connection with 0x80", t => {
  const { connect5, reasons } = rig({
    onPublish: () => {
      throw new Error("a service failed");
    },
  });
  t.is(goodbye(t, connect5("c").send(publish())), 0x80);
  t.deepEqual(reasons(), ["SERVER_ERROR"]);
});

test("DeleteConnection can keep the will back and end the session", t => {
  const { connect, connect5, broker } = rig();
  const witness = connect("w").subscribe("w");
  const properties = { sessionExpiryInterval: 60 };
  connect5("c", { ...will({}), properties });
  t.true(broker.deleteConnection("c", { preventWillMessage: true }));
  t.deepEqual(witness.topics(), []);
  connect5("c", { clean: false, properties }).lose();
  t.true(broker.deleteConnection("c", { cleanSession: true }));
  t.false(broker.deleteConnection("c"));
  t.like(connect5("c", { clean: false, properties }).packets[0], { sessionPresent: false });
});

test("an MQTT 3.1.1 client is never told why", t => {
  const { connect, broker } = rig();
  const client = connect("c");
  connect("c");
  t.deepEqual(client.commands(), ["connack"]);
  broker.deleteConnection("c");
  broker.close();
});
