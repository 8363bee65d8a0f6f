// The REST data plane over real HTTP on this machine, with a device on the other side.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { Cloud, type CloudOptions } from "../../../simulator/cloud/cloud.js";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { restLimits } from "../../../simulator/cloud/limits.js";
import { openCloud } from "./harness.js";
import { provision } from "./provisioning-rig.js";

const rest = { host: "127.0.0.1", port: 0 } as const;
const prefix = "$aws/things/node-1/shadow";

async function listening(t: ExecutionContext, options: Partial<CloudOptions> = {}) {
  const world = await openCloud({ rest, ...options });
  t.teardown(() => world.cloud.close());
  return { ...world, url: `http://127.0.0.1:${world.cloud.restPort}` };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Record<string, string | undefined>;
  readonly body: Record<string, unknown>;
}

interface Question {
  readonly method?: string;
  /** Those that fetch would not send, too. */
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

async function ask(url: string, { body, ...question }: Question = {}): Promise<Answer> {
  const outgoing = request(url, { ...question, agent: false }).end(body);
  const [response] = await once(outgoing, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) };
}

const desire = (state: object): Question => ({
  method: "POST",
  body: JSON.stringify({ state: { desired: state } }),
});

test("a connected device hears what REST wants, and REST sees what it reports", async t => {
  const world = await listening(t);
  const { url, eventsOf } = world;
  const device = world.client((await provision(t, world, "1")).id).connect("node-1");
  device.subscribe(`${prefix}/update/+`);
  const updated = await ask(`${url}/things/node-1/shadow`, {
    ...desire({ sampleSeconds: 5 }),
    headers: { authorization: "AWS4-HMAC-SHA256 Credential=anything" },
  });
  t.like(updated, { status: 200, headers: { "content-type": "application/json" } });
  t.regex(updated.headers["x-amzn-requestid"] ?? "", /^[0-9a-f-]{36}$/);
  t.like(device.json(`${prefix}/update/delta`), { version: 1, state: { sampleSeconds: 5 } });
  t.like(device.json(`${prefix}/update/accepted`), { version: 1 });
  device.publish(`${prefix}/update`, { state: { reported: { sampleSeconds: 5 } } });
  const reported = { sampleSeconds: 5 };
  const { body } = await ask(`${url}/things/node-1/shadow`);
  t.deepEqual(body.state, { desired: reported, reported });
  const refused = await ask(`${url}/things/node-1/shadow`, { method: "POST", body: '{"state":1}' });
  t.like(refused, {
    status: 400,
    headers: { "x-amzn-errortype": "InvalidRequestException" },
    body: { code: 400, message: "State node must be an object" },
  });
  t.is(device.json(`${prefix}/update/rejected`), undefined);
  t.is(eventsOf("shadowUpdated").length, 2);
});

test("a device reaches the named shadows of its own thing, no shadow of another", async t => {
  const world = await listening(t);
  const device = world.client((await provision(t, world, "1")).id).connect("node-1");
  device.subscribe(`${prefix}/name/config/get/+`).publish(`${prefix}/name/config/get`, "");
  t.like(device.json(`${prefix}/name/config/get/rejected`), { code: 404 });
  device.publish("$aws/things/node-2/shadow/update", { state: {} });
  t.true(device.closed);
  t.is(world.cloud.shadow("node-2"), undefined);
});

test("what is published over REST reaches subscribers, retained for later ones too", async t => {
  const world = await listening(t);
  const { url, eventsOf } = world;
  const device = world.client((await provision(t, world, "1")).id).connect("node-1");
  device.subscribe("dt/node-1/x");
  const published = await ask(`${url}/topics/dt%2Fnode-1/x?qos=1&retain=true`, {
    method: "POST",
    body: new Uint8Array([0, 255]),
  });
  t.like(published, { status: 200, body: { message: "OK" } });
  t.is(published.body.traceId, published.headers["x-amzn-requestid"]);
  t.deepEqual(Buffer.from(device.messages().at(-1)!.payload), Buffer.from([0, 255]));
  device.subscribe("dt/node-1/x");
  t.true(device.messages().at(-1)?.retain);
  t.like(eventsOf("message"), [{ clientId: undefined, topic: "dt/node-1/x" }]);
  const reserved = await ask(`${url}/topics/$aws/things/node-1/jobs/get`, { method: "POST" });
  t.like(reserved, { status: 403, headers: { "x-amzn-errortype": "ForbiddenException" } });
});

test("a publish to a shadow's topic over REST is a request to it", async t => {
  const { url, cloud } = await listening(t);
  const body = '{"state":{"reported":{"a":1}}}';
  t.is((await ask(`${url}/topics/${prefix}/update`, { method: "POST", body })).status, 200);
  t.like(cloud.shadow("node-1"), { version: 1, state: { reported: { a: 1 } } });
});

