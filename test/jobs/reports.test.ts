// What a running job says and hears: reports, fresh documents, the link, maintenance windows, sleep.
import test from "ava";
import type { Job } from "../../src/index.js";
import { Machine } from "./world.js";

const work = { operation: "work" };

test("reports: one on its way, the newest of those that wait, two seconds apart; each is told of when it was accepted", async t => {
  const reported: number[] = [];
  let job: Job | undefined;
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", held => {
        job = held;
      }),
  });
  const { service, world } = machine;
  service.create("a", work);
  await world.run(5000);
  for (let i = 0; i < 100; i++) {
    job!.report({ n: `${i}` }, () => reported.push(i));
    await world.run(100);
  }
  await world.run(5000);
  const updates = service.updates("a").slice(1);
  t.true(updates.length >= 5 && updates.length <= 7, `${updates.length}`);
  t.deepEqual(service.of("a").statusDetails, { n: "99" });
  t.is(reported.at(-1), 99);
  t.is(reported.length, updates.length);
  t.deepEqual(
    updates.map(({ body }) => Number(body.statusDetails!["n"])),
    reported,
  );
});

test("a report that was on its way when the link was lost is made again", async t => {
  let job: Job | undefined;
  const reported: string[] = [];
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", held => {
        job = held;
      }),
  });
  const { service, world } = machine;
  service.create("a", work);
  await world.run(5000);
  service.isDeaf = true;
  job!.report({ n: "1" }, () => reported.push("1"));
  await world.run(100);
  service.isDeaf = false;
  service.cutLink();
  await world.run(60_000);
  t.deepEqual(reported, ["1"]);
  t.deepEqual(service.of("a").statusDetails, { n: "1" });
});

test("the outcome follows a report that is on its way; one that waits is not made any more", async t => {
  const reported: string[] = [];
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", job => {
        job.report({ n: "1" }, () => reported.push("1"));
        job.report({ n: "2" }, () => reported.push("2"));
        job.succeed({ n: "3" });
      }),
  });
  const { service, world } = machine;
  service.delayMs = 50;
  service.create("a", work);
  await world.run(10_000);
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"]);
  t.deepEqual(service.of("a").statusDetails, { n: "3" });
  t.deepEqual(reported, []);
});

test("a handler that restarts the machine once the service has taken its word", async t => {
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", job => {
        if (job.isRestarted) job.succeed({ was: job.statusDetails.get("self_test") ?? "" });
        else job.report({ self_test: "ready" }, () => job.restart());
      }),
  });
  const { service, world } = machine;
  service.create("a", work);
  await world.run(60_000);
  t.is(machine.restarts, 1);
  t.deepEqual(service.of("a").statusDetails, { was: "ready" });
});

test("a fresh document on request, and what the link does", async t => {
  const log: string[] = [];
  let job: Job | undefined;
  const urlOf = (held: Job) => held.read({ url: "string" }).url ?? "";
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", {
        run: held => {
          job = held;
          log.push(`run ${urlOf(held)}`);
        },
        onDocument: held => void log.push(`document ${urlOf(held)}`),
        online: () => void log.push("online"),
        offline: () => void log.push("offline"),
      }),
  });
  const { service, world } = machine;
  const execution = service.create("a", { ...work, url: "1" });
  await world.run(5000);
  execution.document = { ...work, url: "2" };
  job!.refresh();
  await world.run(5000);
  service.cutLink();
  execution.document = { ...work, url: "3" };
  job!.refresh();
  await world.run(60_000);
  t.deepEqual(log, ["run 1", "document 2", "offline", "online", "document 3"]);
  t.is(urlOf(job!), "3");
});

test("what a handler throws while it is told something ends its job", async t => {
  for (const what of ["onDocument", "online", "offline", "onMessage"] as const) {
    let job: Job | undefined;
    const machine = new Machine({
      program: agent =>
        agent.jobs.on("work", {
          run: held => {
            job = held;
          },
          [what]: () => {
            throw new Error(`no ${what}`);
          },
        }),
    });
    const { service, world } = machine;
    service.create("a", work);
    await world.run(5000);
    job!.refresh();
    service.publish("$aws/things/node-1/streams/s/data/json", {});
    await world.run(5000);
    service.cutLink();
    await world.run(60_000);
    t.is(service.reason("a"), `no ${what}`);
  }
});

test("a product that stops the agent in the middle, and starts it again", async t => {
  for (const state of ["queued", "started", "progress", "ended"]) {
    let isFirst = true;
    const machine = new Machine({
      program: agent =>
        agent.jobs.on("work", job => {
          job.report({ n: "1" }, () => job.succeed());
        }),
      options: {},
    });
    const { service, world } = machine;
    const { onStatus } = world;
    Object.assign(world, {
      onStatus: (status: Parameters<typeof onStatus>[0]) => {
        onStatus(status);
        if (status.type !== "job" || status.state !== state || !isFirst) return;
        isFirst = false;
        machine.agent.stop();
        machine.clock.set(() => machine.agent.start(), 30_000);
      },
    });
    machine.crash();
    service.create("a", work);
    await world.run(120_000);
    t.false(isFirst, state);
    t.is(service.status("a"), "SUCCEEDED", state);
    t.deepEqual(
      world.faults.filter(fault => fault.startsWith("agent/")),
      [],
    );
  }
});

test("denied topics: without notify-next no jobs are asked for, and the device goes on", async t => {
  const machine = new Machine({ program: agent => agent.jobs.on("work", job => job.succeed()) });
  const { service, world } = machine;
  service.grants = () => false;
  service.create("a", work);
  await world.run(600_000);
  t.deepEqual(service.requests, []);
  t.deepEqual(world.seen("offline"), []);
});

test("a session that the broker has kept: what was held back is only a hint", async t => {
  const runs: string[] = [];
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("work", job => {
        runs.push(job.id);
        job.succeed();
      }),
  });
  const { service, world } = machine;
  service.keepsSession = true;
  await world.run(5000);
  world.unplug();
  await world.run(60_000);
  service.create("a", work);
  service.cancel("a");
  service.create("b", work);
  world.plug();
  await world.run(120_000);
  t.deepEqual(runs, ["b"]);
});
