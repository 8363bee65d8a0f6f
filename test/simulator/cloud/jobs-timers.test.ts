// Timers, retries, cancelling, rollouts and schedules of jobs on virtual time: chapter 4.6 of the notes on AWS's protocol.

import test from "ava";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { JobFault, type JobRequest } from "../../../simulator/cloud/jobs.js";
import { arn, document, type JobWorld, jobWorld, minuteMs } from "./job-wire.js";

const retry = (failureType: "FAILED" | "TIMED_OUT" | "ALL", numberOfRetries: number) => ({
  jobExecutionsRetryConfig: { criteriaList: [{ failureType, numberOfRetries }] },
});
const statusesOf = ({ cloud }: JobWorld, jobId: string): string[] =>
  cloud.jobs.executions(jobId).map(({ status }) => status);
const statusOf = ({ cloud }: JobWorld, jobId: string) => cloud.jobs.describe(jobId)?.status;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `node-${i + 1}`);

/** A world with this many devices. */
function fleet(world: JobWorld, count: number) {
  return names(count).map(name => world.device(name));
}

test("4.6 the in-progress timer starts at IN_PROGRESS, cannot be extended, and ends in TIMED_OUT", async t => {
  const world = await jobWorld(t);
  const { ask, heard } = world.device();
  world.job("first", ["node-1"], { timeoutConfig: { inProgressTimeoutInMinutes: 10 } });
  world.pass(60 * minuteMs);
  t.like(ask("start-next").body, { execution: { approximateSecondsBeforeTimedOut: 600 } });
  world.pass(9 * minuteMs);
  t.is(
    ask("first/update", { status: "IN_PROGRESS", stepTimeoutInMinutes: 100 }).outcome,
    "accepted",
  );
  t.like(ask("first/get").body, { execution: { approximateSecondsBeforeTimedOut: 60 } });
  heard();
  world.pass(minuteMs - 1);
  t.deepEqual(statusesOf(world, "first"), ["IN_PROGRESS"]);
  world.pass(1);
  t.deepEqual(statusesOf(world, "first"), ["TIMED_OUT"]);
  t.deepEqual(
    heard().map(({ topic }) => topic),
    ["notify", "notify-next"],
  );
  const { body } = ask("first/update", { status: "SUCCEEDED" });
  const executionState = { status: "TIMED_OUT", versionNumber: 4 };
  t.like(body, { code: "InvalidStateTransition", executionState });
  t.is(statusOf(world, "first"), "COMPLETED");
});

test("4.6 a step timer may be replaced by each update, and stays when an update says nothing of it", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"]);
  ask("start-next", { stepTimeoutInMinutes: 2 });
  world.pass(minuteMs);
  ask("first/update", { status: "IN_PROGRESS", stepTimeoutInMinutes: 5 });
  world.pass(4 * minuteMs);
  ask("first/update", { status: "IN_PROGRESS" });
  t.like(ask("first/get").body, { execution: { approximateSecondsBeforeTimedOut: 60 } });
  world.pass(minuteMs);
  t.deepEqual(statusesOf(world, "first"), ["TIMED_OUT"]);
});

test("4.6 a step timer of -1 takes the timer away, the other one goes on", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"]);
  world.job("second", ["node-1"], { timeoutConfig: { inProgressTimeoutInMinutes: 60 } });
  ask("start-next", { stepTimeoutInMinutes: 2 });
  ask("first/update", { status: "IN_PROGRESS", stepTimeoutInMinutes: -1 });
  const { execution } = ask("first/get").body as { execution: object };
  t.false("approximateSecondsBeforeTimedOut" in execution);
  ask("second/update", { status: "IN_PROGRESS", stepTimeoutInMinutes: 2 });
  ask("second/update", { status: "IN_PROGRESS", stepTimeoutInMinutes: -1 });
  t.like(ask("second/get").body, { execution: { approximateSecondsBeforeTimedOut: 3600 } });
  world.pass(60 * minuteMs);
  t.deepEqual(statusesOf(world, "first"), ["IN_PROGRESS"]);
  t.deepEqual(statusesOf(world, "second"), ["TIMED_OUT"]);
});

