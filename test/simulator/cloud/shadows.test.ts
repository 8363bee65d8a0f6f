import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Shadows } from "../../../simulator/cloud/shadows.js";
import { classic, shadowRig as rig } from "./shadow-rig.js";

test("the worked exchange of the guide, document by document", async t => {
  const { ask, time } = await rig();
  const timestamp = time.now() / 1000;
  ask("update", { state: { desired: { led: "off" }, reported: { led: "off", rssi: -60 } } });
  const [delta, documents, accepted] = ask("update", {
    state: { desired: { led: "on", fan: { rpm: 900 } } },
    clientToken: "a1",
  });
  const metadata = { led: { timestamp }, fan: { rpm: { timestamp } } };
  t.deepEqual(accepted, {
    topic: "update/accepted",
    body: {
      state: { desired: { led: "on", fan: { rpm: 900 } } },
      metadata: { desired: metadata },
      version: 2,
      timestamp,
      clientToken: "a1",
    },
  });
  t.deepEqual(delta, {
    topic: "update/delta",
    body: {
      version: 2,
      timestamp,
      state: { led: "on", fan: { rpm: 900 } },
      metadata,
      clientToken: "a1",
    },
  });
  t.is(documents?.topic, "update/documents");
  t.like(documents?.body, { previous: { version: 1 }, current: { version: 2 }, clientToken: "a1" });
  const second = ask("update", { state: { reported: { led: "on", rssi: null } }, version: 2 });
  t.deepEqual(second[0]?.body.state, { fan: { rpm: 900 } });
  const [conflict] = ask("update", { state: { reported: { led: "on" } }, version: 2 });
  t.deepEqual(conflict, {
    topic: "update/rejected",
    body: { code: 409, message: "Version conflict", timestamp },
  });
});

test("no delta is published when desired and reported agree", async t => {
  const { ask } = await rig();
  const topics = ask("update", { state: { desired: { a: 1 }, reported: { a: 1 } } }).map(
    each => each.topic,
  );
  t.deepEqual(topics, ["update/documents", "update/accepted"]);
});

test("the first documents message has no previous", async t => {
  const { ask } = await rig();
  t.is(ask("update", { state: { reported: { a: 1 } } })[0]?.body.previous, null);
});

test("get shows desired, reported and delta, each only when it has content", async t => {
  const { ask, time } = await rig();
  const timestamp = time.now() / 1000;
  ask("update", { state: { reported: { a: null } } });
  t.deepEqual(ask("get", "")[0]?.body, { state: {}, metadata: {}, version: 1, timestamp });
  ask("update", { state: { desired: { a: 1 }, reported: { b: 2 } } });
  t.deepEqual(ask("get", { clientToken: "t" })[0]?.body, {
    state: { desired: { a: 1 }, reported: { b: 2 }, delta: { a: 1 } },
    metadata: { desired: { a: { timestamp } }, reported: { b: { timestamp } } },
    version: 2,
    timestamp,
    clientToken: "t",
  });
});

test("a null state empties the shadow and counts a version", async t => {
  const { ask, time } = await rig();
  ask("update", { state: { desired: { a: 1 } } });
  const accepted = ask("update", { state: null }).at(-1);
  t.like(accepted?.body, { state: null, version: 2, metadata: { timestamp: time.now() / 1000 } });
  t.like(ask("get", "")[0]?.body, { version: 2 });
});

test("a deleted shadow's version is remembered for 48 hours", async t => {
  const { ask, time } = await rig();
  ask("update", { state: { desired: { a: 1 } } });
  t.like(ask("delete", { clientToken: "d" })[0], {
    topic: "delete/accepted",
    body: { version: 2, clientToken: "d" },
  });
  t.like(ask("get", "")[0]?.body, { code: 404, message: "No shadow exists with name: 'node-1'" });
  t.like(ask("delete", "")[0]?.body, { code: 404 });
  t.is(ask("update", { state: { desired: { a: 1 } } }).at(-1)?.body.version, 3);
  ask("delete", "");
  time.advance(48 * 3_600_000);
  t.is(ask("update", { state: { desired: { a: 1 } } }).at(-1)?.body.version, 1);
});

