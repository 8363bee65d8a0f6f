// A thousand readings take no more memory than one, on the engine that counts as a device does.
import anyTest, { type TestFn } from "ava";
import { telemetryCost } from "../../bench/telemetry.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker32 } = await buildForTests();
const worker = workerOrReport(test, worker32, 32);

if (worker !== undefined) {
  test("a window takes as much after a thousand readings as after one, and is one message", async t => {
    const cost = await telemetryCost(worker);
    t.log(cost);
    // What the engine's bridge remembers of its last event is counted along.
    const more = cost.windowRamAfterThousand - cost.windowRam;
    t.true(more < 8, `${more} bytes`);
    t.true(cost.channelRam + cost.windowRam <= 1024);
    t.true(cost.windowBytes <= 256);
  });
}
