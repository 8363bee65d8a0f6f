// The power goes at every flash operation of every flow: no identity is lost, no device is stuck.
import { readFile } from "node:fs/promises";
import test from "ava";
import { violationsOf } from "../../bench/power-cuts/matrix.js";
import { measure, readmePath, sizeOf, withTables } from "../../bench/power-cuts.js";

const matrices = await measure();

for (const matrix of matrices) {
  test(`${matrix.flow}: online with one identity in the end, at most one orphan for each cut`, t => {
    t.log(sizeOf(matrix));
    t.deepEqual(violationsOf(matrix), []);
  });
}

test("the table of power cuts is what was measured: npm run power-cuts rewrites it", async t => {
  const readme = await readFile(readmePath, "utf8");
  t.is(readme, withTables(readme, matrices));
});
