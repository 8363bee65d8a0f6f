// Updates under attack: by operators, clouds and images that mean ill, or do not know better.
import test, { type ExecutionContext } from "ava";
import { devicePolicy, devicePolicyName } from "../../simulator/cloud/defaults.js";
import type { JsonObject } from "../../simulator/cloud/json.js";
import type { UpdatableConfig } from "../../simulator/fleet/updatable.js";
import {
  makeSigner,
  UpdateWorld,
  type UpdateWorldOptions,
} from "../../simulator/fleet/update-world.js";
import { manifestDocument } from "../../simulator/signing/job-document.js";
import { Floor } from "../../src/ota/floor.js";

async function open(t: ExecutionContext, options: UpdateWorldOptions = {}): Promise<UpdateWorld> {
  const world = await UpdateWorld.open(options);
  t.teardown(() => world.close());
  return world;
}

const good = (version: string) => ({ version, behaviour: "good" as const });
const crashing = (version: string) => ({ version, behaviour: "crashes" as const });

/** What the world's product is, by the version that runs. */
function byVersion(of: (version: string | undefined) => Partial<UpdatableConfig>) {
  const held: { world?: UpdateWorld } = {};
  const version = () => held.world?.boots.at(-1)?.version;
  const config = {
    get signers() {
      return of(version()).signers;
    },
    get minimumVersion() {
      return of(version()).minimumVersion;
    },
  } as Partial<UpdatableConfig>;
  return { held, config };
}

/** The policy of devices, without the topics of streams: whoever publishes there loses the link. */
const withoutStreams = JSON.parse(
  JSON.stringify(devicePolicy, (_, value) =>
    Array.isArray(value) ? value.filter(each => !String(each).includes("/streams/")) : value,
  ),
);

const lost = ({ events }: UpdateWorld) =>
  events.filter(({ type }) => type === "clientDisconnected").length;

test("firmware with other signers than the one before tells the job that brought it", async t => {
  const [mine, next] = [makeSigner("mine"), makeSigner("next")];
  const { held, config } = byVersion(version => {
    const { name, key } = version === "1.1.0" ? next : mine;
    return { signers: [{ name, publicKey: key.publicKey }] };
  });
  const world = await open(t, { config });
  held.world = world;
  await world.createManifestUpdate("a", good("1.1.0"), {}, [mine]);
  t.is(await world.ended("a"), "SUCCEEDED accepted v1.1.0");
  await world.createManifestUpdate("b", good("1.2.0"), {}, [mine]);
  t.regex(await world.ended("b"), /^REJECTED manifest: signed by 0 known keys/);
});

test("an image that was taken back is not tried at once because it was signed again, or offered in another way", async t => {
  const world = await open(t);
  t.regex(
    await world.ended(await world.createOtaUpdate("a", crashing("1.1.0"))),
    /^FAILED reverted/,
  );
  const { length } = world.boots;
  const b = await world.createOtaUpdate("b", crashing("1.1.0"));
  t.regex(await world.ended(b), /^FAILED reverted: .*not tried again for a day$/);
  await world.createManifestUpdate("c", crashing("1.1.0"));
  t.regex(await world.ended("c"), /^FAILED reverted: .*not tried again for a day$/);
  t.is(world.boots.length, length);
  t.is(
    await world.ended(await world.createOtaUpdate("d", good("1.1.0"))),
    "SUCCEEDED accepted v1.1.0",
  );
});

test("a manifest that expires while a gate is closed is not installed", async t => {
  const world = await open(t);
  let isOpen = false;
  world.agent!.jobs.gate((_, about) => (about === "restart" && !isOpen ? 600 : undefined));
  const expires = Math.floor(world.clock.now() / 1000) + 3600;
  await world.createManifestUpdate("a", good("1.1.0"), { expires });
  await world.until(() => world.clock.now() / 1000 > expires, 7_200_000);
  isOpen = true;
  t.regex(await world.ended("a"), /^FAILED manifest has expired/);
  t.is(world.running.version, "1.0.0");
  t.is(world.boots.length, 1);
});

test("streams that end the link are given up, and keep no other job from running", async t => {
  const world = await open(t);
  world.cloud.putPolicy(devicePolicyName, withoutStreams);
  const id = await world.createOtaUpdate("a", good("1.1.0"));
  world.createJob("next", { operation: "reboot" });
  t.is(await world.ended(id, 3_600_000), "FAILED ota: the link is lost with each request for it");
  t.is(await world.ended("next"), "SUCCEEDED");
  t.true(lost(world) < 12, `${lost(world)}`);
});

