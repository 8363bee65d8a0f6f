// How an update changes a document, rule by rule, over MQTT and REST: chapter 3.4 of the notes on AWS's protocol.

import { inEveryWay } from "./shadow-wire.js";

type Members = Readonly<Record<string, unknown>>;

/** In desired as in reported: both sections follow the same rules. @param before `{}` for a missing shadow */
function merges(rule: string, before: Members, patch: Members, after: Members): void {
  inEveryWay(`3.4 rule ${rule}`, async (t, wire) => {
    for (const section of ["desired", "reported"]) {
      const other = section === "desired" ? "reported" : "desired";
      const { ask } = wire.another();
      const first = { [other]: { kept: 1 }, [section]: before };
      t.is((await ask("update", { state: first })).code, 200);
      t.is((await ask("update", { state: { [section]: patch } })).code, 200);
      const { state, version } = (await ask("get")).body;
      const { delta, ...sections } = state as Members;
      const isEmpty = Object.keys(after).length === 0;
      t.deepEqual(sections, { [other]: { kept: 1 }, ...(isEmpty ? {} : { [section]: after }) });
      t.is(version, 2);
    }
  });
}

const ab = { a: 1, b: { c: 2, d: 3 } };
merges("1: a key that is absent stays", ab, { a: 5 }, { a: 5, b: { c: 2, d: 3 } });
merges("1: at every depth", ab, { b: { d: 4 } }, { a: 1, b: { c: 2, d: 4 } });
merges("2: null removes a key", ab, { a: null }, { b: { c: 2, d: 3 } });
merges("2: null removes a key deeper down", ab, { b: { c: null } }, { a: 1, b: { d: 3 } });
merges("2: null removes an object whole", ab, { b: null }, { a: 1 });
merges("2: null for a key that is not there is no error", ab, { z: null, b: { z: null } }, ab);
merges(
  "5: an object merges into an object",
  ab,
  { b: { c: 9, e: { f: 1 } } },
  { a: 1, b: { c: 9, d: 3, e: { f: 1 } } },
);
merges("6: an object replaces a scalar", { a: 1 }, { a: { x: 1 } }, { a: { x: 1 } });
merges("6: an object replaces an array", { a: [{ y: 1 }] }, { a: { x: 1 } }, { a: { x: 1 } });
merges("6: a scalar replaces an object", { a: { x: 1 } }, { a: false }, { a: false });
merges("7: an array replaces an array whole", { a: [1, 2, 3] }, { a: [9] }, { a: [9] });
merges("7: an array replaces an object", { a: { x: 1 } }, { a: [1] }, { a: [1] });
merges("7: an array replaces a scalar", { a: "x" }, { a: [] }, { a: [] });
merges(
  "7: objects in arrays are not merged",
  { a: [{ x: 1 }] },
  { a: [{ y: 2 }] },
  { a: [{ y: 2 }] },
);
merges(
  "9: nulls in a new object are dropped at every depth",
  {},
  { a: { b: null, c: { d: null, e: 1 } } },
  { a: { c: { e: 1 } } },
);
merges("9: a new object that held nulls only is not stored", ab, { n: { b: { c: null } } }, ab);
merges("10: an explicitly empty new object is stored", {}, { a: {} }, { a: {} });
merges("10: deeper down too", ab, { b: { e: {} } }, { a: 1, b: { c: 2, d: 3, e: {} } });
merges("11: an empty object replaces a scalar", { a: 1 }, { a: {} }, { a: {} });
merges(
  "12: an object emptied by deletions stays",
  ab,
  { b: { c: null, d: null } },
  { a: 1, b: {} },
);
merges("12: a section emptied by deletions goes", { a: 1 }, { a: null }, {});
merges("13: an empty section changes nothing and counts a version", ab, {}, ab);
merges("13: an empty section is not stored", {}, {}, {});

inEveryWay("3.4 rule 3: a null section goes, the other stays", async (t, wire) => {
  for (const [section, other] of [
    ["desired", "reported"],
    ["reported", "desired"],
  ] as const) {
    const { ask } = wire.another();
    await ask("update", { state: { desired: { a: 1 }, reported: { a: 1 } } });
    await ask("update", { state: { [section]: null } });
    const { state, metadata } = (await ask("get")).body as Record<string, Members>;
    t.deepEqual(state![other], { a: 1 });
    t.false(section in state!);
    t.deepEqual(Object.keys(metadata!), [other]);
  }
});

