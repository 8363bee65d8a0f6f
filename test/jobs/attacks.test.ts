// Jobs that are out to keep the device from its other ones: of a product, an operator or a service that is broken or means ill.
import test from "ava";
import type { Job, JobHandler } from "../../src/index.js";
import { Machine, type MachineOptions } from "./world.js";

/** A device with one handler, for the operation `work`. */
function device(work: JobHandler | ((job: Job) => unknown), options: Partial<MachineOptions> = {}) {
  const machine = new Machine({ program: agent => agent.jobs.on("work", work), ...options });
  return { machine, world: machine.world, service: machine.service };
}

const work = { operation: "work" };

test("a handler that throws when it hears what comes next keeps nothing from running", async t => {
  const { world, service } = device({
    run: job => job.succeed(),
    onNext: () => {
      throw new Error("not now");
    },
  });
  service.create("a", work);
  await world.run(30_000);
  t.is(service.status("a"), "SUCCEEDED");
  t.deepEqual(world.seen("offline"), []);
});

for (const [title, code] of [
  ["does not know", "ResourceNotFound"],
  ["says is over", "TerminalStateReached"],
  ["says cannot begin", "InvalidStateTransition"],
] as const)
  test(`an execution that the service names and then ${title} is not asked for in a circle`, async t => {
    const runs: string[] = [];
    const { machine, world, service } = device(job => void runs.push(job.id));
    service.delayMs = 50;
    service.create("a", work);
    service.answer = request =>
      request.operation === "update"
        ? [service.rejected(`${request.jobId}/update`, code, request.body.clientToken)]
        : undefined;
    await world.run(600_000);
    t.true(service.requests.length < 60);
    // Each begin and each end is a write.
    t.true(machine.power.names.length < 60);
    t.deepEqual(runs, []);
  });

test("an execution that is over as soon as it has begun is not begun in a circle", async t => {
  const runs: string[] = [];
  const { world, service } = device(job => {
    runs.push(job.id);
    job.report({ at: "work" });
  });
  service.delayMs = 50;
  service.create("a", work);
  service.answer = request =>
    request.body.statusDetails
      ? [service.rejected(`${request.jobId}/update`, "ResourceNotFound", request.body.clientToken)]
      : undefined;
  await world.run(600_000);
  t.true(service.requests.length < 60);
  t.true(runs.length < 30);
});

test("a document that is asked for anew and does not come ends the job, and the next one runs", async t => {
  const { world, service } = device({
    run: job => (job.id === "a" ? job.refresh() : job.succeed()),
    onDocument: job => job.succeed(),
  });
  service.create("a", work);
  service.create("b", work);
  let gets = 0;
  service.answer = request => {
    if (request.operation !== "get") return undefined;
    const [said] = service.respond(request);
    const { execution } = said!.body as { execution?: { jobId: string; jobDocument?: unknown } };
    if (execution?.jobId === "a" && gets++ > 0) delete execution.jobDocument;
    return [said!];
  };
  await world.run(60_000);
  t.is(service.status("a"), "FAILED");
  t.is(service.status("b"), "SUCCEEDED");
});

test("a step prepares its restart", async t => {
  const prepared: number[] = [];
  const { world, service, machine } = device({
    run: job => {
      if (job.isRestarted) job.succeed();
      else job.restart(() => prepared.push(machine.boots));
    },
  });
  const step = (name: string) => ({ action: { name, type: "runHandler", input: {} } });
  service.create("a", { version: "1.0", steps: [step("work"), step("work")] });
  await world.run(60_000);
  t.is(service.status("a"), "SUCCEEDED");
  t.deepEqual(prepared, [1, 2]);
});

test("a step that cannot prepare its restart fails alone", async t => {
  const { world, service } = device({
    run: job =>
      job.restart(() => {
        throw new Error("valve is open");
      }),
  });
  const step = (name: string) => ({ action: { name, type: "runHandler", input: {} } });
  service.create("a", { version: "1.0", steps: [step("work"), step("work")] });
  await world.run(60_000);
  t.is(service.status("a"), "FAILED");
  t.is(service.reason("a"), "work: valve is open");
});

