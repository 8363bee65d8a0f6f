// A job that others have a hand in: cancelled, timed out, overtaken.
import test from "ava";
import type { Job } from "../../src/index.js";
import { device, first, isStatus, isWell, work } from "./device.js";

test("a cancelled job stops at once, and the next one begins", async t => {
  const cancelled: string[] = [];
  const all = device({
    run: job => {
      if (job.id === "b") job.succeed();
    },
    cancel: job => void cancelled.push(job.id),
  });
  const { world, service } = all;
  service.create("a", work);
  service.create("b", work);
  await world.run(5000);
  t.is(service.status("a"), "IN_PROGRESS");
  t.false(service.cancel("a"));
  t.true(service.cancel("a", true));
  await world.run(5000);
  t.deepEqual(cancelled, ["a"]);
  t.is(service.status("b"), "SUCCEEDED");
  t.deepEqual(world.story.slice(2, 4), ["ended a CANCELED", "queued b work"]);
  isWell(t, all);
});

test("cancelled while the machine restarts: the handler is told, with what it kept", async t => {
  const cancelled: (string | undefined)[] = [];
  const all = device({
    run: job => {
      job.keep(Buffer.from("half"));
      job.restart();
    },
    cancel: job => void cancelled.push(`${job.id} ${job.operation} ${Buffer.from(job.kept!)}`),
  });
  const { world, service, machine } = all;
  service.create("a", work);
  await world.clock.runUntil(() => machine.restarts === 1, 60_000);
  service.cancel("a", true);
  await world.run(60_000);
  t.deepEqual(cancelled, ["a work half"]);
  t.is(world.story.at(-1), "ended a CANCELED");
  t.is(machine.restarts, 1);
});

test("cancelled before the service has heard that it is started: told, and its handler is not", async t => {
  const all = device({ run: () => t.fail(), cancel: () => t.fail() });
  const { world, service } = all;
  const execution = service.create("a", work);
  first(all, isStatus("IN_PROGRESS"), request => {
    execution.status = "CANCELED";
    return service.respond(request);
  });
  await world.run(60_000);
  t.is(world.story.at(-1), "ended a CANCELED");
  isWell(t, all);
});

test("J03: two queued, the first is cancelled before the device has seen it", async t => {
  const all = device(job => job.succeed());
  const { world, service } = all;
  service.create("a", work);
  service.create("b", work);
  t.true(service.cancel("a"));
  await world.run(5000);
  t.deepEqual(service.updates("a"), []);
  t.is(service.status("b"), "SUCCEEDED");
});

test("cancelled while nothing is heard: found out by the next report, and by the outcome", async t => {
  for (const word of ["report", "succeed"] as const) {
    const cancelled: string[] = [];
    let job: Job | undefined;
    const all = device({
      run: held => {
        if (held.id === "b") held.succeed();
        else job = held;
      },
      cancel: ({ id }) => void cancelled.push(id),
    });
    const { world, service } = all;
    service.create("a", work);
    service.create("b", work);
    await world.run(5000);
    service.isSilent = true;
    service.cancel("a", true);
    await world.run(5000);
    t.deepEqual(cancelled, []);
    job![word]({ x: "1" });
    await world.run(5000);
    t.deepEqual(cancelled, word === "report" ? ["a"] : []);
    t.is(service.status("a"), "CANCELED");
    t.is(service.status("b"), "SUCCEEDED");
    isWell(t, all);
  }
});

test("a notification of another job does not end the one that runs, nor does one that is late", async t => {
  let job: Job | undefined;
  const all = device(held => {
    job = held;
  });
  const { world, service } = all;
  service.create("a", work);
  await world.run(5000);
  for (const jobId of ["b", "old"])
    service.say({
      suffix: "notify-next",
      body: {
        execution: {
          jobId,
          executionNumber: 1,
          status: "QUEUED",
          versionNumber: 1,
          jobDocument: {},
        },
      },
    });
  service.say({ suffix: "notify-next", body: {} });
  await world.run(5000);
  // Another one goes ahead of it.
  const b = service.create("b", work);
  Object.assign(b, { status: "IN_PROGRESS", queuedAt: -1 });
  service.say({ suffix: "notify-next", body: {} });
  await world.run(5000);
  t.is(service.gets.at(-1)?.jobId, "a");
  job!.succeed();
  await world.run(1000);
  t.is(service.status("a"), "SUCCEEDED");
  isWell(t, all);
});

test("timed out, by the time the service says it has left: stopped", async t => {
  const cancelled: string[] = [];
  let left: number | undefined;
  const all = device({
    run: job => {
      left = job.secondsLeft;
    },
    cancel: ({ id }) => void cancelled.push(id),
  });
  const { machine, world, service } = all;
  service.create("a", work, 10);
  await world.run(5000);
  machine.crash();
  await world.run(5000);
  t.true(left! > 500 && left! <= 600, `${left}`);
  await world.run(600_000);
  t.is(service.status("a"), "TIMED_OUT");
  t.deepEqual(cancelled, ["a"]);
});

test("the step timer is sent, renewed in half its time while the device is online, and by each report", async t => {
  const all = device(() => undefined, {
    program: agent => {
      agent.jobs.on("work", () => undefined);
      agent.jobs.stepMinutes = 10;
    },
  });
  const { world, service } = all;
  service.create("a", work);
  await world.run(3_600_000);
  t.is(service.status("a"), "IN_PROGRESS");
  const updates = service.updates("a");
  t.true(updates.length >= 11 && updates.length <= 13, `${updates.length}`);
  t.true(updates.every(({ body }) => body.stepTimeoutInMinutes === 10));
  t.true(updates.slice(1).every(({ body }) => body.statusDetails === undefined));
  world.unplug();
  await world.run(700_000);
  t.is(service.status("a"), "TIMED_OUT");
  world.plug();
  await world.run(120_000);
  t.is(world.story.at(-1), "ended a CANCELED");
});

test("without step timer none is sent; what cannot be one is refused", async t => {
  const all = device(() => undefined, {
    program: agent => {
      agent.jobs.on("work", () => undefined);
      agent.jobs.stepMinutes = 0;
      for (const minutes of [-1, 10_081, 0.5, Number.NaN])
        t.throws(
          () => {
            agent.jobs.stepMinutes = minutes;
          },
          { code: "agent/options" },
        );
    },
  });
  all.service.create("a", work);
  await all.world.run(86_400_000);
  t.is(all.service.updates("a").length, 1);
  t.is(all.service.updates("a")[0]!.body.stepTimeoutInMinutes, undefined);
});
