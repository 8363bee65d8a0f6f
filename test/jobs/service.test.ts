// What the jobs service may answer, rightly or not, and what becomes of the job: section 4.5 of the reference.
import test, { type ExecutionContext } from "ava";
import type { Job, JobHandler } from "../../src/index.js";
import type { JobRequest, Said } from "./service.js";
import { Machine, type MachineOptions } from "./world.js";

/** A device with one handler, for the operation `work`. */
function device(work: JobHandler | ((job: Job) => unknown), options: Partial<MachineOptions> = {}) {
  const machine = new Machine({ program: agent => agent.jobs.on("work", work), ...options });
  return { machine, world: machine.world, service: machine.service };
}

const work = { operation: "work" };

type Device = ReturnType<typeof device>;

/** Nothing that would be a fault of ours, or the end of a link, has happened. */
function isWell(t: ExecutionContext, { world }: Device): void {
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(
    world.faults.filter(fault => fault.startsWith("agent/")),
    [],
  );
}

/** Answers the first `count` requests of a kind with what `say` makes of them. */
function first(
  { service }: Device,
  isMeant: (request: JobRequest) => boolean,
  say: (request: JobRequest) => readonly Said[],
  count = 1,
): void {
  let left = count;
  service.answer = request => (isMeant(request) && left-- > 0 ? say(request) : undefined);
}

const isStatus = (status: string) => (request: JobRequest) => request.body.status === status;
const isGet = ({ operation }: JobRequest) => operation === "get";

// -- somebody else --

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

// -- errors --

test("VersionMismatch: the state that comes along counts", async t => {
  for (const status of ["IN_PROGRESS", "SUCCEEDED"]) {
    const all = device(job => job.succeed());
    const { world, service } = all;
    const execution = service.create("a", work);
    first(all, isStatus(status), request => {
      execution.version += 3;
      return service.respond(request);
    });
    await world.run(3000);
    t.is(service.status("a"), "SUCCEEDED");
    isWell(t, all);
  }
});

test("VersionMismatch for ever: slower and slower", async t => {
  const all = device(job => job.succeed());
  const { world, service } = all;
  const execution = service.create("a", work);
  first(
    all,
    isStatus("IN_PROGRESS"),
    request => {
      execution.version += 1;
      return service.respond(request);
    },
    1000,
  );
  await world.run(3_600_000);
  t.true(service.updates("a").length < 150, `${service.updates("a").length}`);
  t.is(service.status("a"), "QUEUED");
  isWell(t, all);
});

test("InvalidStateTransition: over, unless REJECTED is refused where FAILED is taken", async t => {
  const all = device({
    check: () => "no",
    run: job => job.succeed(),
  });
  const { world, service } = all;
  service.refusesLateRejection = true;
  const execution = service.create("a", work);
  first(all, isStatus("REJECTED"), request => {
    execution.status = "IN_PROGRESS";
    return service.respond(request);
  });
  await world.run(10_000);
  t.is(service.status("a"), "FAILED");
  t.is(service.reason("a"), "no");
  isWell(t, all);
});

test("what somebody else has started and nobody here can do has FAILED", async t => {
  const all = device(job => job.succeed());
  const { world, service } = all;
  service.create("a", { operation: "fly" }).status = "IN_PROGRESS";
  await world.run(5000);
  t.is(service.status("a"), "FAILED");
  t.regex(service.reason("a")!, /not honoured/);
});

const over = ["InvalidStateTransition", "ResourceNotFound", "TerminalStateReached"];
for (const code of over)
  for (const status of ["IN_PROGRESS", "SUCCEEDED"])
    test(`${code} to ${status}: it is over, the next one runs`, async t => {
      const all = device(job => job.succeed());
      const { world, service } = all;
      const execution = service.create("a", work);
      service.create("b", work);
      first(all, isStatus(status), ({ body, jobId }) => {
        execution.status = "REMOVED";
        return [service.rejected(`${jobId}/update`, code, body.clientToken)];
      });
      await world.run(10_000);
      t.is(service.updates("a").length, status === "IN_PROGRESS" ? 1 : 2);
      t.is(service.status("b"), "SUCCEEDED");
      isWell(t, all);
    });