test("a job of the name of one that was deleted is another one: its own outcome is told, and what runs is left", async t => {
  const runs: string[] = [];
  const cancelled: unknown[] = [];
  const { world, service } = device({
    run: job => {
      const { n } = job.read({ n: "integer" });
      runs.push(`${n} ${job.attempt}`);
      if (n === 2) job.keep(Uint8Array.of(2));
      else job.succeed({ n: `${n}`, kept: `${job.kept?.length}` });
    },
    cancel: job => cancelled.push(job.kept?.[0]),
  });
  for (const n of [1, 2, 3]) {
    service.executions.length = 0;
    service.create("a", { operation: "work", n });
    await world.run(30_000);
  }
  t.deepEqual(runs, ["1 1", "2 1", "3 1"]);
  t.deepEqual(cancelled, [2]);
  t.deepEqual(service.of("a").statusDetails, { n: "3", kept: "undefined" });
});

test("a handler whose job ends for reasons that are not its own is told to stop", async t => {
  const cancelled: string[] = [];
  const prepared: number[] = [];
  const { machine, world, service } = device({
    run: job => {
      if (job.id === "b") job.succeed();
      else job.restart(() => void prepared.push(machine.boots));
    },
    cancel: job => void cancelled.push(job.id),
  });
  service.create("a", work);
  service.create("b", work);
  await world.run(120_000);
  t.is(service.reason("a"), "restarted 5 times, and came to no end");
  t.deepEqual(prepared, [1, 2, 3, 4, 5]);
  t.deepEqual(cancelled, ["a"]);
  t.is(service.status("b"), "SUCCEEDED");
});

test("who waits for a report that the service will never take goes on", async t => {
  const { world, service } = device(job => job.report({ at: "work" }, () => job.succeed()));
  service.answer = ({ jobId, body }) =>
    body.statusDetails
      ? [service.rejected(`${jobId}/update`, "InvalidRequest", body.clientToken)]
      : undefined;
  service.create("a", work);
  await world.run(30_000);
  t.is(service.status("a"), "SUCCEEDED");
});

test("a queue that is empty although a job was announced is looked at once more", async t => {
  const { world, service } = device(job => job.succeed());
  await world.run(5000);
  let stale = 1;
  service.answer = ({ jobId, body: { clientToken } }) =>
    jobId === "$next" && stale-- > 0
      ? [{ suffix: "$next/get/accepted", body: { clientToken } }]
      : undefined;
  service.create("a", work);
  await world.run(10_000);
  t.is(service.status("a"), "SUCCEEDED");
  const { length } = service.requests;
  const execution = { jobId: "yesterday", executionNumber: 1 };
  service.say({ suffix: "notify-next", body: { execution } });
  await world.run(600_000);
  t.is(service.requests.length, length + 2);
});

test("a document that is another one when the job begins is judged like the first", async t => {
  const runs: unknown[] = [];
  const { world, service } = device({
    check: job => (job.read({ n: "integer" }).n === 1 ? undefined : "n is not 1"),
    run: job => {
      runs.push(job.read({ n: "integer" }).n);
      job.succeed();
    },
  });
  const begun = new Set<string>();
  service.answer = ({ jobId, body }) => {
    if (body.status !== "IN_PROGRESS" || begun.has(jobId)) return undefined;
    // The first of each job is lost with the link; the second job has another document afterwards.
    begun.add(jobId);
    if (jobId === "b") service.of("b").document = { operation: "work", n: 2 };
    service.cutLink();
    return [];
  };
  service.create("a", { operation: "work", n: 1 });
  service.create("b", { operation: "work", n: 1 });
  await world.run(60_000);
  t.is(service.status("a"), "SUCCEEDED");
  t.is(service.status("b"), "FAILED");
  t.is(service.reason("b"), "n is not 1");
  t.deepEqual(runs, [1]);
});

test("the step that was begun is told that its job is over, after a restart as well", async t => {
  const cancelled: unknown[] = [];
  const { machine, world, service } = device({
    run: job => {
      if (job.read({ input: { n: "integer" } }).input?.n === 1) job.succeed();
      else job.keep(Uint8Array.of(7));
    },
    cancel: job => cancelled.push([...job.kept!]),
  });
  const step = (n: number) => ({ action: { name: "work", type: "runHandler", input: { n } } });
  service.create("a", { version: "1.0", steps: [step(1), step(2)] });
  await world.run(10_000);
  machine.off();
  service.cancel("a", true);
  machine.boot();
  await world.run(10_000);
  t.deepEqual(cancelled, [[7]]);
});
