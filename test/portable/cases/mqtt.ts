import {
  encodeConnect,
  encodeEmpty,
  encodePuback,
  encodePublishHeader,
  encodeSubscribe,
  encodeUnsubscribe,
} from "../../../src/mqtt/packet.js";
import { type Packet, PacketParser, type Payload } from "../../../src/mqtt/parser.js";
import { variable } from "../../../src/mqtt/properties.js";
import { toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" ");
const bytesOf = (text: string) =>
  Uint8Array.from(text.split(" "), byte => Number.parseInt(byte, 16));

check("mqtt: CONNECT as in section 3.1", () => {
  const bytes = encodeConnect({
    id: "ab",
    clean: true,
    keepAlive: 60_000,
    will: { topic: "w", message: toUtf8("x"), QoS: 1, retain: true },
    user: "u",
    password: toUtf8("p"),
  });
  equal(
    hex(bytes),
    "10 1a 00 04 4d 51 54 54 04 ee 00 3c 00 02 61 62 00 01 77 00 01 78 00 01 75 00 01 70",
  );
});

check("mqtt: what a client sends, byte for byte", () => {
  equal(hex(encodePuback(0x1234)), "40 02 12 34");
  equal(hex(encodeSubscribe(10, [{ topic: "a/b", QoS: 1 }])), "82 08 00 0a 00 03 61 2f 62 01");
  equal(hex(encodeUnsubscribe(10, [{ topic: "a/b" }])), "a2 07 00 0a 00 03 61 2f 62");
  equal(hex(encodeEmpty(12)), "c0 00");
  equal(
    hex(encodePublishHeader({ topic: "a/b", QoS: 1, id: 10, duplicate: true }, 0)),
    "3a 07 00 03 61 2f 62 00 0a",
  );
  equal(hex(encodePublishHeader({ topic: "a", retain: true }, 200)), "31 cb 01 00 01 61");
});

/** Feeds `bytes` in pieces of `size` and collects what comes out, payload pieces joined. */
function parse(bytes: Uint8Array, size: number): string[] {
  const parser = new PacketParser();
  const seen: string[] = [];
  let payload = "";
  for (let at = 0; at < bytes.length; at += size) {
    parser.push(bytes.subarray(at, at + size));
    for (let event = parser.next(); event; event = parser.next()) {
      if (event.operation !== 0) seen.push(describe(event));
      else {
        payload += hex(event.bytes);
        if (event.remaining > 0) payload += " ";
        else seen.push(`payload ${payload}`);
        if (event.remaining === 0) payload = "";
      }
    }
  }
  return seen;
}

function describe(packet: Packet | Payload): string {
  switch (packet.operation) {
    case 2:
      return `CONNACK ${packet.sessionPresent} ${packet.reasonCode}`;
    case 3:
      return `PUBLISH ${packet.topic} ${packet.QoS} ${packet.id} ${packet.duplicate} ${packet.retain} ${packet.byteLength}`;
    case 4:
    case 9:
    case 11:
      return `ack ${packet.operation} ${packet.id} ${packet.payload?.join(",") ?? ""}`;
    default:
      return "other";
  }
}

const stream =
  "20 02 01 00 90 04 00 05 01 80 40 02 ff ff b0 02 00 01 d0 00 30 05 00 01 61 68 69 3b 05 00 01 61 00 07 30 03 00 01 62";
const streamMeaning = [
  "CONNACK true 0",
  "ack 9 5 1,128",
  "ack 4 65535 ",
  "ack 11 1 ",
  "other",
  "PUBLISH a 0 undefined false false 2",
  "payload 68 69",
  "PUBLISH a 1 7 true true 0",
  "payload ",
  "PUBLISH b 0 undefined false false 0",
  "payload ",
];

check("mqtt: packets arrive whole, however the stream is split", () => {
  const bytes = bytesOf(stream);
  for (let size = 1; size <= bytes.length; size++) {
    equal(parse(bytes, size).join(" | "), streamMeaning.join(" | "), `pieces of ${size}`);
  }
});

