// What we write, another implementation reads; what it writes, we read: mqtt-packet is not ours.
import test from "ava";
import fc from "fast-check";
import mqtt from "mqtt-packet";
import {
  encodeConnect,
  encodePublishHeader,
  encodeSubscribe,
  encodeUnsubscribe,
} from "../../src/mqtt/packet.js";
import { PacketParser } from "../../src/mqtt/parser.js";
import type { Properties } from "../../src/mqtt/properties.js";

function read(bytes: Uint8Array, protocolVersion: number): mqtt.Packet {
  const seen: mqtt.Packet[] = [];
  const parser = mqtt.parser({ protocolVersion });
  parser.on("packet", packet => seen.push(packet));
  parser.on("error", error => {
    throw error;
  });
  parser.parse(Buffer.from(bytes));
  if (seen.length !== 1) throw new Error(`${seen.length} packets`);
  return seen[0]!;
}

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const uint16 = fc.integer({ min: 1, max: 65_535 });
const uint32 = fc.integer({ min: 1, max: 4_294_967_295 });
const pairs = fc.array(
  fc.tuple(
    text.map(name => `n${name}`),
    text,
  ),
  { minLength: 1, maxLength: 3 },
);
const filled = (record: object): Properties =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

/** User properties as mqtt-packet has them: a name's values in a list when there are several. */
function grouped(properties: Properties): object {
  const { userProperties, ...rest } = properties;
  if (userProperties === undefined) return rest;
  const byName: Record<string, string | string[]> = {};
  for (const [name, value] of userProperties) {
    const before = byName[name];
    byName[name] = before === undefined ? value : [before, value].flat();
  }
  return { ...rest, userProperties: byName };
}

const ordinary = (properties: object | undefined) => JSON.parse(JSON.stringify(properties ?? {}));

test("CONNECT is read by another implementation", t => {
  const record = fc.record(
    {
      sessionExpiryInterval: uint32,
      receiveMaximum: uint16,
      maximumPacketSize: uint32,
      topicAliasMaximum: uint16,
      userProperties: pairs,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(record, text, fc.constantFrom(4, 5), fc.boolean(), (some, id, version, clean) => {
      const properties = filled(some);
      const bytes = encodeConnect({
        id,
        clean,
        keepAlive: 30_000,
        protocolVersion: version as 4 | 5,
        properties,
        will: { topic: "w", message: Buffer.from("gone"), QoS: 1 },
      });
      const packet = read(bytes, version) as mqtt.IConnectPacket;
      t.is(packet.clientId, id);
      t.is(packet.protocolVersion, version);
      t.is(packet.clean, clean);
      t.is(packet.will?.topic, "w");
      if (version === 5) t.deepEqual(ordinary(packet.properties), ordinary(grouped(properties)));
    }),
    { numRuns: 200, seed: 1 },
  );
});

test("PUBLISH, SUBSCRIBE and UNSUBSCRIBE are read by another implementation", t => {
  const record = fc.record(
    {
      messageExpiryInterval: uint32,
      contentType: text,
      responseTopic: fc.constant("r"),
      topicAlias: uint16,
      userProperties: pairs,
    },
    { requiredKeys: [] },
  );
  const payload = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(record, payload, uint16, fc.constantFrom(4, 5), (some, bytes, id, version) => {
      const properties = filled(some);
      const fields = { topic: "a/b", QoS: 1, id, duplicate: true, properties } as const;
      const header = encodePublishHeader(fields, bytes.length, version as 4 | 5);
      const packet = read(Buffer.concat([header, bytes]), version) as mqtt.IPublishPacket;
      t.is(packet.messageId, id);
      t.deepEqual(Buffer.from(packet.payload), Buffer.from(bytes));
      if (version === 5) t.deepEqual(ordinary(packet.properties), ordinary(grouped(properties)));
      const items = [{ topic: "a/+", QoS: 1 }, { topic: "b" }] as const;
      const subscribe = read(encodeSubscribe(id, items, version as 4 | 5), version);
      t.deepEqual(
        (subscribe as mqtt.ISubscribePacket).subscriptions.map(each => [each.topic, each.qos]),
        [
          ["a/+", 1],
          ["b", 0],
        ],
      );
      const unsubscribe = read(encodeUnsubscribe(id, items, version as 4 | 5), version);
      t.deepEqual((unsubscribe as mqtt.IUnsubscribePacket).unsubscriptions, ["a/+", "b"]);
    }),
    { numRuns: 200, seed: 2 },
  );
});

test("what another implementation writes is read, in pieces of any size", t => {
  const property = {
    messageExpiryInterval: fc.integer({ min: 0, max: 4_294_967_295 }),
    contentType: text,
    correlationData: fc.uint8Array({ maxLength: 30 }).map(bytes => Buffer.from(bytes)),
    payloadFormatIndicator: fc.boolean(),
  };
  const record = fc.record(property, { requiredKeys: [] });
  fc.assert(
    fc.property(
      record,
      fc.uint8Array({ maxLength: 100 }),
      fc.integer({ min: 1, max: 40 }),
      (some, payload, size) => {
        const properties = filled(some) as object as NonNullable<mqtt.IPublishPacket["properties"]>;
        const packet: mqtt.IPublishPacket = {
          cmd: "publish",
          topic: "a/b",
          payload: Buffer.from(payload),
          qos: 1,
          messageId: 9,
          dup: false,
          retain: false,
          properties,
        };
        const bytes = mqtt.generate(packet, { protocolVersion: 5 });
        const parser = new PacketParser(5);
        const received: number[] = [];
        let seen: Properties | undefined;
        for (let at = 0; at < bytes.length; at += size) {
          parser.push(bytes.subarray(at, at + size));
          for (let event = parser.next(); event; event = parser.next()) {
            if (event.operation === 3) seen = event.properties;
            if (event.operation === 0) received.push(...event.bytes);
          }
        }
        t.deepEqual(received, [...payload]);
        t.is(seen?.messageExpiryInterval, some.messageExpiryInterval);
        t.is(seen?.contentType, some.contentType);
        t.deepEqual(
          seen?.correlationData && Buffer.from(seen.correlationData),
          some.correlationData,
        );
        const flag = some.payloadFormatIndicator;
        t.is(seen?.payloadFormatIndicator, flag === undefined ? undefined : Number(flag));
      },
    ),
    { numRuns: 300, seed: 3 },
  );
});
