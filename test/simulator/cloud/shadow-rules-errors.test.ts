// Limits, and every error by code and message, over MQTT and REST: chapters 3.2 and 3.7 of the notes on AWS's protocol.

import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import {
  type Asked,
  type Body,
  inEveryWay,
  type Operation,
  overMqtt,
  type Wire,
} from "./shadow-wire.js";

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
const lists = (levels: number): unknown => (levels === 0 ? 1 : [lists(levels - 1)]);

const errorTypes: Readonly<Record<number, string>> = {
  400: "InvalidRequestException",
  401: "UnauthorizedException",
  403: "ForbiddenException",
  404: "ResourceNotFoundException",
  409: "ConflictException",
  413: "RequestEntityTooLargeException",
  415: "UnsupportedDocumentEncodingException",
  429: "ThrottlingException",
  500: "InternalFailureException",
};

/** The whole of an error: over MQTT one message, over REST none, but a status and a name. */
function errorOf({ transport, now }: Wire, operation: Operation, error: Body): Asked {
  const body = { ...error, timestamp: now };
  const code = Number(error.code);
  if (transport === "REST") return { code, body, heard: [], errorType: errorTypes[code]! };
  return { code, body, heard: [{ topic: `${operation}/rejected`, body }] };
}

/** @param clientToken that the error has to have */
function refuses(
  what: string,
  request: unknown,
  code: number,
  message: string,
  clientToken?: string,
): void {
  inEveryWay(`3.7 ${code} ${message}: ${what}`, async (t, wire) => {
    const { ask } = wire;
    await ask("update", { state: { desired: { kept: 1 } } });
    const before = (await ask("get")).body;
    const error = { code, message, ...(clientToken === undefined ? {} : { clientToken }) };
    t.deepEqual(await ask("update", request), errorOf(wire, "update", error));
    t.deepEqual((await ask("get")).body, before);
  });
}

refuses("half a document", "{", 400, "Invalid JSON");
refuses("nothing", "", 400, "Invalid JSON");
refuses("a list", "[]", 400, "Invalid JSON");
refuses("a text", '"state"', 400, "Invalid JSON");
refuses("null", "null", 400, "Invalid JSON");
refuses("more after the document", '{"state":{}} {}', 400, "Invalid JSON");
refuses("single quotes", "{'state':{}}", 400, "Invalid JSON");
refuses("no state", {}, 400, "Missing required node: state");
refuses("sections without state", { desired: { a: 1 } }, 400, "Missing required node: state");
for (const state of [1, "x", [], true]) {
  refuses(JSON.stringify(state), { state }, 400, "State node must be an object");
}
for (const section of [1, "x", [], false]) {
  const text = JSON.stringify(section);
  refuses(text, { state: { desired: section } }, 400, "Desired node must be an object");
  refuses(text, { state: { reported: section } }, 400, "Reported node must be an object");
}
for (const version of ["1", 1.5, -1, {}, true]) {
  refuses(JSON.stringify(version), { state: {}, version }, 400, "Invalid version");
}
for (const clientToken of [5, {}, [], false]) {
  refuses(JSON.stringify(clientToken), { state: {}, clientToken }, 400, "Invalid clientToken");
}
refuses("65 bytes", { state: {}, clientToken: "x".repeat(65) }, 400, "Invalid clientToken");
refuses(
  "33 letters of two bytes",
  { state: {}, clientToken: "ü".repeat(33) },
  400,
  "Invalid clientToken",
);
const tooDeep = "JSON contains too many levels of nesting; maximum is 6";
refuses("nine levels desired", { state: { desired: nested(9) } }, 400, tooDeep);
refuses("nine levels reported", { state: { reported: nested(9) } }, 400, tooDeep);
refuses("nine levels with lists", { state: { reported: { a: lists(8) } } }, 400, tooDeep);
refuses("50,000 levels", `{"state":{"desired":{"a":${"[".repeat(50_000)}`, 400, tooDeep);
const invalidNode = "State contains an invalid node";
refuses("a section that is none", { state: { delta: {} } }, 400, invalidNode);
refuses("null in a list", { state: { desired: { a: [null] } } }, 400, invalidNode);
refuses("an older version", { state: {}, version: 0 }, 409, "Version conflict");
refuses("a version to come", { state: {}, version: 2 }, 409, "Version conflict");
const tooLarge = "The payload exceeds the maximum size allowed";
refuses("8193 bytes", { state: { reported: padded(8193 - '{"kept":1}'.length) } }, 413, tooLarge);
const notUtf8 = "Unsupported documented encoding; supported encoding is UTF-8";
refuses(
  "a byte of Latin-1",
  Buffer.from('{"state":{"desired":{"a":"ü"}}}', "latin1"),
  415,
  notUtf8,
);
refuses("UTF-16", Buffer.from('\ufeff{"state":{}}', "utf16le"), 415, notUtf8);
refuses(
  "a surrogate",
  Buffer.concat([Buffer.from('"'), Buffer.from([0xed, 0xa0, 0x80])]),
  415,
  notUtf8,
);

