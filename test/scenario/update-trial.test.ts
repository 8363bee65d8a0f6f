// Images on trial, each with another trouble: what is not connected, answered, acknowledged and well for a while is taken back, and
// the job says why. What is well in time is kept, whatever was wrong on the way.
import test, { type ExecutionContext } from "ava";
import type { UpdateWorld, UpdateWorldOptions } from "../../simulator/fleet/update-world.js";
import {
  createManifestJob,
  createOta,
  firmware,
  minute,
  openWorld,
  recovers,
  refuses,
  runs,
  succeeds,
} from "./updates.js";

const isNew = (world: UpdateWorld) => world.running.version === "1.1.0";
const day = 24 * 60 * minute;

/** A world whose product asks this of every image while it is on trial; seconds since the image has started. */
async function checked(
  t: ExecutionContext,
  isWell: (seconds: number, world: UpdateWorld) => boolean,
  config: UpdateWorldOptions["config"] = {},
): Promise<UpdateWorld> {
  let world: UpdateWorld | undefined;
  const check = () => isWell((world!.clock.ticks() - world!.running.at) / 1000, world!);
  world = await openWorld(t, {
    config: { ...config, prepare: agent => agent.health.check("pump", check) },
  });
  return world;
}

/** When the image that runs was confirmed, in seconds after it had started. */
async function confirmedAfter(world: UpdateWorld): Promise<number> {
  await world.until(() => isNew(world), 10 * minute);
  const { at } = world.running;
  await world.until(() => !world.host!.update!.isOnTrial, 10 * minute);
  return (world.clock.ticks() - at) / 1000;
}

const sick: readonly (readonly [
  name: string,
  isWell: (seconds: number) => boolean,
  why: string,
])[] = [
  ["never holds", () => false, "health check pump"],
  [
    "throws",
    () => {
      throw new Error("the pump is stuck");
    },
    "health check pump: the pump is stuck",
  ],
  ["holds at first, and not for long enough", seconds => seconds < 15, "health check pump"],
  ["holds now and then", seconds => seconds % 20 < 15, "not well for long enough"],
];

for (const [name, isWell, why] of sick) {
  test(`a health check that ${name}: taken back; another image is tried at once`, async t => {
    let isMended = false;
    const world = await checked(t, seconds => isMended || isWell(seconds));
    const image = world.image(firmware());
    const first = await createOta(world, "1", image);
    await refuses(t, world, first, `FAILED reverted: ${why}`);
    t.is(world.boots.length, 3);
    const [, tried, back] = world.boots;
    t.true(back!.at - tried!.at < 305_000, "within the time of a trial");
    const own = await createManifestJob(world, "2", world.image(firmware("1.2.0")), {
      version: "1.2.0",
    });
    isMended = true;
    await succeeds(t, world, own, "1.2.0");
  });
}

test("an image that was taken back is not tried again at once, by whichever job; after a day it is", async t => {
  let isMended = false;
  const world = await checked(t, () => isMended);
  const image = world.image(firmware());
  const first = await createManifestJob(world, "1", image);
  await refuses(t, world, first, "FAILED reverted: health check pump");
  const again = "health check pump; the same image is not tried again for a day";
  for (const id of ["2", "3"]) {
    const jobId = await createManifestJob(world, id, image);
    await refuses(t, world, jobId, `FAILED reverted: ${again}`);
  }
  t.is(world.boots.length, 3, "it ran once");
  isMended = true;
  await world.clock.run(day);
  await succeeds(t, world, await createManifestJob(world, "4", image), "1.1.0");
});

test("an image that was taken back, and a service that tries failed jobs again: it runs once", async t => {
  const world = await openWorld(t);
  const image = world.image(firmware("1.1.0", "crashes"));
  const jobId = await createManifestJob(world, "1", image, {
    more: {
      jobExecutionsRetryConfig: {
        criteriaList: [{ failureType: "FAILED", numberOfRetries: 2 }],
      },
    },
  });
  await world.until(() => world.execution(jobId)?.number === 3, 30 * minute);
  t.regex(
    await world.ended(jobId),
    /^FAILED reverted: .*; the same image is not tried again for a day$/,
  );
  t.is(world.boots.length, 3);
  await recovers(t, world);
});

