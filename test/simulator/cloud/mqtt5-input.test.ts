// What an MQTT 5 client can send that it should not: the wire, byte by byte.
import test from "ava";
import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import type { TestClient } from "./harness.js";
import { type Rig, rig } from "./rig.js";

const bytesOf = (packet: Packet): Uint8Array => generate(packet, { protocolVersion: 5 });

const userProperties = { k: ["v", "w"], l: "" };
const properties = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 60,
  contentType: "text/plain",
  responseTopic: "b",
  correlationData: Buffer.from([1, 2, 3]),
  userProperties,
};
const connect = bytesOf({
  cmd: "connect",
  clientId: "c",
  protocolVersion: 5,
  clean: true,
  keepalive: 60,
  username: "u",
  password: Buffer.from("p"),
  properties: {
    sessionExpiryInterval: 60,
    receiveMaximum: 10,
    maximumPacketSize: 1024,
    topicAliasMaximum: 4,
    requestProblemInformation: true,
    userProperties,
  },
  will: {
    topic: "w",
    payload: Buffer.from("gone"),
    qos: 1,
    properties: { ...properties, willDelayInterval: 5 },
  },
});
const valid: readonly Uint8Array[] = [
  connect,
  bytesOf({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "a", qos: 1, nl: false, rap: true, rh: 1 }],
    properties: { userProperties },
  }),
  bytesOf({
    cmd: "publish",
    topic: "a",
    payload: "x".repeat(200),
    qos: 1,
    messageId: 2,
    dup: false,
    retain: false,
    properties: { ...properties, topicAlias: 3 },
  }),
  bytesOf({
    cmd: "puback",
    messageId: 1,
    reasonCode: 0x80,
    properties: { reasonString: "no", userProperties },
  }),
  bytesOf({
    cmd: "unsubscribe",
    messageId: 3,
    unsubscriptions: ["a"],
    properties: { userProperties },
  }),
  bytesOf({ cmd: "pingreq" }),
  bytesOf({
    cmd: "disconnect",
    reasonCode: 4,
    properties: { sessionExpiryInterval: 30, reasonString: "bye", userProperties },
  }),
];

/** The cloud has not failed, and only `n` is left of whoever came. */
function isUnharmed({ broker, events, raw }: Rig, neighbour: TestClient): boolean {
  const failed = events.some(
    each => each.type === "clientDisconnected" && each.reason === "SERVER_ERROR",
  );
  neighbour.send({ cmd: "pingreq" });
  const isAlive = neighbour.packets.at(-1)?.cmd === "pingresp";
  raw(5).connect("after").send({ cmd: "disconnect", reasonCode: 0 });
  return !failed && isAlive && broker.clients().join() === "n";
}

test("packets of MQTT 5 may arrive byte by byte or cut anywhere", t => {
  const all = Buffer.concat(valid);
  const answers = "connack,suback,publish,puback,unsuback,pingresp";
  for (let cut = 0; cut <= all.length; cut++) {
    const client = rig().raw(5).sendBytes(all.subarray(0, cut)).sendBytes(all.subarray(cut));
    t.is(client.commands().join(), answers, `cut at ${cut}`);
  }
  const client = rig().raw(5);
  for (const byte of all) client.sendBytes(Uint8Array.of(byte));
  t.is(client.commands().join(), answers);
});

test("a packet that ends too early, its length agreeing, ends its connection", t => {
  const world = rig();
  const neighbour = world.connect("n");
  for (const packet of valid.slice(1, 5)) {
    const header = packet[1] !== undefined && packet[1] >= 0x80 ? 3 : 2;
    for (let length = 0; length < packet.length - header; length++) {
      const body = packet.subarray(header, header + length);
      const varint = length < 128 ? [length] : [(length % 128) | 0x80, length >> 7];
      const client = world.connect5("c");
      client.sendBytes(Uint8Array.of(packet[0] ?? 0, ...varint, ...body));
      client.lose();
    }
  }
  t.true(isUnharmed(world, neighbour));
});