const token = { clientToken: "t" };
refuses("with the token", { ...token }, 400, "Missing required node: state", "t");
refuses("with the token", { state: 1, ...token }, 400, "State node must be an object", "t");
refuses(
  "with the token",
  { state: { desired: 1 }, ...token },
  400,
  "Desired node must be an object",
  "t",
);
refuses("with the token", { state: { desired: nested(9) }, ...token }, 400, tooDeep, "t");
refuses("with the token", { state: { delta: {} }, ...token }, 400, invalidNode, "t");
refuses("with the token", { state: {}, version: "1", ...token }, 400, "Invalid version", "t");
refuses("with the token", { state: {}, version: 7, ...token }, 409, "Version conflict", "t");
refuses("with the token", { state: { desired: padded(9000) }, ...token }, 413, tooLarge, "t");

/** Each is wrong in two ways; the one that is judged first decides. */
const both = { clientToken: 5, state: 1 };
refuses("encoding before JSON", Buffer.from([0x7b, 0xff]), 415, notUtf8);
refuses("JSON before the token", '{"clientToken":5', 400, "Invalid JSON");
refuses("the token before the state", both, 400, "Invalid clientToken");
refuses(
  "the state before the version",
  { state: 1, version: "x" },
  400,
  "State node must be an object",
);
refuses(
  "a section before the depth",
  { state: { desired: 1, reported: nested(9) } },
  400,
  "Desired node must be an object",
);
refuses(
  "the depth before the version",
  { state: { desired: nested(9) }, version: "x" },
  400,
  tooDeep,
);
refuses(
  "the version before the size",
  { state: { desired: padded(9000) }, version: 7 },
  409,
  "Version conflict",
);

/** As bytes of a section. */
function padded(bytes: number): object {
  return { x: "x".repeat(bytes - '{"x":""}'.length) };
}

inEveryWay(
  "3.7 404 No shadow exists with name: for get and delete, by thing and name",
  async (t, wire) => {
    const { thing, name } = wire;
    const key = name === undefined ? thing : `${thing}~${name}`;
    const error = { code: 404, message: `No shadow exists with name: '${key}'` };
    for (const operation of ["get", "delete"] as const) {
      t.deepEqual(await wire.ask(operation), errorOf(wire, operation, error));
    }
  },
);

inEveryWay(
  "3.7 404 Thing not found: for a thing that is not registered, where that is asked for",
  async (t, wire) => {
    for (const operation of ["get", "update", "delete"] as const) {
      const answer = await wire.ask(operation, operation === "update" ? { state: {} } : "");
      const error = { code: 404, message: "Thing not found" };
      t.deepEqual(answer, errorOf(wire, operation, error));
    }
  },
  { shadowsNeedThings: true },
);

for (const [name, code, message] of [
  ["unauthorized", 401, "Unauthorized"],
  ["forbidden", 403, "Forbidden"],
  ["tooManyRequests", 429, "Too many requests"],
  ["internal", 500, "Internal service failure"],
] as const) {
  inEveryWay(`3.7 ${code} ${message}: for every request while it is asked for`, async (t, wire) => {
    const { ask, world, transport } = wire;
    await ask("update", { state: { desired: { a: 1 } } });
    world.cloud.failShadows(name);
    for (const operation of ["get", "update", "delete"] as const) {
      const hasToken = operation === "update" || transport === "MQTT";
      const answer = await ask(operation, { state: { desired: { a: 2 } }, clientToken: "t" });
      const error = { code, message, ...(hasToken ? { clientToken: "t" } : {}) };
      t.deepEqual(answer, errorOf(wire, operation, error));
    }
    world.cloud.failShadows(undefined);
    t.like((await ask("get")).body, { version: 1, state: { desired: { a: 1 } } });
  });
}

inEveryWay(
  "3.7 500 Internal service failure: no room for another shadow",
  async (t, wire) => {
    const answer = await wire.ask("update", { state: {} });
    t.deepEqual(
      answer,
      errorOf(wire, "update", { code: 500, message: "Internal service failure" }),
    );
  },
  { shadowLimits: { shadows: 0 } },
);

