// Jobs as the device has to run them, against the service of the reference (section 4).
import test from "ava";
import type { Agent, Job, JobHandler } from "../../src/index.js";
import { Machine, type MachineOptions } from "./world.js";

const nothing = () => undefined;

/** A device with one handler, for the operation `work`. */
function device(work: JobHandler | ((job: Job) => unknown), options: Partial<MachineOptions> = {}) {
  const machine = new Machine({ program: agent => agent.jobs.on("work", work), ...options });
  return { machine, world: machine.world, service: machine.service };
}

const work = (more: object = {}) => ({ operation: "work", ...more });

test("J01: found when the device connects, told IN_PROGRESS, run and told SUCCEEDED with details", async t => {
  const { machine, world, service } = device(job => job.succeed({ blinks: "3" }));
  service.create("a", work());
  await world.run(5000);
  t.is(service.status("a"), "SUCCEEDED");
  t.deepEqual(service.of("a").statusDetails, { blinks: "3" });
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  t.deepEqual(world.story, ["queued a work", "started a 1", "ended a SUCCEEDED"]);
  t.deepEqual(world.faults, []);
  // What is begun, its outcome, and that it was told.
  t.is(machine.power.names.filter(name => name.startsWith("write job")).length, 3);
});

test("only notify-next is subscribed, and nothing without jobs", async t => {
  const { world, service } = device(nothing);
  await world.run(3000);
  t.deepEqual([...service.filters], ["$aws/things/node-1/jobs/notify-next"]);
  const none = new Machine({ program: nothing });
  await none.world.run(3000);
  t.deepEqual([...none.service.filters], []);
  t.deepEqual(none.service.requests, []);
});

test("jobs are asked for before start, and not after", t => {
  const machine = new Machine({ program: nothing });
  t.throws(() => machine.agent.jobs, { code: "agent/options" });
});

test("one that comes later is heard of by notify-next, and they run one at a time, in order", async t => {
  const running: string[] = [];
  const ends: (() => void)[] = [];
  const { world, service } = device(job => {
    running.push(job.id);
    ends.push(() => job.succeed());
  });
  await world.run(5000);
  service.create("a", work());
  service.create("b", work());
  await world.run(5000);
  t.deepEqual(running, ["a"]);
  t.is(service.status("b"), "QUEUED");
  ends[0]!();
  await world.run(5000);
  t.deepEqual(running, ["a", "b"]);
  ends[1]!();
  await world.run(5000);
  t.is(service.status("b"), "SUCCEEDED");
});

test("without notifications the queue is read on every connect", async t => {
  const { world, service } = device(job => job.succeed());
  service.isSilent = true;
  await world.run(5000);
  service.create("a", work());
  await world.run(60_000);
  t.is(service.status("a"), "QUEUED");
  service.cutLink();
  await world.run(60_000);
  t.is(service.status("a"), "SUCCEEDED");
});

test("the handler knows what the job is", async t => {
  let job: Job | undefined;
  const { world, service } = device(held => {
    job = held;
  });
  service.create("a", work({ n: 7 })).statusDetails = { before: "yes" };
  await world.run(5000);
  t.is(job!.id, "a");
  t.is(job!.operation, "work");
  t.is(job!.executionNumber, 1);
  t.is(job!.attempt, 1);
  t.false(job!.isRestarted);
  t.is(job!.kept, undefined);
  t.deepEqual([...job!.statusDetails], [["before", "yes"]]);
  t.is(job!.read({ n: "integer" }).n, 7);
  t.deepEqual(JSON.parse(Buffer.from(job!.document).toString()), work({ n: 7 }));
});

// -- how it ends --

const refused: readonly [title: string, document: unknown, reason: RegExp][] = [
  ["an operation nobody does", { operation: "fly" }, /not honoured on this device: fly/],
  ["no operation", { x: 1 }, /has no operation/],
  ["an operation that is no text", { operation: 5 }, /operation is not a string/],
  ["an operation without a name", { operation: "" }, /no usable name/],
  ["no object", [1, 2], /is not an object/],
  ["a text", '"{\\"operation\\":\\"work\\"}"', /is not an object/],
  ["null", null, /there is none/],
  ["firmware that is not handled", { afr_ota: {} }, /not honoured on this device: firmware/],
  ["an object of ours without operation", { skerry: {} }, /has no operation/],
];
for (const [title, document, reason] of refused)
  test(`J02: ${title}: REJECTED, with the reason, and nothing has begun`, async t => {
    const { world, service } = device(job => job.succeed());
    service.create("a", document);
    service.create("b", work());
    await world.run(10_000);
    t.is(service.status("a"), "REJECTED");
    t.regex(service.reason("a")!, reason);
    t.is(service.of("a").starts, 0);
    t.is(service.status("b"), "SUCCEEDED");
    t.deepEqual(world.faults, []);
  });