test("a deletion is forgotten after 48 hours, in the version that may be asked for too", async t => {
  const { ask, time } = await rig();
  for (let version = 1; version <= 3; version++) ask("update", { state: {} });
  ask("delete");
  time.advance(48 * 3_600_000 - 1);
  t.is(ask("update", { state: {}, version: 5 })[0]?.body.code, 409);
  t.is(ask("update", { state: {}, version: 4 }).at(-1)?.body.version, 5);
  ask("delete");
  time.advance(48 * 3_600_000);
  t.is(ask("update", { state: {}, version: 6 })[0]?.body.code, 409);
  t.is(ask("update", { state: {}, version: 1 }).at(-1)?.body.version, 1);
});

test("a new shadow after a deletion has no previous document and nothing of the old one", async t => {
  const { ask } = await rig();
  ask("update", { state: { desired: { a: 1 } } });
  ask("delete");
  const [documents] = ask("update", { state: { reported: { b: 1 } } });
  t.is(documents?.topic, "update/documents");
  t.is(documents?.body.previous, null);
  t.like(documents?.body.current, { version: 3, state: { reported: { b: 1 } } });
  t.like(ask("get")[0]?.body, { state: { reported: { b: 1 } } });
});

test("deletions that no longer count make room for other shadows", async t => {
  const { ask, shadows, time } = await rig(classic, { limits: { shadows: 1 } });
  ask("update", { state: {} });
  ask("delete");
  t.throws(() => shadows.updateDesired("other", { a: 1 }), { message: /Internal service failure/ });
  time.advance(48 * 3_600_000);
  t.is(shadows.updateDesired("other", { a: 1 }), 1);
});

test("documents and versions, deleted ones too, survive a restart with names of every kind", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-shadows-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const body = '{"state":{"desired":{"__proto__":{"a":1},"constructor":[{"toString":2}]}}}';
  const first = await rig("$aws/things/__proto__/shadow", { directory });
  first.ask("update", body);
  first.shadows.updateDesired("gone", { a: 1 });
  first.shadows.request("delete", "gone", undefined, new Uint8Array());
  await first.store.close();
  const second = await rig("$aws/things/__proto__/shadow", { directory });
  t.teardown(() => second.store.close());
  const { state, metadata } = second.ask("get")[0]!.body as Record<string, { desired: object }>;
  t.is(JSON.stringify(state?.desired), '{"__proto__":{"a":1},"constructor":[{"toString":2}]}');
  t.deepEqual(Object.keys(metadata!.desired), ["__proto__", "constructor"]);
  const merged = second.ask("update", '{"state":{"desired":{"__proto__":{"b":2}}}}').at(-1);
  t.is(merged?.body.version, 2);
  const desired = JSON.stringify(second.shadows.read("__proto__")?.state);
  t.true(desired.includes('{"__proto__":{"a":1,"b":2},'), desired);
  t.is(second.shadows.updateDesired("gone", { a: 1 }), 3);
});

test("a named shadow is a document of its own, on topics of its own", async t => {
  const name = "$A-z_0:".padEnd(64, "9");
  const { ask, shadows, changes } = await rig(`${classic}/name/${name}`);
  t.is(ask("get")[0]?.body.message, `No shadow exists with name: 'node-1~${name}'`);
  const topics = ask("update", { state: { desired: { a: 1 } } }).map(({ topic }) => topic);
  t.deepEqual(topics, ["update/delta", "update/documents", "update/accepted"]);
  t.like(changes, [{ thing: "node-1", name, version: 1 }]);
  t.is(shadows.read("node-1"), undefined);
  t.like(shadows.read("node-1", name), { state: { desired: { a: 1 } } });
  t.is(ask("delete")[0]?.topic, "delete/accepted");
});

test("names are those of named shadows that exist, in order, one thing's only", async t => {
  const { ask, shadows } = await rig();
  ask("update", { state: {} });
  for (const name of ["b", "gone", "a"]) shadows.updateDesired("node-1", { v: 1 }, name);
  shadows.updateDesired("node-10", { v: 1 }, "other");
  shadows.request("delete", "node-1", "gone", new Uint8Array());
  t.deepEqual(shadows.names("node-1"), ["a", "b"]);
  t.deepEqual(shadows.names("nobody"), []);
});

for (const [topic, isRequest] of Object.entries({
  [`${classic}/get`]: true,
  [`${classic}/name/$package/update`]: true,
  [`$aws/things/${"t".repeat(128)}/shadow/delete`]: true,
  [`$aws/things/${"t".repeat(129)}/shadow/delete`]: false,
  [`${classic}/name/${"n".repeat(64)}/get`]: true,
  [`${classic}/name/${"n".repeat(65)}/get`]: false,
  [`${classic}/name/n~m/get`]: false,
  [`${classic}/name//get`]: false,
  "$aws/things/a.b/shadow/get": false,
  [`${classic}/list`]: false,
  [`${classic}/update/delta`]: false,
})) {
  test(`${topic} is ${isRequest ? "a" : "no"} request`, t => {
    t.is(Shadows.isRequest(topic), isRequest);
  });
}

