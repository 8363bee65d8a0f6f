// A device's identity gives way to the next one: by the product's word, by age, over refusals, against the local cloud.
import test from "ava";
import { Power } from "../../simulator/world/power.js";
import { heldIn } from "./identity.js";
import { openWorld, type World } from "./world.js";

const identityOf = (world: World) => heldIn(world.flash).record.identity;

async function provisioned() {
  const world = await openWorld();
  const agent = world.boot();
  await world.clock.run(10_000);
  return { world, agent, before: identityOf(world)! };
}

test("rotation: a new key and certificate are tried before the old ones are retired, and the cloud is told", async t => {
  const { world, agent, before } = await provisioned();
  world.statuses.length = 0;
  agent.rotate();
  await world.clock.run(10_000);
  const after = identityOf(world)!;
  t.not(after.certificateId, before.certificateId);
  t.is(after.thingName, before.thingName);
  t.deepEqual(
    world.statuses.map(status => status.type).filter(type => type !== "telemetry"),
    ["keyMade", "certified", "registered", "connecting", "online", "rotated"],
  );
  const [rotated] = world.seen("rotated");
  t.deepEqual(rotated, {
    type: "rotated",
    certificateId: after.certificateId,
    retired: before.certificateId,
  });
  t.is(world.cloudSaw("certificateRetired").length, 1);
  t.is(heldIn(world.flash).record.retired, undefined);
  t.is(heldIn(world.flash).privateKeys.length, 1, "the old key is erased");
  t.is(world.cloud.things().length, 1);
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
});

test("rotation: telemetry goes on, no message is lost over it", async t => {
  const { world, agent } = await provisioned();
  for (let i = 0; i < 40; i++) {
    agent.telemetry.send("count", { i });
    if (i === 20) agent.rotate();
    await world.clock.run(200);
  }
  await world.clock.run(5000);
  const counted = world.cloudSaw("message").flatMap(event => {
    const { topic, payload } = event as unknown as { topic: string; payload: Uint8Array };
    return topic.endsWith("/count") ? [JSON.parse(String(Buffer.from(payload))).i] : [];
  });
  t.deepEqual(
    [...new Set(counted)],
    Array.from({ length: 40 }, (_, i) => i),
  );
  t.is(world.seen("rotated").length, 1);
});

test("rotation: by age, once, and again at that age", async t => {
  const world = await openWorld();
  world.boot(new Power(), "SN-1", { rotateAfterDays: 30 });
  await world.clock.run(10_000);
  const days = 86_400_000;
  // The cloud dates certificates back by up to a day.
  await world.clock.run(28 * days);
  t.is(world.seen("rotated").length, 0);
  await world.clock.run(4 * days);
  t.is(world.seen("rotated").length, 1);
  await world.clock.run(32 * days);
  t.is(world.seen("rotated").length, 2);
  t.is(world.cloudSaw("certificateIssued").length, 3);
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
});

test("rotation: what the template refuses is tried three times, the reason is told, and the identity stays", async t => {
  const { world, agent, before } = await provisioned();
  world.cloud.deny("SN-1");
  world.statuses.length = 0;
  agent.rotate();
  await world.clock.run(600_000);
  const [failed] = world.seen("rotationFailed");
  t.true(failed?.type === "rotationFailed" && failed.error.message.includes("ACCESS_DENIED"));
  t.is(world.seen("offline").length, 0);
  t.deepEqual(identityOf(world), before);
  t.is(heldIn(world.flash).record.enrollment, undefined);
  t.is(heldIn(world.flash).privateKeys.length, 1);
  t.is(world.cloudSaw("certificateIssued").length, 2);
});

test("rotation: a certificate that is switched off before its trial is given up, and the old one goes on", async t => {
  const { world, agent, before } = await provisioned();
  world.statuses.length = 0;
  agent.rotate();
  t.true(await world.clock.runUntil(() => world.seen("registered").length === 1, 10_000));
  const issued = world.cloudSaw("certificateIssued").at(-1);
  const fresh = issued?.type === "certificateIssued" ? issued.certificateId : "";
  t.true(world.cloud.setCertificateStatus(fresh, "INACTIVE"));
  t.true(await world.clock.runUntil(() => world.seen("rotationFailed").length === 1, 600_000));
  await world.clock.run(200_000);
  t.deepEqual(identityOf(world), before);
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
});

test("a certificate that is switched off: long backoff, the identity is kept, the claim is not used; the product may ask for another", async t => {
  const { world, agent, before } = await provisioned();
  world.cloud.setCertificateStatus(before.certificateId, "INACTIVE");
  world.statuses.length = 0;
  await world.clock.run(3_600_000);
  const dials = world.seen("connecting");
  t.true(dials.every(status => status.type === "connecting" && status.as === "device"));
  t.true(dials.length <= 75, `${dials.length} dials in an hour`);
  t.deepEqual(identityOf(world), before);
  agent.provisionAgain();
  t.true(await world.clock.runUntil(() => world.seen("rotated").length === 1, 600_000));
  t.not(identityOf(world)!.certificateId, before.certificateId);
  await world.clock.run(5000);
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
});

test("rotation without a template to ask with, or before start, is refused at once", async t => {
  const { agent } = await provisioned();
  t.notThrows(() => agent.rotate());
  t.notThrows(() => agent.rotate(), "asked twice, done once");
});
