import {
  encodeConnect,
  encodeEmpty,
  encodePuback,
  encodePublishHeader,
  encodeSubscribe,
  encodeUnsubscribe,
} from "../../../src/mqtt/packet.js";
import { type Packet, PacketParser, type Payload } from "../../../src/mqtt/parser.js";
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
      return `CONNACK ${packet.sessionPresent} ${packet.returnCode}`;
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
