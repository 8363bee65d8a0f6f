// The power goes in the host of a device that runs on the XS engine: the same holds as on Node.
import anyTest, { type TestFn } from "ava";
import { onXs } from "../../bench/power-cuts/engines.js";
import { byCsr, rotation } from "../../bench/power-cuts/flows.js";
import { cutOnce, violationsOf } from "../../bench/power-cuts/matrix.js";
import { sizeOf } from "../../bench/power-cuts.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker64 } = await buildForTests();
const worker = workerOrReport(test, worker64, 64);

if (worker) {
  for (const flow of [byCsr, rotation]) {
    test.serial(`xs: ${flow.name}, the power cut at every flash operation`, async t => {
      const matrix = await cutOnce(flow, await onXs(worker), 1);
      t.log(sizeOf(matrix));
      t.deepEqual(violationsOf(matrix), []);
    });
  }
}