const malformed: readonly (readonly [bytes: string, why: string])[] = [
  ["00 00", "packet type 0"],
  ["f0 00", "packet type 15"],
  ["10 00", "CONNECT from a server"],
  ["82 03 00 01 00", "SUBSCRIBE from a server"],
  ["50 02 00 01", "PUBREC was never provoked"],
  ["21 02 00 00", "CONNACK with flags"],
  ["20 02 02 00", "CONNACK with reserved acknowledge flags"],
  ["20 02 00 06", "CONNACK with an unknown return code"],
  ["20 03 00 00 00", "CONNACK of 3 bytes"],
  ["20 01 00", "CONNACK of 1 byte"],
  ["20 82 00 00 00", "a remaining length not in its shortest form"],
  ["20 ff ff ff ff 01", "a remaining length of 5 bytes"],
  ["40 02 00 00", "PUBACK with packet identifier 0"],
  ["42 02 00 01", "PUBACK with flags"],
  ["90 02 00 01", "SUBACK without a code"],
  ["90 03 00 01 03", "SUBACK with code 3"],
  ["90 0b 00 01 00 00 00 00 00 00 00 00 00", "SUBACK with 9 codes"],
  ["d0 01 00", "PINGRESP with a body"],
  ["34 05 00 01 61 00 01", "PUBLISH with QoS 2"],
  ["36 05 00 01 61 00 01", "PUBLISH with QoS 3"],
  ["38 03 00 01 61", "PUBLISH with QoS 0 and DUP"],
  ["30 02 00 00", "PUBLISH with 2 bytes"],
  ["30 03 00 00 61", "PUBLISH with an empty topic"],
  ["30 03 00 05 61", "PUBLISH whose topic is longer than the packet"],
  ["32 04 00 01 61 00", "PUBLISH whose packet identifier is cut off"],
  ["32 05 00 01 61 00 00", "PUBLISH with packet identifier 0"],
  ["30 03 00 01 23", "PUBLISH to #"],
  ["30 03 00 01 2b", "PUBLISH to +"],
  ["30 03 00 01 00", "PUBLISH to NUL"],
  ["30 03 00 01 ff", "PUBLISH to a topic that is not UTF-8"],
  ["30 ff ff ff 7f 02 01", "PUBLISH to a topic of 513 bytes"],
];
for (const [bytes, why] of malformed) {
  check(`mqtt: ${why} is refused`, () => refuses(() => parse(bytesOf(bytes), 3), "protocol"));
}

check("mqtt: a message of 256 MB costs no memory until it is read", () => {
  const parser = new PacketParser();
  parser.push(bytesOf("30 ff ff ff 7f 00 01 61 2a"));
  const packet = parser.next();
  equal(packet?.operation === 3 && packet.byteLength, 268_435_455 - 3);
  const payload = parser.next();
  equal(payload?.operation === 0 && payload.bytes.length, 1);
});

check("mqtt: random bytes are packets or an error of kind protocol", () => {
  let state = 12345;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  for (let round = 0; round < 500; round++) {
    const bytes = Uint8Array.from({ length: 1 + (next() % 60) }, () => next() & 255);
    if (round % 2) bytes[0] = [0x20, 0x30, 0x32, 0x40, 0x90, 0xb0, 0xd0][next() % 7]!;
    try {
      parse(bytes, 1 + (next() % 9));
    } catch (error) {
      refuses(() => {
        throw error;
      }, "protocol");
    }
  }
});

// -- MQTT 5 --

check("mqtt 5: CONNECT with properties, and a will without", () => {
  const bytes = encodeConnect({
    protocolVersion: 5,
    id: "ab",
    clean: false,
    keepAlive: 60_000,
    will: { topic: "w", message: toUtf8("x") },
    properties: {
      sessionExpiryInterval: 3600,
      receiveMaximum: 64,
      maximumPacketSize: 149_504,
      topicAliasMaximum: 8,
      userProperties: [
        ["k", "v"],
        ["k", ""],
      ],
    },
  });
  equal(
    hex(bytes),
    "10 33 00 04 4d 51 54 54 05 04 00 3c 1d 11 00 00 0e 10 21 00 40 22 00 08 26 00 01 6b 00 01 76" +
      " 26 00 01 6b 00 00 27 00 02 48 00 00 02 61 62 00 00 01 77 00 01 78",
  );
});

check("mqtt 5: PUBLISH with an alias, expiry and binary data; SUBSCRIBE and UNSUBSCRIBE", () => {
  const properties = {
    messageExpiryInterval: 60,
    correlationData: Uint8Array.of(1, 2),
    topicAlias: 3,
    contentType: "t",
  };
  equal(
    hex(encodePublishHeader({ topic: "", QoS: 1, id: 7, properties }, 2, 5)),
    "32 18 00 00 00 07 11 02 00 00 00 3c 03 00 01 74 09 00 02 01 02 23 00 03",
  );
  equal(hex(encodePublishHeader({ topic: "a" }, 1, 5)), "30 05 00 01 61 00");
  equal(hex(encodeSubscribe(10, [{ topic: "a", QoS: 1 }], 5)), "82 07 00 0a 00 00 01 61 01");
  equal(hex(encodeUnsubscribe(10, [{ topic: "a" }], 5)), "a2 06 00 0a 00 00 01 61");
});

