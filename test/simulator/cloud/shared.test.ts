import test from "ava";
import type { TestClient } from "./harness.js";
import { message, type Rig, rig } from "./rig.js";

const share = "$share/g/a/+";
const payloads = (client: TestClient) => client.messages().map(each => each.payload.toString());

/** A broker whose chance is this byte, each time it is asked. */
const withChance = (chance: () => number): Rig =>
  rig({ random: length => new Uint8Array(length).fill(chance()) });

test("one member of a group gets each message, by chance; each group gets its own, of either version", t => {
  let chance = 0;
  const { connect, connect5, broker } = withChance(() => chance);
  const one = connect("one").subscribe(share);
  const two = connect5("two").subscribe(share);
  const other = connect("other").subscribe("$share/h/a/b", "a/b");
  for (const [byte, text] of [
    [0, "first"],
    [127, "second"],
    [128, "third"],
    [255, "fourth"],
  ] as const) {
    chance = byte;
    broker.publish(message("a/b", text));
  }
  t.deepEqual(payloads(one), ["first", "second"]);
  t.deepEqual(payloads(two), ["third", "fourth"]);
  t.is(other.messages().length, 8);
});

test("a member that leaves gets nothing more, and the others get it", t => {
  const { connect, broker } = withChance(() => 0);
  const one = connect("one").subscribe(share);
  const two = connect("two").subscribe(share);
  one.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: [share] });
  broker.publish(message("a/b", "1"));
  two.lose();
  broker.publish(message("a/b", "2"));
  t.deepEqual([payloads(one), payloads(two)], [[], ["1"]]);
});

test("messages wait for a group with a persistent member: for its return or for anyone new", t => {
  const { connect, broker, time } = rig();
  connect("keeper", { clean: false }).subscribe(share).lose();
  broker.publish(message("a/b", "1"));
  broker.publish(message("a/b", "lost", { qos: 0 }));
  broker.publish(message("a/b", "expired", { expiresAt: time.now() + 1000 }));
  time.advance(1000);
  const fresh = connect("fresh").subscribe(share);
  t.deepEqual(payloads(fresh), ["1"]);
  fresh.lose();
  broker.publish(message("a/b", "2"));
  t.deepEqual(payloads(connect("keeper", { clean: false })), ["2"]);
});

test("what waits for a group is bounded, outlived by no session, and gone with the last member", t => {
  const { connect, broker, time } = rig({ limits: { queuedMessages: 3 } });
  connect("keeper", { clean: false }).subscribe(share).lose();
  for (let index = 0; index < 5; index++) broker.publish(message("a/b", String(index)));
  const keeper = connect("keeper", { clean: false });
  t.deepEqual(payloads(keeper), ["0", "1", "2"]);
  keeper.lose();
  broker.publish(message("a/b", "late"));
  time.advance(3_600_000);
  t.deepEqual(payloads(connect("fresh").subscribe(share)), []);
});

test("a group gets no retained message and no member may ask not to hear itself", t => {
  const { connect5, broker } = rig();
  broker.publish(message("a/b", "kept", { retain: true }));
  const client = connect5("c").subscribe("$share/g/a/b");
  t.deepEqual(payloads(client), []);
  const subscriptions = [{ topic: share, qos: 1, nl: true } as const];
  client.send({ cmd: "subscribe", messageId: 2, subscriptions });
  t.like(client.packets.at(-1), { cmd: "disconnect", reasonCode: 0x82 });
});

test("share names and filters are judged apart", t => {
  const { connect5 } = rig();
  const client = connect5("c").subscribe(
    ...["$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a", "$share/g/a#"],
  );
  t.like(client.packets.at(-1), { granted: new Array(7).fill(0x8f) });
  const long = "n".repeat(128);
  client.subscribe(`$share/${long}/${"t".repeat(256)}`, `$share/${long}n/t`);
  t.like(client.packets.at(-1), { granted: [1, 0x8f] });
  client.subscribe("$share/g/a/b/c/d/e/f/g/h", "$share/g/a/b/c/d/e/f/g/h/i");
  t.like(client.packets.at(-1), { granted: [1, 0x8f] });
});

test("groups and their members are bounded", t => {
  const { connect5 } = rig({ limits: { shareGroups: 2, shareMembers: 2 } });
  const one = connect5("one").subscribe("$share/1/a", "$share/2/a").subscribe("$share/3/a");
  t.like(one.packets.at(-1), { granted: [0x97] });
  t.like(one.subscribe("$share/1/a").packets.at(-1), { granted: [1] });
  t.like(connect5("two").subscribe("$share/1/a").packets.at(-1), { granted: [1] });
  t.like(connect5("three").subscribe("$share/1/a").packets.at(-1), { granted: [0x97] });
  one.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["$share/2/a"] });
  t.like(one.subscribe("$share/3/a").packets.at(-1), { granted: [1] });
});

test("Receive may be granted by the topic or behind its share", t => {
  const { connect, broker } = rig();
  const client = connect("c").subscribe("$share/secret-Receive/a", "$share/g/#");
  broker.publish(message("a", "1"));
  broker.publish(message("secret-Receive", "2"));
  t.deepEqual(payloads(client), ["1", "1"]);
});
