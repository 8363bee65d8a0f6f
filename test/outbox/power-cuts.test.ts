// The power goes at every flash operation, in the middle of every record, and again while the device recovers.
import test from "ava";
import { cutEverywhere } from "./cuts.js";

let cuts = 0;

for (const [seed, writeAlign, steps] of [
  [1, 1, 220],
  [2, 1, 140],
  [3, 4, 140],
] as const) {
  test(`wherever the power goes, nothing promised is lost and nothing acknowledged comes back (${seed})`, t => {
    const { once, twice, failures } = cutEverywhere(seed, steps, 29, writeAlign);
    t.deepEqual(failures, []);
    t.true(once + twice > 4000, `${once} + ${twice}`);
    t.log(`${once} cuts, ${twice} more during what followed one`);
    cuts += once + twice;
  });
}

test.after(() => {
  console.log(`outbox: ${cuts} power cuts, nothing promised lost, nothing acknowledged came back`);
});