inEveryWay("3.4 rule 3: a null section that was not there is no error", async (t, { ask }) => {
  t.is((await ask("update", { state: { desired: null, reported: { a: 1 } } })).code, 200);
  t.deepEqual((await ask("get")).body.state, { reported: { a: 1 } });
});

inEveryWay("3.4 rule 4: a null state empties, the shadow stays", async (t, { ask, now }) => {
  await ask("update", { state: { desired: { a: 1 } } });
  await ask("update", { state: { desired: { a: 2 }, reported: { a: 1 } } });
  t.is((await ask("update", { state: null })).body.version, 3);
  t.deepEqual((await ask("get")).body, { state: {}, metadata: {}, version: 3, timestamp: now });
});

for (const [where, list] of [
  ["an array", [1, null]],
  ["an array in an array", [[1], [null]]],
  ["an array in an object in an array", [{ b: [null] }]],
] as const) {
  inEveryWay(`3.4 rule 8: null in ${where} rejects the whole update`, async (t, { ask }) => {
    await ask("update", { state: { reported: { a: 1 } } });
    for (const section of ["desired", "reported"]) {
      const state = { [section]: { b: 2, deep: { list } } };
      t.like(await ask("update", { state }), {
        code: 400,
        body: { message: "State contains an invalid node" },
      });
    }
    t.like((await ask("get")).body, { version: 1, state: { reported: { a: 1 } } });
  });
}

for (const extra of ["delta", "other", "Desired"]) {
  inEveryWay(`3.4 rule 14: ${extra} beside desired and reported is refused`, async (t, { ask }) => {
    const refused = await ask("update", { state: { desired: { a: 1 }, [extra]: {} } });
    t.like(refused, { code: 400, body: { message: "State contains an invalid node" } });
    t.is((await ask("get")).code, 404);
  });
}

inEveryWay("3.4 rule 15: every leaf that is named is stamped, changed or not", async (t, wire) => {
  const { ask, time } = wire;
  const first = wire.now;
  for (const section of ["desired", "reported"]) {
    await ask("update", { state: { [section]: { a: 1, b: { c: 1, d: 1 }, l: [1, { e: 2 }] } } });
  }
  time.advance(5000);
  const old = { timestamp: first };
  const fresh = { timestamp: first + 5 };
  for (const section of ["desired", "reported"]) {
    await ask("update", { state: { [section]: { b: { c: 1 }, l: [1, { e: 2 }] } } });
  }
  const stamped = { a: old, b: { c: fresh, d: old }, l: [fresh, { e: fresh }] };
  t.deepEqual((await ask("get")).body.metadata, { desired: stamped, reported: stamped });
});

inEveryWay("3.4 rule 16: every accepted update counts a version", async (t, { ask }) => {
  const states = [{}, { desired: {} }, { reported: null }, null, { desired: { z: null } }, null];
  for (const [index, state] of states.entries()) {
    t.is((await ask("update", { state })).body.version, index + 1);
  }
  t.is((await ask("update", { state: 1 })).code, 400);
  t.like((await ask("get")).body, { version: states.length, state: {} });
});

inEveryWay("3.4 rule 17: the first update creates the shadow at version 1", async (t, wire) => {
  for (const state of [{ desired: { a: 1 } }, { reported: { a: 1 } }, {}, null]) {
    const { ask } = wire.another();
    t.is((await ask("get")).code, 404);
    t.like(await ask("update", { state }), { code: 200, body: { version: 1 } });
    t.like((await ask("get")).body, { version: 1 });
  }
});

inEveryWay("3.4: both sections of one update are merged", async (t, { ask }) => {
  await ask("update", { state: { desired: { a: 1, b: 1 }, reported: { a: 1, b: 1 } } });
  await ask("update", { state: { desired: { a: 2, b: null }, reported: { a: null, b: 3 } } });
  t.like((await ask("get")).body, { state: { desired: { a: 2 }, reported: { b: 3 } } });
  t.deepEqual(Object.keys((await ask("get")).body.state as object), [
    "desired",
    "reported",
    "delta",
  ]);
});