check("mqtt: more filters than the service takes are refused before anything is sent", () => {
  const items = Array.from({ length: 9 }, () => ({ topic: "a" }));
  refuses(() => encodeSubscribe(1, items), "config");
  refuses(() => encodeUnsubscribe(1, items, 5), "config");
  refuses(() => encodeSubscribe(1, []), "config");
});

/** Everything a parser of MQTT 5 says about `bytes`, in pieces of `size`. */
function parse5(bytes: Uint8Array, size: number): string {
  const parser = new PacketParser(5);
  const seen: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parser.push(bytes.subarray(at, at + size));
    for (let event = parser.next(); event; event = parser.next()) {
      if (event.operation === 0) {
        if (event.bytes.length > 0) seen.push(hex(event.bytes));
      } else seen.push(tell(event));
    }
  }
  return seen.join(" | ");
}

function tell(packet: Packet): string {
  if (packet.operation === 13) return "PINGRESP";
  const { properties } = packet;
  const known = Object.entries(properties ?? {}).map(([name, value]) => {
    const text =
      value instanceof Uint8Array ? hex(value) : Array.isArray(value) ? value.join("/") : value;
    return ` ${name}=${text}`;
  });
  return `${"reasonCode" in packet ? `${packet.operation} ${packet.reasonCode}` : describe(packet)}${known.join("")}`;
}

const stream5 = [
  // CONNACK: session expiry, server keep alive, receive maximum, packet size, aliases, reason, user property
  "20 2c 01 00 29 11 00 00 0e 10 13 00 3c 21 00 64 27 00 02 48 00 22 00 08 1f 00 02 68 69 26 00 01 6b 00 01 76 24 01 25 01 28 01 29 00 2a 01",
  "90 05 00 05 00 01 87",
  "90 08 00 06 04 1f 00 01 6e 87",
  "40 02 00 07",
  "40 03 00 07 97",
  "40 04 00 07 10 00",
  "40 0a 00 08 87 06 1f 00 03 6e 6f 21",
  "b0 05 00 01 00 00 11",
  "d0 00",
  // aliases: given with a topic, used without one, changed
  "30 09 00 01 61 03 23 00 01 68 69",
  "32 09 00 00 00 09 03 23 00 01 68",
  "30 07 00 01 62 03 23 00 01",
  "30 06 00 00 03 23 00 01",
  // every property a PUBLISH may have
  "30 28 00 01 61 22 01 01 02 00 00 00 3c 03 00 01 74 08 00 01 72 09 00 02 01 02 26 00 01 6b 00 01 76 26 00 01 6b 00 01 77 ff ff",
  "e0 00",
].join(" ");
const meaning5 = [
  "2 0 sessionExpiryInterval=3600 serverKeepAlive=60 receiveMaximum=100 maximumPacketSize=149504 topicAliasMaximum=8 reasonString=hi userProperties=k,v maximumQoS=1 retainAvailable=1 wildcardSubscriptionAvailable=1 subscriptionIdentifiersAvailable=0 sharedSubscriptionAvailable=1",
  "ack 9 5 1,135",
  "ack 9 6 135 reasonString=n",
  "4 0",
  "4 151",
  "4 16",
  "4 135 reasonString=no!",
  "ack 11 1 0,17",
  "PINGRESP",
  "PUBLISH a 0 undefined false false 2 topicAlias=1",
  "68 69",
  "PUBLISH a 1 9 false false 1 topicAlias=1",
  "68",
  "PUBLISH b 0 undefined false false 0 topicAlias=1",
  "PUBLISH b 0 undefined false false 0 topicAlias=1",
  "PUBLISH a 0 undefined false false 2 payloadFormatIndicator=1 messageExpiryInterval=60 contentType=t responseTopic=r correlationData=01 02 userProperties=k,v/k,w",
  "ff ff",
  "14 0",
].join(" | ");

check("mqtt 5: packets and properties arrive whole, however the stream is split", () => {
  const bytes = bytesOf(stream5);
  const normal = (text: string) => text.replace(/ff \| ff/g, "ff ff").replace(/68 \| 69/g, "68 69");
  for (let size = 1; size <= bytes.length; size++) {
    equal(normal(parse5(bytes, size)), meaning5, `pieces of ${size}`);
  }
});