test("4.6 a timer ends with its execution", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"], { timeoutConfig: { inProgressTimeoutInMinutes: 1 } });
  ask("start-next");
  ask("first/update", { status: "SUCCEEDED" });
  world.pass(minuteMs * 2);
  t.deepEqual(statusesOf(world, "first"), ["SUCCEEDED"]);
});

test("4.6 what failed is tried again under the next number, as often as was said", async t => {
  const world = await jobWorld(t);
  const { ask, heard } = world.device();
  world.job("first", ["node-1"], retry("FAILED", 2));
  for (const number of [1, 2]) {
    heard();
    ask("first/update", { status: "FAILED" });
    const [list, next] = heard();
    const execution = { executionNumber: number + 1, versionNumber: 1, status: "QUEUED" };
    t.like(list, {
      topic: "notify",
      body: { jobs: { QUEUED: [{ executionNumber: number + 1 }] } },
    });
    t.like(next, { topic: "notify-next", body: { execution } });
    t.is(statusOf(world, "first"), "IN_PROGRESS");
  }
  ask("first/update", { status: "FAILED" });
  t.deepEqual(statusesOf(world, "first"), ["FAILED", "FAILED", "FAILED"]);
  t.is(statusOf(world, "first"), "COMPLETED");
  t.deepEqual(world.cloud.jobs.execution("node-1", "first", 3)?.retries, {
    FAILED: 2,
    TIMED_OUT: 0,
  });
});

test("4.6 a try that is over is found by its number, the latest without one", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"], retry("FAILED", 1));
  ask("first/update", { status: "FAILED" });
  t.like(ask("first/get", { executionNumber: 1 }).body, { code: "TerminalStateReached" });
  t.like(ask("first/get").body, { execution: { executionNumber: 2 } });
  const { body } = ask("first/update", { status: "SUCCEEDED", executionNumber: 1 });
  t.like(body, { code: "InvalidStateTransition" });
});

test("4.6 a retry for TIMED_OUT is none for FAILED, ALL is for both, REJECTED has none", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  const timeoutConfig = { inProgressTimeoutInMinutes: 1 };
  world.job("slow", ["node-1"], { ...retry("TIMED_OUT", 1), timeoutConfig });
  ask("start-next");
  world.pass(minuteMs);
  t.deepEqual(statusesOf(world, "slow"), ["TIMED_OUT", "QUEUED"]);
  ask("slow/update", { status: "FAILED" });
  t.is(statusOf(world, "slow"), "COMPLETED");
  world.job("any", ["node-1"], { ...retry("ALL", 2), timeoutConfig });
  ask("any/update", { status: "FAILED" });
  ask("any/update", { status: "IN_PROGRESS" });
  world.pass(minuteMs);
  t.deepEqual(statusesOf(world, "any"), ["FAILED", "TIMED_OUT", "QUEUED"]);
  ask("any/update", { status: "REJECTED" });
  t.is(statusOf(world, "any"), "COMPLETED");
});

test("4.6 CancelJob takes what is QUEUED only, with force what is IN_PROGRESS too", async t => {
  const world = await jobWorld(t, { jobEvents: true });
  const [one, two] = fleet(world, 2);
  world.job("first", names(2));
  one!.ask("start-next");
  for (const { heard } of [one!, two!]) heard();
  world.cloud.jobs.cancel("first", { reasonCode: "BAD_IDEA", comment: "sorry" });
  t.deepEqual(statusesOf(world, "first"), ["IN_PROGRESS", "CANCELED"]);
  t.deepEqual(one!.heard(), []);
  t.deepEqual(
    two!.heard().map(({ topic }) => topic),
    ["notify", "notify-next"],
  );
  t.like(world.cloud.jobs.describe("first"), { status: "CANCELED", reasonCode: "BAD_IDEA" });
  t.is(one!.ask("first/update", { status: "IN_PROGRESS" }).outcome, "accepted");
  world.cloud.jobs.cancel("first", { force: true });
  t.deepEqual(statusesOf(world, "first"), ["CANCELED", "CANCELED"]);
  t.like(one!.ask("first/update", { status: "SUCCEEDED" }).body, {
    code: "InvalidStateTransition",
  });
  t.throws(() => world.cloud.jobs.cancel("first", { force: true }), { instanceOf: JobFault });
  t.deepEqual(
    world.backEnd().map(({ topic }) => topic),
    [
      "jobExecution/first/canceled",
      "job/first/cancellation_in_progress",
      "job/first/canceled",
      "jobExecution/first/canceled",
    ],
  );
});

