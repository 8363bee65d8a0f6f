import test from "ava";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { connectTo, type TestClient, VirtualTime } from "./harness.js";
import { message, rig } from "./rig.js";

test("CONNECT is answered, PINGREQ too, and DISCONNECT ends without a will", t => {
  const { connect, reasons, broker } = rig();
  const witness = connect("w").subscribe("will/c");
  const client = connect("c", { will: { topic: "will/c", payload: Buffer.from("gone"), qos: 1 } });
  t.like(client.packets[0], { cmd: "connack", returnCode: 0, sessionPresent: false });
  client.send({ cmd: "pingreq" });
  t.is(client.packets[1]?.cmd, "pingresp");
  t.deepEqual(broker.clients(), ["w", "c"]);
  client.send({ cmd: "disconnect" });
  t.true(client.closed);
  t.deepEqual(reasons(), ["CLIENT_INITIATED_DISCONNECT"]);
  t.deepEqual(witness.topics(), []);
});

test("a lost connection publishes the will", t => {
  const { connect, reasons } = rig();
  const witness = connect("w").subscribe("will/c");
  connect("c", { will: { topic: "will/c", payload: Buffer.from("gone"), qos: 1 } }).lose();
  t.is(witness.messages()[0]?.payload.toString(), "gone");
  t.deepEqual(reasons(), ["CONNECTION_LOST"]);
});

test("pulling the cable ends the link at once", t => {
  const { connect, broker, reasons } = rig();
  const client = connect("c");
  t.true(broker.cut("c"));
  t.true(client.closed);
  t.deepEqual(reasons(), ["CONNECTION_LOST"]);
  t.false(broker.cut("c"));
});

test("client ids that AWS does not take are refused", t => {
  for (const clientId of ["", "$c", "x".repeat(129)]) {
    const { connect, events } = rig();
    const client = connect(clientId);
    t.like(client.packets[0], { cmd: "connack", returnCode: 2 }, clientId);
    t.true(client.closed);
    t.like(events[0], { type: "connectionRefused", reason: "IDENTIFIER_REJECTED" });
  }
});

test("MQTT 3.1 and what comes after 5 are refused in their own words", t => {
  const { raw, events } = rig();
  const old = raw().connect("c", { protocolVersion: 3, protocolId: "MQIsdp" });
  t.like(old.packets[0], { cmd: "connack", returnCode: 1 });
  const bytes: number[] = [];
  const client = raw();
  client.link.write = written => void bytes.push(...written);
  const connect = generate({ cmd: "connect", clientId: "c", keepalive: 1 });
  connect[8] = 6;
  client.sendBytes(connect);
  t.deepEqual(bytes.slice(0, 4), [0x20, bytes.length - 2, 0, 0x84]);
  t.like(events[1], { reason: "UNACCEPTABLE_PROTOCOL_VERSION", detail: "MQTT version 6" });
});

test("a peer without an accepted certificate gets no CONNACK", t => {
  const { broker, events } = rig();
  const client = connectTo(broker, { certificateId: undefined, address: "" }).connect("c");
  t.true(client.closed);
  t.deepEqual(client.packets, []);
  t.like(events[0], { reason: "DEVICE_CERTIFICATE_NOT_REGISTERED" });
});

test("a denied CONNECT and a denied will answer code 5", t => {
  const { connect } = rig();
  t.like(connect("secret-Connect").packets[0], { cmd: "connack", returnCode: 5 });
  const will = { topic: "secret-Publish", payload: Buffer.from("") };
  t.like(connect("c", { will }).packets[0], { cmd: "connack", returnCode: 5 });
});

test("a second client with the same id takes over and the first one's will is published", t => {
  const { connect, reasons } = rig();
  const witness = connect("w").subscribe("will/c");
  const first = connect("c", { will: { topic: "will/c", payload: Buffer.from("") } });
  const second = connect("c");
  t.true(first.closed);
  t.false(second.closed);
  t.deepEqual(reasons(), ["DUPLICATE_CLIENTID"]);
  t.deepEqual(witness.topics(), ["will/c"]);
});

