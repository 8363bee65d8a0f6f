// The table fits the terminal, and the last line counts what was examined.
import test from "ava";
import { duration, summaryOf, tableOf, totalOf, wrap } from "../../../simulator/advisor/report.js";
import { notYet, type Row } from "../../../simulator/advisor/row.js";
import { fail, pass, warn } from "../../../simulator/advisor/verdict.js";

const name = "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection";
const base = { isQualification: true, version: 5, ms: 240_000 } as const;
const waits =
  "jitter, growing: 1.1 1.6 2.0 3.4 8.0 24.7 2.8 95.9 79.2 s and a word that is much-too-long-for-the-column-it-stands-in";
const summary = {
  keepAliveSeconds: [60],
  keepsSession: true,
  connects: 27,
  backoff: "jitter",
  published: ["dt/a/b", `dt/${"x".repeat(200)}`],
  subscribed: [],
} as const;
const rows: readonly Row[] = [
  { ...base, name, verdict: pass(waits) },
  { ...base, name: "MQTT_Connect", version: 4, verdict: warn("late") },
  { ...base, name: "TLS_Connect", version: undefined, verdict: fail("never connected") },
  notYet("Job_Execution", false, "not yet: jobs"),
  { ...base, name: "MQTT_Long_Duration", verdict: pass("8 parts"), summary },
];

test("no line is longer than the terminal is wide, from 80 columns up", t => {
  for (let columns = 80; columns <= 200; columns += 10) {
    const text = [tableOf(rows, columns), summaryOf(rows[4]!, columns)].join("\n");
    for (const line of text.split("\n")) t.true(line.length <= columns, `${columns}: ${line}`);
  }
});

test("every case is in the table with its verdict, what was seen and its time", t => {
  const table = tableOf(rows, 160);
  t.regex(table, /MQTT_Connect +Q +3\.1\.1 +! warn +4:00 +late/);
  t.regex(table, /TLS_Connect +Q +✖ fail +4:00 +never connected/);
  t.regex(table, /Job_Execution +– +not yet: jobs/);
});

test("what was not examined is not counted", t => {
  t.is(totalOf(rows), "2 pass, 1 warn, 1 fail");
});

test("durations are read at a glance", t => {
  const shown = [3, 999, 1000, 59_900, 61_000, 3_600_000, 7_911_383].map(duration);
  t.deepEqual(shown, ["3 ms", "999 ms", "1.0 s", "59.9 s", "1:01", "1 h 00", "2 h 11"]);
});

test("text is wrapped at spaces, and nothing is lost", t => {
  t.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  t.deepEqual(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
  t.deepEqual(wrap("", 4), []);
});