test("4.6 what runs on after a cancel may still succeed; what fails is not tried again", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"], retry("ALL", 5));
  ask("start-next");
  world.cloud.jobs.cancel("first");
  t.is(ask("first/update", { status: "FAILED" }).outcome, "accepted");
  t.deepEqual(statusesOf(world, "first"), ["FAILED"]);
  t.is(statusOf(world, "first"), "CANCELED");
});

test("4.6 CancelJobExecution is for one thing, with force when it runs", async t => {
  const world = await jobWorld(t);
  const [one] = fleet(world, 2);
  world.job("first", names(2));
  const { jobs } = world.cloud;
  one!.ask("start-next");
  t.throws(() => jobs.cancelExecution("node-1", "first"), { instanceOf: JobFault });
  const stale = { force: true, expectedVersion: 1 };
  const error = t.throws(() => jobs.cancelExecution("node-1", "first", stale));
  t.like(error, { code: "VersionMismatch" });
  const statusDetails = { why: "tired" };
  jobs.cancelExecution("node-1", "first", { force: true, expectedVersion: 2, statusDetails });
  t.like(jobs.execution("node-1", "first"), { status: "CANCELED", version: 3, statusDetails });
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  jobs.cancelExecution("node-2", "first");
  t.is(statusOf(world, "first"), "COMPLETED");
});

test("4.6 DeleteJob needs force while the job goes on, and leaves nothing", async t => {
  const world = await jobWorld(t, { jobEvents: true });
  const { ask } = world.device();
  world.job("first", ["node-1"], { timeoutConfig: { inProgressTimeoutInMinutes: 1 } });
  ask("start-next");
  const { jobs } = world.cloud;
  t.like(
    t.throws(() => jobs.delete("first")),
    { code: "InvalidStateTransition" },
  );
  jobs.delete("first", { force: true });
  t.is(jobs.describe("first"), undefined);
  t.deepEqual(jobs.executionsOf("node-1"), []);
  t.like(ask("first/update", { status: "SUCCEEDED" }).body, { code: "ResourceNotFound" });
  world.pass(minuteMs);
  t.deepEqual(
    world.backEnd().map(({ topic }) => topic),
    ["job/first/deletion_in_progress", "jobExecution/first/deleted", "job/first/deleted"],
  );
  world.job("first", ["node-1"]);
  t.deepEqual(world.pending("node-1"), ["first 1"]);
});

test("4.6 a snapshot reaches who is in the group now, and is completed with the last one", async t => {
  const world = await jobWorld(t);
  const [one, two, three] = fleet(world, 3);
  const { groups, list } = { groups: world.cloud.jobs.groups, list: world.cloud.jobs };
  groups.create("attic", { attributes: {} });
  for (const { thing } of [one!, two!]) groups.add("attic", thing);
  list.create({ jobId: "first", targets: [`${arn}thinggroup/attic`], document });
  groups.add("attic", three!.thing);
  groups.remove("attic", two!.thing);
  t.deepEqual(statusesOf(world, "first"), ["QUEUED", "QUEUED"]);
  one!.ask("first/update", { status: "SUCCEEDED" });
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  two!.ask("first/update", { status: "FAILED" });
  t.is(statusOf(world, "first"), "COMPLETED");
});

test("4.6 a continuous job follows its group: who joins gets it, who leaves loses it", async t => {
  const world = await jobWorld(t);
  const [one, two] = fleet(world, 2);
  const { jobs } = world.cloud;
  jobs.groups.create("attic", { attributes: {} });
  const targets = [`${arn}thinggroup/attic`];
  const retries = retry("FAILED", 1);
  jobs.create({ jobId: "first", targets, document, targetSelection: "CONTINUOUS", ...retries });
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  jobs.groups.add("attic", "node-1");
  jobs.groups.add("attic", "node-2");
  t.deepEqual(statusesOf(world, "first"), ["QUEUED", "QUEUED"]);
  one!.ask("first/update", { status: "FAILED" });
  one!.ask("first/update", { status: "FAILED" });
  two!.heard();
  jobs.groups.remove("attic", "node-2");
  t.like(jobs.execution("node-2", "first"), { status: "REMOVED" });
  t.deepEqual(
    two!.heard().map(({ topic }) => topic),
    ["notify", "notify-next"],
  );
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  jobs.groups.remove("attic", "node-1");
  jobs.groups.add("attic", "node-1");
  t.like(jobs.execution("node-1", "first"), { number: 3, status: "QUEUED" });
  one!.ask("first/update", { status: "FAILED" });
  t.like(jobs.execution("node-1", "first"), { number: 4, status: "QUEUED" });
});