overMqtt("3.7: get and delete refuse what is no JSON, no UTF-8 and no token", async (t, wire) => {
  await wire.ask("update", { state: {} });
  for (const operation of ["get", "delete"] as const) {
    for (const [body, code, message] of [
      ["{", 400, "Invalid JSON"],
      ["1", 400, "Invalid JSON"],
      [{ clientToken: 1 }, 400, "Invalid clientToken"],
      [{ clientToken: "x".repeat(65) }, 400, "Invalid clientToken"],
      [new Uint8Array([0xff]), 415, notUtf8],
    ] as const) {
      t.deepEqual(await wire.ask(operation, body), errorOf(wire, operation, { code, message }));
    }
  }
  t.is((await wire.ask("get")).body.version, 1);
});

inEveryWay(
  "3.2 rate: twenty requests of a thing in a second, whatever they are",
  async (t, wire) => {
    const { ask, time } = wire;
    for (let count = 0; count < 20; count++) {
      const operation = (["get", "update", "delete"] as const)[count % 3]!;
      t.not((await ask(operation, { state: {} })).code, 429);
    }
    const error = { code: 429, message: "Too many requests", clientToken: "t" };
    const refused = await ask("update", { state: {}, clientToken: "t" });
    t.deepEqual(refused, errorOf(wire, "update", error));
    t.is((await wire.another().ask("update", { state: {} })).code, 200);
    time.advance(1000);
    t.is((await ask("update", { state: {} })).code, 200);
  },
);

inEveryWay(
  "3.2 size: 8192 bytes of desired and reported together, metadata is free",
  async (t, wire) => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`k${index}`, index]),
    );
    const reported = padded(8192 - Buffer.byteLength(JSON.stringify(many)));
    for (const [state, isTaken] of [
      [{ desired: padded(8192) }, true],
      [{ reported: padded(8192) }, true],
      [{ desired: padded(8193) }, false],
      [{ desired: many, reported }, true],
      [{ desired: { ...many, y: 1 }, reported }, false],
    ] as const) {
      t.is((await wire.another().ask("update", { state })).code, isTaken ? 200 : 413);
    }
  },
);

inEveryWay("3.2 size: bytes of UTF-8, not letters", async (t, wire) => {
  const letters = (8192 - '{"x":""}'.length) / 2;
  const { ask } = wire;
  t.is((await ask("update", { state: { desired: { x: "ü".repeat(letters + 1) } } })).code, 413);
  t.is((await ask("update", { state: { desired: { x: "ü".repeat(letters) } } })).code, 200);
});

inEveryWay("3.2 size: the document that would be, not the request", async (t, { ask }) => {
  t.is((await ask("update", { state: { desired: padded(5000) } })).code, 200);
  t.is((await ask("update", { state: { reported: padded(5000) } })).code, 413);
  t.like((await ask("get")).body, { version: 1 });
  const swapped = { desired: null, reported: padded(8192) };
  t.is((await ask("update", { state: swapped })).code, 200);
});

const raised = (shadowLimits: CloudOptions["shadowLimits"]): Partial<CloudOptions> => ({
  ...(shadowLimits === undefined ? {} : { shadowLimits }),
});

inEveryWay(
  "3.2 size: may be raised, as by a quota request",
  async (t, { ask }) => {
    t.is((await ask("update", { state: { desired: padded(30_720) } })).code, 200);
    t.is((await ask("update", { state: { desired: padded(30_721) } })).code, 413);
  },
  raised({ documentBytes: 30_720 }),
);

inEveryWay(
  "3.2 depth: eight levels, desired or reported the first, values count none",
  async (t, { ask }) => {
    for (const section of ["desired", "reported"]) {
      t.is((await ask("update", { state: { [section]: nested(8) } })).code, 200);
      t.is((await ask("update", { state: { [section]: { l: lists(7) } } })).code, 200);
      t.is((await ask("update", { state: { [section]: { l: lists(8) } } })).code, 400);
    }
  },
);

inEveryWay(
  "3.2 depth: six levels, where the error's text is to be the rule",
  async (t, { ask }) => {
    t.is((await ask("update", { state: { desired: nested(6) } })).code, 200);
    const refused = await ask("update", { state: { desired: nested(7) } });
    t.like(refused, { code: 400, body: { message: tooDeep } });
  },
  raised({ depth: 6 }),
);

inEveryWay("3.2 clientToken: 64 bytes are taken, and said again", async (t, { ask }) => {
  for (const clientToken of ["x".repeat(64), "ü".repeat(32)]) {
    const updated = await ask("update", { state: { desired: { a: 1 } }, clientToken });
    t.is(updated.code, 200);
    for (const { body } of [updated, ...updated.heard]) t.is(body.clientToken, clientToken);
  }
});