test("keep-alive is clamped to 30 to 1200 seconds and ends a silent connection after 1.5 times that", t => {
  for (const [asked, seconds] of [
    [1, 45],
    [30, 45],
    [60, 90],
    [0, 1800],
    [5000, 1800],
  ] as const) {
    const { connect, time, reasons } = rig();
    const client = connect("c", { keepalive: asked });
    time.advance(seconds * 1000 - 1);
    t.false(client.closed, `keep-alive ${asked}`);
    client.send({ cmd: "pingreq" });
    time.advance(seconds * 1000 - 1);
    t.false(client.closed, `keep-alive ${asked} after a ping`);
    time.advance(1);
    t.true(client.closed);
    t.deepEqual(reasons(), ["MQTT_KEEP_ALIVE_TIMEOUT"]);
  }
});

test("a link that never sends CONNECT is closed", t => {
  const { raw, time, events } = rig();
  const client = raw();
  time.advance(30_000);
  t.true(client.closed);
  t.like(events[0], { type: "connectionRefused", reason: "CONNECT_TIMEOUT" });
});

test("messages reach subscribers at the lower QoS, once, however many filters match", t => {
  const { connect } = rig();
  const one = connect("one").subscribe("a/+", "a/b");
  const zero = connect("zero").subscribeAt(0, "a/b");
  connect("p").publish("a/b", "hello", 1);
  t.like(one.messages()[0], { topic: "a/b", qos: 1, retain: false });
  t.like(zero.messages()[0], { topic: "a/b", qos: 0 });
  t.is(one.messages().length + zero.messages().length, 2);
});

test("QoS 1 publishes are acknowledged, zero-length payloads included", t => {
  const { connect } = rig();
  const client = connect("c").publish("a", "", 1);
  t.like(client.packets[1], { cmd: "puback", messageId: 1 });
});

test("unsubscribing stops delivery", t => {
  const { connect, broker } = rig();
  const client = connect("c").subscribe("a");
  client.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["a", "never"] });
  t.like(client.packets.at(-1), { cmd: "unsuback", messageId: 9 });
  broker.publish(message("a"));
  t.deepEqual(client.topics(), []);
});

test("QoS 2 is never acknowledged", t => {
  const { connect, reasons } = rig();
  const publisher = connect("p").send({
    cmd: "publish",
    topic: "a",
    payload: "",
    qos: 2,
    messageId: 1,
    dup: false,
    retain: false,
  });
  const subscriber = connect("s").subscribeAt(2, "a");
  for (const client of [publisher, subscriber]) {
    t.true(client.closed);
    t.deepEqual(client.commands(), ["connack"]);
  }
  t.deepEqual(reasons(), ["CLIENT_ERROR", "CLIENT_ERROR"]);
});

test("what exceeds a limit ends the connection", t => {
  const many = Array.from({ length: 9 }, (_, index) => `f${index}`);
  const attempts: ((client: TestClient) => TestClient)[] = [
    client => client.publish("t".repeat(257), ""),
    client => client.publish("a/b/c/d/e/f/g/h/i", ""),
    client => client.publish("a", "x".repeat(131_073)),
    client => client.subscribe(...many),
    client => client.subscribe("a/b/c/d/e/f/g/h/i"),
    client => client.publish("$undefined/x", ""),
    client => client.publish("$aws/x", "", 0, true),
    client => client.sendBytes(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)),
  ];
  for (const [index, attempt] of attempts.entries()) {
    const { connect, reasons } = rig();
    t.true(attempt(connect("c")).closed, `attempt ${index}`);
    t.deepEqual(reasons(), ["CLIENT_ERROR"], `attempt ${index}`);
  }
  t.false(rig().connect("c").publish("a", "x".repeat(131_072), 1).closed);
  t.false(
    rig()
      .connect("c")
      .subscribe(...many.slice(1)).closed,
  );
});

test("the 51st subscription is answered 0x80 and the others stay", t => {
  const { connect } = rig();
  const client = connect("c");
  for (let index = 0; index < 50; index++) client.subscribe(`f/${index}`);
  client.subscribe("f/0", "one-too-many");
  t.like(client.packets.at(-1), { cmd: "suback", granted: [1, 0x80] });
});

