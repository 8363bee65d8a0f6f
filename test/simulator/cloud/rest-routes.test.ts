import test, { type ExecutionContext } from "ava";
import { brokerLimits } from "../../../simulator/cloud/limits.js";
import { answerRest, type RestServices } from "../../../simulator/cloud/rest-routes.js";
import { type ShadowErrorName, shadowErrors } from "../../../simulator/cloud/shadow-request.js";
import { shadowRig } from "./shadow-rig.js";

interface Asked {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: Record<string, unknown>;
}

interface RestRig extends Awaited<ReturnType<typeof shadowRig>> {
  /** @param target path and query */
  rest(method: string, target: string, body?: unknown, headers?: Record<string, string>): Asked;
  readonly published: Parameters<RestServices["publish"]>[0][];
}

async function rig(publish: RestServices["publish"] = () => "accepted"): Promise<RestRig> {
  const inner = await shadowRig();
  const published: RestRig["published"] = [];
  const services: RestServices = {
    shadows: inner.shadows,
    clock: inner.time,
    limits: brokerLimits,
    publish: message => {
      published.push(message);
      return publish(message);
    },
  };
  const rest: RestRig["rest"] = (method, target, body = "", headers = {}) => {
    const [path = "", query = ""] = target.split("?");
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const answer = answerRest(
      { method, path, query: new URLSearchParams(query), headers, body: Buffer.from(text) },
      services,
    );
    const type = answer.headers["x-amzn-errortype"];
    return { status: answer.status, type, body: answer.body };
  };
  return { ...inner, rest, published };
}

test("an update answers as MQTT does, and MQTT hears of it", async t => {
  const { rest, heard, time } = await rig();
  const timestamp = time.now() / 1000;
  const state = { desired: { led: "on" } };
  const metadata = { desired: { led: { timestamp } } };
  const accepted = { state, metadata, version: 1, timestamp, clientToken: "t" };
  const answer = rest("POST", "/things/node-1/shadow", { state, clientToken: "t" });
  t.deepEqual(answer, { status: 200, type: undefined, body: accepted });
  const [delta, documents, echo, more] = heard();
  t.like(delta, { topic: "update/delta", body: { state: { led: "on" }, clientToken: "t" } });
  t.like(documents, { topic: "update/documents", body: { previous: null } });
  t.deepEqual(echo, { topic: "update/accepted", body: accepted });
  t.is(more, undefined);
});

test("get answers with the document and tells nobody, delete tells", async t => {
  const { rest, heard, shadows } = await rig();
  shadows.updateDesired("node-1", { a: 1 });
  heard();
  t.like(rest("GET", "/things/node-1/shadow", "not looked at").body, { version: 1 });
  t.deepEqual(heard(), []);
  const { body } = rest("DELETE", "/things/node-1/shadow");
  t.like(body, { version: 2 });
  t.deepEqual(heard(), [{ topic: "delete/accepted", body }]);
  t.is(rest("GET", "/things/node-1/shadow").status, 404);
});

test("names of shadows and things may be percent-encoded", async t => {
  const { rest, shadows } = await rig();
  shadows.updateDesired("a:b", { c: 1 }, "$d");
  t.is(rest("GET", "/things/a%3Ab/shadow?name=%24d").status, 200);
  t.is(rest("GET", "/things/a:b/shadow?name=$d").status, 200);
  t.is(rest("GET", "/things/a:b/shadow").status, 404);
});

test("named shadows are listed in pages", async t => {
  const { rest, shadows, time } = await rig();
  const path = "/api/things/shadow/ListNamedShadowsForThing/node-1";
  const timestamp = time.now() / 1000;
  t.deepEqual(rest("GET", path).body, { results: [], timestamp });
  shadows.updateDesired("node-1", { a: 1 });
  for (const name of ["c", "a", "b"]) shadows.updateDesired("node-1", { a: 1 }, name);
  t.deepEqual(rest("GET", path).body, { results: ["a", "b", "c"], timestamp });
  const { nextToken, ...first } = rest("GET", `${path}?pageSize=2`).body;
  t.deepEqual(first, { results: ["a", "b"], timestamp });
  const last = rest("GET", `${path}?pageSize=2&nextToken=${nextToken}`).body;
  t.deepEqual(last, { results: ["c"], timestamp });
});

const refuses = test.macro({
  exec: async (t: ExecutionContext, target: string, status: number, type: string) => {
    const { rest, heard } = await rig();
    const [method = "", path = ""] = target.split(" ");
    const answer = rest(method, path);
    t.like(answer, { status, type });
    t.is(typeof answer.body.message, "string");
    t.deepEqual(heard(), []);
  },
  title: (_, target, status, type) => `${target.slice(0, 80)} is refused: ${status} ${type}`,
});

