// Links that break, machines that start again, servers that stop in mid-file: each update goes on where it was, and no block of its
// image comes to flash twice.
import test, { type ExecutionContext } from "ava";
import type { UpdateWorld } from "../../simulator/fleet/update-world.js";
import { dark } from "../../simulator/world/faults.js";
import {
  createManifestJob,
  createOta,
  firmware,
  largeBytes,
  midway,
  minute,
  onceEach,
  openWorld,
  protocols,
  slowly,
  succeeds,
  watchTraffic,
} from "./updates.js";

const large = (world: UpdateWorld, version = "1.1.0") => world.image(firmware(version), largeBytes);

/** Requests of jobs that the device makes from now on, without their common beginning. */
function watchJobs(world: UpdateWorld): readonly string[] {
  const seen: string[] = [];
  const { jobs } = world.cloud;
  const handle = jobs.handle.bind(jobs);
  jobs.handle = (topic, payload, client) => {
    seen.push(topic.slice(topic.indexOf("/jobs/") + 6));
    handle(topic, payload, client);
  };
  return seen;
}

/** Ends when all blocks of an image are in the slot. */
async function fetched(t: ExecutionContext, world: UpdateWorld): Promise<void> {
  t.true(await world.until(() => world.slots.partitions.ota_1.counts.erases === 30, 600 * minute));
}

for (const by of protocols) {
  test(`links that last four seconds, one after the other: the download over ${by} goes on with each`, async t => {
    const world = await openWorld(t);
    world.network.faults = { toDevice: { bytesPerSecond: 12_000 }, resetAfterMs: 4000 };
    world.network.cutAll();
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    await fetched(t, world);
    const lost = world.events.filter(({ type }) => type === "clientDisconnected").length;
    t.true(lost >= 3, `${lost} links`);
    world.network.faults = {};
    await succeeds(t, world, jobId, "1.1.0");
    onceEach(t, world);
  });

  test(`a link that goes dark for an hour: the download over ${by} goes on`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    await midway(t, world);
    world.network.faults = dark;
    await world.clock.run(60 * minute);
    t.false(world.isOnline);
    // What went dark stays dark: the device has to know by itself.
    world.network.faults = {};
    await succeeds(t, world, jobId, "1.1.0");
    onceEach(t, world);
  });

  test(`a machine that starts again seven times in mid-file: the download over ${by} goes on each time`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    for (let i = 0; i < 7; i++) {
      await midway(t, world, 2);
      world.restart(i % 2 ? "watchdog" : "powerOn");
    }
    await succeeds(t, world, jobId, "1.1.0");
    onceEach(t, world);
    t.is(world.boots.length, 1 + 7 + 1);
  });

  test(`another endpoint in mid-file: the download over ${by} goes on there, the new image stays there`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    await midway(t, world);
    world.agent!.moveTo({ endpoint: "second.test" });
    await succeeds(t, world, jobId, "1.1.0");
    onceEach(t, world);
    t.is(world.agent!.link.endpoint.host, "second.test");
  });

  test(`an endpoint that cannot be moved to in mid-file: the download over ${by} goes on at the one before`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", large(world), { protocols: [by] });
    await midway(t, world);
    world.agent!.moveTo({ endpoint: "nowhere.invalid" });
    await succeeds(t, world, jobId, "1.1.0");
    onceEach(t, world);
    t.is(world.agent!.link.endpoint.host, "cloud.test");
  });
}

test("a stream that is taken away in mid-file: the link brings the rest, and the other way round", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  slowly(world);
  const jobId = await createManifestJob(world, "1", large(world));
  await midway(t, world);
  t.is(traffic.ranges.length, 0);
  world.cloud.files.streams.remove("1");
  await succeeds(t, world, jobId, "1.1.0");
  onceEach(t, world);
  t.regex(traffic.ranges[0]!, /^bytes=[1-9]\d{4,}-/, "from the first missing block on");

  const next = await createOta(world, "2", large(world, "1.2.0"), { protocols: ["HTTP", "MQTT"] });
  const { requests } = traffic;
  const erases = world.spare.counts.erases;
  await midway(t, world);
  t.is(traffic.requests, requests);
  // All of it was asked for already: the next connection finds out.
  world.cloud.files.downloads.faults = { expired: true };
  world.network.cutAll();
  await succeeds(t, world, next, "1.2.0");
  t.true(traffic.requests > requests);
  t.is(world.slots.partitions.ota_0.counts.erases - erases, 30);
});

test("a link that expires on the way: a new document is asked for, and the download goes on", async t => {
  const world = await openWorld(t, { slots: { blocks: 64 } });
  const seen = watchJobs(world);
  const traffic = watchTraffic(world);
  slowly(world, 1500);
  const jobId = await createOta(world, "1", world.image(firmware(), 240_000), {
    protocols: ["HTTP"],
    more: { awsJobPresignedUrlConfig: { expiresInSec: 60 } },
  });
  await succeeds(t, world, jobId, "1.1.0");
  const asked = seen.filter(topic => topic === `${jobId}/get`).length;
  t.true(asked >= 1 && asked <= 3, `${asked} times`);
  t.is(
    new Set(traffic.ranges).size,
    traffic.ranges.length - asked,
    "only what was refused is asked for again",
  );
  t.is(world.slots.partitions.ota_1.counts.erases, 1 + 59);
});

test("a link that expires while the device's own link breaks: a new document is asked for over the next one", async t => {
  const world = await openWorld(t);
  let isExpired = true;
  world.cloud.files.downloads.faults = () => ({ expired: isExpired });
  const { jobs } = world.cloud;
  const handle = jobs.handle.bind(jobs);
  let cuts = 0;
  jobs.handle = (topic, payload, client) => {
    if (!topic.endsWith("/$next/get") && topic.endsWith("/get") && cuts++ < 3)
      return world.network.cutAll();
    if (cuts >= 3) isExpired = false;
    handle(topic, payload, client);
  };
  const jobId = await createOta(world, "1", large(world), { protocols: ["HTTP"] });
  await succeeds(t, world, jobId, "1.1.0");
  t.true(cuts >= 3);
  onceEach(t, world);
});