test("4.6 maximumPerMinute: so many each minute, those that join later too", async t => {
  const world = await jobWorld(t);
  fleet(world, 5);
  world.job("first", names(5), { jobExecutionsRolloutConfig: { maximumPerMinute: 2 } });
  const counts = [statusesOf(world, "first").length];
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  for (let minute = 0; minute < 3; minute++) {
    world.pass(minuteMs);
    counts.push(statusesOf(world, "first").length);
  }
  t.deepEqual(counts, [2, 4, 5, 5]);
});

for (const [criterion, expected] of [
  ["numberOfNotifiedThings", [2, 6, 14, 24]],
  ["numberOfSucceededThings", [2, 6, 14, 24]],
] as const) {
  test(`4.6 exponentialRate: faster with ${criterion}, up to the maximum`, async t => {
    const world = await jobWorld(t, { jobLimits: { requestsPerSecond: 1000 } });
    const devices = fleet(world, 40);
    const exponentialRate = {
      baseRatePerMinute: 2,
      incrementFactor: 2,
      rateIncreaseCriteria: { [criterion]: 2 },
    };
    const jobExecutionsRolloutConfig = { maximumPerMinute: 10, exponentialRate };
    world.job("first", names(40), { jobExecutionsRolloutConfig });
    const counts: number[] = [];
    for (let minute = 0; minute < 4; minute++) {
      counts.push(statusesOf(world, "first").length);
      for (const { ask, thing } of devices) {
        if (world.pending(thing).length > 0) ask("first/update", { status: "SUCCEEDED" });
      }
      world.pass(minuteMs);
    }
    t.deepEqual(counts, [...expected]);
  });
}

test("4.6 exponentialRate: without successes it stays at its base", async t => {
  const world = await jobWorld(t);
  fleet(world, 10);
  const rateIncreaseCriteria = { numberOfSucceededThings: 1 };
  const exponentialRate = { baseRatePerMinute: 2, incrementFactor: 5, rateIncreaseCriteria };
  world.job("first", names(10), { jobExecutionsRolloutConfig: { exponentialRate } });
  world.pass(2 * minuteMs);
  t.is(statusesOf(world, "first").length, 6);
});

test("4.6 abort: too many failures cancel what is QUEUED, and what waits for its turn", async t => {
  const world = await jobWorld(t);
  const devices = fleet(world, 6);
  const criteria = { failureType: "FAILED", action: "CANCEL" } as const;
  const criteriaList = [{ ...criteria, thresholdPercentage: 50, minNumberOfExecutedThings: 4 }];
  const rollout = { jobExecutionsRolloutConfig: { maximumPerMinute: 4 } };
  world.job("first", names(6), { abortConfig: { criteriaList }, ...rollout });
  devices[2]!.ask("start-next");
  devices[0]!.ask("first/update", { status: "FAILED" });
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  devices[1]!.ask("first/update", { status: "FAILED" });
  t.is(statusOf(world, "first"), "CANCELED");
  t.deepEqual(statusesOf(world, "first"), ["FAILED", "FAILED", "IN_PROGRESS", "CANCELED"]);
  world.pass(2 * minuteMs);
  t.is(statusesOf(world, "first").length, 4);
});

