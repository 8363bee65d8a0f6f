// Whatever devices and operators do to jobs, in any order: what must hold all the same. And a cloud that is started again.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { Cloud } from "../../../simulator/cloud/cloud.js";
import { JobFault } from "../../../simulator/cloud/jobs.js";
import { openCloud, VirtualTime } from "./harness.js";
import {
  arn,
  type Device,
  document,
  type JobWorld,
  jobWorld,
  jobWorldOf,
  minuteMs,
} from "./job-wire.js";

const things = ["node-1", "node-2", "node-3"] as const;
const jobIds = ["a", "b", "c"] as const;
const thing = fc.constantFrom(...things);
const jobId = fc.constantFrom(...jobIds);
const force = fc.boolean();
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const action = fc.oneof(
  fc.record({
    kind: fc.constant("create" as const),
    jobId,
    group: fc.boolean(),
    continuous: fc.boolean(),
    retries: fc.integer({ min: 0, max: 2 }),
    timeout: maybe(fc.integer({ min: 1, max: 5 })),
    rate: maybe(fc.integer({ min: 1, max: 2 })),
    threshold: maybe(fc.integer({ min: 20, max: 100 })),
  }),
  fc.record({
    kind: fc.constant("update" as const),
    thing,
    jobId,
    status: fc.constantFrom("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"),
    expectedVersion: maybe(fc.integer({ min: 1, max: 4 })),
    stepTimeoutInMinutes: maybe(fc.constantFrom(-1, 1, 3)),
  }),
  fc.record({ kind: fc.constant("startNext" as const), thing }),
  fc.record({ kind: fc.constant("cancel" as const), jobId, force }),
  fc.record({ kind: fc.constant("cancelExecution" as const), thing, jobId, force }),
  fc.record({ kind: fc.constant("deleteExecution" as const), thing, jobId, force }),
  fc.record({ kind: fc.constant("delete" as const), jobId, force }),
  fc.record({ kind: fc.constant("member" as const), thing, joins: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 200 }) }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** What the device was last told is next, and how long its list is. */
interface Told {
  next: string | undefined;
  waiting: string[];
}

function apply(world: JobWorld, devices: Map<string, Device>, step: Action): void {
  const { jobs } = world.cloud;
  switch (step.kind) {
    case "create": {
      const { retries, timeout, rate, threshold } = step;
      const criteria = { failureType: "ALL", action: "CANCEL" } as const;
      jobs.create({
        jobId: step.jobId,
        targets: step.group ? [`${arn}thinggroup/all`] : things.map(each => `${arn}thing/${each}`),
        document,
        targetSelection: step.continuous ? "CONTINUOUS" : "SNAPSHOT",
        jobExecutionsRetryConfig: {
          criteriaList: [{ failureType: "ALL", numberOfRetries: retries }],
        },
        ...(timeout === undefined
          ? {}
          : { timeoutConfig: { inProgressTimeoutInMinutes: timeout } }),
        ...(rate === undefined ? {} : { jobExecutionsRolloutConfig: { maximumPerMinute: rate } }),
        ...(threshold === undefined
          ? {}
          : {
              abortConfig: {
                criteriaList: [
                  { ...criteria, thresholdPercentage: threshold, minNumberOfExecutedThings: 2 },
                ],
              },
            }),
      });
      return;
    }
    case "update": {
      const { kind, thing: name, jobId: id, ...body } = step;
      devices.get(name)?.ask(`${id}/update`, body);
      return;
    }
    case "startNext":
      devices.get(step.thing)?.ask("start-next");
      return;
    case "cancel":
      jobs.cancel(step.jobId, step);
      return;
    case "cancelExecution":
      return jobs.cancelExecution(step.thing, step.jobId, step);
    case "deleteExecution":
      return jobs.deleteExecution(step.thing, step.jobId, 1, step);
    case "delete":
      return jobs.delete(step.jobId, step);
    case "member":
      return step.joins
        ? jobs.groups.add("all", step.thing)
        : jobs.groups.remove("all", step.thing);
    case "wait":
      return world.pass(step.seconds * 1000);
  }
}

const isOver = (status: string): boolean => status !== "QUEUED" && status !== "IN_PROGRESS";

