// Topics, documents, versions and deletion, over MQTT and REST: chapters 3.1, 3.3 and 3.6 of the notes on AWS's protocol.

import test from "ava";
import { openCloud } from "./harness.js";
import { provision } from "./provisioning-rig.js";
import { type Asked, askRest, clientOf, inEveryWay, overMqtt, overRest } from "./shadow-wire.js";

const hour = 3_600_000;
const topicsOf = ({ heard }: Asked): string[] => heard.map(({ topic }) => topic).sort();
const onTopic = ({ heard }: Asked, topic: string) => heard.find(each => each.topic === topic)?.body;

inEveryWay(
  "3.1: an update is told as accepted, delta and documents to all who listen",
  async (t, wire) => {
    const { ask, world, prefix } = wire;
    const others = [4, 5].map(version =>
      clientOf(world, `${wire.thing}-${version}`, version as 4 | 5).subscribe(`${prefix}/update/+`),
    );
    const updated = await ask("update", { state: { desired: { a: 1 } } });
    const topics = ["update/accepted", "update/delta", "update/documents"];
    t.deepEqual(topicsOf(updated), topics);
    for (const other of others) {
      t.deepEqual(
        other.topics().sort(),
        topics.map(topic => `${prefix}/${topic}`),
      );
    }
  },
);

inEveryWay("3.1: what is told is never retained", async (t, { ask, world, prefix }) => {
  await ask("update", { state: { desired: { a: 1 } } });
  await ask("get");
  await ask("delete");
  await ask("delete");
  const later = clientOf(world, `later-${prefix}`);
  for (const topic of ["update/accepted", "update/delta", "update/documents", "get/accepted"]) {
    later.subscribe(`${prefix}/${topic}`);
  }
  for (const topic of ["delete/accepted", "delete/rejected"]) later.subscribe(`${prefix}/${topic}`);
  t.is(later.commands().filter(each => each === "suback").length, 6);
  t.deepEqual(later.topics(), []);
});

overMqtt("3.1: answers come at the QoS that was granted, 1 at most", async (t, wire) => {
  const { world, prefix, thing } = wire;
  for (const granted of [0, 1] as const) {
    const client = clientOf(world, `${thing}-at-${granted}`);
    client.subscribeAt(granted, `${prefix}/update/+`, `${prefix}/get/+`);
    client.publish(`${prefix}/update`, { state: { desired: { a: granted } } }, 1);
    client.publish(`${prefix}/get`, "", 0);
    t.deepEqual(
      client.messages().map(({ qos }) => qos),
      [granted, granted, granted, granted],
    );
  }
});

overMqtt(
  "3.1: a request that asks to be retained ends the connection, and changes nothing",
  async (t, wire) => {
    const client = clientOf(wire.world, `retaining-${wire.thing}`);
    t.true(client.publish(`${wire.prefix}/update`, { state: {} }, 0, true).closed);
    t.is((await wire.ask("get")).code, 404);
  },
);

overMqtt("3.1: get and delete take an empty message or a token", async (t, { ask, now }) => {
  for (const operation of ["get", "delete"] as const) {
    for (const [body, clientToken] of [
      ["", undefined],
      [{}, undefined],
      [{ clientToken: "t" }, "t"],
    ] as const) {
      await ask("update", { state: {} });
      const { code, body: answer } = await ask(operation, body);
      t.is(code, 200);
      t.is(answer.clientToken, clientToken);
      t.is(answer.timestamp, now);
    }
  }
});

overMqtt("3.1: a get is answered to all who listen, a delete too", async (t, { ask }) => {
  await ask("update", { state: {} });
  t.deepEqual(topicsOf(await ask("get")), ["get/accepted"]);
  t.deepEqual(topicsOf(await ask("delete")), ["delete/accepted"]);
  t.deepEqual(topicsOf(await ask("get")), ["get/rejected"]);
  t.deepEqual(topicsOf(await ask("delete")), ["delete/rejected"]);
  t.deepEqual(topicsOf(await ask("update", "")), ["update/rejected"]);
});

