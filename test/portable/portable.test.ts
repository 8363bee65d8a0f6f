// Every case in cases/, on this Node and on the XS engine.

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { type CaseResult, runOnNode, runOnXS } from "../../hosts/xs/engine/run-tests.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const folder = new URL("cases/", import.meta.url);
const portable = {
  harness: fileURLToPath(new URL("harness.js", import.meta.url)),
  modules: readdirSync(folder)
    .filter(name => name.endsWith(".js"))
    .sort()
    .map(name => fileURLToPath(new URL(name, folder))),
};

const escaped = (letter: string) => `\\u{${letter.codePointAt(0)!.toString(16)}}`;

function report(engine: string, results: readonly CaseResult[]): void {
  const seen = new Map<string, number>();
  for (const { name: text, failure } of results) {
    // AVA would collapse white space, and with it two titles into one.
    const name = text.replace(/[^\P{C} ]|(?! )\s|(?<= ) /gu, escaped);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    // Cases made in a loop may share a name; AVA's titles are unique.
    test(`${engine}: ${name}${count === 1 ? "" : ` (${count})`}`, t => {
      if (failure === undefined) t.pass();
      else t.fail(failure);
    });
  }
}

const { worker64, worker32 } = await buildForTests();
const onNode = await runOnNode(portable);
const onXS64 = worker64.ok ? await runOnXS(worker64.worker, portable) : undefined;
const onXS32 = worker32.ok ? await runOnXS(worker32.worker, portable) : undefined;

report("node", onNode);
for (const [bits, engine, results] of [
  [64, worker64, onXS64],
  [32, worker32, onXS32],
] as const) {
  workerOrReport(test, engine, bits);
  if (results === undefined) continue;
  report(`xs ${bits}-bit`, results);
  test(`the ${bits}-bit XS engine ran every case that Node ran`, t => {
    t.deepEqual(
      results.map(({ name }) => name),
      onNode.map(({ name }) => name),
    );
  });
}