test("a denied publish or subscribe closes the socket without an answer", t => {
  const { connect, reasons } = rig();
  const publisher = connect("p").publish("secret-Publish", "", 1);
  const subscriber = connect("s").subscribe("ok", "secret-Subscribe");
  t.deepEqual([publisher.closed, subscriber.closed], [true, true]);
  t.deepEqual([publisher.commands(), subscriber.commands()], [["connack"], ["connack"]]);
  t.deepEqual(reasons(), ["AUTH_ERROR", "AUTH_ERROR"]);
});

test("a denied subscribe can be answered with 0x80 instead", t => {
  const client = rig({ subscribeDenial: "answer" })
    .connect("s")
    .subscribe("ok", "secret-Subscribe");
  t.like(client.packets.at(-1), { cmd: "suback", granted: [1, 0x80] });
  t.false(client.closed);
});

test("a denied receive drops the message and keeps the connection", t => {
  const { connect, broker } = rig();
  const client = connect("s").subscribe("#");
  broker.publish(message("secret-Receive"));
  broker.publish(message("open"));
  t.deepEqual(client.topics(), ["open"]);
});

test("a retained message goes to an exact filter only, flagged, and is deleted by an empty one", t => {
  const { connect } = rig();
  const live = connect("live").subscribe("a/b");
  const publisher = connect("p").publish("a/b", "kept", 1, true);
  t.like(live.messages()[0], { retain: false });
  t.like(connect("s").subscribe("a/b").messages()[0], { retain: true, topic: "a/b" });
  t.deepEqual(connect("s").subscribe("a/+").topics(), []);
  publisher.publish("a/b", "", 1, true);
  t.is(live.messages().length, 2);
  t.deepEqual(connect("s").subscribe("a/b").topics(), []);
});

test("a persistent session keeps subscriptions and QoS 1 messages, and says so", t => {
  const { connect, broker } = rig();
  connect("c", { clean: false }).subscribe("a").lose();
  broker.publish(message("a", "stored"));
  broker.publish(message("a", "lost", { qos: 0 }));
  const back = connect("c", { clean: false });
  t.like(back.packets[0], { cmd: "connack", sessionPresent: true });
  t.deepEqual(
    back.messages().map(each => each.payload.toString()),
    ["stored"],
  );
});

test("unacknowledged messages come again on resume, acknowledged ones do not, and DUP is not set", t => {
  const { connect, broker } = rig();
  const first = connect("c", { clean: false }).subscribe("a");
  for (const text of ["1", "2", "3"]) broker.publish(message("a", text));
  first.send({ cmd: "puback", messageId: first.messages()[1]?.messageId ?? 0 });
  first.lose();
  const back = connect("c", { clean: false });
  t.deepEqual(
    back.messages().map(each => [each.payload.toString(), each.dup]),
    [
      ["1", false],
      ["3", false],
    ],
  );
});

test("a session ends after an hour, on a clean CONNECT, and with a clean session's connection", t => {
  const { connect, time } = rig();
  connect("late", { clean: false }).subscribe("a").lose();
  time.advance(3_599_999);
  t.like(connect("late", { clean: false }).packets[0], { sessionPresent: true });
  connect("late", { clean: false }).lose();
  time.advance(3_600_000);
  t.like(connect("late", { clean: false }).packets[0], { sessionPresent: false });
  connect("c", { clean: false }).lose();
  t.like(connect("c", { clean: true }).packets[0], { sessionPresent: false });
  t.like(connect("c", { clean: false }).packets[0], { sessionPresent: false });
});

test("a session that was resumed does not end when its absence would have", t => {
  const { connect, time } = rig();
  connect("c", { clean: false }).subscribe("a").lose();
  const back = connect("c", { clean: false, keepalive: 1200 });
  for (let minutes = 0; minutes < 120; minutes += 20) {
    time.advance(1_200_000);
    back.send({ cmd: "pingreq" });
  }
  back.publish("a", "still", 1);
  t.deepEqual(back.topics(), ["a"]);
});

test("a connection that ended leaves no timer behind", t => {
  const time = new VirtualTime();
  const set = new Set<object>();
  const timer = {
    set: (callback: () => void, delayMs: number) => {
      const handle = time.set(callback, delayMs);
      set.add(handle);
      return handle;
    },
    clear: (handle: object) => {
      set.delete(handle);
      time.clear(handle);
    },
  };
  const { connect, raw } = rig({ clock: time, timer });
  connect("c").send({ cmd: "disconnect" });
  connect("$refused");
  raw().lose();
  t.is(set.size, 0);
});

