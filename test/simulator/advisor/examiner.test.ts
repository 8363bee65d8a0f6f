// The examiner withstands whatever a device sends, and answers as AWS IoT does where a case does not say otherwise.
import test from "ava";
import mqtt, { type Packet } from "mqtt-packet";
import { covers, Examiner } from "../../../simulator/advisor/examiner.js";
import { virtualTime } from "../../../simulator/advisor/time.js";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Random } from "../../../simulator/world/random.js";

const connect = (protocolVersion: 4 | 5, clean = true): Packet => ({
  cmd: "connect",
  clientId: "a",
  protocolId: "MQTT",
  protocolVersion,
  clean,
  keepalive: 60,
});
const message = { qos: 1, messageId: 4, dup: false, retain: false } as const;
const packets: readonly Packet[] = [
  { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a/b", qos: 1 }] },
  { cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a/b"] },
  { cmd: "publish", topic: "a/b", payload: "x", ...message },
  { cmd: "publish", topic: "$aws/things/a/shadow/update", payload: '{"state":{}}', ...message },
  { cmd: "puback", messageId: 1 },
  { cmd: "pingreq" },
  { cmd: "disconnect" },
];

/** One link, and what came back over it. */
async function link(version?: 4) {
  const examiner = await Examiner.open({ time: virtualTime(new VirtualClock()), version });
  const received: Packet[] = [];
  const parser = mqtt.parser();
  parser.on("packet", packet => received.push(packet));
  const handlers = examiner.take({
    write: bytes => parser.parse(Buffer.from(bytes)),
    close: () => undefined,
  });
  const send = (...sent: readonly Packet[]) => {
    for (const each of sent) handlers.receive(mqtt.generate(each));
  };
  return { examiner, handlers, received, send };
}

test("packets with any octet changed are answered or end the link, never more", async t => {
  for (let seed = 1; seed <= 3000; seed++) {
    const random = new Random(seed);
    const { examiner, handlers } = await link();
    handlers.receive(mqtt.generate(connect(seed % 2 ? 4 : 5)));
    for (let i = 0; i < 5; i++) {
      const bytes = Uint8Array.from(mqtt.generate(packets[random.below(packets.length)]!));
      bytes[random.below(bytes.length)] = random.below(256);
      t.notThrows(() => handlers.receive(bytes), `seed ${seed}`);
    }
    handlers.closed();
    examiner.end();
  }
});

test("subscribing, unsubscribing, publishing and pinging are answered", async t => {
  const { received, send } = await link();
  send(connect(4), ...packets.slice(0, 6));
  t.deepEqual(
    received.map(({ cmd }) => cmd),
    ["connack", "suback", "unsuback", "puback", "puback", "pingresp"],
  );
});

test("a SUBSCRIBE that asks for nothing is a fault of the device", async t => {
  const { examiner, handlers, send } = await link();
  send(connect(4));
  handlers.receive(Uint8Array.of(0x82, 2, 0, 1));
  t.is(examiner.faults.length, 1);
});

test("with 3.1.1 only, MQTT 5 is told so in a way every version reads", async t => {
  const examiner = await Examiner.open({ time: virtualTime(new VirtualClock()), version: 4 });
  const written: number[] = [];
  const { receive } = examiner.take({
    write: bytes => written.push(...bytes),
    close: () => undefined,
  });
  receive(mqtt.generate(connect(5), { protocolVersion: 5 }));
  t.deepEqual(written, [0x20, 2, 0, 1]);
  t.is(examiner.connects.length, 0);
});

test("filters cover topics as MQTT has it", t => {
  for (const [filter, topic] of [
    ["a/b", "a/b"],
    ["a/+", "a/b"],
    ["a/#", "a/b/c"],
    ["#", "a"],
    ["+/+", "a/"],
  ] as const)
    t.true(covers(filter, topic), `${filter} ${topic}`);
  for (const [filter, topic] of [
    ["a/b", "a"],
    ["a", "a/b"],
    ["a/+", "a/b/c"],
    ["a/+", "b/c"],
    // As AWS has it: the parent level is not covered.
    ["a/#", "a"],
  ] as const)
    t.false(covers(filter, topic), `${filter} ${topic}`);
});
