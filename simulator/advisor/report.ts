// The result for a person at a terminal of any width.

import type { BackoffKind } from "./backoff.js";
import type { Summary } from "./long-case.js";
import { countOf, type Row } from "./row.js";

const marks = Object.freeze({ pass: "✔", warn: "!", fail: "✖" });
const versions = Object.freeze({ 4: "3.1.1", 5: "5" });
/** Narrower than this the text gets lines of its own. */
const wideColumns = 110;
const leastColumns = 60;
const gap = "  ";

/** `850 ms`, `3.4 s`, `4:00`, `2 h 12`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)}`;
  return `${minutes}:${two(Math.floor((ms % 60_000) / 1000))}`;
}

function cellsOf(row: Row): readonly string[] {
  const { verdict, version } = row;
  return [
    row.name,
    row.isQualification ? "Q" : "",
    version === undefined ? "" : versions[version],
    verdict ? `${marks[verdict.grade]} ${verdict.grade}` : "–",
    verdict ? duration(row.ms) : "",
    verdict?.seen ?? row.note ?? "",
  ];
}

const head = Object.freeze(["case", "Q", "MQTT", "", "time", "seen"]);
const seenColumn = 5;

/** @param columns of the terminal */
export function tableOf(rows: readonly Row[], columns: number): string {
  const width = Math.max(columns, leastColumns);
  const lines = [head, ...rows.map(cellsOf)];
  const widths = head.map((_, i) => Math.max(...lines.map(cells => cells[i]!.length)));
  return lines.flatMap((cells, i) => lineOf(cells, widths, width, i === 0)).join("\n");
}

function lineOf(
  cells: readonly string[],
  widths: readonly number[],
  columns: number,
  isHead: boolean,
): readonly string[] {
  const fixed = cells
    .slice(0, seenColumn)
    .map((cell, i) => (i === 4 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
    .join(gap);
  const seen = cells[seenColumn]!;
  if (columns < wideColumns) {
    if (isHead) return [fixed.trimEnd()];
    return [fixed.trimEnd(), ...wrap(seen, columns - 4).map(line => `    ${line}`)];
  }
  const indent = fixed.length + gap.length;
  const [first = "", ...rest] = wrap(seen, columns - indent);
  return [`${fixed}${gap}${first}`.trimEnd(), ...rest.map(line => " ".repeat(indent) + line)];
}

/** At spaces; what has none is broken where it must. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= width) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    line = word;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  if (line !== "") lines.push(line);
  return lines;
}

const backoffNames: Readonly<Record<BackoffKind, string>> = Object.freeze({
  jitter: "exponential under jitter",
  exponential: "exponential",
  linear: "linear",
  constant: "constant",
  random: "jitter without growth",
  unknown: "too few reconnects to tell",
});

/** What Device Advisor's log of a long run ends with. */
export function summaryOf(row: Row, columns: number): string {
  const summary = row.summary!;
  const lines: readonly (readonly [string, string])[] = [
    ["keep-alive", `${summary.keepAliveSeconds.join(", ")} s`],
    ["session", summary.keepsSession ? "kept" : "not kept"],
    ["connects", String(summary.connects)],
    ["backoff", backoffNames[summary.backoff]],
    ["published", listed(summary.published)],
    ["subscribed", listed(summary.subscribed)],
  ];
  const version = row.version === undefined ? "" : `, MQTT ${versions[row.version]}`;
  const title = `Long duration${version}: ${duration(row.ms)} of the device's time`;
  return [title, ...lines.flatMap(line => entryOf(...line, columns))].join("\n");
}

function entryOf(name: string, value: string, columns: number): readonly string[] {
  const [first = "", ...rest] = value.split("\n").flatMap(line => wrap(line, columns - 14));
  return [`  ${name.padEnd(10)}  ${first}`, ...rest.map(line => " ".repeat(14) + line)];
}

const listed = (topics: Summary["published"]) => topics.join("\n") || "nothing";

/** `41 pass, 0 warn, 0 fail` */
export function totalOf(rows: readonly Row[]): string {
  const counts = (["pass", "warn", "fail"] as const).map(
    grade => `${countOf(rows, grade)} ${grade}`,
  );
  return counts.join(", ");
}