const busy = ["RequestThrottled", "InternalError", "ServiceUnavailable", "", "InvalidRequest"];
for (const code of busy)
  for (const [title, isMeant] of [
    ["$next/get", isGet],
    ["IN_PROGRESS", isStatus("IN_PROGRESS")],
    ["SUCCEEDED", isStatus("SUCCEEDED")],
  ] as const)
    test(`"${code}" to ${title}: again later, slower and slower, over the same link`, async t => {
      const all = device(job => job.succeed());
      const { world, service } = all;
      service.create("a", work);
      first(
        all,
        isMeant,
        ({ jobId, operation, body }) => [
          service.rejected(`${jobId}/${operation}`, code, body.clientToken),
        ],
        5,
      );
      await world.run(30 * 60_000);
      t.is(service.status("a"), "SUCCEEDED");
      const asked = service.requests.filter(isMeant).slice(0, 5);
      asked.slice(1).forEach(({ at }, i) => {
        if (code !== "InvalidRequest") t.true(at - asked[i]!.at >= 2000, `${at - asked[i]!.at} ms`);
      });
      t.true(world.faults.length >= 5);
      isWell(t, all);
    });

test("InvalidRequest for a report: it is not repeated, the job goes on", async t => {
  const all = device(job => job.report({ x: "1" }));
  const { world, service } = all;
  service.create("a", work);
  first(
    all,
    ({ body }) => body.statusDetails !== undefined,
    ({ jobId, body }) => [service.rejected(`${jobId}/update`, "InvalidRequest", body.clientToken)],
    100,
  );
  await world.run(60_000);
  t.is(service.updates("a").length, 2);
  t.is(service.status("a"), "IN_PROGRESS");
});

test("silence: asked again after 15 s and a backoff", async t => {
  for (const [isMeant, count] of [
    [isGet, 2],
    [isStatus("IN_PROGRESS"), 2],
    [isStatus("SUCCEEDED"), 2],
  ] as const) {
    const all = device(job => job.succeed());
    const { world, service } = all;
    service.create("a", work);
    first(all, isMeant, () => [], count);
    await world.run(180_000);
    t.is(service.status("a"), "SUCCEEDED");
    t.is(service.of("a").starts, 1);
    t.is(world.faults.filter(fault => fault.startsWith("job/timeout")).length, 2);
    isWell(t, all);
  }
});

test("an answer that is lost: the queue says what became of the request", async t => {
  const runs: number[] = [];
  const all = device(job => {
    runs.push(job.attempt);
    job.succeed();
  });
  const { world, service } = all;
  service.create("a", work);
  let lost = 0;
  service.answer = request => {
    if (request.operation !== "update" || lost >= 2) return undefined;
    lost++;
    service.respond(request);
    return [];
  };
  await world.run(180_000);
  t.deepEqual(runs, [1]);
  t.is(service.status("a"), "SUCCEEDED");
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  isWell(t, all);
});

test("a reply with another token, or none, or that comes twice, is nobody's", async t => {
  const runs: string[] = [];
  const all = device(job => {
    runs.push(job.id);
    job.succeed();
  });
  const { world, service } = all;
  service.create("a", work);
  service.answer = request => {
    const mine = service.respond(request)[0]!;
    const body = mine.body as object;
    const other = {
      execution: {
        jobId: "evil",
        executionNumber: 1,
        status: "QUEUED",
        versionNumber: 1,
        jobDocument: work,
      },
      executionState: { status: "CANCELED", versionNumber: 99 },
    };
    const topics = [mine.suffix, mine.suffix.replace("accepted", "rejected")];
    const wrong = topics.flatMap(suffix => [
      { suffix, body: { ...other, code: "TerminalStateReached", clientToken: "another" } },
      { suffix, body: { ...other, code: "TerminalStateReached" } },
    ]);
    return [...wrong, { ...mine, body }, mine, mine, ...wrong];
  };
  await world.run(20_000);
  t.deepEqual(runs, ["a"]);
  t.is(service.status("a"), "SUCCEEDED");
  isWell(t, all);
});

test("messages for another thing, or of no job, are passed over", async t => {
  const messages: string[] = [];
  const all = device({
    run: () => undefined,
    onMessage: (_, topic, payload) => void messages.push(`${topic} ${payload.length}`),
  });
  const { world, service } = all;
  service.create("a", work);
  await world.run(5000);
  for (const topic of [
    "$aws/things/node-2/jobs/notify-next",
    "$aws/things/node-1/jobs/what",
    "$aws/things/node-1/jobs/notify",
    "$aws/things/node-1/jobs/",
    "$aws/things/node-2/streams/s/data/cbor",
  ])
    service.publish(topic, {});
  service.publish("$aws/things/node-1/streams/s/data/cbor", Buffer.from([1, 2, 3]));
  await world.run(5000);
  t.deepEqual(messages, ["$aws/things/node-1/streams/s/data/cbor 3"]);
  t.is(service.requests.length, 2);
  isWell(t, all);
});