test("4.6 abort: not before so many were notified, and other failures do not count", async t => {
  const world = await jobWorld(t);
  const devices = fleet(world, 4);
  const criteria = { failureType: "REJECTED", action: "CANCEL" } as const;
  const criteriaList = [{ ...criteria, thresholdPercentage: 1, minNumberOfExecutedThings: 4 }];
  const rollout = { jobExecutionsRolloutConfig: { maximumPerMinute: 3 } };
  world.job("first", names(4), { abortConfig: { criteriaList }, ...rollout });
  devices[0]!.ask("first/update", { status: "REJECTED" });
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  world.pass(minuteMs);
  devices[1]!.ask("first/update", { status: "SUCCEEDED" });
  t.is(statusOf(world, "first"), "CANCELED");
});

const inMinutes = (world: JobWorld, minutes: number): string =>
  new Date(world.time.now() + minutes * minuteMs).toISOString().slice(0, 16).replace("T", " ");

test("4.6 a scheduled job is SCHEDULED until its start time, and can be cancelled before", async t => {
  const world = await jobWorld(t);
  const { heard } = world.device();
  const schedulingConfig = { startTime: inMinutes(world, 40) };
  for (const jobId of ["first", "second"]) world.job(jobId, ["node-1"], { schedulingConfig });
  t.is(statusOf(world, "first"), "SCHEDULED");
  world.cloud.jobs.cancel("second");
  world.pass(39 * minuteMs);
  t.deepEqual(heard(), []);
  world.pass(minuteMs);
  t.is(statusOf(world, "first"), "IN_PROGRESS");
  t.deepEqual(world.pending("node-1"), ["first 1"]);
});

const ends = [
  [undefined, ["IN_PROGRESS", "QUEUED"], "IN_PROGRESS"],
  ["STOP_ROLLOUT", ["IN_PROGRESS", "QUEUED"], "IN_PROGRESS"],
  ["CANCEL", ["IN_PROGRESS", "CANCELED"], "CANCELED"],
  ["FORCE_CANCEL", ["CANCELED", "CANCELED"], "CANCELED"],
] as const;
for (const [endBehavior, expected, status] of ends) {
  test(`4.6 at the end time: ${endBehavior ?? "nothing said"}`, async t => {
    const world = await jobWorld(t);
    const devices = fleet(world, 3);
    const { jobs } = world.cloud;
    jobs.groups.create("attic", { attributes: {} });
    for (const thing of names(2)) jobs.groups.add("attic", thing);
    const endTime = inMinutes(world, 40);
    const schedulingConfig = endBehavior === undefined ? { endTime } : { endTime, endBehavior };
    const targets = [`${arn}thinggroup/attic`];
    const targetSelection = "CONTINUOUS";
    jobs.create({ jobId: "first", targets, document, targetSelection, schedulingConfig });
    devices[0]!.ask("start-next");
    world.pass(40 * minuteMs);
    t.deepEqual(statusesOf(world, "first"), [...expected]);
    t.is(statusOf(world, "first"), status);
    jobs.groups.add("attic", "node-3");
    t.is(statusesOf(world, "first").length, 2);
    for (const { ask } of devices) ask("first/update", { status: "SUCCEEDED" });
    t.is(statusOf(world, "first"), status === "CANCELED" ? "CANCELED" : "COMPLETED");
  });
}

const day = { startTime: "2026-02-31 10:00" };
for (const [what, schedulingConfig] of Object.entries({
  "a start too soon": { startTime: "2026-01-01 00:10" },
  "a start in two years": { startTime: "2028-01-01 00:00" },
  "an end before its start": { startTime: "2026-01-01 10:00", endTime: "2026-01-01 10:10" },
  "an end too far away": { endTime: "2029-01-01 00:00" },
  "a day that is none": day,
  "another way to say it": { startTime: "2026-01-01T10:00:00Z" },
  "an end behavior without an end": { endBehavior: "CANCEL" as const },
  "maintenance windows": { maintenanceWindows: [{ startTime: "cron(0 0 * * ? *)" }] },
})) {
  test(`4.6 a schedule is refused: ${what}`, async t => {
    const world = await jobWorld(t);
    world.device();
    const error = t.throws(() => world.job("first", ["node-1"], { schedulingConfig }));
    t.like(error, { code: "InvalidRequest" });
  });
}

