// What a device may ask of jobs and what it is answered, over MQTT: chapters 4.2, 4.4 and 4.5 of the notes on AWS's protocol.

import test, { type ExecutionContext } from "ava";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import { type Device, document, type JobWorld, jobWorld } from "./job-wire.js";

type Bench = Omit<JobWorld, "client"> & Device;

/** One device with jobs of these names. */
async function bench(
  t: ExecutionContext,
  jobs: readonly string[] = ["first"],
  options: Partial<CloudOptions> = {},
): Promise<Bench> {
  const world = await jobWorld(t, options);
  const device = world.device();
  for (const jobId of jobs) world.job(jobId, [device.thing]);
  const now = (): number => world.now;
  return {
    ...world,
    ...device,
    get now() {
      return now();
    },
  };
}

const states = { includeJobExecutionState: true };

test("4.2 get: what runs and what waits, with the token", async t => {
  const { ask, now: timestamp } = await bench(t, ["first", "second"]);
  ask("start-next");
  const times = { queuedAt: timestamp, lastUpdatedAt: timestamp, executionNumber: 1 };
  t.deepEqual(ask("get", { clientToken: "token" }), {
    outcome: "accepted",
    body: {
      inProgressJobs: [{ jobId: "first", ...times, startedAt: timestamp, versionNumber: 2 }],
      queuedJobs: [{ jobId: "second", ...times, versionNumber: 1 }],
      timestamp,
      clientToken: "token",
    },
  });
});

test("4.2 get: two empty lists when nothing waits", async t => {
  const { ask, now: timestamp } = await bench(t, []);
  t.deepEqual(ask("get").body, { inProgressJobs: [], queuedJobs: [], timestamp });
});

test("4.2 start-next: the head goes IN_PROGRESS with details and a step timer", async t => {
  const { ask, now } = await bench(t, ["first", "second"]);
  const statusDetails = { step: "1" };
  t.deepEqual(
    ask("start-next", { statusDetails, stepTimeoutInMinutes: 5, clientToken: "a" }).body,
    {
      execution: {
        jobId: "first",
        thingName: "node-1",
        jobDocument: JSON.parse(document),
        status: "IN_PROGRESS",
        statusDetails,
        queuedAt: now,
        startedAt: now,
        lastUpdatedAt: now,
        versionNumber: 2,
        executionNumber: 1,
        approximateSecondsBeforeTimedOut: 300,
      },
      timestamp: now,
      clientToken: "a",
    },
  );
});

test("4.2 start-next: an IN_PROGRESS head is returned as it is", async t => {
  const { ask, time } = await bench(t, ["first", "second"]);
  ask("start-next", { statusDetails: { step: "1" }, stepTimeoutInMinutes: 5 });
  time.advance(60_000);
  const { body } = ask("start-next", { statusDetails: { step: "9" }, stepTimeoutInMinutes: 50 });
  const statusDetails = { step: "1" };
  const execution = { jobId: "first", statusDetails, versionNumber: 2 };
  t.like(body, { execution: { ...execution, approximateSecondsBeforeTimedOut: 240 } });
});

test("4.2 start-next: no execution when nothing waits", async t => {
  const { ask, now: timestamp } = await bench(t, []);
  t.deepEqual(ask("start-next").body, { timestamp });
});

test("4.2 describe: $next is the head, its answer comes on $next", async t => {
  const { ask, client, now: timestamp } = await bench(t, ["first", "second"]);
  t.like(ask("$next/get").body, { execution: { jobId: "first", status: "QUEUED" } });
  t.is(client.topics().at(-1), "$aws/things/node-1/jobs/$next/get/accepted");
  ask("first/update", { status: "SUCCEEDED" });
  t.like(ask("$next/get").body, { execution: { jobId: "second" } });
  ask("second/update", { status: "SUCCEEDED" });
  t.deepEqual(ask("$next/get").body, { timestamp });
});

test("4.2 describe: by name and number, with the document unless told not to", async t => {
  const { ask } = await bench(t);
  t.like(ask("first/get").body, { execution: { jobDocument: JSON.parse(document) } });
  const { body } = ask("first/get", { executionNumber: 1, includeJobDocument: false });
  t.false("jobDocument" in (body.execution as object));
  t.like(ask("first/get", { executionNumber: 2 }).body, { code: "ResourceNotFound" });
});

test("4.2 update: answers with nothing but what was asked for", async t => {
  const { ask, now: timestamp } = await bench(t);
  t.deepEqual(ask("first/update", { status: "IN_PROGRESS" }).body, { timestamp });
  const both = { ...states, includeJobDocument: true };
  t.deepEqual(ask("first/update", { status: "IN_PROGRESS", ...both, clientToken: "x" }).body, {
    executionState: { status: "IN_PROGRESS", statusDetails: {}, versionNumber: 3 },
    jobDocument: JSON.parse(document),
    timestamp,
    clientToken: "x",
  });
});

