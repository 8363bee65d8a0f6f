// Whole updates on the XS engine, 64 and 32 bits wide: what is in the slot decides what runs, the cloud has the last word.
import anyTest, { type TestFn } from "ava";
import { makeSigner, UpdateWorld } from "../../simulator/fleet/update-world.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";

const test = anyTest as TestFn;
const { worker64, worker32 } = await buildForTests();
const engines: readonly (readonly [string, string])[] = [
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
  ...(worker32.ok ? ([["xs 32-bit", worker32.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);
workerOrReport(test, worker32, 32);

const good = { version: "1.1.0", behaviour: "good" } as const;

/** Each start of the machine: `ota_1 1.1.0 crashes, on trial`. */
function startsOf({ boots }: UpdateWorld): string[] {
  return boots.map(({ slot, version, behaviour, isOnTrial }) => {
    const what = behaviour === "good" ? "" : ` ${behaviour}`;
    return `${slot} ${version}${what}${isOnTrial ? ", on trial" : ""}`;
  });
}

for (const [engine, worker] of engines) {
  test(`${engine}: by manifest over a stream: forged is refused, what crashes or is unwell reverted, good confirmed`, async t => {
    const world = await UpdateWorld.open({ worker, slots: { blocks: 8 } });
    t.teardown(() => world.close());
    const dialed: string[] = [];
    world.network.onDial = ({ host }) => dialed.push(host);
    const { ota_1: slot } = world.slots.partitions;

    await world.createManifestUpdate("forged", good, {}, [makeSigner("forger")]);
    t.regex(await world.ended("forged"), /^REJECTED manifest: signed by 0 known keys, 1 needed/);
    t.deepEqual([world.boots.length, slot.counts.erases], [1, 0]);

    await world.createManifestUpdate("crash", { version: "1.1.0", behaviour: "crashes" });
    t.is(
      await world.ended("crash"),
      "FAILED reverted: the new image did not last until it was confirmed, reset: other",
    );
    await world.createManifestUpdate("unwell", { version: "1.1.0", behaviour: "unhealthy" });
    t.is(await world.ended("unwell"), "FAILED reverted: health check sensor");
    await world.createManifestUpdate("good", good);
    t.is(await world.ended("good"), "SUCCEEDED accepted v1.1.0");
    world.restart("powerOn");
    t.true(await world.until(() => world.boots.length === 7 && world.isOnline, 600_000));

    t.deepEqual(startsOf(world), [
      "ota_0 1.0.0",
      "ota_1 1.1.0 crashes, on trial",
      "ota_0 1.0.0",
      "ota_1 1.1.0 unhealthy, on trial",
      "ota_0 1.0.0",
      "ota_1 1.1.0, on trial",
      "ota_1 1.1.0",
    ]);
    t.deepEqual([...new Set(dialed)], ["cloud.test"]);
    t.deepEqual(
      world.statuses.filter(({ type }) => type === "fault"),
      [],
    );
  });

  test(`${engine}: AWS's document over HTTPS: tried, confirmed, told`, async t => {
    const world = await UpdateWorld.open({ worker, slots: { blocks: 8 } });
    t.teardown(() => world.close());
    const dialed: string[] = [];
    world.network.onDial = ({ host }) => dialed.push(host);
    const job = await world.createOtaUpdate("aws", good, ["HTTP"]);
    t.is(await world.ended(job), "SUCCEEDED accepted v1.1.0");
    t.deepEqual(startsOf(world), ["ota_0 1.0.0", "ota_1 1.1.0, on trial"]);
    t.true(dialed.includes("downloads.test"));
    t.true(world.statuses.some(({ type }) => type === "firmwareConfirmed"));
    t.deepEqual(world.execution(job)?.statusDetails, {
      reason: "accepted v1.1.0",
      updatedBy: "v1.0.0",
    });
  });
}
