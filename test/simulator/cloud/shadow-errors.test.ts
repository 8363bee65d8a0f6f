// Every error of the Device Shadow service, by code and message (developer guide "device-shadow-error-messages").

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { shadowErrors } from "../../../simulator/cloud/shadow-request.js";
import { classic, shadowRig as rig } from "./shadow-rig.js";

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
const rejects = test.macro({
  exec: async (t: ExecutionContext, body: unknown, code: number, message: string) => {
    const { ask, changes, time } = await rig();
    const replies = ask("update", body);
    const timestamp = time.now() / 1000;
    t.deepEqual(replies, [{ topic: "update/rejected", body: { code, message, timestamp } }]);
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
  { state: { desired: nested(9) }, version: "x" },
  400,
  tooDeep,
);
test("nine levels", rejects, { state: { desired: nested(9) } }, 400, tooDeep);
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
test("text", rejects, '"text"', 400, "Invalid JSON");
test(rejects, "null", 400, "Invalid JSON");
test(rejects, '{"state":{"desired":{"a":1e400}}}', 400, "Invalid JSON");
test(rejects, '{"state":{"desired":{"a":"\\ud800"}}}', 400, "Invalid JSON");
test(rejects, '{"state":{"desired":{"\\udc00":1}}}', 400, "Invalid JSON");
test(rejects, '{"state":{},"clientToken":"\\ud800"}', 400, "Invalid JSON");
test(rejects, '{"state":{"desired":{"a":NaN}}}', 400, "Invalid JSON");
test(rejects, '{"state":{}} x', 400, "Invalid JSON");
test(rejects, '{"__proto__":{"state":{}}}', 400, "Missing required node: state");
test(rejects, '{"state":{"__proto__":{}}}', 400, "State contains an invalid node");
test(
  rejects,
  '{"state":{"desired":{"a":{"constructor":[null]}}}}',
  400,
  "State contains an invalid node",
);
test("a byte order mark", rejects, "\ufeff{}", 400, "Invalid JSON");
test(
  "nine levels of arrays",
  rejects,
  '{"state":{"reported":{"a":[[[[[[[[1]]]]]]]]}}}',
  400,
  tooDeep,
);
test(rejects, { state: {}, version: -1 }, 400, "Invalid version");
test(rejects, { state: {}, version: null }, 400, "Invalid version");
test(
  "33 letters of two bytes as token",
  rejects,
  { state: {}, clientToken: "ü".repeat(33) },
  400,
  "Invalid clientToken",
);
test(
  "8193 bytes",
  rejects,
  { state: { reported: { x: "x".repeat(8185) } } },
  413,
  "The payload exceeds the maximum size allowed",
);
const notUtf8 = "Unsupported documented encoding; supported encoding is UTF-8";
test("a byte that is no UTF-8", rejects, new Uint8Array([0x22, 0xff, 0x22]), 415, notUtf8);
test("a surrogate in UTF-8", rejects, new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), 415, notUtf8);
test("UTF-16", rejects, Buffer.from("\ufeff{}", "utf16le"), 415, notUtf8);

test("desired and reported count together against 8 KB, and what was there stays", async t => {
  const { ask } = await rig();
  ask("update", { state: { desired: { x: "x".repeat(5000) } } });
  t.is(ask("update", { state: { reported: { x: "x".repeat(5000) } } })[0]?.body.code, 413);
  t.like(ask("get")[0]?.body, { version: 1 });
});

test("an error has the request's token whenever that could be read", async t => {
  const { ask } = await rig();
  const clientToken = "t";
  for (const operation of ["get", "delete"]) {
    t.like(ask(operation, { clientToken })[0]?.body, { code: 404, clientToken });
    t.like(ask(operation, "{")[0], { topic: `${operation}/rejected`, body: { code: 400 } });
    t.like(ask(operation, { clientToken: 1 })[0]?.body, { message: "Invalid clientToken" });
  }
  t.like(ask("update", { state: 1, clientToken })[0]?.body, { code: 400, clientToken });
  t.like(ask("update", { state: {}, version: 9, clientToken })[0]?.body, {
    code: 409,
    clientToken,
  });
});

test("a thing that is not registered gets 404 where that is asked for", async t => {
  const { ask } = await rig(classic, { hasThing: thing => thing === "node-2" });
  t.like(ask("update", { state: {} })[0]?.body, { code: 404, message: "Thing not found" });
});

test("a shadow that there is no room for gets 500", async t => {
  const { ask } = await rig(classic, { limits: { shadows: 0 } });
  t.like(ask("update", { state: {} })[0]?.body, { code: 500, message: "Internal service failure" });
});

for (const name of ["unauthorized", "forbidden", "tooManyRequests", "internal"] as const) {
  const { code, message } = shadowErrors[name];
  test(`${code} ${message} can be asked for, and changes nothing`, async t => {
    const { ask, shadows } = await rig();
    shadows.fail(name);
    const [answer, more] = ask("update", { state: {}, clientToken: "t" });
    t.like(answer, { topic: "update/rejected", body: { code, message, clientToken: "t" } });
    t.is(more, undefined);
    shadows.fail(undefined);
    t.is(ask("get")[0]?.body.code, 404);
  });
}

test("whatever arrives is answered once, by accepted or rejected", async t => {
  const { ask } = await rig(classic, { limits: { requestsPerSecond: 1e9 } });
  const bodies = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array(),
    fc.jsonValue().map(state => JSON.stringify({ state })),
    fc.jsonValue().map(desired => JSON.stringify({ state: { desired: { desired } } })),
  );
  const isAnswered = (body: unknown): boolean =>
    ask("update", body).filter(({ topic }) => /accepted|rejected/.test(topic)).length === 1;
  t.notThrows(() => fc.assert(fc.property(bodies, isAnswered)));
});