test("streams that end the link are left for another source", async t => {
  const world = await open(t);
  world.cloud.putPolicy(devicePolicyName, withoutStreams);
  await world.createManifestUpdate("a", good("1.1.0"));
  t.is(await world.ended("a", 3_600_000), "SUCCEEDED accepted v1.1.0");
});

test("an image that is not well, and without one to go back to, stays and can be replaced", async t => {
  const world = await open(t);
  await world.createManifestUpdate("a", { version: "1.1.0", behaviour: "unhealthy" });
  await world.until(() => world.running.version === "1.1.0", 600_000);
  world.slots.partitions.ota_0.bytes.fill(0, 0, 4096);
  const reason = "health check sensor, and no way back: ota_0: there is no whole image";
  t.is(await world.ended("a", 3_600_000), `FAILED ${reason}`);
  t.is(world.boots.length, 2);
  await world.createManifestUpdate("b", good("1.2.0"));
  t.is(await world.ended("b", 3_600_000), "SUCCEEDED accepted v1.2.0");
});

test("the floor of the firmware a device was made with stays when that is replaced", async t => {
  const mine = makeSigner("mine");
  const signers = [{ name: "mine", publicKey: mine.key.publicKey }];
  const { held, config } = byVersion(version =>
    version === "2.1.0" ? { signers } : { signers, minimumVersion: "1.9.0" },
  );
  const world = await open(t, { first: { version: "2.0.0" }, config });
  held.world = world;
  await world.createManifestUpdate("a", good("2.1.0"), {}, [mine]);
  t.is(await world.ended("a"), "SUCCEEDED accepted v2.1.0");
  t.is(new Floor(world.host!.keyValue).above(undefined), "1.9.0");
});

test("a job of the name of one before it is another one", async t => {
  const world = await open(t);
  await world.createManifestUpdate("a", good("1.1.0"));
  t.is(await world.ended("a"), "SUCCEEDED accepted v1.1.0");
  world.cloud.jobs.delete("a", { force: true });
  await world.until(() => world.execution("a") === undefined, 60_000);
  const image = world.image(good("1.2.0"));
  const sources = await world.sources("b", image);
  const manifest = world.manifest(image, { version: "1.2.0" });
  world.createJob("a", manifestDocument(manifest, sources) as unknown as JsonObject);
  t.is(await world.ended("a"), "SUCCEEDED accepted v1.2.0");
  t.is(world.running.version, "1.2.0");
});

test("flash that does not take it that the machine restarts: nothing is switched, and the next update is taken", async t => {
  const world = await open(t);
  let isWorn = false;
  const whole = world.flash.provider.bind(world.flash);
  world.flash.provider = power => ({
    open: options => {
      const store = whole(power).open(options);
      const write: typeof store.write = (key, value) => {
        if (isWorn && key.startsWith("job")) throw new Error("worn");
        store.write(key, value);
      };
      return { ...store, write };
    },
  });
  world.restart("restart");
  await world.until(() => world.isOnline, 60_000);
  world.agent!.jobs.gate((job, about) => {
    isWorn = about === "restart" && job.id === "a";
    return undefined;
  });
  await world.createManifestUpdate("a", good("1.1.0"));
  t.is(await world.ended("a"), "FAILED nothing can be saved: storage refuses");
  t.is(world.boots.length, 2);
  await world.createManifestUpdate("b", good("1.1.0"));
  t.is(await world.ended("b"), "SUCCEEDED accepted v1.1.0");
});

test("a job that is cancelled takes back no image that came by another way", async t => {
  const world = await open(t);
  world.agent!.jobs.gate((_, about) => (about === "restart" ? 600 : undefined));
  await world.createManifestUpdate("a", good("1.1.0"));
  await world.until(() => JSON.stringify(world.execution("a")).includes("ready"), 60_000);
  world.slots.partitions.ota_1.bytes.set(world.image(good("1.2.0")));
  world.host!.update!.complete();
  world.restart("restart");
  world.cloud.jobs.cancelExecution(world.thingName, "a", { force: true });
  await world.until(() => false, 60_000);
  t.is(await world.ended("a"), "CANCELED");
  t.like(world.running, { version: "1.2.0", isOnTrial: true });
  t.is(world.boots.length, 2);
  t.false(world.host!.update!.isOnTrial);
});
