// `npm run power-cuts -- <name>`: the power goes everywhere, and what that comes to. Without a name all of them.
import { readFile, writeFile } from "node:fs/promises";
import { violationsOf } from "../../bench/power-cuts/matrix.js";
import { measure, readmePath, tablesOf, withTables } from "../../bench/power-cuts.js";
import { cutEverywhere } from "../outbox/cuts.js";
import { cutsOf, cutUpdate, faultsOf, type UpdateMatrix } from "./update-cuts.js";
import { updateFlows } from "./update-flows.js";
import { tableOfWear, wears } from "./update-wear.js";

interface Total {
  readonly cuts: number;
  readonly violations: readonly string[];
}

/** Writes its tables into the README. */
async function identities(): Promise<Total> {
  const matrices = await measure();
  console.log(tablesOf(matrices));
  await writeFile(readmePath, withTables(await readFile(readmePath, "utf8"), matrices));
  return {
    cuts: matrices.reduce((sum, { times, runs }) => sum + times * runs.length, 0),
    violations: matrices.flatMap(violationsOf),
  };
}

async function outbox(): Promise<Total> {
  let cuts = 0;
  const violations: string[] = [];
  for (const [seed, writeAlign, steps] of [
    [1, 1, 220],
    [2, 1, 140],
    [3, 4, 140],
  ] as const) {
    const { once, twice, failures } = cutEverywhere(seed, steps, 29, writeAlign);
    console.log(`life ${seed}, written in ${writeAlign}s: ${once} cuts, ${twice} second ones`);
    cuts += once + twice;
    violations.push(...failures);
  }
  return { cuts, violations };
}

/** Every operation in eight ways, and after each of these cuts five others. */
const all = { tears: 6, once: 1, pairs: 5 };

async function updates(): Promise<Total> {
  console.log("| flow | flash operations | single cuts | pairs | cuts | violations |");
  console.log("|---|---:|---:|---:|---:|---:|");
  const matrices: UpdateMatrix[] = [];
  for (const flow of updateFlows) {
    const matrix = await cutUpdate(flow, all);
    const { operations, once, twice } = matrix;
    const counts = [operations, once.length - 1, twice.length, cutsOf(matrix)];
    console.log(`| ${[flow.name, ...counts, faultsOf(matrix).length].join(" | ")} |`);
    matrices.push(matrix);
  }
  console.log(`\n${tableOfWear(await wears())}`);
  return {
    cuts: matrices.reduce((sum, matrix) => sum + cutsOf(matrix), 0),
    violations: matrices.flatMap(faultsOf),
  };
}

const parts: Readonly<Record<string, () => Promise<Total>>> = { identities, outbox, updates };

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.find(name => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    console.error(`power-cuts: ${unknown}: one of ${Object.keys(parts).join(", ")}`);
    process.exitCode = 1;
    return;
  }
  let cuts = 0;
  const chosen = names.length > 0 ? names : Object.keys(parts);
  for (const name of chosen) {
    const started = process.cpuUsage();
    const total = await parts[name]!();
    const { user, system } = process.cpuUsage(started);
    const seconds = Math.round((user + system) / 1_000_000);
    const { violations } = total;
    console.log(
      `${name}: ${total.cuts} cuts, ${violations.length} violations, ${seconds} s of CPU\n`,
    );
    for (const violation of violations.slice(0, 20)) console.log(violation);
    if (violations.length > 0) process.exitCode = 1;
    cuts += total.cuts;
  }
  if (chosen.length > 1) console.log(`${cuts} cuts together`);
}

await main(process.argv.slice(2));
