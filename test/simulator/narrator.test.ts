// What a person reads of telemetry, and of what a device may send instead of it.
import test from "ava";
import { lineOfCloud, lineOfStatus } from "../../simulator/narrator.js";
import { AgentError } from "../../src/errors.js";

const lineOf = (payload: unknown) =>
  lineOfCloud({
    type: "message",
    clientId: "node-1",
    topic: "dt/node-1/x",
    payload: Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload)),
  } as never)!;

const at = Date.UTC(2026, 0, 1);
const gap = { class: "telemetry", reason: "full", count: 201, from: at, to: at + 86_461_000 };

test("a gap report is told in words, with day and time", t => {
  const { mark, text } = lineOf({ generation: "1", gaps: [gap] });
  t.is(mark, "trouble");
  t.regex(text, /not kept: 201 telemetry \(full, 01-01 00:00:00 to 01-02 00:01:01\)$/);
});

test("an alert is trouble when it is raised, and none when it is over", t => {
  const alert = { alert: "temperature", side: "above", threshold: 27, value: 27.1 };
  const raised = lineOf({ ...alert, state: "raised" });
  t.deepEqual(
    [raised.mark, raised.text],
    ["trouble", "received dt/node-1/x: alert: temperature 27.1 is above 27"],
  );
  t.is(lineOf({ ...alert, state: "cleared", value: 26 }).mark, "milestone");
});

for (const payload of [
  "",
  "{",
  "null",
  "7",
  { gaps: null },
  { gaps: [null] },
  { gaps: [{ ...gap, from: "1" }] },
  { gaps: [{ ...gap, to: 9e15 }] },
  { alert: "", state: "maybe" },
]) {
  test(`${JSON.stringify(payload)} is shown as it came`, t => {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    t.is(lineOf(payload).text, `received dt/node-1/x ${text}`);
  });
}

test("what found no room on flash is not said to be refused", t => {
  const refused = (code: "outbox/full" | "mqtt/refused") =>
    lineOfStatus({ type: "telemetryRefused", channel: "log", error: new AgentError(code, "why") })!;
  t.regex(refused("outbox/full").text, /not kept/);
  t.regex(refused("mqtt/refused").text, /refused: why/);
});

const job = { jobId: "blink", thing: "node-1", executionNumber: 1, versionNumber: 2 };
for (const [event, mark, text] of [
  [
    { type: "jobCreated", jobId: "blink", status: "IN_PROGRESS", things: 1 },
    "milestone",
    "job blink is made for 1 thing",
  ],
  [
    { type: "jobCreated", jobId: "blink", status: "SCHEDULED", things: 2 },
    "milestone",
    "job blink is scheduled for 2 things",
  ],
  [
    {
      type: "jobExecutionChanged",
      ...job,
      status: "IN_PROGRESS",
      previous: "QUEUED",
      statusDetails: { step: "2" },
    },
    "plain",
    "job blink on node-1 is in progress: step=2",
  ],
  [
    {
      type: "jobExecutionChanged",
      ...job,
      executionNumber: 2,
      status: "FAILED",
      previous: "IN_PROGRESS",
      statusDetails: { reason: "no room" },
    },
    "trouble",
    "job blink on node-1, try 2 failed: reason=no room",
  ],
  [
    {
      type: "jobExecutionChanged",
      ...job,
      status: "SUCCEEDED",
      previous: "IN_PROGRESS",
      statusDetails: {},
    },
    "milestone",
    "job blink on node-1 succeeded",
  ],
  [
    { type: "jobEnded", jobId: "blink", status: "CANCELED", reasonCode: "ABORTED" },
    "trouble",
    "job blink is canceled: ABORTED",
  ],
  [
    { type: "jobEnded", jobId: "blink", status: "COMPLETED", reasonCode: undefined },
    "milestone",
    "job blink is completed",
  ],
] as const) {
  test(`of jobs a person reads: ${text}`, t => {
    t.deepEqual(lineOfCloud(event), { mark, text });
  });
}
