// A download takes a block's memory and little more, however large the image is.
import anyTest, { type TestFn } from "ava";
import { otaCost } from "../../bench/ota.js";
import { link, stream } from "../../bench/ota-world.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker32 } = await buildForTests();
const worker = workerOrReport(test, worker32, 32);

if (worker !== undefined) {
  for (const [name, source] of [
    ["stream", stream],
    ["link", link],
  ] as const) {
    test(`${name}: the peak is below 15 KB, bridge included, and does not grow with the image`, async t => {
      const small = await otaCost(source, worker, 3);
      const large = await otaCost(source, worker, 12);
      t.log(large);
      t.true(large.peak < 15 * 1024, `${large.peak}`);
      t.true(large.peak - small.peak < 1024, `${small.peak}, ${large.peak}`);
    });
  }
}
