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
