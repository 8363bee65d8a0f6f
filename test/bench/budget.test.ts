// The cost table in the README is what the engine measures now.
import { readFile } from "node:fs/promises";
import test from "ava";
import { measure, readmePath, withTable } from "../../bench/budget.js";

const measured = await measure();

if (measured.ok) {
  test("the README's cost table is what was measured: npm run budget rewrites it", async t => {
    const readme = await readFile(readmePath, "utf8");
    t.is(readme, withTable(readme, measured.rows));
  });
} else if (process.env.CI === "true") {
  test("the 32-bit XS engine can be built", t => t.fail(measured.missing));
} else {
  console.log(`budget: ${measured.missing}`);
  test("without the 32-bit XS engine nothing is measured", t => t.pass());
}