const list = "/api/things/shadow/ListNamedShadowsForThing";
for (const target of [
  "POST /things/node-1/shadow",
  "GET /things/a.b/shadow",
  `GET /things/${"t".repeat(129)}/shadow`,
  "GET /things/a%2/shadow",
  "GET /things/%ff/shadow",
  "GET /things/a%2Fb/shadow",
  "GET /things/a/shadow?name=",
  "GET /things/a/shadow?name=b~c",
  `GET /things/a/shadow?name=${"n".repeat(65)}`,
  `GET ${list}/a.b`,
  `GET ${list}/a?pageSize=0`,
  `GET ${list}/a?pageSize=101`,
  `GET ${list}/a?pageSize=x`,
  `GET ${list}/a?nextToken=%21`,
  "POST /topics/a/%23",
  "POST /topics/%00",
  `POST /topics/${"t".repeat(brokerLimits.topicBytes + 1)}`,
  "POST /topics/1/2/3/4/5/6/7/8/9",
  "POST /topics/a?qos=2",
  "POST /topics/a?retain=yes",
  "POST /topics/$aws/things/node-1/shadow/update?retain=true",
  "POST /topics/a?responseTopic=b/%2B",
  "POST /topics/a?messageExpiry=-1",
  `POST /topics/a?contentType=${"c".repeat(brokerLimits.contentTypeBytes + 1)}`,
]) {
  test(refuses, target, 400, "InvalidRequestException");
}
test(refuses, "GET /things/node-1/shadow", 404, "ResourceNotFoundException");
test(refuses, "DELETE /things/node-1/shadow", 404, "ResourceNotFoundException");
test(refuses, "GET /things", 404, "ResourceNotFoundException");
test(refuses, "GET /topics/", 404, "ResourceNotFoundException");
for (const target of [
  "PUT /things/a/shadow",
  "constructor /things/a/shadow",
  `POST ${list}/a`,
  "GET /topics/a",
]) {
  test(refuses, target, 405, "MethodNotAllowedException");
}

const typesOfErrors: Record<number, string> = {
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
for (const [name, { code, message }] of Object.entries(shadowErrors)) {
  test(`${code} ${message} has its name for AWS's clients`, async t => {
    const { rest, shadows, heard } = await rig();
    shadows.fail(name as ShadowErrorName);
    const answer = rest("POST", "/things/node-1/shadow", { state: {}, clientToken: "t" });
    t.like(answer, { status: code, type: typesOfErrors[code], body: { code, message } });
    t.is(answer.body.clientToken, "t");
    t.deepEqual(heard(), []);
  });
}

test("publishing takes slashes raw and encoded, QoS and retain", async t => {
  const { rest, published } = await rig();
  t.like(rest("POST", "/topics/a/b%2Fc%20d?qos=1&retain=true", "x"), {
    status: 200,
    body: { message: "OK" },
  });
  rest("POST", "/topics/a", "y");
  const [first, second] = published;
  t.like(first, { topic: "a/b/c d", qos: 1, retain: true, payload: Buffer.from("x") });
  t.like(second, { topic: "a", qos: 0, retain: false });
});

test("a reserved topic is forbidden, a full store of retained messages throttles", async t => {
  const reserved = await rig(() => "reserved");
  t.like(reserved.rest("POST", "/topics/$aws/x"), { status: 403, type: "ForbiddenException" });
  const throttled = await rig(() => "throttled");
  t.like(throttled.rest("POST", "/topics/a"), { status: 429, type: "ThrottlingException" });
});

test("what MQTT 5 says about a message comes in query and headers", async t => {
  const { rest, published, time } = await rig();
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const query = "contentType=text/plain&responseTopic=r%2Fs&messageExpiry=60";
  rest("POST", `/topics/a?${query}`, "x", {
    "x-amz-mqtt5-user-properties": base64('[{"b":"1"},{"a":"2"},{"b":"3"}]'),
    "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA",
    "x-amz-mqtt5-correlation-data": base64("c"),
  });
  t.deepEqual(published[0]?.properties, {
    contentType: "text/plain",
    responseTopic: "r/s",
    payloadFormatIndicator: true,
    correlationData: Buffer.from("c"),
    userProperties: [
      ["b", "1"],
      ["a", "2"],
      ["b", "3"],
    ],
  });
  t.is(published[0]?.expiresAt, time.now() + 60_000);
  rest("POST", "/topics/a?messageExpiry=0", "x", {
    "x-amz-mqtt5-payload-format-indicator": "UNSPECIFIED_BYTES",
  });
  t.is(published[1]?.expiresAt, undefined);
  t.is(published[1]?.properties?.payloadFormatIndicator, false);
});

for (const [name, value] of [
  ["user-properties", "?"],
  ["user-properties", "e30="], // {}
  ["user-properties", "Ww=="], // [
  ["user-properties", "W3siYSI6MX1d"], // [{"a":1}]
  ["user-properties", "W3siYSI6IjEiLCJiIjoiMiJ9XQ=="], // [{"a":"1","b":"2"}]
  ["user-properties", "W3t9XQ=="], // [{}]
  ["payload-format-indicator", "utf8"],
  ["payload-format-indicator", "constructor"],
  ["correlation-data", "a b"],
] as const) {
  test(`a publish with ${name} ${value} is refused`, async t => {
    const { rest, published } = await rig();
    t.is(rest("POST", "/topics/a", "x", { [`x-amz-mqtt5-${name}`]: value }).status, 400);
    t.deepEqual(published, []);
  });
}
