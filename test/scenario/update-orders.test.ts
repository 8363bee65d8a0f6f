// What an owner decides while an update is on its way, and what the product puts off: cancelled, deleted, timed out, replaced by a
// newer one, deferred. The device does the last that was said, and the image that runs is always one that was meant to.
import test from "ava";
import type { UpdateWorld } from "../../simulator/fleet/update-world.js";
import {
  agree,
  createManifestJob,
  createOta,
  firmware,
  largeBytes,
  midway,
  minute,
  onceEach,
  openWorld,
  protocols,
  recovers,
  runs,
  slowly,
  succeeds,
  watchTraffic,
} from "./updates.js";

const large = (world: UpdateWorld, version = "1.1.0") => world.image(firmware(version), largeBytes);

/** What the device says of a job's end: it cannot know why the service ended it. */
function ends(world: UpdateWorld, jobId: string): readonly string[] {
  return world.statuses.flatMap(each =>
    each.type === "job" && each.state === "ended" && each.jobId === jobId ? [each.status] : [],
  );
}

const isOnTrial = (world: UpdateWorld) => world.running.isOnTrial && world.isOnline;

for (const by of protocols) {
  test(`a newer job for the same image: the download over ${by} goes on where the cancelled one was`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const first = await createManifestJob(world, "1", large(world), { by });
    await midway(t, world);
    const second = await createManifestJob(world, "2", large(world), { by });
    await world.clock.run(1000);
    t.is(world.outcome(second), "QUEUED", "one at a time");
    world.cloud.jobs.cancel(first, { force: true });
    await succeeds(t, world, second, "1.1.0");
    agree(t, world, first, "1.1.0");
    onceEach(t, world);
  });

  test(`a newer job for another image: it begins anew over ${by}`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const first = await createManifestJob(world, "1", large(world), { by });
    await midway(t, world);
    world.cloud.jobs.cancel(first, { force: true });
    // What was asked for is in the pipe before the news.
    t.true(await world.until(() => ends(world, first).length === 1, minute));
    const { erases } = world.spare.counts;
    const second = await createManifestJob(world, "2", large(world, "1.2.0"), {
      by,
      version: "1.2.0",
    });
    await succeeds(t, world, second, "1.2.0");
    const more = world.slots.partitions.ota_1.counts.erases - erases;
    t.is(more, 30);
    t.is(world.boots.length, 2);
  });

  test(`deleted in mid-file over ${by}: the device stops at once, and takes the next one`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    await midway(t, world);
    world.cloud.jobs.delete(jobId, { force: true });
    t.true(await world.until(() => ends(world, jobId).length === 1, 10_000));
    const { erases } = world.spare.counts;
    await world.clock.run(5 * minute);
    t.is(world.spare.counts.erases, erases);
    runs(t, world, "1.0.0");
    await recovers(t, world);
  });

  test(`a job that takes too long over ${by}: timed out; the next one for the same image goes on`, async t => {
    const world = await openWorld(t, { slots: { blocks: 64 } });
    slowly(world, 1000);
    // 59 blocks; over a stream 16 of them are on their way when the news is sent.
    const image = world.image(firmware(), 240_000);
    const timeoutConfig = { inProgressTimeoutInMinutes: 1 };
    const first = await createManifestJob(world, "1", image, {
      by,
      more: { timeoutConfig },
    });
    t.is(await world.ended(first), "TIMED_OUT");
    t.true(await world.until(() => ends(world, first).length === 1, 2 * minute));
    const { erases } = world.spare.counts;
    t.true(erases > 5 && erases < 50, `${erases}`);
    await world.clock.run(5 * minute);
    t.is(world.spare.counts.erases, erases, "nobody wants the rest");
    runs(t, world, "1.0.0");
    const second = await createManifestJob(world, "2", image, { by });
    await succeeds(t, world, second, "1.1.0");
    t.is(world.slots.partitions.ota_1.counts.erases, 1 + 59);
  });

  test(`a job that is tried again by the service when it times out: each execution brings a part over ${by}`, async t => {
    const world = await openWorld(t, { slots: { blocks: 64 } });
    slowly(world, 1000);
    // 59 blocks; over a stream 16 of them are on their way when the news is sent.
    const image = world.image(firmware(), 240_000);
    const jobId = await createManifestJob(world, "1", image, {
      by,
      more: {
        timeoutConfig: { inProgressTimeoutInMinutes: 1 },
        jobExecutionsRetryConfig: {
          criteriaList: [{ failureType: "TIMED_OUT", numberOfRetries: 5 }],
        },
      },
    });
    await world.until(() => world.outcome(jobId).startsWith("SUCCEEDED"), 30 * minute);
    t.is(world.outcome(jobId), "SUCCEEDED accepted v1.1.0");
    t.true(world.execution(jobId)!.number >= 3);
    t.is(world.slots.partitions.ota_1.counts.erases, 1 + 59);
  });
}

