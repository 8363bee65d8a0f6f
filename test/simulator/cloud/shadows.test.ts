import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  type Json,
  type JsonObject,
  nesting,
  parseJson,
  withoutPrototypes,
} from "../../../simulator/cloud/json.js";
import {
  deltaOf,
  mergeState,
  type Sections,
  type StatePatch,
} from "../../../simulator/cloud/shadow-document.js";
import { type ShadowChange, Shadows } from "../../../simulator/cloud/shadows.js";
import { Store } from "../../../simulator/cloud/store.js";
import { VirtualTime } from "./harness.js";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? "null");
const object = (value: unknown): JsonObject => withoutPrototypes(value as Json) as JsonObject;

function sectionsOf(state: { desired?: unknown; reported?: unknown }): Sections {
  return mergeState({}, object(state) as StatePatch, 1);
}

function statesOf(sections: Sections): unknown {
  return plain({ desired: sections.desired?.state, reported: sections.reported?.state });
}

const merges = test.macro({
  exec: (t: ExecutionContext, _row: string, before: object, patch: unknown, after: object) => {
    const merged = mergeState(sectionsOf(before), patch === null ? null : object(patch), 2);
    t.deepEqual(statesOf(merged), after);
  },
  title: (_, row) => `merge: ${row}`,
});

const ab = { desired: { a: 1, b: { c: 2, d: 3 } } };
test(
  merges,
  "1, a key that is absent stays",
  ab,
  { desired: { a: 5 } },
  { desired: { a: 5, b: { c: 2, d: 3 } } },
);
test(
  merges,
  "2, null removes a key",
  ab,
  { desired: { a: null } },
  { desired: { b: { c: 2, d: 3 } } },
);
test(merges, "2, null for a key that is not there is no error", ab, { desired: { z: null } }, ab);
test(
  merges,
  "3, a null section is removed",
  { ...ab, reported: { a: 1 } },
  { desired: null },
  { reported: { a: 1 } },
);
test(merges, "4, a null state removes both", { ...ab, reported: { a: 1 } }, null, {});
test(
  merges,
  "5, an object merges into an object",
  ab,
  { desired: { b: { c: 9, e: 1 } } },
  { desired: { a: 1, b: { c: 9, d: 3, e: 1 } } },
);
test(
  merges,
  "6, an object replaces a scalar",
  ab,
  { desired: { a: { x: 1 } } },
  { desired: { a: { x: 1 }, b: { c: 2, d: 3 } } },
);
test(
  merges,
  "6, a scalar replaces an object",
  ab,
  { desired: { b: 1 } },
  { desired: { a: 1, b: 1 } },
);
test(
  merges,
  "6, an object replaces an array",
  { desired: { a: [1] } },
  { desired: { a: { x: 1 } } },
  { desired: { a: { x: 1 } } },
);
test(
  merges,
  "7, an array is replaced whole",
  { desired: { a: [1, 2, 3] } },
  { desired: { a: [9] } },
  { desired: { a: [9] } },
);
test(
  merges,
  "9, nulls inside a new object are dropped",
  {},
  { desired: { a: { b: null, c: { d: null, e: 1 } } } },
  { desired: { a: { c: { e: 1 } } } },
);
test(
  merges,
  "9, a new object that held only nulls is not stored",
  ab,
  { desired: { n: { b: { c: null } } } },
  ab,
);
test(
  merges,
  "10, an explicitly empty new object is stored",
  {},
  { desired: { a: {} } },
  { desired: { a: {} } },
);
test(
  merges,
  "11, an empty object replaces a scalar",
  ab,
  { desired: { a: {} } },
  { desired: { a: {}, b: { c: 2, d: 3 } } },
);
test(
  merges,
  "12, a nested object emptied by deletions stays",
  ab,
  { desired: { b: { c: null, d: null } } },
  { desired: { a: 1, b: {} } },
);
test(
  merges,
  "12, a section emptied by deletions disappears",
  { desired: { a: 1 } },
  { desired: { a: null } },
  {},
);
test(merges, "13, an empty section changes nothing", ab, { desired: {} }, ab);
test(merges, "13, an empty section does not appear", {}, { reported: {} }, {});

const differs = test.macro({
  exec: (t: ExecutionContext, _row: string, state: object, delta: object | undefined) => {
    t.deepEqual(plain(deltaOf(sectionsOf(state))?.state), plain(delta));
  },
  title: (_, row) => `delta: ${row}`,
});