check("mqtt 5: a server of 3.1.1 says that it does not know the version", () => {
  equal(parse5(bytesOf("20 02 00 01"), 4), "2 132");
});

const malformed5: readonly (readonly [bytes: string, why: string])[] = [
  ["20 02 00 00", "CONNACK of 3.1.1 that accepts"],
  ["20 03 02 00 00", "CONNACK with reserved flags"],
  ["20 04 00 00 00 00", "CONNACK with a byte too many"],
  ["20 04 00 00 01 21", "CONNACK with a property that is cut off"],
  ["20 06 00 00 03 21 00 00", "CONNACK with receive maximum 0"],
  ["20 08 00 00 05 27 00 00 00 00", "CONNACK with maximum packet size 0"],
  ["20 05 00 00 02 24 02", "CONNACK with maximum QoS 2"],
  ["20 09 00 00 06 21 00 01 21 00 01", "CONNACK with a property twice"],
  ["20 05 00 00 02 0b 01", "CONNACK with a subscription identifier"],
  ["20 06 00 00 03 23 00 01", "CONNACK with a topic alias"],
  ["20 06 00 00 80 80 80 00", "CONNACK with a property length of 4 bytes that is none"],
  ["20 ff 7f 00", "CONNACK of 16383 bytes"],
  ["20 08 00 00 05 1f 00 09 61 61", "CONNACK with a text longer than its properties"],
  ["20 08 00 00 05 1f 00 02 c3 28", "CONNACK with a text that is not UTF-8"],
  ["40 04 00 07 00 01", "PUBACK with properties that are not there"],
  ["90 04 00 05 00 02", "SUBACK that grants QoS 2"],
  ["90 03 00 05 00", "SUBACK without codes"],
  ["90 0c 00 05 00 00 00 00 00 00 00 00 00 00", "SUBACK with 9 codes"],
  ["f0 02 18 00", "AUTH"],
  ["30 03 00 01 61", "PUBLISH without a property length"],
  ["30 04 00 01 61 01", "PUBLISH whose properties are longer than the packet"],
  ["30 05 00 01 61 80 80", "PUBLISH whose property length is cut off"],
  ["30 04 00 00 00 68", "PUBLISH with neither topic nor alias"],
  ["30 06 00 00 03 23 00 01", "PUBLISH with an alias that was never given"],
  ["30 07 00 01 61 03 23 00 00", "PUBLISH with alias 0"],
  ["30 07 00 01 61 03 23 00 09", "PUBLISH with more aliases than allowed"],
  ["30 06 00 01 61 02 0b 01", "PUBLISH with a subscription identifier"],
  ["30 08 00 01 61 04 26 00 01 6b", "PUBLISH with half a user property"],
];
for (const [bytes, why] of malformed5) {
  check(`mqtt 5: ${why} is refused`, () => refuses(() => parse5(bytesOf(bytes), 2), "protocol"));
}

check("mqtt 5: user properties of 8 KB are passed over, and what follows is read", () => {
  const pair = `26 00 02 6b 6b 01 00 ${"61 ".repeat(256)}`;
  const pairs = pair.repeat(31).trim();
  const length = 31 * 263;
  const bytes = bytesOf(
    `30 ${hex(variable(3 + 2 + length + 3 + 1))} 00 01 61 ${hex(variable(length + 3))} ${pairs} 23 00 02 68 30 07 00 00 03 23 00 02 69`,
  );
  const seen = parse5(bytes, 1000);
  const [first, , second] = seen.split(" | ");
  equal(first!.includes("topicAlias=2"), true);
  equal(first!.length < 3000, true);
  equal(second, "PUBLISH a 0 undefined false false 1 topicAlias=2");
});

check("mqtt 5: random bytes are packets or an error of kind protocol", () => {
  let state = 54_321;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  for (let round = 0; round < 500; round++) {
    const bytes = Uint8Array.from({ length: 4 + (next() % 60) }, () => next() & 255);
    if (round % 2) bytes[0] = [0x20, 0x30, 0x32, 0x40, 0x90, 0xb0, 0xe0][next() % 7]!;
    if (round % 4 === 3) bytes[1] = bytes.length - 2;
    try {
      parse5(bytes, 1 + (next() % 9));
    } catch (error) {
      refuses(() => {
        throw error;
      }, "protocol");
    }
  }
});