test("cancelled without force while it runs: the service lets it run, and the device ends it well", async t => {
  const world = await openWorld(t);
  slowly(world);
  const jobId = await createOta(world, "1", large(world));
  await midway(t, world);
  t.throws(() => world.cloud.jobs.cancelExecution(world.thingName, jobId), {
    message: /needs force/,
  });
  world.cloud.jobs.cancel(jobId);
  await succeeds(t, world, jobId, "1.1.0");
});

/** How an owner ends a job that runs, and what the service says of it then. */
const endings: Readonly<Record<string, (world: UpdateWorld, jobId: string) => void>> = {
  "cancelled with force": (world, jobId) => {
    world.cloud.jobs.cancel(jobId, { force: true });
  },
  deleted: (world, jobId) => world.cloud.jobs.delete(jobId, { force: true }),
};

for (const [what, end] of Object.entries(endings)) {
  test(`${what} on trial: the image before is back, and the same image may be tried again at once`, async t => {
    const world = await openWorld(t);
    const image = world.image(firmware());
    const first = await createManifestJob(world, "1", image);
    t.true(await world.until(() => isOnTrial(world), 10 * minute));
    end(world, first);
    t.true(await world.until(() => world.boots.length === 3 && world.isOnline, minute));
    await world.clock.run(minute);
    runs(t, world, "1.0.0");
    t.is(world.boots.length, 3);
    t.deepEqual(ends(world, first), ["CANCELED"]);
    await succeeds(t, world, await createManifestJob(world, "2", image), "1.1.0");
  });

  test(`${what} while the machine restarts into the new image: the image before is back`, async t => {
    const world = await openWorld(t);
    const first = await createManifestJob(world, "1", world.image(firmware()));
    t.true(await world.until(() => world.boots.length === 2 && !world.isOnline, 10 * minute));
    end(world, first);
    t.true(await world.until(() => world.boots.length === 3 && world.isOnline, minute));
    await world.clock.run(minute);
    runs(t, world, "1.0.0");
    t.is(world.boots.length, 3);
    await recovers(t, world);
  });

  test(`${what} while the product puts the restart off: nothing is switched, then or later`, async t => {
    const world = await openWorld(t, {
      config: {
        prepare: agent => agent.jobs.gate((_, about) => (about === "restart" ? 600 : undefined)),
      },
    });
    const before = world.slots.partitions.otadata.bytes.slice();
    const first = await createManifestJob(world, "1", world.image(firmware()));
    t.true(await world.until(() => isReady(world, first), 10 * minute));
    end(world, first);
    await world.clock.run(60 * minute);
    runs(t, world, "1.0.0");
    t.is(world.boots.length, 1);
    t.deepEqual(world.slots.partitions.otadata.bytes, before);
    t.deepEqual(ends(world, first), ["CANCELED"]);
  });
}

/** The service was told that the image is good. */
function isReady(world: UpdateWorld, jobId: string): boolean {
  const { self_test } = (world.execution(jobId)?.statusDetails ?? {}) as { self_test?: string };
  return self_test === "ready";
}