test("J02: what check says, and what it throws, is REJECTED before the start", async t => {
  let isThrown = false;
  const { world, service } = device({
    check: job => {
      if (isThrown) job.read({ n: "integer" });
      return isThrown ? undefined : "no blinker";
    },
    run: job => job.succeed(),
  });
  service.create("a", work());
  await world.run(5000);
  t.is(service.reason("a"), "no blinker");
  isThrown = true;
  service.create("b", work({ n: "x" }));
  await world.run(5000);
  t.is(service.status("b"), "REJECTED");
  t.regex(service.reason("b")!, /n is not a integer/);
});

test("J02: FAILED: said by the handler, thrown by it, a promise that rejects; SUCCEEDED: one that resolves", async t => {
  const works: { [id: string]: (job: Job) => unknown } = {
    said: job => job.fail("no water", { litres: "0" }),
    thrown: () => {
      throw new Error("out of order");
    },
    promised: () => Promise.reject(new Error("later no")),
    kept: () => Promise.resolve(),
    late: job => job.reject("not this one"),
  };
  const { world, service } = device(job => works[job.id]!(job));
  for (const id of Object.keys(works)) service.create(id, work());
  await world.run(20_000);
  t.deepEqual(service.of("said").statusDetails, { reason: "no water", litres: "0" });
  t.is(service.reason("thrown"), "out of order");
  t.is(service.reason("promised"), "later no");
  t.is(service.status("kept"), "SUCCEEDED");
  // 4.4: once in progress, REJECTED may be refused.
  t.is(service.status("late"), "FAILED");
  t.is(service.reason("late"), "not this one");
  for (const id of ["said", "thrown", "promised"]) t.is(service.status(id), "FAILED");
  t.deepEqual(world.seen("offline"), []);
});

test("the first word counts, and a job that is over is nobody's any more", async t => {
  const jobs: Job[] = [];
  const { world, service } = device(job => {
    jobs.push(job);
    if (job.id === "a") {
      job.succeed();
      job.fail("too late");
    }
  });
  service.create("a", work());
  service.create("b", work());
  await world.run(5000);
  const [a] = jobs;
  a!.fail("much too late");
  a!.restart();
  a!.keep(Uint8Array.of(1));
  a!.report({ x: "1" });
  a!.refresh();
  a!.progressed();
  await world.run(5000);
  t.is(service.status("a"), "SUCCEEDED");
  t.is(service.status("b"), "IN_PROGRESS");
  t.deepEqual(service.asked("b"), ["IN_PROGRESS"]);
});

test("one that is delivered again after its end does not run again, and is told again, slower and slower", async t => {
  let runs = 0;
  const { machine, world, service } = device(job => {
    runs++;
    job.succeed({ x: "1" });
  });
  const execution = service.create("a", work());
  await world.run(5000);
  // The service has lost what it was told.
  service.answer = ({ operation }) => {
    if (operation === "get" && execution.status === "SUCCEEDED") execution.status = "IN_PROGRESS";
    return undefined;
  };
  machine.crash();
  await world.run(600_000);
  t.is(runs, 1);
  const updates = service.updates("a").slice(2);
  t.true(updates.length >= 3 && updates.length < 30, `${updates.length}`);
  t.true(updates.every(({ body }) => body.status === "SUCCEEDED"));
  service.answer = () => undefined;
  service.create("b", work());
  await world.run(600_000);
  t.is(service.status("a"), "SUCCEEDED");
  t.is(service.status("b"), "SUCCEEDED");
});

test("a new execution of the same job runs", async t => {
  const runs: number[] = [];
  const { world, service } = device(job => {
    runs.push(job.executionNumber);
    if (job.executionNumber === 1) job.fail("once");
    else job.succeed();
  });
  service.create("a", work());
  await world.run(5000);
  service.create("a", work());
  await world.run(5000);
  t.deepEqual(runs, [1, 2]);
  t.is(service.status("a"), "SUCCEEDED");
});

// -- crashes --

test("a job whose handler is started three times without an end has FAILED, and the next one runs", async t => {
  const attempts: number[] = [];
  const { machine, world, service } = device(job => {
    if (job.id === "b") return job.succeed();
    attempts.push(job.attempt);
    machine.clock.set(() => machine.crash(), 100);
  });
  service.create("a", work());
  service.create("b", work());
  await world.run(600_000);
  t.deepEqual(attempts, [1, 2, 3]);
  t.is(service.status("a"), "FAILED");
  t.is(service.reason("a"), "started 3 times, and came to no end");
  t.is(service.status("b"), "SUCCEEDED");
});