test("whatever happens: versions rise, what is over stays, notices tell the list and its head", async t => {
  const steps = fc.array(action, { minLength: 1, maxLength: 40 });
  const property = fc.asyncProperty(steps, async given => {
    const inner = await openCloud({ jobLimits: { requestsPerSecond: 100_000 } });
    const world = jobWorldOf(inner);
    const { jobs } = world.cloud;
    jobs.groups.create("all", { attributes: {} });
    const devices = new Map(things.map(name => [name as string, world.device(name)]));
    const told = new Map(
      things.map((name): [string, Told] => [name, { next: undefined, waiting: [] }]),
    );
    const seen = new Map<string, { version: number; status: string }>();
    for (const step of given) {
      try {
        apply(world, devices, step);
      } catch (error) {
        if (!(error instanceof JobFault)) throw error;
      }
      for (const name of things) {
        const known = told.get(name)!;
        for (const { topic, body } of devices.get(name)!.heard()) {
          if (topic === "notify") {
            const lists = Object.values(body.jobs as Record<string, Summary[]>).flat();
            known.waiting = lists.map(keyOf).sort();
          } else {
            const next = body.execution as Summary | undefined;
            known.next = next && keyOf(next);
          }
        }
        const pending = world.pending(name);
        if (known.next !== pending[0])
          throw new Error(`${name}: head ${pending[0]}, told ${known.next}`);
        if (`${known.waiting}` !== `${[...pending].sort()}`)
          throw new Error(`${name}: list not told`);
      }
      for (const id of jobIds) checkJob(world, id, seen);
    }
    await world.cloud.close();
  });
  await fc.assert(property, { numRuns: 60, seed: 20_260_101 });
  t.pass();
});

interface Summary {
  readonly jobId: string;
  readonly executionNumber: number;
}
const keyOf = ({ jobId: id, executionNumber }: Summary): string => `${id} ${executionNumber}`;

function checkJob(
  { cloud }: JobWorld,
  id: string,
  seen: Map<string, { version: number; status: string }>,
): void {
  const job = cloud.jobs.describe(id);
  const executions = cloud.jobs.executions(id);
  if (job === undefined) {
    for (const key of seen.keys()) if (key.startsWith(`${id}/`)) seen.delete(key);
    return;
  }
  const latest = new Map<string, string>();
  for (const { thing: name, number, status, version, queuedAt } of executions) {
    const key = `${id}/${job.createdAt}/${name}/${number}/${queuedAt}`;
    const before = seen.get(key);
    if (before !== undefined) {
      if (version < before.version) throw new Error(`${key}: version fell`);
      const isSame = version === before.version && status === before.status;
      if (isOver(before.status) && !isSame) throw new Error(`${key}: ${before.status} changed`);
      if (version === before.version && !isSame) throw new Error(`${key}: changed unnoticed`);
    }
    seen.set(key, { version, status });
    const previous = latest.get(name);
    if (previous !== undefined && !isOver(previous)) throw new Error(`${key}: two at once`);
    latest.set(name, status);
  }
  const active = [...latest.values()].filter(status => !isOver(status)).length;
  if (job.counts.QUEUED + job.counts.IN_PROGRESS !== active) throw new Error(`${id}: counts`);
  const isOpen = active > 0 || job.waiting.length > 0;
  if (job.status === "COMPLETED" && isOpen) throw new Error(`${id}: completed too early`);
  if (job.status === "CANCELED" && (job.counts.QUEUED > 0 || job.waiting.length > 0)) {
    throw new Error(`${id}: canceled, and somebody waits`);
  }
  if (job.status === "IN_PROGRESS" && job.targetSelection === "SNAPSHOT" && !isOpen) {
    throw new Error(`${id}: never completed`);
  }
}