test(differs, "a flipped boolean", { desired: { k: true }, reported: { k: false } }, { k: true });
test(
  differs,
  "reported holds more, values equal",
  { desired: { k: 1 }, reported: { k: 1, l: 2 } },
  undefined,
);
test(differs, "reported only", { reported: { k: 1 } }, undefined);
test(differs, "no reported section", { desired: { k: 1, o: { p: 2 } } }, { k: 1, o: { p: 2 } });
test(differs, "an unrelated reported key", { desired: { k: 1 }, reported: { z: 1 } }, { k: 1 });
test(
  differs,
  "a shorter list",
  { desired: { l: [1, 2] }, reported: { l: [1, 2, 3] } },
  { l: [1, 2] },
);
test(
  differs,
  "a longer list",
  { desired: { l: [1, 2, 3] }, reported: { l: [1, 2] } },
  { l: [1, 2, 3] },
);
test(
  differs,
  "a list of lists",
  { desired: { l: [[1], [2]] }, reported: { l: [[1], [3]] } },
  { l: [[1], [2]] },
);
test(
  differs,
  "an equal list of objects in another key order",
  { desired: { l: [{ a: 1, b: 2 }] }, reported: { l: [{ b: 2, a: 1 }] } },
  undefined,
);
test(
  differs,
  "a list inside an object",
  { desired: { o: { l: [1], m: 1 } }, reported: { o: { l: [2], m: 1 } } },
  { o: { l: [1] } },
);
test(
  differs,
  "one leaf of a nested object",
  { desired: { o: { p: { q: 1, r: 2 } } }, reported: { o: { p: { q: 1, r: 3 } } } },
  { o: { p: { r: 2 } } },
);
test(
  differs,
  "only the missing branch",
  { desired: { o: { a: { x: 1 }, b: { y: 2 } } }, reported: { o: { a: { x: 1 } } } },
  { o: { b: { y: 2 } } },
);
test(differs, "an empty object and no reported section", { desired: { k: {} } }, { k: {} });
test(
  differs,
  "a strict subset of the reported object",
  { desired: { o: { a: 1 } }, reported: { o: { a: 1, b: 2 } } },
  undefined,
);
test(
  differs,
  "an object against a scalar",
  { desired: { o: { a: 1 } }, reported: { o: 1 } },
  { o: { a: 1 } },
);
test(
  differs,
  "numbers compare by value",
  { desired: { n: 1 }, reported: { n: JSON.parse("1.0") } },
  undefined,
);

test("delta carries the timestamps of desired", t => {
  const before = mergeState({}, object({ desired: { a: 1, b: { c: 1 } } }), 10);
  const after = mergeState(before, object({ desired: { b: { c: 1 } }, reported: { a: 0 } }), 20);
  t.deepEqual(plain(deltaOf(after)?.metadata), {
    a: { timestamp: 10 },
    b: { c: { timestamp: 20 } },
  });
});

test("metadata of an array is an array of leaves", t => {
  const { desired } = mergeState({}, object({ desired: { l: [1, { a: 2 }] } }), 3);
  t.deepEqual(plain(desired?.metadata), { l: [{ timestamp: 3 }, { a: { timestamp: 3 } }] });
});

test("reporting all that is desired always ends the delta", t => {
  const value = fc.letrec<{ tree: unknown }>(tie => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.integer(),
      fc.boolean(),
      fc.string(),
      fc.array(fc.integer(), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie("tree"), { maxKeys: 3 }),
    ),
  })).tree;
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value, { maxKeys: 4 }), desired => {
        const merged = sectionsOf({ desired, reported: desired });
        return deltaOf(merged) === undefined;
      }),
    ),
  );
});

test("__proto__ is a name like any other", t => {
  const patch = parseJson(
    Buffer.from('{"desired":{"__proto__":{"evil":1},"a":{"__proto__":2}}}'),
    9,
  );
  const merged = mergeState({}, (patch.ok ? patch.value : null) as StatePatch, 1);
  t.is(JSON.stringify(merged.desired?.state), '{"__proto__":{"evil":1},"a":{"__proto__":2}}');
  t.is(({} as { evil?: number }).evil, undefined);
});

test("nesting counts brackets outside strings only", t => {
  t.is(nesting(Buffer.from('{"a":"[[[{{{\\"[["}'), 99), 1);
  t.is(nesting(Buffer.from("[[1],[[2]]]"), 99), 3);
  t.is(nesting(Buffer.from("[".repeat(100_000)), 64), 65);
});

interface Rig {
  readonly time: VirtualTime;
  readonly sent: { topic: string; body: Record<string, unknown> }[];
  readonly changes: ShadowChange[];
  /** Sends a request and returns what was published. */
  ask(operation: string, body: unknown): { topic: string; body: Record<string, unknown> }[];
}

const prefix = "$aws/things/node-1/shadow";

