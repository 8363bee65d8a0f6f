import { AgentError } from "../../../src/errors.js";
import { boundedDetails } from "../../../src/jobs/details.js";
import { planOf } from "../../../src/jobs/documents.js";
import { decodeJournal, encodeJournal, type Journal } from "../../../src/jobs/journal.js";
import {
  type Execution,
  parseGot,
  parseRejected,
  parseUpdated,
  updateRequest,
} from "../../../src/jobs/messages.js";
import { startingFrom, step } from "../../../src/jobs/queue.js";
import type { JobEffect, JobEvent, JobsRecord } from "../../../src/jobs/record.js";
import { inWindow } from "../../../src/jobs/window.js";
import { fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const execution = (more: Partial<Execution> = {}): Execution => ({
  jobId: "a",
  executionNumber: 1,
  status: "QUEUED",
  version: 1,
  statusDetails: new Map(),
  secondsLeft: undefined,
  document: toUtf8("{}"),
  ...more,
});
const error = new AgentError("job/rejected", "no");
const succeeded = { status: "SUCCEEDED", details: new Map([["x", "1"]]) } as const;

/** Steps one after the other. @returns the last record, and all effects in a line */
function story(
  events: readonly JobEvent[],
  from: JobsRecord = startingFrom(undefined),
): { readonly record: JobsRecord; readonly told: string } {
  let record = from;
  const told: string[] = [];
  for (const event of events) {
    const result = step(record, event);
    record = result.record;
    told.push(result.effects.map(named).join("+"));
  }
  return { record, told: told.join(" | ") };
}

function named(effect: JobEffect): string {
  switch (effect.type) {
    case "get":
      return `get ${effect.which}${effect.hasDocument ? "" : " bare"}`;
    case "update":
      return `${effect.status} ${effect.version} ${effect.details ? [...effect.details].join() : "-"}`;
    case "wait":
      return `wait ${effect.attempt}`;
    case "defer":
      return `defer ${effect.seconds}`;
    case "ended":
      return `ended ${effect.outcome.status}`;
    default:
      return effect.type;
  }
}

const next = (more?: Partial<Execution>): JobEvent => ({
  type: "next",
  execution: execution(more),
});
const none: JobEvent = { type: "next", execution: undefined };
const judged: JobEvent = { type: "start", execution: execution(), operation: "work" };
const accepted = (version: number, status = "IN_PROGRESS"): JobEvent => ({
  type: "accepted",
  state: { status, version },
});
const online: JobEvent = { type: "subscribed" };
const running = [online, next(), judged, accepted(2)];

check("jobs: found, judged, told, run, told, looked for again", () => {
  const { record, told } = story([
    ...running,
    { type: "finished", outcome: succeeded },
    accepted(3, "SUCCEEDED"),
    none,
  ]);
  equal(
    told,
    "get next | judge | IN_PROGRESS 1 - | run | ended SUCCEEDED+SUCCEEDED 2 x,1 | get next | ",
  );
  equal(record.state, "idle");
  equal(record.journal?.isTold, true);
});

check(
  "jobs: judged and not taken: deferred, or REJECTED; FAILED when somebody has started it",
  () => {
    const defer = story([
      online,
      next(),
      { type: "defer", execution: execution(), seconds: 60 },
      { type: "due" },
    ]);
    equal(defer.told, "get next | judge | defer 60 | get next");
    const details = new Map([["reason", "no"]]);
    const reject = story([online, next(), { type: "reject", execution: execution(), details }]);
    equal(reject.told, "get next | judge | ended REJECTED+REJECTED 1 reason,no");
    const begun = execution({ status: "IN_PROGRESS" });
    const late = story([online, next(begun), { type: "reject", execution: begun, details }]);
    equal(late.told, "get next | judge | ended FAILED+FAILED 1 reason,no");
  },
);

check("jobs: another head is a reason to look at the own execution, nothing more", () => {
  const hint: JobEvent = { type: "hint", jobId: "b", executionNumber: 1 };
  const own: JobEvent = {
    type: "own",
    execution: execution({ status: "IN_PROGRESS", version: 5 }),
  };
  const { record, told } = story([...running, hint, next({ jobId: "b" }), own]);
  equal(told.endsWith("run | get next | get own | known"), true, told);
  equal(record.version, 5);
  const gone = story([...running, hint, none, { type: "gone" }]);
  equal(gone.told.endsWith("get own | get next+cancel"), true, gone.told);
  equal(gone.record.journal, undefined);
  const same = story([...running, { type: "hint", jobId: "a", executionNumber: 1 }]);
  equal(same.told.endsWith("run | "), true, same.told);
});

check(
  "jobs: after a restart the attempt counts, three of them at most, and the one that it asked for does not",
  () => {
    const journal: Journal = { jobId: "a", executionNumber: 1, attempts: 1 };
    const head = next({ status: "IN_PROGRESS", version: 4 });
    const after = (more: Partial<Journal>, hasSlept = false) =>
      story([online, head], startingFrom({ ...journal, ...more }, hasSlept));
    equal(after({}).told, "get next | known+run");
    equal(after({}).record.journal?.attempts, 2);
    equal(after({}, true).record.journal?.attempts, 1);
    equal(after({ isRestarting: true }).record.journal?.attempts, 1);
    equal(after({ isRestarting: true }).record.journal?.isRestarted, true);
    equal(after({ isRestarting: true }).record.journal?.isRestarting, undefined);
    equal(after({ attempts: 3 }).told.startsWith("get next | known+ended FAILED+FAILED 4"), true);
    const ended = after({ outcome: succeeded });
    equal(ended.told, "get next | known+SUCCEEDED 4 x,1");
  },
);

check("jobs: the restart of a job that gets nowhere is refused in the end", () => {
  const journal: Journal = { jobId: "a", executionNumber: 1, attempts: 1, restarts: 5 };
  const from = startingFrom(journal);
  const head = next({ status: "IN_PROGRESS", version: 4 });
  const { record, told } = story([online, head, { type: "restart" }], from);
  equal(record.state, "ended", told);
  const { record: anew } = story([online, head, { type: "progressed" }, { type: "restart" }], from);
  equal(anew.state, "restarting");
  equal(anew.journal?.restarts, 1);
});

check("jobs: what was told and is delivered again is told again, after a wait", () => {
  const told = startingFrom({
    jobId: "a",
    executionNumber: 1,
    attempts: 1,
    outcome: succeeded,
    isTold: true,
  });
  const again = story([online, next({ version: 7 }), { type: "due" }, next({ version: 7 })], told);
  equal(again.told, "get next | wait 0 | get next | known+SUCCEEDED 7 x,1");
  const anew = story([online, next({ executionNumber: 2 })], told);
  equal(anew.told, "get next | judge");
});

check("jobs: answers that are none: VersionMismatch, refusals, silence", () => {
  const mismatch: JobEvent = { type: "mismatch", state: { status: "IN_PROGRESS", version: 9 } };
  const finished: JobEvent = { type: "finished", outcome: succeeded };
  const { told } = story([...running, finished, mismatch]);
  equal(told.endsWith("SUCCEEDED 9 x,1"), true, told);
  const terse = story([...running, finished, { type: "refused", error }]);
  equal(terse.told.endsWith("fault+SUCCEEDED 2 -"), true, terse.told);
  const busy = story([...running, finished, { type: "busy", error }, { type: "due" }]);
  equal(busy.told.endsWith("fault+wait 0 | get next"), true, busy.told);
  const over = story([...running, finished, { type: "illegal", state: undefined, error }]);
  equal(over.record.journal?.isTold, true);
  const unreadable = story([online, { type: "unreadable", error }, next({ document: undefined })]);
  equal(unreadable.told, "get next | fault+get next bare | judge");
});

check("jobs: an event that is not legal is a fault of ours", () => {
  refuses(() => step(startingFrom(undefined), { type: "restart" }), "bug");
});

check("jobs: what survives a restart is what was saved", () => {
  const journal: Journal = {
    jobId: "a",
    executionNumber: 3,
    operation: "work",
    attempts: 2,
    restarts: 1,
    isRestarted: true,
    kept: Uint8Array.of(0, 255, 7),
    outcome: { status: "FAILED", details: new Map([["reason", "no \u{1f600}"]]) },
  };
  const read = decodeJournal(encodeJournal(journal))!;
  equal(read.kept!.join(), "0,255,7");
  equal(read.outcome!.details.get("reason"), "no \u{1f600}");
  equal(read.isTold, undefined);
  equal(JSON.stringify(Object.keys(read)), JSON.stringify(Object.keys(journal)));
  equal(decodeJournal(encodeJournal(undefined)), undefined);
  refuses(() => decodeJournal(toUtf8("{}")), "storage");
  const most = { ...journal, kept: new Uint8Array(1026), outcome: undefined };
  equal(encodeJournal(most).length < 3900, true);
  const worst = boundedDetails({
    a: '"'.repeat(3000),
    b: "\u{1f600}".repeat(3000),
    c: "x".repeat(3000),
  });
  const longest = { ...journal, kept: undefined, outcome: { ...journal.outcome!, details: worst } };
  equal(encodeJournal(longest).length < 3900, true);
});

check("jobs: messages as the service has them", () => {
  const got = parseGot(
    toUtf8(
      '{"execution":{"jobId":"022","status":"QUEUED","queuedAt":1489096425069,"lastUpdatedAt":1,' +
        '"versionNumber":1,"executionNumber":1,"jobDocument": {"a":[1,{"b":2}]} ,"x":1},"clientToken":"t"}',
    ),
  );
  equal(got.clientToken, "t");
  equal(fromUtf8(got.execution!.document!), '{"a":[1,{"b":2}]}');
  equal(parseGot(toUtf8('{"timestamp":1}')).execution, undefined);
  refuses(() => parseGot(toUtf8('{"execution":{"jobId":"a/b"}}')), "protocol");
  const updated = parseUpdated(
    toUtf8('{"executionState":{"status":"IN_PROGRESS","statusDetails":{},"versionNumber":2}}'),
  );
  equal(updated.state!.version, 2);
  const rejected = parseRejected(
    toUtf8(
      '{"code":"VersionMismatch","message":"m","executionState":{"status":"QUEUED","versionNumber":3}}',
    ),
    "update",
  );
  equal(rejected.code, "VersionMismatch");
  equal(rejected.state!.version, 3);
  equal(rejected.error.message, "jobs update: VersionMismatch: m");
  const request = updateRequest({
    status: "FAILED",
    statusDetails: new Map([["reason", "no"]]),
    expectedVersion: 2,
    executionNumber: 1,
    stepTimeoutInMinutes: undefined,
    clientToken: "t",
  });
  equal(
    fromUtf8(request),
    '{"status":"FAILED","statusDetails":{"reason":"no"},"expectedVersion":2,"executionNumber":1,' +
      '"clientToken":"t","includeJobExecutionState":true}',
  );
});

check("jobs: what a document asks for", () => {
  const operation = (text: string) => planOf(toUtf8(text)).operation;
  equal(operation('{"operation":"reboot"}'), "reboot");
  equal(operation('{"afr_ota":{"files":[]},"operation":"reboot"}'), "firmware");
  equal(operation('{"skerry":{"operation":"firmware"},"operation":"x"}'), "firmware");
  const step = (name: string) => `{"action":{"name":"${name}","type":"runHandler"}}`;
  equal(operation(`{"version":"1.0","steps":[${step("Reboot")}]}`), "reboot");
  equal(operation(`{"version":"1.0","steps":[${step("a")}],"finalStep":${step("b")}}`), "steps");
  for (const text of ["{}", "[]", "null", '{"skerry":{}}', '{"operation":""}', '{"steps":[]}'])
    refuses(() => planOf(toUtf8(text)), "protocol");
});

check("jobs: a window of maintenance, every day, in UTC; closed without a clock", () => {
  const at = (hours: number, minutes: number) => ((20_000 * 24 + hours) * 60 + minutes) * 60_000;
  const night = { start: "02:00", minutes: 120 };
  equal(inWindow(at(1, 59), night), false);
  equal(inWindow(at(2, 0), night), true);
  equal(inWindow(at(3, 59) + 59_999, night), true);
  equal(inWindow(at(4, 0), night), false);
  equal(inWindow(undefined, night), false);
  const midnight = { start: "23:30", minutes: 60 };
  equal(inWindow(at(23, 29), midnight), false);
  equal(inWindow(at(23, 30), midnight), true);
  equal(inWindow(at(0, 29), midnight), true);
  equal(inWindow(at(0, 30), midnight), false);
  equal(inWindow(at(12, 0), { start: "00:00", minutes: 1440 }), true);
  for (const start of ["", "2:00", "24:00", "12:60", "ab:cd", "02:00x"])
    equal(inWindow(at(2, 0), { start, minutes: 1440 }), false);
});