test("a CONNECT that is cut short is refused without a word", t => {
  for (let length = 2; length < connect.length - 3; length++) {
    const { raw, events } = rig();
    const body = connect.subarray(3, length + 1);
    const varint = [(body.length % 128) | 0x80, body.length >> 7];
    const client = raw(5).sendBytes(Uint8Array.of(0x10, ...varint, ...body));
    t.true(client.closed, `${length} bytes`);
    t.deepEqual(client.packets, []);
    t.like(events[0], { type: "connectionRefused", reason: "PROTOCOL_ERROR" });
  }
});

/** PUBLISH to `a`, QoS 0, with these property bytes behind their length. */
const withProperties = (length: number, ...bytes: number[]): number[] => [
  0x30,
  4 + bytes.length,
  0,
  1,
  0x61,
  length,
  ...bytes,
];
const malformed: readonly (readonly [string, number, readonly number[]])[] = [
  ["properties that reach past the packet", 0x81, withProperties(9, 1, 1)],
  ["properties without their length", 0x81, [0x30, 3, 0, 1, 0x61]],
  ["a property length of five bytes", 0x81, withProperties(0x80, 0x80, 0x80, 0x80, 0x01)],
  ["an unknown property", 0x81, withProperties(2, 0x7e, 0)],
  ["property 0", 0x81, withProperties(2, 0, 0)],
  ["a property of CONNACK", 0x81, withProperties(2, 0x24, 1)],
  ["a property of CONNECT", 0x81, withProperties(3, 0x21, 0, 1)],
  ["a property cut short by its section", 0x81, withProperties(3, 0x02, 0, 0)],
  ["a text longer than its section", 0x81, withProperties(4, 0x03, 0, 9, 0x61)],
  ["a text with U+0000", 0x81, withProperties(4, 0x03, 0, 1, 0)],
  ["a text that is not UTF-8", 0x81, withProperties(4, 0x03, 0, 1, 0xff)],
  ["a surrogate in UTF-8", 0x81, withProperties(6, 0x03, 0, 3, 0xed, 0xa0, 0x80)],
  ["a user property without its value", 0x81, withProperties(4, 0x26, 0, 1, 0x61)],
  ["a flag of 2", 0x82, withProperties(2, 0x01, 2)],
  ["a property given twice", 0x82, withProperties(4, 0x01, 1, 0x01, 1)],
  ["an empty topic without an alias", 0x81, [0x30, 3, 0, 0, 0]],
  ["packet id 0", 0x81, [0x32, 6, 0, 1, 0x61, 0, 0, 0]],
  ["both QoS bits", 0x81, [0x36, 6, 0, 1, 0x61, 0, 1, 0]],
  ["reserved subscription options", 0x81, [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0x41]],
  ["retain handling 3", 0x81, [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0x31]],
  ["wrong flags of SUBSCRIBE", 0x81, [0x80, 7, 0, 1, 0, 0, 1, 0x61, 0]],
  ["bytes behind PUBACK's properties", 0x81, [0x40, 5, 0, 1, 0, 0, 0]],
  ["an unknown PUBACK code", 0x81, [0x40, 3, 0, 1, 0x42]],
  ["a PINGREQ with a body", 0x81, [0xc0, 1, 0]],
  ["packet type 0", 0x81, [0x00, 0x00]],
];
for (const [what, code, bytes] of malformed) {
  test(`MQTT 5: ${what} ends the connection with 0x${code.toString(16)}`, t => {
    const world = rig();
    const neighbour = world.connect("n").subscribe("#");
    const client = world.connect5("c").sendBytes(Uint8Array.from(bytes));
    t.true(client.closed);
    t.deepEqual(client.commands(), ["connack", "disconnect"]);
    t.like(client.packets[1], { reasonCode: code });
    t.deepEqual(neighbour.topics(), []);
    t.true(isUnharmed(world, neighbour));
  });
}