test("a health check that holds after a while: kept, the settle time after that", async t => {
  const world = await checked(t, (seconds, { running }) => !running.isOnTrial || seconds > 120);
  const jobId = await world.createOtaUpdate("1", firmware());
  const seconds = await confirmedAfter(world);
  t.true(seconds >= 140 && seconds < 145, `${seconds} s`);
  await succeeds(t, world, jobId, "1.1.0");
});

test("a health check that breaks while all else holds: the settle time begins anew", async t => {
  const world = await checked(t, seconds => seconds < 12 || seconds > 14);
  const jobId = await world.createOtaUpdate("1", firmware());
  const seconds = await confirmedAfter(world);
  t.true(seconds >= 34 && seconds < 38, `${seconds} s`);
  await succeeds(t, world, jobId, "1.1.0");
});

test("a health check that breaks after the image was confirmed: nothing is taken back", async t => {
  let isWell = true;
  const world = await checked(t, () => isWell);
  await succeeds(t, world, await world.createOtaUpdate("1", firmware()), "1.1.0");
  isWell = false;
  await world.clock.run(60 * minute);
  world.restart("watchdog");
  await world.clock.run(10 * minute);
  runs(t, world, "1.1.0");
});

test("a link that breaks while all else holds: the settle time begins anew", async t => {
  const world = await openWorld(t);
  const jobId = await world.createOtaUpdate("1", firmware());
  await world.until(() => isNew(world) && world.isOnline, 10 * minute);
  await world.clock.run(15_000);
  world.network.isUp = false;
  await world.clock.run(30_000);
  t.true(world.host!.update!.isOnTrial);
  world.network.isUp = true;
  const seconds = await confirmedAfter(world);
  t.true(seconds >= 65, `${seconds} s`);
  await succeeds(t, world, jobId, "1.1.0");
});

/** Leaves out what the cloud sends to the new image in packets of these types (the high four bits of their first byte). */
function keepsBack(world: UpdateWorld, isKeptBack: (type: number) => boolean): void {
  const accept = world.cloud.accept.bind(world.cloud);
  world.cloud.accept = (link, peer) => {
    const write = (bytes: Uint8Array) => {
      if (!isNew(world) || !isKeptBack(bytes[0]! >> 4)) link.write(bytes);
    };
    return accept({ write, close: () => link.close() }, peer);
  };
}

/** What is between the new image and the cloud, and not between the old one and it. */
const troubles: Readonly<Record<string, (world: UpdateWorld) => void>> = {
  "no address": world => {
    world.network.names = {
      get fate() {
        return isNew(world) ? "absent" : "found";
      },
    };
  },
  "connections that are refused": world => {
    const { fate } = world.network;
    world.network.fate = options => (isNew(world) ? "refused" : fate(options));
  },
  "no CONNACK": world => keepsBack(world, type => type === 2),
  "nothing but CONNACK": world => keepsBack(world, type => type !== 2),
  "no SUBACK": world => keepsBack(world, type => type === 9),
  "no PUBACK": world => keepsBack(world, type => type === 4),
  "no answer of jobs": world => {
    const { jobs } = world.cloud;
    const handle = jobs.handle.bind(jobs);
    jobs.handle = (topic, payload, client) => {
      if (!isNew(world)) handle(topic, payload, client);
    };
  },
  "links that last ten seconds": world => {
    world.network.faults = {
      get resetAfterMs() {
        return isNew(world) ? 10_000 : 1e9;
      },
    };
  },
};

for (const [name, set] of Object.entries(troubles)) {
  test(`${name}: taken back`, async t => {
    const world = await openWorld(t);
    set(world);
    const jobId = await world.createOtaUpdate("1", firmware());
    await refuses(t, world, jobId, /^FAILED reverted: (not connected|no PUBACK)$/);
    t.is(world.boots.length, 3);
    await recovers(t, world);
  });

  test(`${name} for two minutes: kept`, async t => {
    const world = await openWorld(t, { config: { trialSeconds: 900 } });
    let isOver = false;
    set({
      ...{ cloud: world.cloud, network: world.network },
      get running() {
        return isOver ? world.boots[0]! : world.running;
      },
    } as UpdateWorld);
    const jobId = await world.createOtaUpdate("1", firmware());
    t.true(await world.until(() => isNew(world), 10 * minute));
    await world.clock.run(2 * minute);
    t.true(world.host!.update!.isOnTrial);
    isOver = true;
    await succeeds(t, world, jobId, "1.1.0");
  });
}
