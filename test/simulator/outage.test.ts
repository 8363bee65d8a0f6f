// The tour's outage, its figures: an hour without a cable, a restart in the middle, on every engine.
import anyTest, { type TestFn } from "ava";
import type { Engine } from "../../simulator/fleet/device.js";
import {
  isComplete,
  type OutageEvent,
  type OutageFigures,
  outage,
} from "../../simulator/fleet/outage.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker64 } = await buildForTests();
const engines: Engine[] =
  workerOrReport(test, worker64, 64) === undefined ? ["node"] : ["node", "xs"];

for (const engine of engines) {
  test(`${engine}: the cloud's record of an hour's outage is complete, in order, without doubles`, async t => {
    const events: OutageEvent["type"][] = [];
    const onEvent = ({ type }: OutageEvent) => events.push(type);
    const figures = await outage({ engine, isTight: false, onEvent });
    t.log(figures.classes);
    t.deepEqual(events, ["cablePulled", "restarted", "reconnected", "drained"]);
    t.true(isComplete(figures));
    t.deepEqual([figures.gaps, figures.faults], [[], []]);
    for (const { sent, received } of Object.values(figures.classes)) t.is(received, sent);
    t.true(figures.classes.telemetry.sent >= 360);
  });

  test(`${engine}: what exceeded its class is told: received and told are what was sent`, async t => {
    const figures = await outage({ engine, isTight: true });
    t.log(figures);
    t.true(isComplete(figures));
    const { alert, telemetry, bulk } = figures.classes;
    t.is(alert.received, alert.sent, "no alert is lost for telemetry");
    t.true(telemetry.told > 0 && bulk.told > 0);
    const report = figures.gaps.map(gap => `${gap.class} ${gap.reason} ${gap.count}`);
    t.deepEqual(report.sort(), [`bulk refused ${bulk.told}`, `telemetry full ${telemetry.told}`]);
    for (const { from, to } of figures.gaps) t.true(from < to);
  });
}

const whole = { sent: 2, received: 2, doubles: 0, isInOrder: true, told: 0 };
const figuresWith = (telemetry: object, faults: string[] = []): OutageFigures => ({
  classes: { alert: whole, telemetry: { ...whole, ...telemetry }, bulk: whole },
  gaps: [],
  faults,
});

test("a record is not complete with a loss, a double, another order, a fault or nothing in it", t => {
  t.true(isComplete(figuresWith({})));
  t.true(isComplete(figuresWith({ received: 1, told: 1 })));
  for (const wrong of [{ received: 1 }, { told: 1 }, { doubles: 1 }, { isInOrder: false }])
    t.false(isComplete(figuresWith(wrong)), JSON.stringify(wrong));
  t.false(isComplete(figuresWith({ sent: 0, received: 0 })));
  t.false(isComplete(figuresWith({}, ["fault"])));
});
