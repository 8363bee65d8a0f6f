// What a device has in memory at the worst of times: an image comes over a stream, the outbox drains, and all settings change.
// Not among the rows of the budget: to collect before every allocation of this takes a minute and a half.
import { buildEngine } from "../hosts/xs/engine/build.js";
import { options } from "./budget.js";
import { stream } from "./ota-world.js";
import { makeKey, UpdateRun } from "./update.js";

const count = 60;
const goal = 32_768;
const timestamp = 1_767_225_600;
const names = Array.from({ length: count }, (_, i) => `setting${i}`);

/** About as much as one set of settings may take. */
const text = (i: number, round: number) => `value ${i} in round ${round}`.padEnd(44, ".");
const stateOf = (round: number) =>
  Object.fromEntries(names.map((name, i) => [name, text(i, round)]));
const schema = Object.fromEntries(
  names.map((name, i) => [name, { type: "string", maxLength: 64, default: text(i, 0) }]),
);

/** All of them, desired, with the metadata that the service sends along. */
const delta = {
  version: 1000,
  timestamp,
  state: stateOf(1),
  metadata: Object.fromEntries(names.map(name => [name, { timestamp }])),
};

export async function busy(): Promise<void> {
  const engine = await buildEngine({ bits: 32 });
  if (!engine.ok) throw new Error(`bench: ${engine.missing}`);
  const key = makeKey();
  const config = { ...options, schema, outbox: {} };
  const run = await UpdateRun.start(engine.worker, config, key, 6);
  const { broker } = run.world;
  const sent = (end: string) =>
    broker.all("publish").filter(({ topic }) => topic.endsWith(end)).length;
  try {
    await run.judge(stream, key);
    await run.begin();
    const samples = sent("/climate");
    const updates = sent("/shadow/update");
    run.send("fill");
    await run.until(() => sent("/climate") >= samples + 4);
    const peak = await run.peakOf(async () => {
      run.tell("$aws/things/node-1/shadow/update/delta", delta);
      await run.until(() => sent("/shadow/update") > updates);
    });
    if (sent("/climate") >= samples + 16) throw new Error("bench: the outbox was empty by then");
    await run.fetch();
    const shadowBytes = 2 * JSON.stringify(delta.state).length;
    const deltaBytes = JSON.stringify(delta).length;
    console.log(`a shadow of ${shadowBytes} bytes, a delta of ${deltaBytes}`);
    console.log(`idle ${run.idleBytes}, beyond it ${peak} bytes`);
    console.log(`together ${run.idleBytes + peak} bytes, goal ${goal}`);
  } finally {
    await run.close();
  }
}