test("timed out on trial, not well: the image before is back, and the same image is not tried again at once", async t => {
  const world = await openWorld(t, { config: { trialSeconds: 600 } });
  const image = world.image(firmware("1.1.0", "unhealthy"));
  const jobId = await createManifestJob(world, "1", image, {
    more: { timeoutConfig: { inProgressTimeoutInMinutes: 1 } },
  });
  t.is(await world.ended(jobId), "TIMED_OUT");
  t.true(await world.until(() => world.boots.length === 3 && world.isOnline, 5 * minute));
  await world.clock.run(minute);
  runs(t, world, "1.0.0");
  t.deepEqual(ends(world, jobId), ["CANCELED"]);
  const again = await createManifestJob(world, "2", image);
  const why =
    "the job was cancelled, or its time was over: health check sensor; the same image is not tried again for a day";
  t.is(await world.ended(again), `FAILED reverted: ${why}`);
  t.is(world.boots.length, 3);
  await recovers(t, world);
});

test("the start is put off: the job stays QUEUED, no byte is fetched; then it is done", async t => {
  let isOpen = false;
  const asked: string[] = [];
  const world = await openWorld(t, {
    config: {
      prepare: agent =>
        agent.jobs.gate(({ operation }, about) => {
          asked.push(`${operation} ${about}`);
          return isOpen ? undefined : 3600;
        }),
    },
  });
  const traffic = watchTraffic(world);
  const jobId = await world.createManifestUpdate("1", firmware());
  await world.clock.run(150 * minute);
  t.is(world.outcome(jobId), "QUEUED");
  t.deepEqual([traffic.requests, traffic.ranges.length], [0, 0]);
  t.deepEqual(asked, ["firmware start", "firmware start", "firmware start"]);
  isOpen = true;
  await world.clock.run(60 * minute);
  await succeeds(t, world, jobId, "1.1.0");
});

test("the restart is put off: all is fetched and judged, what runs goes on; then it is tried", async t => {
  let isOpen = false;
  const world = await openWorld(t, {
    config: {
      prepare: agent =>
        agent.jobs.gate((_, about) => (about === "start" || isOpen ? undefined : 3600)),
    },
  });
  const traffic = watchTraffic(world);
  const jobId = await world.createManifestUpdate("1", firmware());
  t.true(await world.until(() => isReady(world, jobId), 10 * minute));
  await world.clock.run(150 * minute);
  t.true(isReady(world, jobId));
  t.is(world.boots.length, 1);
  runs(t, world, "1.0.0");
  // The power goes meanwhile: nothing was decided, and nothing is fetched again.
  const { requests } = traffic;
  world.restart("powerOn");
  await world.clock.run(60 * minute);
  t.is(world.running.version, "1.0.0");
  t.deepEqual([traffic.requests, traffic.ranges.length], [requests, 0]);
  isOpen = true;
  await world.clock.run(60 * minute);
  await succeeds(t, world, jobId, "1.1.0");
});

test("an update that is put off, and a newer one that is not: the first in the queue is the first that runs", async t => {
  const world = await openWorld(t, {
    config: {
      prepare: agent =>
        agent.jobs.gate(({ id }, about) => (about === "start" && id === "1" ? 600 : undefined)),
    },
  });
  const first = await world.createManifestUpdate("1", firmware());
  const second = await world.createManifestUpdate("2", firmware("1.2.0"));
  await world.clock.run(30 * minute);
  t.is(world.outcome(second), "QUEUED");
  world.cloud.jobs.cancel(first);
  await succeeds(t, world, second, "1.2.0");
  t.is(world.outcome(first), "CANCELED");
});

test("a job of the update that has just been done, and one of what it has replaced, are refused", async t => {
  const world = await openWorld(t);
  await succeeds(t, world, await world.createManifestUpdate("1", firmware()), "1.1.0");
  for (const [id, version, why] of [
    ["2", "1.1.0", '"1.1.0" is running already'],
    ["3", "1.0.0", 'not newer than "1.1.0"'],
  ] as const) {
    const jobId = await world.createManifestUpdate(id, firmware(version));
    t.is(await world.ended(jobId), `REJECTED image has version "${version}", ${why}`);
  }
  runs(t, world, "1.1.0");
  t.is(world.boots.length, 2);
});