test("more retained messages than there is room for are throttled", async t => {
  const { url } = await listening(t, { limits: { retainedTopics: 1 } });
  const put = (topic: string) =>
    ask(`${url}/topics/${topic}?retain=true`, { method: "POST", body: "x" });
  t.is((await put("a")).status, 200);
  t.like(await put("b"), { status: 429, headers: { "x-amzn-errortype": "ThrottlingException" } });
});

test("a body of 128 KB is read, one byte more is 413, with or without its length in front", async t => {
  const { url } = await listening(t);
  const body = Buffer.alloc(restLimits.bodyBytes, "x");
  t.is((await ask(`${url}/topics/a`, { method: "POST", body })).status, 200);
  const longer = Buffer.alloc(restLimits.bodyBytes + 1, "x");
  for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
    t.like(await ask(`${url}/topics/a`, { method: "POST", body: longer, headers }), {
      status: 413,
      headers: { "x-amzn-errortype": "RequestEntityTooLargeException" },
    });
  }
});

for (const headers of [
  { host: "rebound.example:8880" },
  { host: "127.0.0.1.example" },
  { origin: "http://page.example" },
  { origin: "null" },
]) {
  test(`a web page gets nothing: ${JSON.stringify(headers)}`, async t => {
    const { url, cloud } = await listening(t);
    const question = { ...desire({ a: 1 }), headers };
    t.is((await ask(`${url}/things/node-1/shadow`, question)).status, 403);
    t.is(cloud.shadow("node-1"), undefined);
  });
}

test("localhost and ::1 are names for this machine", async t => {
  const { url } = await listening(t);
  for (const host of ["localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.2"]) {
    t.is((await ask(`${url}/things/a/shadow`, { headers: { host } })).status, 404);
  }
});

test("without the option nothing listens", async t => {
  const { cloud } = await openCloud();
  t.teardown(() => cloud.close());
  t.is(cloud.restPort, undefined);
});

test("a port in use is named, unless any other will do", async t => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const failure = Cloud.open({ allow: [], rest: { host: "127.0.0.1", port } });
  const error = await t.throwsAsync(failure, { instanceOf: CloudError });
  t.like(error, { code: "cloud/port-in-use" });
  const { cloud } = await listening(t, { rest: { host: "127.0.0.1", port, orAny: true } });
  t.not(cloud.restPort, port);
});

test("a client that sends half a request does not keep the cloud from closing", async t => {
  const { cloud } = await listening(t);
  const socket = connect({ host: "127.0.0.1", port: cloud.restPort! });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write("POST /topics/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf");
  await ask(`http://127.0.0.1:${cloud.restPort}/things/a/shadow`);
  const closed = once(socket, "close");
  await cloud.close();
  await closed;
  t.pass();
});

/** Whether a program is there; its output, and its exit code. */
async function run(program: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (out += text));
  const outcome = await Promise.race([once(child, "close"), once(child, "error")]);
  return typeof outcome[0] === "number" ? { code: outcome[0], out } : undefined;
}

test("curl changes a shadow with nothing but a body", async t => {
  const { url, cloud } = await listening(t);
  const body = '{"state":{"desired":{"sampleSeconds":5}}}';
  const args = ["-sS", "--noproxy", "*", "-X", "POST", `${url}/things/node-1/shadow`, "-d", body];
  const result = await run("curl", args);
  if (result === undefined) return t.pass("curl is not installed");
  t.is(result.code, 0, result.out);
  t.like(cloud.shadow("node-1"), { state: { desired: { sampleSeconds: 5 } } });
});

test("AWS's command line updates a shadow, and understands an error", async t => {
  const { url, cloud } = await listening(t);
  const aws = (...args: string[]) =>
    run("aws", ["iot-data", ...args, "--endpoint-url", url, "--region", "eu-west-1"], {
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
      AWS_EC2_METADATA_DISABLED: "true",
      NO_PROXY: "127.0.0.1",
    });
  const things = ["--thing-name", "node-1", "--shadow-name", "config"];
  const payload = '{"state":{"desired":{"a":1}}}';
  const version = await run("aws", ["--version"]);
  if (version === undefined) return t.pass("aws is not installed");
  const format = /^aws-cli\/1/.test(version.out)
    ? []
    : ["--cli-binary-format", "raw-in-base64-out"];
  const updated = await aws(
    "update-thing-shadow",
    ...things,
    ...format,
    "--payload",
    payload,
    "/dev/null",
  );
  t.is(updated?.code, 0, updated?.out);
  t.like(cloud.shadow("node-1", "config"), { state: { desired: { a: 1 } } });
  const missing = await aws("get-thing-shadow", "--thing-name", "nobody", "/dev/null");
  t.regex(missing?.out ?? "", /ResourceNotFoundException.*No shadow exists with name: 'nobody'/);
});