overRest(
  "3.1: over REST a get tells nobody, a delete tells, a failure never does",
  async (t, { ask }) => {
    await ask("update", { state: {} });
    t.deepEqual(topicsOf(await ask("get")), []);
    t.deepEqual(topicsOf(await ask("update", { state: 1 })), []);
    t.deepEqual(topicsOf(await ask("delete")), ["delete/accepted"]);
    t.deepEqual(topicsOf(await ask("delete")), []);
    t.deepEqual(topicsOf(await ask("get")), []);
  },
);

inEveryWay(
  "3.1: classic and named shadows of a thing are documents of their own",
  async (t, wire) => {
    const { ask, world, thing, name } = wire;
    await ask("update", { state: { desired: { a: 1 } } });
    const other = clientOf(world, `other-${thing}`);
    const prefix = `$aws/things/${thing}/shadow`;
    for (const each of [
      `${prefix}/name/other`,
      name === undefined ? `${prefix}/name/config` : prefix,
    ]) {
      other.subscribe(`${each}/get/+`).publish(`${each}/get`, "");
      t.is(other.json(`${each}/get/rejected`)?.code, 404);
    }
    const { heard } = await wire.another().ask("update", { state: { desired: { a: 2 } } });
    t.is(heard.length, 3);
    t.like((await ask("get")).body, { version: 1, state: { desired: { a: 1 } } });
  },
);

for (const [what, thing, name, isTaken] of [
  ["a thing's name of 128 characters", "t".repeat(128), undefined, true],
  ["every character of a thing's name", "aZ09:_-", undefined, true],
  ["every character of a shadow's name, and 64 of them", "t", "$aZ09:_-".padEnd(64, "n"), true],
  ["the reserved name $package", "t", "$package", true],
  ["a thing's name of 129 characters", "t".repeat(129), undefined, false],
  ["a shadow's name of 65 characters", "t", "n".repeat(65), false],
  ["a dot in a thing's name", "a.b", undefined, false],
  ["a dollar in a thing's name", "a$b", undefined, false],
  ["a dot in a shadow's name", "t", "a.b", false],
  ["an empty name of a shadow", "t", "", false],
] as const) {
  overMqtt(`3.1 names: ${what} is ${isTaken ? "taken" : "refused"}`, async (t, { world }) => {
    const prefix = `$aws/things/${thing}/shadow${name === undefined ? "" : `/name/${name}`}`;
    const client = clientOf(world, "names").publish(`${prefix}/update`, { state: {} });
    t.is(client.closed, !isTaken);
    const query = name === undefined ? "" : `?name=${encodeURIComponent(name)}`;
    const path = `/things/${encodeURIComponent(thing)}/shadow${query}`;
    t.is((await askRest(world, "DELETE", path)).code, isTaken ? 200 : 400);
  });
}

test("3.1 names: a shadow's topics end at the operations there are", async t => {
  const world = await openCloud();
  t.teardown(() => world.cloud.close());
  const { id } = await provision(t, world, "1");
  const prefix = "$aws/things/node-1/shadow";
  for (const topic of [
    "list",
    "get/accepted",
    "update/delta",
    "update/documents",
    "name/x",
    "name/x/y",
  ]) {
    t.true(world.client(id).connect("node-1").publish(`${prefix}/${topic}`, "{}").closed, topic);
  }
});