test("at most 100 messages are in flight, and the rest follow as they are acknowledged", t => {
  const { connect, broker } = rig();
  const client = connect("c").subscribe("a");
  for (let index = 0; index < 150; index++) broker.publish(message("a", String(index)));
  t.is(client.messages().length, 100);
  for (let index = 0; index < 150; index++) {
    client.send({ cmd: "puback", messageId: client.messages()[index]?.messageId ?? 0 });
  }
  t.deepEqual(
    client.messages().map(each => Number(each.payload)),
    Array.from({ length: 150 }, (_, index) => index),
  );
});

test("the store of an absent client is bounded", t => {
  const { connect, broker } = rig({ limits: { queuedMessages: 10 } });
  connect("c", { clean: false }).subscribe("a").lose();
  for (let index = 0; index < 50; index++) broker.publish(message("a", String(index)));
  t.is(connect("c", { clean: false }).messages().length, 10);
});

test("a slow reader loses QoS 0 messages and no QoS 1 message", t => {
  const { raw, broker } = rig();
  const client = raw();
  Object.assign(client.link, { congested: () => true });
  client.connect("c").subscribe("a");
  broker.publish(message("a", "0", { qos: 0 }));
  broker.publish(message("a", "1"));
  t.deepEqual(
    client.messages().map(each => each.payload.toString()),
    ["1"],
  );
});

test("presence events tell who came, who went and why", t => {
  const { connect, time } = rig();
  const watcher = connect("w").subscribe(
    "$aws/events/presence/+/c",
    "$aws/events/subscriptions/+/c",
  );
  const timestamp = time.now();
  connect("c").subscribe("a").lose();
  connect("c");
  connect("c+x");
  t.deepEqual(
    watcher.topics().map(topic => topic.slice("$aws/events/".length)),
    [
      "presence/connected/c",
      "subscriptions/subscribed/c",
      "presence/disconnected/c",
      "presence/connected/c",
    ],
  );
  const bodies = watcher.messages().map(each => JSON.parse(each.payload.toString()));
  const sessionIdentifier = "07070707-0707-0707-0707-070707070707";
  t.deepEqual(bodies[0], {
    clientId: "c",
    timestamp,
    eventType: "connected",
    sessionIdentifier,
    principalIdentifier: "cert",
    versionNumber: 0,
    ipAddress: "10.0.0.9",
  });
  t.like(bodies[1], { eventType: "subscribed", topics: ["a"], sessionIdentifier });
  t.like(bodies[2], {
    versionNumber: 0,
    disconnectReason: "CONNECTION_LOST",
    clientInitiatedDisconnect: false,
  });
  t.is(bodies[3].versionNumber, 1);
});

test("a certificate that is no longer active ends its sessions", t => {
  const { connect, broker, reasons } = rig();
  const client = connect("c");
  broker.disconnectCertificate("other");
  t.false(client.closed);
  broker.disconnectCertificate("cert");
  t.true(client.closed);
  t.deepEqual(reasons(), ["FORBIDDEN_ACCESS"]);
});

test("packets may arrive byte by byte or all at once", t => {
  const { raw } = rig();
  const packets = [
    generate({ cmd: "connect", clientId: "c", clean: true, keepalive: 60 }),
    generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] }),
    generate({
      cmd: "publish",
      topic: "a",
      payload: "x".repeat(300),
      qos: 1,
      messageId: 2,
      dup: false,
      retain: false,
    }),
  ];
  const all = Buffer.concat(packets);
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), sizes => {
        const client = raw();
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          client.sendBytes(all.subarray(at, at + size));
          at += size;
        }
        return client.commands().join() === "connack,suback,publish,puback";
      }),
    ),
  );
});

test("a peer that answers from inside a write keeps its packets in order", t => {
  const { raw, broker } = rig();
  const client = raw();
  const { write } = client.link;
  client.link.write = bytes => {
    write(bytes);
    const last = client.packets.at(-1);
    if (last?.cmd === "publish") client.send({ cmd: "puback", messageId: last.messageId ?? 0 });
    if (last?.cmd === "connack") client.subscribe("a").publish("a", "first", 1);
  };
  client.connect("c");
  for (let index = 0; index < 300; index++) broker.publish(message("a"));
  t.is(client.messages().length, 301);
});