test("attempts count anew when something was achieved; a deep sleep is none", async t => {
  const attempts: number[] = [];
  const { machine, world, service } = device(job => {
    attempts.push(job.attempt);
    if (attempts.length === 3) job.progressed();
    machine.clock.set(() => machine.crash(), 100);
  });
  service.create("a", work());
  await world.run(600_000);
  t.deepEqual(attempts, [1, 2, 3, 2, 3]);
  const slept: number[] = [];
  const sleeper = device(job => {
    slept.push(job.attempt);
    if (slept.length === 7) return job.succeed();
    sleeper.machine.clock.set(() => {
      sleeper.machine.resetReason = "deepSleep";
      sleeper.machine.crash();
    }, 100);
  });
  sleeper.service.create("a", work());
  await sleeper.world.run(600_000);
  t.deepEqual(slept, [1, 1, 1, 1, 1, 1, 1]);
  t.is(sleeper.service.status("a"), "SUCCEEDED");
});

test("what is kept is there after a crash, and only for its execution", async t => {
  const kept: (string | undefined)[] = [];
  const { machine, world, service } = device(job => {
    kept.push(job.kept && Buffer.from(job.kept).toString());
    if (kept.length === 2) return job.succeed();
    job.keep(Buffer.from("half"));
    t.throws(() => job.keep(new Uint8Array(1025)), { code: "agent/options" });
    if (kept.length === 1) machine.clock.set(() => machine.crash(), 100);
  });
  service.create("a", work());
  service.create("b", work());
  await world.run(60_000);
  t.deepEqual(kept, [undefined, "half", undefined]);
});

// -- restarts --

test("reboot: SUCCEEDED after the machine is back, told once", async t => {
  const { machine, world, service } = device(nothing);
  service.create("a", { operation: "reboot" });
  await world.run(60_000);
  t.is(machine.restarts, 1);
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  t.is(service.status("a"), "SUCCEEDED");
});

test("a job that restarts the machine again and again has FAILED, the next one runs", async t => {
  const { machine, world, service } = device(job => {
    if (job.id === "b") job.succeed();
    else job.restart();
  });
  service.create("a", work());
  service.create("b", work());
  await world.run(1_200_000);
  t.is(machine.restarts, 5);
  t.is(service.status("a"), "FAILED");
  t.is(service.reason("a"), "restarted 5 times, and came to no end");
  t.is(service.status("b"), "SUCCEEDED");
});

test("a function that asks for a restart and ends has not ended the job", async t => {
  const { machine, world, service } = device(async job => {
    if (!job.isRestarted) job.restart();
  });
  service.create("a", work());
  await world.run(60_000);
  t.is(machine.restarts, 1);
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
});

// -- gates --

const gated = (gate: Parameters<Agent["jobs"]["gate"]>[0]) => ({
  program: (agent: Agent) => {
    agent.jobs.on("work", job => (job.isRestarted ? job.succeed() : job.restart()));
    agent.jobs.gate(gate);
    agent.jobs.gate(() => undefined);
  },
});

test("a gate puts the start off, the job stays QUEUED; and the restart", async t => {
  let open = "";
  const asked: string[] = [];
  const { machine, world, service } = device(
    nothing,
    gated((job, about) => {
      asked.push(`${job.id} ${about}`);
      return open === about ? undefined : 600;
    }),
  );
  service.create("a", work());
  await world.run(1_300_000);
  t.deepEqual(asked, ["a start", "a start", "a start"]);
  t.is(service.status("a"), "QUEUED");
  t.is(service.of("a").version, 1);
  open = "start";
  await world.run(600_000);
  t.is(service.status("a"), "IN_PROGRESS");
  t.is(machine.restarts, 0);
  open = "restart";
  await world.run(700_000);
  t.is(machine.restarts, 1);
  t.is(service.status("a"), "SUCCEEDED");
});

test("a job that waits for a gate may be cancelled, and one behind it is judged", async t => {
  const { world, service } = device(
    nothing,
    gated(job => (job.id === "a" ? 3600 : undefined)),
  );
  service.create("a", work());
  service.create("b", work());
  await world.run(5000);
  t.is(service.status("b"), "QUEUED");
  t.true(service.cancel("a"));
  await world.run(60_000);
  t.is(service.status("b"), "SUCCEEDED");
});

test("a gate that throws, or says what is no time, is closed for ten minutes, and that is told", async t => {
  for (const gate of [
    () => {
      throw new Error("no clock");
    },
    () => Number.NaN,
    () => -5,
  ]) {
    const { world, service } = device(nothing, gated(gate));
    service.create("a", work());
    await world.run(610_000);
    t.is(service.status("a"), "QUEUED");
    t.deepEqual(world.story.slice(0, 2), ["queued a work", "deferred a start 600"]);
    t.is(world.faults.length, 2);
    t.deepEqual(world.seen("offline"), []);
  }
});