test("of a name given twice the last counts", async t => {
  const { ask } = await rig();
  ask("update", '{"state":{"desired":{"a":1}},"state":{"desired":{"b":2,"b":3}}}');
  const wanted = { b: 3 };
  t.deepEqual(ask("get")[0]?.body.state, { desired: wanted, delta: wanted });
});

test("a leaf that did not change is stamped again, one that was not named is not", async t => {
  const { ask, time } = await rig();
  const first = time.now() / 1000;
  ask("update", { state: { reported: { a: 1, b: 1 } } });
  time.advance(5000);
  ask("update", { state: { reported: { a: 1 } } });
  const reported = { a: { timestamp: first + 5 }, b: { timestamp: first } };
  t.deepEqual(ask("get")[0]?.body.metadata, { reported });
});

test("accepted echoes nulls, with a timestamp for each", async t => {
  const { ask, time } = await rig();
  const timestamp = time.now() / 1000;
  const state = { desired: null, reported: { a: null, b: { c: null } } };
  const metadata = {
    desired: { timestamp },
    reported: { a: { timestamp }, b: { c: { timestamp } } },
  };
  t.deepEqual(ask("update", { state }).at(-1)?.body, { state, metadata, version: 1, timestamp });
});

test("a delta names all that differs, after an update of reported that changed nothing too", async t => {
  const { ask } = await rig();
  ask("update", { state: { desired: { a: 1, b: 2 } } });
  const [delta] = ask("update", { state: { reported: { c: 3 } }, clientToken: "r" });
  t.like(delta, { topic: "update/delta", body: { version: 2, state: { a: 1, b: 2 } } });
  t.is(delta?.body.clientToken, "r");
});

test("eight levels, 64-byte tokens and 8192 bytes are accepted, metadata is free", async t => {
  const { ask } = await rig();
  const clientToken = "ü".repeat(32);
  const deep = [1, 2, 3, 4, 5, 6, 7, 8].reduce<unknown>(inner => ({ a: inner }), 1);
  const accepted = ask("update", { state: { desired: deep }, clientToken, ignored: 1 }).at(-1);
  t.like(accepted, { topic: "update/accepted", body: { version: 1, clientToken } });
  const reported = { x: "x".repeat(8192 - '{"x":""}'.length) };
  t.is(ask("update", { state: { desired: null, reported } }).at(-1)?.topic, "update/accepted");
});

test("a depth of six can be asked for", async t => {
  const { ask } = await rig(classic, { limits: { depth: 6 } });
  const deep = [1, 2, 3, 4, 5, 6, 7].reduce<unknown>(inner => ({ a: inner }), 1);
  t.like(ask("update", { state: { desired: deep } })[0]?.body, { code: 400 });
});

test("twenty requests of a thing in a second are answered, other things have their own", async t => {
  const { ask, time, shadows } = await rig();
  for (let count = 1; count <= 20; count++) t.is(ask("get")[0]?.body.code, 404);
  const body = { code: 429, message: "Too many requests", timestamp: time.now() / 1000 };
  t.deepEqual(ask("get", { clientToken: "t" }), [
    { topic: "get/rejected", body: { ...body, clientToken: "t" } },
  ]);
  t.like(shadows.request("get", "node-2", undefined, new Uint8Array()), { error: { code: 404 } });
  time.advance(1000);
  t.is(ask("get")[0]?.body.code, 404);
});

for (const [state, isTaken] of [
  [{ reported: { app: { version: "1.0", attributes: { a: "b" } } } }, true],
  [{ reported: { app: { attributes: {} }, old: null } }, true],
  [{ reported: null, desired: null }, true],
  [null, true],
  [{ reported: { app: { version: 1 } } }, false],
  [{ reported: { app: { version: "1.0", size: 7 } } }, false],
  [{ reported: { app: "1.0" } }, false],
  [{ desired: { app: { version: "1.0" } } }, false],
] as const) {
  test(`$package ${isTaken ? "takes" : "refuses"} ${JSON.stringify(state)}`, async t => {
    const { ask } = await rig(`${classic}/name/$package`);
    const answer = ask("update", { state }).at(-1);
    t.is(answer?.body.message, isTaken ? undefined : "State contains an invalid node");
  });
}