test("4.2 update: details stay when left out, and are replaced when given (assumed)", async t => {
  const { ask } = await bench(t);
  const detailsAfter = (more: object) =>
    (
      ask("first/update", { status: "IN_PROGRESS", ...states, ...more }).body.executionState as {
        statusDetails: object;
      }
    ).statusDetails;
  t.deepEqual(detailsAfter({ statusDetails: { a: "1", b: "2" } }), { a: "1", b: "2" });
  t.deepEqual(detailsAfter({}), { a: "1", b: "2" });
  t.deepEqual(detailsAfter({ statusDetails: { c: "3" } }), { c: "3" });
  t.deepEqual(detailsAfter({ statusDetails: {} }), {});
});

for (const expectedVersion of [1, "1"]) {
  test(`4.2 update: expectedVersion may be ${JSON.stringify(expectedVersion)}`, async t => {
    const { ask } = await bench(t);
    t.is(ask("first/update", { status: "IN_PROGRESS", expectedVersion }).outcome, "accepted");
    t.like(ask("first/update", { status: "IN_PROGRESS", expectedVersion }), {
      outcome: "rejected",
      body: { code: "VersionMismatch" },
    });
  });
}

test("4.2 update: members nobody knows are ignored, null is as good as absent (assumed)", async t => {
  const { ask } = await bench(t);
  const body = { status: "IN_PROGRESS", colour: "red", statusDetails: null, expectedVersion: null };
  t.is(ask("first/update", body).outcome, "accepted");
});

type From = "QUEUED" | "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "REJECTED";
const allowed: Readonly<Record<From, boolean>> = {
  QUEUED: true,
  IN_PROGRESS: true,
  SUCCEEDED: false,
  FAILED: false,
  REJECTED: false,
};
for (const [from, isAllowed] of Object.entries(allowed)) {
  for (const to of ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"]) {
    test(`4.4 ${from} to ${to}: ${isAllowed ? "ok" : "InvalidStateTransition"}`, async t => {
      const { ask } = await bench(t);
      if (from !== "QUEUED") ask("first/update", { status: from });
      const versionNumber = from === "QUEUED" ? 1 : 2;
      const { outcome, body } = ask("first/update", { status: to, ...states });
      const after = { status: to, statusDetails: {}, versionNumber: versionNumber + 1 };
      const before = { status: from, statusDetails: {}, versionNumber };
      t.deepEqual(body.executionState, isAllowed ? after : before);
      t.is(outcome, isAllowed ? "accepted" : "rejected");
      if (!isAllowed) t.is(body.code, "InvalidStateTransition");
    });
  }
}

for (const status of ["QUEUED", "TIMED_OUT", "REMOVED", "CANCELED"]) {
  test(`4.4 a device cannot set ${status}: InvalidRequest (assumed)`, async t => {
    const { ask } = await bench(t);
    const { body } = ask("first/update", { status });
    t.is(body.code, "InvalidRequest");
    t.false("executionState" in body);
  });
}

test("4.4 after a forced cancel an update gets InvalidStateTransition, whatever version it expects", async t => {
  const { ask, cloud } = await bench(t);
  ask("start-next");
  cloud.jobs.cancel("first", { force: true });
  const { body } = ask("first/update", { status: "SUCCEEDED", expectedVersion: 2 });
  const executionState = { status: "CANCELED", versionNumber: 3 };
  t.like(body, { code: "InvalidStateTransition", executionState });
});

for (const operation of [
  "nothing",
  "get/get/get",
  "first/delete",
  "a b/get",
  "$next/update",
  "notify",
  "notify-next",
  "first",
  `${"x".repeat(65)}/get`,
]) {
  test(`4.5 InvalidTopic: ${operation.slice(0, 20)}`, async t => {
    const { ask } = await bench(t);
    const { outcome, body } = ask(operation, { clientToken: "t" });
    t.is(outcome, "rejected");
    t.like(body, { code: "InvalidTopic", clientToken: "t" });
  });
}

for (const payload of ["", "{", "[]", '"text"', "null", Buffer.from([0x22, 0xff, 0x22])]) {
  test(`4.5 InvalidJson: ${typeof payload === "string" ? payload || "nothing" : "no UTF-8"}`, async t => {
    const { ask, now: timestamp } = await bench(t);
    const { outcome, body } = ask("start-next", payload);
    t.is(outcome, "rejected");
    t.deepEqual(body, { code: "InvalidJson", message: body.message, timestamp });
  });
}