const twice = { failureType: "FAILED", numberOfRetries: 6 } as const;
const abort = { failureType: "ALL", action: "CANCEL" } as const;
const more = (thresholdPercentage: number) => ({
  abortConfig: { criteriaList: [{ ...abort, thresholdPercentage, minNumberOfExecutedThings: 1 }] },
});
const wrong: Readonly<Record<string, Partial<JobRequest>>> = {
  "no document": { document: undefined as unknown as string },
  "a document of 32,769 bytes": { document: JSON.stringify({ a: "x".repeat(32_769 - 8) }) },
  "a document that is a list": { document: "[]" },
  "101 targets": { targets: Array.from({ length: 101 }, (_, i) => `${arn}thing/node-${i}`) },
  "no target": { targets: [] },
  "a target of another account": { targets: ["arn:aws:iot:eu-west-1:1:thing/node-1"] },
  "an id of 65 characters": { jobId: "x".repeat(65) },
  "an in-progress timer over a week": { timeoutConfig: { inProgressTimeoutInMinutes: 10_081 } },
  "11 retries": {
    jobExecutionsRetryConfig: {
      criteriaList: [twice, { failureType: "TIMED_OUT", numberOfRetries: 5 }],
    },
  },
  "1001 a minute": { jobExecutionsRolloutConfig: { maximumPerMinute: 1001 } },
  "a threshold of 101 %": more(101),
  "three digits after the point": more(10.999),
  "a document from S3 without an object store": {
    document: undefined as unknown as string,
    documentSource: "https://s3.eu-west-1.amazonaws.com/b/k",
  },
  "parameters without a template": { documentParameters: { a: "b" } },
};
for (const [what, request] of Object.entries(wrong)) {
  test(`4.6 CreateJob is refused: ${what}`, async t => {
    const world = await jobWorld(t);
    world.device();
    const given = Object.entries({
      jobId: "first",
      targets: [`${arn}thing/node-1`],
      document,
      ...request,
    }).filter(([, value]) => value !== undefined);
    const error = t.throws(() => world.cloud.jobs.create(Object.fromEntries(given) as JobRequest));
    t.like(error, { code: "InvalidRequest" });
    t.false(error instanceof CloudError);
  });
}

test("4.6 a document of 32,768 bytes is delivered", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  const long = JSON.stringify({ a: "x".repeat(32_768 - 8) });
  world.job("first", ["node-1"], { document: long });
  const { execution } = ask("start-next").body as { execution: { jobDocument: unknown } };
  t.deepEqual(execution.jobDocument, JSON.parse(long));
});

test("4.6 a presigned URL is made anew at each delivery", async t => {
  const asked: unknown[][] = [];
  const presign = (...args: unknown[]): string => `https://localhost/${asked.push(args)}?a="b"&c`;
  const world = await jobWorld(t, { jobObjects: { presign } });
  const { ask } = world.device();
  const url = "${" + "aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/bucket/a/b%20c}";
  const text = JSON.stringify({ files: [{ url: `see ${url}` }] });
  t.throws(() => world.job("first", ["node-1"], { document: text }), { instanceOf: JobFault });
  world.job("first", ["node-1"], { document: text, presignedUrlConfig: { expiresInSec: 60 } });
  const urlOf = (operation: string): unknown => {
    const { execution } = ask(operation).body as {
      execution: { jobDocument: { files: { url: string }[] } };
    };
    return execution.jobDocument.files[0]?.url;
  };
  const [first, second] = [urlOf("start-next"), urlOf("first/get")];
  t.not(first, second);
  t.regex(String(first), /^see https:\/\/localhost\/\d\?a="b"&c$/);
  t.deepEqual(asked.at(-1), ["bucket", "a/b c", 60]);
});

test("4.6 a document may come from the object store", async t => {
  const readObject = (bucket: string, key: string) =>
    bucket === "b" && key === "k" ? Buffer.from('{"a":1}') : undefined;
  const world = await jobWorld(t, { jobObjects: { readObject } });
  const { ask } = world.device();
  world.job("first", ["node-1"], { documentSource: "https://b.s3.eu-west-1.amazonaws.com/k" });
  t.like(ask("start-next").body, { execution: { jobDocument: { a: 1 } } });
  const nowhere = { documentSource: "https://s3.amazonaws.com/b/other" };
  t.throws(() => world.job("second", ["node-1"], nowhere), { instanceOf: JobFault });
});