test("3.1 $package: version and attributes of packages under reported, nothing else", async t => {
  const world = await openCloud();
  t.teardown(() => world.cloud.close());
  const { id } = await provision(t, world, "1");
  const prefix = "$aws/things/node-1/shadow/name/$package";
  const device = world.client(id).connect("node-1").subscribe(`${prefix}/update/+`);
  const ask = (state: object | null) => {
    const before = device.messages().length;
    device.publish(`${prefix}/update`, { state });
    return device.topics().slice(before).at(-1)?.split("/").at(-1);
  };
  t.is(ask({ reported: { app: { version: "1.0", attributes: { a: "b" } } } }), "accepted");
  t.is(ask({ reported: { app: { attributes: null }, old: null } }), "accepted");
  t.is(ask({ reported: { app: { version: "1.0", size: 7 } } }), "rejected");
  t.is(ask({ reported: { app: { version: "1.0", size: {} } } }), "rejected");
  t.is(ask({ reported: { app: { version: 1 } } }), "rejected");
  t.is(ask({ reported: { app: "1.0" } }), "rejected");
  t.is(device.json(`${prefix}/update/rejected`)?.message, "State contains an invalid node");
});

overMqtt("3.1 $package: none of its documents has metadata, over MQTT or REST", async (t, wire) => {
  const { world, thing, now: timestamp } = wire;
  const prefix = `$aws/things/${thing}/shadow/name/$package`;
  const client = clientOf(world, `packages-of-${thing}`);
  client.subscribe(`${prefix}/update/+`, `${prefix}/get/+`);
  const state = { reported: { app: { version: "1.0", attributes: {} } } };
  const document = { state, version: 1, timestamp };
  client.publish(`${prefix}/update`, { state }).publish(`${prefix}/get`, "");
  t.deepEqual(client.json(`${prefix}/update/accepted`), document);
  t.deepEqual(client.json(`${prefix}/get/accepted`), document);
  const first = { state, version: 1 };
  const documents = `${prefix}/update/documents`;
  t.deepEqual(client.json(documents), { previous: null, current: first, timestamp });
  const path = `/things/${thing}/shadow?name=%24package`;
  t.deepEqual((await askRest(world, "GET", path)).body, document);
  const { body } = await askRest(world, "POST", path, Buffer.from('{"state":{}}'));
  t.deepEqual(body, { state: {}, version: 2, timestamp });
  const current = { state, version: 2 };
  t.deepEqual(client.json(documents), { previous: first, current, timestamp });
});

inEveryWay(
  "3.3 update/accepted: echoes what was asked, nulls too, each with a timestamp",
  async (t, wire) => {
    const { ask, time } = wire;
    await ask("update", { state: { desired: { z: 1 }, reported: { y: 1, b: { d: 1 } } } });
    time.advance(3000);
    const state = { desired: null, reported: { a: null, b: { c: 1 }, l: [1, { e: 2 }, [3]] } };
    const stamp = { timestamp: wire.now };
    const updated = await ask("update", { state, clientToken: "t" });
    const accepted = {
      state,
      metadata: {
        desired: stamp,
        reported: { a: stamp, b: { c: stamp }, l: [stamp, { e: stamp }, [stamp]] },
      },
      version: 2,
      timestamp: wire.now,
      clientToken: "t",
    };
    t.deepEqual(updated.body, accepted);
    t.deepEqual(onTopic(updated, "update/accepted"), accepted);
  },
);

inEveryWay(
  "3.3 update/accepted: a null state has a timestamp for metadata",
  async (t, { ask, now }) => {
    const expected = { state: null, metadata: { timestamp: now }, version: 1, timestamp: now };
    t.deepEqual((await ask("update", { state: null })).body, expected);
  },
);

inEveryWay("3.3: without a token in the request no document has one", async (t, { ask }) => {
  const updated = await ask("update", { state: { desired: { a: 1 } } });
  for (const { body } of [updated, ...updated.heard, await ask("get"), await ask("delete")]) {
    t.false("clientToken" in body);
  }
});

inEveryWay(
  "3.3 update request: what is neither state, token nor version is ignored",
  async (t, { ask }) => {
    const extra = { metadata: { desired: 1 }, timestamp: 5, other: null };
    const { code, body } = await ask("update", { state: { desired: { a: 1 } }, ...extra });
    t.is(code, 200);
    t.false("other" in body);
    t.like((await ask("get")).body, { version: 1, state: { desired: { a: 1 } } });
  },
);