async function rig(at = prefix): Promise<Rig> {
  const time = new VirtualTime();
  const sent: Rig["sent"] = [];
  const changes: ShadowChange[] = [];
  const store = await Store.open({ schemas: {}, onFailure: () => undefined });
  const shadows = new Shadows({
    store,
    clock: time,
    publish: (topic, payload) =>
      sent.push({
        topic: topic.slice(at.length + 1),
        body: JSON.parse(Buffer.from(payload).toString()),
      }),
    onChange: change => changes.push(change),
  });
  const ask: Rig["ask"] = (operation, body) => {
    sent.length = 0;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    shadows.handle(`${at}/${operation}`, Buffer.from(text));
    return [...sent];
  };
  return { time, sent, changes, ask };
}

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

test("a named shadow is a document of its own", async t => {
  const { ask } = await rig(`${prefix}/name/config`);
  t.is(ask("get", "")[0]?.body.message, "No shadow exists with name: 'node-1~config'");
  t.is(ask("update", { state: { desired: { a: 1 } } }).at(-1)?.topic, "update/accepted");
});

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
const rejects = test.macro({
  exec: async (t: ExecutionContext, body: unknown, code: number, message: string) => {
    const { ask, changes } = await rig();
    const replies = ask("update", body);
    t.is(replies.length, 1);
    t.like(replies[0], { topic: "update/rejected", body: { code, message } });
    t.is(changes.length, 0);
  },
  title: (name, body, code, message) =>
    `${name ?? JSON.stringify(body)} is rejected: ${code} ${message}`,
});

const tooDeep = "JSON contains too many levels of nesting; maximum is 6";
test(rejects, "{", 400, "Invalid JSON");
test(rejects, "", 400, "Invalid JSON");
test(rejects, "[]", 400, "Invalid JSON");
test(rejects, {}, 400, "Missing required node: state");
test(rejects, { state: 1 }, 400, "State node must be an object");
test(rejects, { state: [] }, 400, "State node must be an object");
test(rejects, { state: { desired: 1 } }, 400, "Desired node must be an object");
test(rejects, { state: { reported: [] } }, 400, "Reported node must be an object");
test(rejects, { state: { desired: {}, delta: {} } }, 400, "State contains an invalid node");
test(rejects, { state: { desired: { a: [1, null] } } }, 400, "State contains an invalid node");
test(
  rejects,
  { state: { desired: { a: [{ b: [null] }] } } },
  400,
  "State contains an invalid node",
);
test(rejects, { state: {}, version: "1" }, 400, "Invalid version");
test(rejects, { state: {}, version: 1.5 }, 400, "Invalid version");
test(rejects, { state: {}, version: 7 }, 409, "Version conflict");
test(rejects, { state: {}, clientToken: 5 }, 400, "Invalid clientToken");
test(
  "a token of 65 bytes",
  rejects,
  { state: {}, clientToken: "x".repeat(65) },
  400,
  "Invalid clientToken",
);
test(
  "the token wins over the state: it",
  rejects,
  { state: 1, clientToken: {} },
  400,
  "Invalid clientToken",
);
test(
  "the state wins over the version: it",
  rejects,
  { state: 1, version: "x" },
  400,
  "State node must be an object",
);
test(
  "the depth wins over the version: it",
  rejects,
  { state: { desired: nested(7) }, version: "x" },
  400,
  tooDeep,
);
test("seven levels", rejects, { state: { desired: nested(7) } }, 400, tooDeep);
test(
  "a document over 8 KB",
  rejects,
  { state: { desired: { a: "x".repeat(8200) } } },
  413,
  "The payload exceeds the maximum size allowed",
);
test("100,000 nested arrays", rejects, "[".repeat(100_000), 400, tooDeep);
test(
  "100,000 closed nested arrays",
  rejects,
  `{"state":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  400,
  tooDeep,
);

test("six levels and 64-byte tokens are accepted, and the token comes back", async t => {
  const { ask } = await rig();
  const clientToken = "x".repeat(64);
  t.like(
    ask("update", { state: { desired: nested(6) }, clientToken, thingName: "ignored" }).at(-1),
    {
      topic: "update/accepted",
      body: { version: 1, clientToken },
    },
  );
  t.like(ask("update", { state: 1, clientToken })[0]?.body, { code: 400, clientToken });
});

test("ill-formed UTF-8 is rejected with 415", async t => {
  const time = new VirtualTime();
  const sent: string[] = [];
  const store = await Store.open({ schemas: {}, onFailure: () => undefined });
  const publish = (_: string, payload: Uint8Array): void =>
    void sent.push(Buffer.from(payload).toString());
  const shadows = new Shadows({ store, clock: time, publish, onChange: () => undefined });
  shadows.handle(`${prefix}/update`, new Uint8Array([0x22, 0xff, 0x22]));
  t.true(sent[0]?.includes('"code":415'));
});

test("whatever arrives is answered, and only by accepted or rejected", async t => {
  const { ask } = await rig();
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map(state => JSON.stringify({ state })),
        ),
        body => {
          const replies = ask("update", body);
          return replies.filter(each => /accepted|rejected/.test(each.topic)).length === 1;
        },
      ),
    ),
  );
});
