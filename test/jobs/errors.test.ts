// What the jobs service may answer, rightly or not, and what becomes of the job: section 4.5 of the reference.
import test from "ava";
import { device, first, isStatus, isWell, work } from "./device.js";
import type { JobRequest } from "./service.js";

const isGet = ({ operation }: JobRequest) => operation === "get";

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

test("silence: asked again after 15 s and a backoff, told from the third in a row", async t => {
  for (const [isMeant, count] of [
    [isGet, 4],
    [isStatus("IN_PROGRESS"), 4],
    [isStatus("SUCCEEDED"), 4],
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