inEveryWay(
  "3.3 update/documents: the whole of before and after, without a delta",
  async (t, wire) => {
    const { ask, time } = wire;
    const first = { timestamp: wire.now };
    const created = await ask("update", { state: { desired: { a: 1, b: 1 }, reported: { a: 1 } } });
    const before = {
      state: { desired: { a: 1, b: 1 }, reported: { a: 1 } },
      metadata: { desired: { a: first, b: first }, reported: { a: first } },
      version: 1,
    };
    t.deepEqual(onTopic(created, "update/documents"), {
      previous: null,
      current: before,
      timestamp: wire.now,
    });
    time.advance(2000);
    const second = { timestamp: wire.now };
    const updated = await ask("update", {
      state: { desired: { a: 2 }, reported: null },
      clientToken: "t",
    });
    t.deepEqual(onTopic(updated, "update/documents"), {
      previous: before,
      current: {
        state: { desired: { a: 2, b: 1 } },
        metadata: { desired: { a: second, b: first } },
        version: 2,
      },
      timestamp: wire.now,
      clientToken: "t",
    });
  },
);

inEveryWay(
  "3.3 get/accepted: desired, reported and delta, each only when it has content",
  async (t, wire) => {
    const { ask, time, now } = wire;
    const stamp = { timestamp: now };
    const empty = { state: {}, metadata: {}, version: 1, timestamp: now };
    await ask("update", { state: { desired: {}, reported: { a: null } } });
    t.deepEqual((await ask("get")).body, empty);
    await ask("update", { state: { desired: { a: 1, l: [{ b: 1 }, 2] }, reported: { b: 2 } } });
    time.advance(1000);
    t.deepEqual((await ask("get")).body, {
      state: {
        desired: { a: 1, l: [{ b: 1 }, 2] },
        reported: { b: 2 },
        delta: { a: 1, l: [{ b: 1 }, 2] },
      },
      metadata: { desired: { a: stamp, l: [{ b: stamp }, stamp] }, reported: { b: stamp } },
      version: 2,
      timestamp: now + 1,
    });
  },
);

inEveryWay("3.3 get: a document comes back as it was written", async (t, { ask }) => {
  const odd = {
    "": 0,
    __proto: "é\u0000\u2028😀",
    "a.b": -1.5e-7,
    big: 9007199254740991,
    no: false,
  };
  await ask("update", { state: { reported: odd } });
  t.deepEqual((await ask("get")).body.state, { reported: odd });
});

overRest(
  "3.3 list: names of named shadows only, in pages, empty for an unknown thing",
  async (t, wire) => {
    const { world, thing } = wire;
    const path = `/api/things/shadow/ListNamedShadowsForThing/${thing}`;
    const timestamp = wire.now;
    t.deepEqual((await askRest(world, "GET", path)).body, { results: [], timestamp });
    const post = (query: string) =>
      askRest(world, "POST", `/things/${thing}/shadow${query}`, Buffer.from('{"state":{}}'));
    for (const query of ["", "?name=b", "?name=a", "?name=gone"])
      t.is((await post(query)).code, 200);
    await askRest(world, "DELETE", `/things/${thing}/shadow?name=gone`);
    const page = await askRest(world, "GET", `${path}?pageSize=1`);
    const { nextToken } = page.body;
    t.deepEqual(page.body, { results: ["a"], timestamp, nextToken });
    const next = await askRest(world, "GET", `${path}?pageSize=1&nextToken=${nextToken}`);
    t.deepEqual(next.body, { results: ["b"], timestamp });
  },
);

