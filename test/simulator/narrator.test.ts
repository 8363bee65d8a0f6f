// What a person reads of telemetry, and of what a device may send instead of it.
import test from "ava";
import { lineOfBoot, lineOfCloud, lineOfStatus } from "../../simulator/narrator.js";
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

const update = { type: "job", jobId: "AFR_OTA-1" } as const;
for (const [status, mark, text] of [
  [{ ...update, state: "started", attempt: 1 }, "plain", "job AFR_OTA-1 runs"],
  [{ ...update, state: "started", attempt: 2 }, "plain", "job AFR_OTA-1 runs, attempt 2"],
  [
    { ...update, state: "progress", details: { receive: "3/17" } },
    "plain",
    "job AFR_OTA-1: downloads, 3 of 17 blocks",
  ],
  [
    { ...update, state: "progress", details: { self_test: "ready", updatedBy: "0x01000000" } },
    "plain",
    "job AFR_OTA-1: the new image is whole and signed by a known key; restarts into it",
  ],
  [
    { ...update, state: "progress", details: { self_test: "active", updatedBy: "0x01010000" } },
    "plain",
    "job AFR_OTA-1: the new image runs, on trial",
  ],
  [
    { ...update, state: "progress", details: { step: "2", self_test: "odd" } },
    "plain",
    "job AFR_OTA-1: step=2 self_test=odd",
  ],
  [
    { ...update, state: "ended", status: "SUCCEEDED", reason: "accepted v1.1.0" },
    "milestone",
    "job AFR_OTA-1 is over: SUCCEEDED, accepted v1.1.0",
  ],
  [
    { ...update, state: "ended", status: "CANCELED", reason: "" },
    "trouble",
    "job AFR_OTA-1 is over: CANCELED",
  ],
  [
    { type: "firmwareConfirmed", version: "1.1.0" },
    "milestone",
    "firmware 1.1.0 is confirmed: its trial is over, it stays",
  ],
  [
    { type: "firmwareReverted", version: "1.2.0", cause: "not connected" },
    "trouble",
    "firmware 1.2.0 is given up: not connected",
  ],
] as const) {
  test(`of the device's updates a person reads: ${text}`, t => {
    t.deepEqual(lineOfStatus(status), { mark, text });
  });
}

const start = { type: "started", slot: "ota_1", version: "1.1.0" } as const;
for (const [event, mark, text] of [
  [
    { ...start, isOnTrial: false, after: undefined },
    "plain",
    "starts from slot ota_1, version 1.1.0",
  ],
  [
    { ...start, isOnTrial: true, after: "restart" },
    "milestone",
    "restarted into slot ota_1, version 1.1.0, on trial",
  ],
  [
    { ...start, isOnTrial: false, after: "restart" },
    "plain",
    "restarted into slot ota_1, version 1.1.0",
  ],
  [
    { ...start, isOnTrial: false, after: "revert" },
    "trouble",
    "restarted into slot ota_1, version 1.1.0: the image on trial is given up",
  ],
  [
    { type: "crashed", error: new Error("no such pin\n  at main") },
    "trouble",
    "the program has ended: no such pin",
  ],
] as const) {
  test(`of the device's starts a person reads: ${text}`, t => {
    t.deepEqual(lineOfBoot(event), { mark, text });
  });
}

for (const [host, address] of [
  ["127.0.0.1", "127.0.0.1:8443"],
  ["::1", "[::1]:8443"],
  ["::", "[::]:8443"],
] as const)
  test(`where ${host} is listened on stands as URLs have it`, t => {
    const { text } = lineOfCloud({ type: "downloadsListening", host, port: 8443 })!;
    t.is(text, `presigned downloads on https://${address}`);
    t.is(
      lineOfCloud({ type: "listening", host, port: 8443 })?.text,
      `listening on ${address}, mutual TLS`,
    );
  });