test("no bytes on any topic of jobs bring the cloud down, and each is answered", async t => {
  const world = await jobWorld(t, { jobLimits: { requestsPerSecond: 100_000 } });
  const { ask } = world.device();
  world.job("a", ["node-1"]);
  const operation = fc.constantFrom("get", "start-next", "a/get", "a/update", "$next/get", "x/y");
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.json(),
    fc
      .record(
        {
          status: fc.jsonValue(),
          statusDetails: fc.jsonValue(),
          expectedVersion: fc.jsonValue(),
          executionNumber: fc.jsonValue(),
          stepTimeoutInMinutes: fc.jsonValue(),
          clientToken: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map(value => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(operation, payload, (name, body) => {
      const { outcome, body: answer } = ask(name, body);
      if (outcome === "rejected" && answer.code === "InternalError") throw new Error(String(body));
    }),
    { numRuns: 500, seed: 20_260_101 },
  );
  t.false(world.device("node-2").client.closed);
});

test("a cloud that is started again goes on: timers, rollouts, schedules, groups", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-jobs-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const time = new VirtualTime();
  const options = { directory, allow: [], clock: time, timer: time };
  const first = await Cloud.open(options);
  for (const name of things) first.createThing(name);
  first.jobs.groups.create("all", { attributes: {} });
  const targets = things.map(name => `${arn}thing/${name}`);
  first.jobs.create({
    jobId: "slow",
    targets,
    document,
    jobExecutionsRolloutConfig: { maximumPerMinute: 1 },
    timeoutConfig: { inProgressTimeoutInMinutes: 3 },
  });
  first.jobs.create({
    jobId: "later",
    targets,
    document,
    schedulingConfig: { startTime: "2026-01-01 01:00" },
  });
  const continuous = { targetSelection: "CONTINUOUS" } as const;
  first.jobs.create({ jobId: "group", targets: [`${arn}thinggroup/all`], document, ...continuous });
  first.jobs.enableEvents("JOB", true);
  first.jobs.request(data => data.startNext("node-1", { statusDetails: { a: "b" } }, "object"));
  await first.close();
  time.advance(2 * minuteMs);
  const again = await Cloud.open(options);
  t.teardown(() => again.close());
  const { jobs } = again;
  const statuses = (id: string) => jobs.executions(id).map(({ status }) => status);
  t.deepEqual(statuses("slow"), ["IN_PROGRESS", "QUEUED"]);
  t.like(jobs.execution("node-1", "slow"), { version: 2, statusDetails: { a: "b" } });
  t.true(jobs.isEventEnabled("JOB"));
  time.advance(minuteMs);
  t.deepEqual(statuses("slow"), ["TIMED_OUT", "QUEUED", "QUEUED"]);
  t.is(jobs.describe("later")?.status, "SCHEDULED");
  time.advance(60 * minuteMs);
  t.deepEqual(statuses("later"), ["QUEUED", "QUEUED", "QUEUED"]);
  jobs.groups.add("all", "node-3");
  t.deepEqual(
    jobs.pending("node-3").map(({ jobId: id }) => id),
    ["slow", "later", "group"],
  );
});

test("finished jobs make room, jobs that go on do not", async t => {
  const world = await jobWorld(t, { jobLimits: { jobs: 3 } });
  const { ask } = world.device();
  for (const id of ["a", "b", "c"]) world.job(id, ["node-1"]);
  t.like(
    t.throws(() => world.job("d", ["node-1"])),
    { code: "LimitExceeded" },
  );
  for (const id of ["b", "a"]) {
    ask(`${id}/update`, { status: "SUCCEEDED" });
    world.time.advance(1);
  }
  world.job("d", ["node-1"]);
  t.deepEqual(
    world.cloud.jobs.list().map(({ jobId: id }) => id),
    ["a", "c", "d"],
  );
  ask("d/update", { status: "SUCCEEDED" });
  world.time.advance(730 * 24 * 60 * minuteMs);
  world.job("e", ["node-1"]);
  t.deepEqual(
    world.cloud.jobs.list().map(({ jobId: id }) => id),
    ["c", "e"],
  );
});

test("of a thing that comes and goes only so many executions are kept", async t => {
  const world = await jobWorld(t, { jobLimits: { executionsKept: 3 } });
  world.device();
  const { jobs } = world.cloud;
  jobs.groups.create("all", { attributes: {} });
  const targets = [`${arn}thinggroup/all`];
  jobs.create({ jobId: "a", targets, document, targetSelection: "CONTINUOUS" });
  for (let turn = 0; turn < 10; turn++) {
    jobs.groups.add("all", "node-1");
    jobs.groups.remove("all", "node-1");
  }
  t.deepEqual(
    jobs.executions("a").map(({ number }) => number),
    [8, 9, 10],
  );
});
