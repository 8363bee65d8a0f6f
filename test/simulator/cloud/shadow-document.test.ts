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
