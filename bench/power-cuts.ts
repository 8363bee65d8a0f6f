// The table of power cuts: every flash operation of every flow, and what a device is after it. In virtual time, so that
// every run gives the same table.
import { fileURLToPath } from "node:url";
import { onNode } from "./power-cuts/engines.js";
import { byCsr, flows, rotation } from "./power-cuts/flows.js";
import { cutOnce, cutTwice, type Matrix, type Outcome, type Run } from "./power-cuts/matrix.js";

/** Runs gone on from for each operation that was cut, with a second cut at each operation after. */
const sample = 2;

/** Every flow on Node, in a moment of half a minute. */
export async function measure(): Promise<readonly Matrix[]> {
  const once: Matrix[] = [];
  for (const flow of flows) once.push(await cutOnce(flow, onNode, flow.tears));
  const twice: Matrix[] = [];
  for (const flow of [byCsr, rotation]) {
    const first = once.find(matrix => matrix.flow === flow.name)!;
    twice.push(await cutTwice(flow, onNode, first, sample));
  }
  return [...once, ...twice];
}

/** How many cuts and boots, in words. */
export function sizeOf({ times, runs }: Matrix): string {
  return `${times * runs.length} cuts, ${(times + 1) * runs.length} boots`;
}

export function tablesOf(matrices: readonly Matrix[]): string {
  const once = matrices.filter(({ times }) => times === 1);
  return [summaryOf(matrices), ...once.map(tableOf)].join("\n\n");
}

function summaryOf(matrices: readonly Matrix[]): string {
  const lines = matrices.map(matrix => {
    const outcomes = matrix.runs.map(({ outcome }) => outcome);
    const count = (is: (outcome: Outcome) => boolean) => outcomes.filter(is).length;
    const orphans = outcomes.map(outcome => outcome.orphans);
    return [
      matrix.flow,
      matrix.times * outcomes.length,
      (matrix.times + 1) * outcomes.length,
      count(({ fate }) => fate === "lost"),
      count(({ isStuck }) => isStuck),
      count(outcome => outcome.orphans > 0),
      Math.max(...orphans),
    ].join(" | ");
  });
  return [
    "| flow | cuts | boots | identities lost | devices stuck | runs with orphans | most orphans |",
    "|---|---:|---:|---:|---:|---:|---:|",
    ...lines.map(line => `| ${line} |`),
  ].join("\n");
}

function tableOf({ flow, operations, tears, runs }: Matrix): string {
  const rows = operations.map((name, operation) => {
    const here = runs.filter(({ cuts }) => cuts[0]!.operation === operation);
    const cells = [here.slice(0, 1), here.slice(1, -1), here.slice(-1)].map(cellOf);
    return `| ${operation + 1} | \`${name}\` | ${cells.join(" | ")} |`;
  });
  const ways = tears === 1 ? "torn" : `torn, ${tears} ways`;
  return [
    `## ${flow}`,
    "",
    `| | flash operation | cut before | ${ways} | cut after |`,
    "|---:|---|---|---|---|",
    ...rows,
  ].join("\n");
}

/** Outcomes that are the same are told once. */
function cellOf(runs: readonly Run[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of runs) {
    const words = wordsOf(outcome);
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const [[only] = [""]] = counts;
  if (counts.size === 1) return only;
  return [...counts].map(([words, count]) => `${count} × ${words}`).join("; ");
}

function wordsOf({ fate, isStuck, orphans, things, strayKeys, told }: Outcome): string {
  const parts: string[] = [fate];
  if (isStuck) parts.push("stuck");
  if (orphans > 0) parts.push(`${orphans} orphan${orphans > 1 ? "s" : ""}`);
  if (things !== 1) parts.push(`${things} things`);
  if (strayKeys.length > 0) parts.push(`a key left in ${strayKeys.join(", ")}`);
  return `${parts.join(", ")}${told.length > 0 ? ` (${told.join(", ")})` : ""}`;
}

const begin = "<!-- power cuts -->";
const end = "<!-- /power cuts -->";

/** @returns `readme` with the tables between its marks */
export function withTables(readme: string, matrices: readonly Matrix[]): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`test/powercut/README.md: no ${begin} … ${end}`);
  return `${readme.slice(0, from + begin.length)}\n\n${tablesOf(matrices)}\n\n${readme.slice(to)}`;
}

export const readmePath = fileURLToPath(new URL("../../test/powercut/README.md", import.meta.url));