test("a reason string is short enough for the smallest client and is well formed", t => {
  const { connect5 } = rig();
  const client = connect5("c", { properties: { maximumPacketSize: 512 } });
  const sizes: number[] = [];
  const { write } = client.link;
  client.link.write = bytes => {
    sizes.push(bytes.length);
    write(bytes);
  };
  const topic = `${"\u{1f30a}".repeat(63)}#`;
  client.send({ cmd: "publish", topic, payload: "", qos: 0, dup: false, retain: false });
  const last = client.packets.at(-1);
  const reasonString = last?.cmd === "disconnect" ? last.properties?.reasonString : undefined;
  t.true(reasonString?.startsWith('"\u{1f30a}'));
  t.false(reasonString?.includes("\ufffd"));
  t.true(sizes.every(size => size <= 512));
});

test("MQTT 5: changed packets close at most their own connection, and never throw", t => {
  const world = rig();
  const neighbour = world.connect("n");
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        (packet, changes, first) => {
          const bytes = Uint8Array.from(packet);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const client = world.raw(5);
          if (first) client.connect("c");
          client.sendBytes(bytes).sendBytes(bytes);
          client.lose();
        },
      ),
      { numRuns: 5000 },
    ),
  );
  t.true(isUnharmed(world, neighbour));
});

test("MQTT 5: random properties are taken whole or refused, and never throw", t => {
  const world = rig();
  const neighbour = world.connect("n");
  const ids = fc.constantFrom(1, 2, 3, 8, 9, 11, 17, 23, 31, 33, 34, 35, 38, 39);
  const section = fc.array(fc.oneof(ids, fc.nat(3), fc.nat(255)), { maxLength: 40 });
  t.notThrows(() =>
    fc.assert(
      fc.property(section, fc.integer({ min: -2, max: 2 }), (bytes, lie) => {
        const client = world.connect5("c");
        const length = Math.min(127, Math.max(0, bytes.length + lie));
        client.sendBytes(Uint8Array.from(withProperties(length, ...bytes)));
        client.lose();
      }),
      { numRuns: 3000 },
    ),
  );
  t.true(isUnharmed(world, neighbour));
});

test("whatever may be said about a message arrives as it was said", t => {
  const text = fc.string({ unit: "grapheme", maxLength: 30 }).filter(each => !each.includes("\0"));
  const said = fc.record(
    {
      payloadFormatIndicator: fc.boolean(),
      contentType: text,
      responseTopic: fc.constantFrom("b", "b/c", "ü"),
      correlationData: fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
      messageExpiryInterval: fc.integer({ min: 1, max: 604_800 }),
      userProperties: fc.dictionary(text, text, { minKeys: 1, maxKeys: 4 }),
    },
    { requiredKeys: [] },
  );
  const { connect5 } = rig();
  const reader = connect5("r").subscribeAt(0, "a");
  const writer = connect5("w");
  t.notThrows(() =>
    fc.assert(
      fc.property(said, properties => {
        reader.packets.length = 0;
        writer.send({
          cmd: "publish",
          topic: "a",
          payload: "x",
          qos: 0,
          dup: false,
          retain: false,
          properties,
        });
        const seen = reader.messages()[0]?.properties ?? {};
        return sameBytes(seen, properties);
      }),
    ),
  );
});

/** Compared as bytes: the library's reader turns repeated or empty values around. */
function sameBytes(one: object, other: object): boolean {
  const sorted = (value: object) =>
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.localeCompare(b)));
  const packet = (properties: object): Packet => ({
    cmd: "publish",
    topic: "a",
    payload: "x",
    qos: 0,
    dup: false,
    retain: false,
    properties: sorted(properties),
  });
  return Buffer.from(bytesOf(packet(one))).equals(bytesOf(packet(other)));
}