const many = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`k${index}`, "v"]));
for (const [what, body] of Object.entries({
  "no status": {},
  "a status nobody knows": { status: "DONE" },
  "more than 10 details": { status: "IN_PROGRESS", statusDetails: many },
  "a detail that is no text": { status: "IN_PROGRESS", statusDetails: { a: 1 } },
  "an empty detail": { status: "IN_PROGRESS", statusDetails: { a: "" } },
  "a detail of 1025 characters": { status: "IN_PROGRESS", statusDetails: { a: "x".repeat(1025) } },
  "a detail with a control character": { status: "IN_PROGRESS", statusDetails: { a: "x\n" } },
  "a name of 129 characters": { status: "IN_PROGRESS", statusDetails: { ["x".repeat(129)]: "x" } },
  "a name with a space": { status: "IN_PROGRESS", statusDetails: { "a b": "x" } },
  "details that are a list": { status: "IN_PROGRESS", statusDetails: [] },
  "a step timer of 0": { status: "IN_PROGRESS", stepTimeoutInMinutes: 0 },
  "a step timer of -2": { status: "IN_PROGRESS", stepTimeoutInMinutes: -2 },
  "a step timer over a week": { status: "IN_PROGRESS", stepTimeoutInMinutes: 10_081 },
  "an expectedVersion in words": { status: "IN_PROGRESS", expectedVersion: "one" },
  "an executionNumber in words": { status: "IN_PROGRESS", executionNumber: "1" },
  "a flag that is a text": { status: "IN_PROGRESS", includeJobDocument: "true" },
  "a token that is a number": { status: "IN_PROGRESS", clientToken: 1 },
})) {
  test(`4.5 InvalidRequest: ${what}`, async t => {
    const { ask, cloud } = await bench(t);
    t.like(ask("first/update", body), { outcome: "rejected", body: { code: "InvalidRequest" } });
    t.is(cloud.jobs.execution("node-1", "first")?.version, 1);
  });
}

test("4.2 details at their limits are taken, whatever they are called", async t => {
  const { ask } = await bench(t);
  const names = ["__proto__", "constructor", "x".repeat(128), "a:b", "a_b", "a-b", "1", "2", "3"];
  const text = names.map(name => `${JSON.stringify(name)}:"${"é".repeat(1024)}"`).join();
  const { outcome, body } = ask(
    "first/update",
    `{"status":"IN_PROGRESS","includeJobExecutionState":true,"statusDetails":{${text}}}`,
  );
  t.is(outcome, "accepted");
  const { statusDetails } = body.executionState as { statusDetails: object };
  t.deepEqual(Object.keys(statusDetails).sort(), names.sort());
});

test("4.5 ResourceNotFound: no such job, no such number, no such thing", async t => {
  const { ask, device } = await bench(t);
  for (const operation of ["second/get", "second/update"]) {
    t.like(ask(operation, { status: "FAILED" }).body, { code: "ResourceNotFound" });
  }
  const numbered = { status: "FAILED", executionNumber: 2 };
  t.like(ask("first/update", numbered).body, { code: "ResourceNotFound" });
  const stranger = device("stranger", false);
  t.like(stranger.ask("get").body, { code: "ResourceNotFound" });
});

test("4.5 VersionMismatch tells the state", async t => {
  const { ask, now: timestamp } = await bench(t);
  ask("first/update", { status: "IN_PROGRESS", statusDetails: { a: "b" } });
  const request = { status: "FAILED", expectedVersion: 1, clientToken: "t" };
  const { body } = ask("first/update", request);
  t.deepEqual(body, {
    code: "VersionMismatch",
    message: body.message,
    executionState: { status: "IN_PROGRESS", statusDetails: { a: "b" }, versionNumber: 2 },
    timestamp,
    clientToken: "t",
  });
});

test("4.5 TerminalStateReached: describe of what is over", async t => {
  const { ask } = await bench(t);
  ask("first/update", { status: "SUCCEEDED" });
  const { outcome, body } = ask("first/get");
  t.is(outcome, "rejected");
  t.is(body.code, "TerminalStateReached");
  t.false("executionState" in body);
});

test("4.5 RequestThrottled: reading and writing count apart, by the second", async t => {
  const options = { jobLimits: { requestsPerSecond: 2 } };
  const { ask, time } = await bench(t, ["first"], options);
  t.deepEqual(
    [ask("get"), ask("get"), ask("get"), ask("start-next")].map(({ body }) => body.code),
    [undefined, undefined, "RequestThrottled", undefined],
  );
  time.advance(1000);
  t.is(ask("get").outcome, "accepted");
});

test("4.5 InternalError: a URL that cannot be made fails the request and changes nothing", async t => {
  const options: Partial<CloudOptions> = {
    jobObjects: {
      presign: () => {
        throw new Error("out of order");
      },
    },
  };
  const world = await bench(t, [], options);
  const url = "${" + "aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/b/k}";
  const signed = { document: JSON.stringify({ url }), presignedUrlConfig: {} };
  world.job("signed", ["node-1"], signed);
  t.like(world.ask("start-next"), { outcome: "rejected", body: { code: "InternalError" } });
  t.like(world.cloud.jobs.execution("node-1", "signed"), { status: "QUEUED", version: 1 });
});

test("13.6 the device policy lets a device at its own jobs, and at nobody else's", async t => {
  const { cloud, ask, client } = await bench(t);
  const { devicePolicy, claimPolicyName } = await import("../../../simulator/cloud/defaults.js");
  const Statement = devicePolicy.Statement.map(each =>
    JSON.parse(JSON.stringify(each).replaceAll("iot:Connection.Thing.ThingName", "iot:ClientId")),
  );
  cloud.putPolicy(claimPolicyName, { ...devicePolicy, Statement });
  t.is(ask("start-next").outcome, "accepted");
  client.publish("$aws/things/node-2/jobs/get", {});
  t.true(client.closed);
});
