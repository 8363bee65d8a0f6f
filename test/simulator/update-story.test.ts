// The tour's updates, their figures: confirmed, refused, reverted, the same on every engine; and the tour as a whole.
import anyTest, { type TestFn } from "ava";
import type { Engine } from "../../simulator/fleet/device.js";
import {
  isConfirmed,
  isRefused,
  isReverted,
  type UpdateFigures,
  UpdateStory,
  type UpdateStoryEvent,
} from "../../simulator/fleet/update-story.js";
import { tableOf, tour } from "../../simulator/tour.js";
import {
  describeRefused,
  describeReverted,
  lineOfUpdate,
} from "../../simulator/update-narrator.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker64 } = await buildForTests();
const engines: Engine[] =
  workerOrReport(test, worker64, 64) === undefined ? ["node"] : ["node", "xs"];

const imageBytes = 300_083;

for (const engine of engines) {
  test(`${engine}: a good update is confirmed, two forged ones are refused, a crashing one is reverted`, async t => {
    const events: UpdateStoryEvent[] = [];
    const story = await UpdateStory.open({ engine, onEvent: event => events.push(event) });
    t.teardown(() => story.close());

    const good = await story.good("1.1.0");
    t.log(good);
    t.true(isConfirmed(good, "1.1.0"));
    t.like(good, { imageBytes, fetchedBytes: imageBytes, reason: "accepted v1.1.0" });
    t.true(imageBytes / good.fetchSeconds > 0.8 * 125_000, "of a link of 1 Mbit/s");
    t.true(good.flashErases >= 74 && good.flashErases <= 80, "each block once, and the notes");
    t.true(good.flashWrites >= 148 && good.flashWrites <= 170);

    const stranger = await story.wronglySigned("1.2.0");
    t.true(isRefused(stranger, "1.1.0"));
    t.like(stranger, { status: "REJECTED", fetchedBytes: 0, flashErases: 0 });
    t.regex(stranger.reason, /signed by 0 known keys/);

    const changed = await story.changed("1.2.0");
    t.true(isRefused(changed, "1.1.0"));
    t.like(changed, { status: "FAILED", reason: "the image is not the one of its manifest" });

    const crashing = await story.crashing("1.2.0");
    t.true(isReverted(crashing, "1.2.0", "1.1.0"));
    t.deepEqual(
      events.map(({ type }) => type),
      [
        ...["offered", "fetched", "restarted", "ended"],
        ...["offered", "ended"],
        ...["offered", "fetched", "ended"],
        ...["offered", "fetched", "restarted", "restarted", "ended"],
      ] as UpdateStoryEvent["type"][],
    );
  });
}

const figures: UpdateFigures = {
  ...{ status: "SUCCEEDED", reason: "accepted v2", running: "2", starts: ["2"] },
  ...{ imageBytes: 5000, fetchedBytes: 5000, fetchSeconds: 1, seconds: 2 },
  ...{ flashWrites: 7, flashErases: 3 },
};

test("an update counts as confirmed, refused or reverted only when device and cloud both say so", t => {
  t.true(isConfirmed(figures, "2"));
  for (const wrong of [{ status: "FAILED" }, { running: "1" }, { starts: ["2", "2"] }])
    t.false(isConfirmed({ ...figures, ...wrong }, "2"), JSON.stringify(wrong));

  const refused = { ...figures, status: "REJECTED", running: "1", starts: [], fetchedBytes: 0 };
  t.true(isRefused(refused, "1"));
  t.true(isRefused({ ...refused, status: "FAILED", fetchedBytes: 5000 }, "1"));
  for (const wrong of [{ status: "SUCCEEDED" }, { running: "2" }, { starts: ["1"] }])
    t.false(isRefused({ ...refused, ...wrong }, "1"), JSON.stringify(wrong));
  t.false(isRefused({ ...refused, fetchedBytes: 1 }, "1"), "fetched for nothing");

  const back = { status: "FAILED", reason: "reverted: why", running: "1", starts: ["2", "1"] };
  const reverted = { ...figures, ...back };
  t.true(isReverted(reverted, "2", "1"));
  for (const wrong of [
    { status: "TIMED_OUT" },
    { reason: "why" },
    { running: "2" },
    { starts: ["1"] },
  ])
    t.false(isReverted({ ...reverted, ...wrong }, "2", "1"), JSON.stringify(wrong));
});

test("what became of an update is told in words and figures", t => {
  const event = {
    type: "ended",
    seconds: 2.04,
    status: "FAILED",
    reason: "why",
    running: "1",
  } as const;
  t.deepEqual(lineOfUpdate(event), {
    mark: "trouble",
    text: "virtual time: job over after 2.0 s, FAILED: why; 1 runs",
  });
  const stranger = { ...figures, status: "REJECTED", fetchedBytes: 0 };
  t.is(
    describeRefused(stranger, { ...figures, status: "FAILED", running: "1" }),
    "unknown signer: REJECTED, 0 bytes fetched; a byte changed: FAILED once read back, never started; 1 runs on",
  );
  t.is(
    describeReverted({ ...figures, running: "1", starts: ["2", "1"] }),
    "2 did not last, 1 runs again, told after 2.0 s; 7 flash writes, 3 erases",
  );
});

test("the tour shows all its steps, on both sides", async t => {
  const lines: string[] = [];
  const steps = await tour("node", (who, { text }) => lines.push(`${who} ${text}`));
  t.log(tableOf(steps));
  t.deepEqual(
    steps.filter(({ ok }) => !ok),
    [],
  );
  const names = steps.map(({ step }) => step).filter(step => step.startsWith("update"));
  t.deepEqual(names, ["update, good", "update, forged", "update, crashing"]);
  t.true(lines.length < 80, `${lines.length} lines`);
});
