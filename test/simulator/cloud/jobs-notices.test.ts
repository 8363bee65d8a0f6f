// Who is told when a list of jobs changes, over MQTT: chapter 4.3 of the notes on AWS's protocol.

import test from "ava";
import { document, jobWorld, type Said } from "./job-wire.js";

const topicsOf = (said: readonly Said[]): string[] => said.map(({ topic }) => topic);
const both = ["notify", "notify-next"];

test("4.3 queued into an empty list: notify and notify-next", async t => {
  const world = await jobWorld(t);
  const { heard } = world.device();
  world.job("first", ["node-1"]);
  const { now: timestamp } = world;
  const summary = {
    jobId: "first",
    queuedAt: timestamp,
    lastUpdatedAt: timestamp,
    versionNumber: 1,
    executionNumber: 1,
  };
  const execution = { ...summary, status: "QUEUED", jobDocument: JSON.parse(document) };
  t.deepEqual(heard(), [
    { topic: "notify", body: { timestamp, jobs: { QUEUED: [summary] } } },
    { topic: "notify-next", body: { timestamp, execution } },
  ]);
});

test("4.3 queued behind others: notify only", async t => {
  const world = await jobWorld(t);
  const { heard } = world.device();
  world.job("first", ["node-1"]);
  heard();
  world.job("second", ["node-1"]);
  t.like(heard(), [{ topic: "notify" }]);
});

test("4.3 the head goes IN_PROGRESS: nothing", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  world.job("first", ["node-1"]);
  heard();
  t.is(ask("start-next").outcome, "accepted");
  t.deepEqual(heard(), []);
});

test("4.3 another goes IN_PROGRESS and so becomes the head: notify-next only", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  world.job("first", ["node-1"]);
  world.job("second", ["node-1"]);
  heard();
  ask("second/update", { status: "IN_PROGRESS" });
  const [next, ...more] = heard();
  t.like(next, { topic: "notify-next", body: { execution: { jobId: "second" } } });
  t.deepEqual(more, []);
});

test("4.3 the head ends: notify, and notify-next with the next one", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  world.job("first", ["node-1"]);
  world.job("second", ["node-1"]);
  heard();
  ask("first/update", { status: "SUCCEEDED" });
  const [list, next] = heard();
  t.like(list, { topic: "notify", body: { jobs: { QUEUED: [{ jobId: "second" }] } } });
  t.like(next, { topic: "notify-next", body: { execution: { jobId: "second" } } });
});

test("4.3 the last one ends: an empty list, and no execution", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  world.job("first", ["node-1"]);
  heard();
  ask("first/update", { status: "SUCCEEDED" });
  const timestamp = world.now;
  t.deepEqual(heard(), [
    { topic: "notify", body: { timestamp, jobs: {} } },
    { topic: "notify-next", body: { timestamp } },
  ]);
});

test("4.3 another than the head ends or is removed: notify only", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  for (const jobId of ["first", "second", "third"]) world.job(jobId, ["node-1"]);
  heard();
  ask("second/update", { status: "REJECTED" });
  t.deepEqual(topicsOf(heard()), ["notify"]);
  world.cloud.jobs.delete("third", { force: true });
  t.deepEqual(topicsOf(heard()), ["notify"]);
  world.cloud.jobs.delete("first", { force: true });
  t.deepEqual(topicsOf(heard()), both);
});

test("4.3 only details of the head change: nothing", async t => {
  const world = await jobWorld(t);
  const { heard, ask } = world.device();
  world.job("first", ["node-1"]);
  ask("start-next");
  heard();
  ask("first/update", { status: "IN_PROGRESS", statusDetails: { step: "2" } });
  t.deepEqual(heard(), []);
});

test("4.3 what is IN_PROGRESS comes first, then the queue by age", async t => {
  const world = await jobWorld(t);
  const { ask } = world.device();
  for (const jobId of ["first", "second", "third"]) world.job(jobId, ["node-1"]);
  ask("third/update", { status: "IN_PROGRESS" });
  t.deepEqual(world.pending("node-1"), ["third 1", "first 1", "second 1"]);
  const { body } = ask("get");
  t.like(body, {
    inProgressJobs: [{ jobId: "third" }],
    queuedJobs: [{ jobId: "first" }, { jobId: "second" }],
  });
});

test("4.2 notify tells of ten executions at most", async t => {
  const world = await jobWorld(t);
  const { heard } = world.device();
  for (let index = 0; index < 12; index++) world.job(`job-${index}`, ["node-1"]);
  const { jobs } = heard().at(-1)!.body as { jobs: { QUEUED: unknown[] } };
  t.is(jobs.QUEUED.length, 10);
});

test("0 answers need no subscription, notices do, and nobody else sees answers", async t => {
  const world = await jobWorld(t);
  const device = world.device();
  const stranger = world.device("node-2").client;
  stranger.subscribeAt(0, "$aws/things/node-1/jobs/#");
  const before = stranger.messages().length;
  t.is(device.ask("get").outcome, "accepted");
  t.is(stranger.messages().length, before);
  device.client.send({
    cmd: "unsubscribe",
    messageId: 99,
    unsubscriptions: ["$aws/things/node-1/jobs/notify", "$aws/things/node-1/jobs/notify-next"],
  });
  world.job("first", ["node-1"]);
  t.deepEqual(device.heard(), []);
  t.is(stranger.messages().length, before + 2);
});
