// The power goes at every flash operation of an update, and again while the device recovers: what runs is a whole image that was
// offered, and the cloud knows which. All of them: `npm run power-cuts -- updates`.
import test from "ava";
import { cutsOf, cutUpdate, faultsOf, runUpdate } from "./update-cuts.js";
import { updateFlows } from "./update-flows.js";
import { tableOfWear, wears } from "./update-wear.js";

/** Each operation once or twice. */
const sampling = { tears: 3, once: 3, pairs: 0.5 };

for (const flow of updateFlows) {
  test.serial(`${flow.name}: whole and told in the end, wherever the power goes`, async t => {
    const whole = await runUpdate(flow);
    t.deepEqual(whole.violations, []);
    t.is(whole.status, flow.status ?? (flow.ends === "new" ? "SUCCEEDED" : "FAILED"));
    const matrix = await cutUpdate(flow, sampling);
    t.deepEqual(faultsOf(matrix).slice(0, 5), []);
    const { operations, once, twice } = matrix;
    t.true(once.length > operations);
    t.true(twice.length > once.length / 3);
    t.log(`${operations} flash operations, ${cutsOf(matrix)} cuts`);
  });
}

test.serial("what an update writes to flash is bounded by its blocks", async t => {
  const all = await wears();
  t.log(`\n${tableOfWear(all)}`);
  for (const { name, blocks, parts, status } of all) {
    t.is(status, name.includes(",") ? "FAILED" : "SUCCEEDED");
    // Each block and its mark, and the journal's head.
    t.like(parts.get("slot"), { writes: 2 * blocks + 1, erases: blocks + 1 }, name);
    const { writes, erases } = parts.get("otadata")!;
    t.true(writes <= 3 && erases <= 3, `${name}: otadata`);
    let values = 0;
    for (const wear of parts.values())
      if (wear.bytes === undefined) values += wear.writes + wear.erases;
    t.true(values <= 10, `${name}: ${values} values written`);
  }
});