inEveryWay(
  "3.6 start and lock: version has to be the current one, anything else is a conflict",
  async (t, { ask }) => {
    t.is((await ask("update", { state: { desired: { a: 1 } }, version: 1 })).body.version, 1);
    for (let version = 1; version <= 3; version++) {
      for (const other of [0, version - 1, version + 1, 999]) {
        if (other === version) continue;
        const refused = await ask("update", { state: { desired: { a: 9 } }, version: other });
        t.like(refused, { code: 409, body: { message: "Version conflict" } });
      }
      const updated = await ask("update", { state: { desired: { a: version } }, version });
      t.is(updated.body.version, version + 1);
    }
    t.like((await ask("get")).body, { version: 4, state: { desired: { a: 3 } } });
  },
);

inEveryWay("3.6 lock: a missing shadow takes no version but 1", async (t, { ask }) => {
  for (const version of [0, 2]) {
    t.like(await ask("update", { state: {}, version }), { code: 409 });
    t.is((await ask("get")).code, 404);
  }
  t.like(await ask("update", { state: {}, version: 1 }), { code: 200, body: { version: 1 } });
});

inEveryWay("3.6 delete: answers with the next version, once", async (t, wire) => {
  const { ask, now: timestamp } = wire;
  for (let version = 1; version <= 4; version++)
    await ask("update", { state: { desired: { a: 1 } } });
  const deleted = await ask("delete");
  t.deepEqual(deleted.body, { version: 5, timestamp });
  t.deepEqual(deleted.heard, [{ topic: "delete/accepted", body: deleted.body }]);
  t.is((await ask("delete")).code, 404);
  t.is((await ask("get")).code, 404);
});

inEveryWay(
  "3.6 recreate within 48 hours: the version goes on, the content does not",
  async (t, { ask, time }) => {
    for (let version = 1; version <= 4; version++)
      await ask("update", { state: { desired: { a: 1 } } });
    await ask("delete");
    time.advance(48 * hour - 1);
    const created = await ask("update", { state: { reported: { b: 1 } } });
    t.is(created.body.version, 6);
    t.is(onTopic(created, "update/documents")?.previous, null);
    t.is(onTopic(created, "update/delta"), undefined);
    t.like((await ask("get")).body, { version: 6, state: { reported: { b: 1 } } });
    t.false("desired" in ((await ask("get")).body.state as object));
  },
);

inEveryWay(
  "3.6 recreate within 48 hours: the version after the deletion locks",
  async (t, { ask }) => {
    for (let version = 1; version <= 4; version++) await ask("update", { state: {} });
    await ask("delete");
    t.is((await ask("update", { state: {}, version: 4 })).code, 409);
    t.is((await ask("update", { state: {}, version: 6 })).code, 409);
    t.is((await ask("update", { state: {}, version: 5 })).body.version, 6);
  },
);

inEveryWay("3.6 recreate after 48 hours: versions start again", async (t, { ask, time }) => {
  for (let version = 1; version <= 4; version++) await ask("update", { state: {} });
  await ask("delete");
  time.advance(48 * hour);
  t.is((await ask("update", { state: {} })).body.version, 1);
});

inEveryWay(
  "3.6 deletion takes the one shadow, not the thing and not its other shadows",
  async (t, wire) => {
    const { ask, world, thing, name } = wire;
    const other = name === undefined ? "config" : undefined;
    world.cloud.updateDesired(thing, { a: 1 }, other);
    const before = world.cloud.things().length;
    await ask("update", { state: {} });
    await ask("delete");
    t.like(world.cloud.shadow(thing, other), { version: 1, state: { desired: { a: 1 } } });
    t.is(world.cloud.things().length, before);
  },
);

inEveryWay("3.6 a null state is no deletion: 1, 2, 3", async (t, { ask, now: timestamp }) => {
  await ask("update", { state: { reported: { a: 1 } } });
  await ask("update", { state: { desired: { a: 1 } } });
  t.is((await ask("update", { state: null })).body.version, 3);
  t.deepEqual((await ask("get")).body, { state: {}, metadata: {}, version: 3, timestamp });
});