const malformed: readonly (readonly [string, readonly number[]])[] = [
  ["packet type 0", [0x00, 0x00]],
  ["packet type 15", [0xf0, 0x00]],
  ["a fifth length byte", [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ["SUBSCRIBE with wrong flags", [0x80, 0x06, 0, 1, 0, 1, 0x61, 0]],
  ["SUBSCRIBE without a filter", [0x82, 0x02, 0, 1]],
  ["SUBSCRIBE with packet id 0", [0x82, 0x06, 0, 0, 0, 1, 0x61, 0]],
  ["SUBSCRIBE whose filter is cut short", [0x82, 0x05, 0, 1, 0, 9, 0x61]],
  ["UNSUBSCRIBE without a filter", [0xa2, 0x02, 0, 1]],
  ["PUBLISH with QoS 3", [0x36, 0x05, 0, 1, 0x61, 0, 1]],
  ["PUBLISH whose topic is cut short", [0x30, 0x03, 0, 9, 0x61]],
  ["PUBLISH at QoS 1 without a packet id", [0x32, 0x03, 0, 1, 0x61]],
  ["PUBLISH to a wildcard", [0x30, 0x03, 0, 1, 0x23]],
  ["PUBLISH to ill-formed UTF-8", [0x30, 0x03, 0, 1, 0xff]],
  ["PUBACK of three bytes", [0x40, 0x03, 0, 1, 0]],
  ["PINGREQ with a body", [0xc0, 0x01, 0]],
  ["a second CONNECT", [...generate({ cmd: "connect", clientId: "x", clean: true, keepalive: 1 })]],
  ["CONNACK from a client", [0x20, 0x02, 0, 0]],
  ["PUBREL from a client", [0x62, 0x02, 0, 1]],
  ["AUTH in MQTT 3.1.1", [0xf0, 0x00]],
];

for (const [what, bytes] of malformed) {
  test(`${what} ends the connection with a reason`, t => {
    const { connect, events } = rig();
    const client = connect("c").sendBytes(Uint8Array.from(bytes));
    t.true(client.closed);
    const last = events.at(-1);
    t.like(last, { type: "clientDisconnected", reason: "CLIENT_ERROR" });
    t.true(last?.type === "clientDisconnected" && last.detail.length > 0);
  });
}

test("random bytes close at most their own connection, and never throw", t => {
  const { raw, connect, events } = rig();
  const neighbour = connect("n");
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }),
        (first, chunks) => {
          const client = raw();
          if (first) client.connect("c");
          for (const chunk of chunks) client.sendBytes(chunk);
          client.lose();
        },
      ),
      { numRuns: 2000 },
    ),
  );
  neighbour.send({ cmd: "pingreq" });
  t.is(neighbour.packets.at(-1)?.cmd, "pingresp");
  t.deepEqual(
    events.filter(each => each.type === "clientDisconnected" && each.reason === "SERVER_ERROR"),
    [],
  );
});

test("mutated packets close at most their own connection, and never throw", t => {
  const { raw, events } = rig();
  const valid = [
    generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a/b", qos: 1 }] }),
    generate({
      cmd: "publish",
      topic: "a/b",
      payload: "hello",
      qos: 1,
      messageId: 2,
      dup: false,
      retain: true,
    }),
    generate({
      cmd: "connect",
      clientId: "c",
      keepalive: 9,
      clean: false,
      will: { topic: "w", payload: Buffer.from("x"), qos: 1, retain: true },
      username: "u",
      password: Buffer.from("p"),
    }),
    generate({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a/b"] }),
  ];
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.nat(200),
        fc.nat(255),
        fc.boolean(),
        (packet, at, value, first) => {
          const bytes = Uint8Array.from(packet);
          bytes[at % bytes.length] = value;
          const client = raw();
          if (first) client.connect("c");
          client.sendBytes(bytes).sendBytes(bytes);
          client.lose();
        },
      ),
      { numRuns: 3000 },
    ),
  );
  t.deepEqual(
    events.filter(each => each.type === "clientDisconnected" && each.reason === "SERVER_ERROR"),
    [],
  );
});
