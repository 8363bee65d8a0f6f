// Whole stories on virtual time: the sensor node from a blank board, against the local cloud.
import test from "ava";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { Agent } from "../../src/index.js";
import { parseCertified } from "../../src/provisioning/messages.js";
import { heldIn } from "./identity.js";
import { openWorld, type World } from "./world.js";

const reportedBy = (world: World) =>
  (world.cloud.shadow("node-SN-1") as { state: { reported?: object } } | undefined)?.state.reported;

const identityOf = (world: World) => heldIn(world.flash).record.identity;

test("a blank board earns its identity, drops the claim, reports its settings and sends telemetry", async t => {
  const world = await openWorld();
  world.boot();
  await world.clock.run(10_000);
  t.deepEqual(
    world.statuses.map(status => status.type),
    [
      "keyMade",
      "connecting",
      "online",
      "certified",
      "registered",
      "connecting",
      "online",
      "provisioned",
      "telemetry",
      "reported",
      "reported",
    ],
  );
  t.is(identityOf(world)?.thingName, "node-SN-1");
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
  t.deepEqual(world.cloud.shadow("node-SN-1")?.["state"], {
    reported: { sampleSeconds: 60, alertAbove: 27, led: "off" },
  });
  t.is(world.cloudSaw("message").length, 1);
  t.deepEqual(Object.keys(heldIn(world.flash).record), ["identity"]);
});

test("a second boot comes back with the same identity and without the claim", async t => {
  const world = await openWorld();
  const power = new Power();
  world.boot(power);
  await world.clock.run(10_000);
  const { certificateId } = identityOf(world)!;
  power.cut();
  world.statuses.length = 0;
  world.boot();
  await world.clock.run(10_000);
  t.deepEqual(
    world.statuses
      .filter(({ type }) => type === "connecting")
      .map(status => status.type === "connecting" && status.as),
    ["device"],
  );
  t.is(identityOf(world)?.certificateId, certificateId);
  t.is(world.cloudSaw("certificateIssued").length, 1);
});

test("a desired value is applied, saved and reported; one out of bounds is refused by name", async t => {
  const world = await openWorld();
  const power = new Power();
  world.boot(power);
  await world.clock.run(10_000);
  world.cloud.updateDesired("node-SN-1", { led: "blue", sampleSeconds: 0 });
  await world.clock.run(2000);
  const state = world.cloud.shadow("node-SN-1")?.["state"] as { reported: object; delta: object };
  const _verdicts = { sampleSeconds: "out of range: 0 is below 1" };
  t.deepEqual(state.reported, { sampleSeconds: 60, alertAbove: 27, led: "blue", _verdicts });
  t.deepEqual(state.delta, { sampleSeconds: 0 });
  const [refused] = world.seen("settingRefused");
  t.true(
    refused?.type === "settingRefused" &&
      refused.name === "sampleSeconds" &&
      refused.verdict === "out of range" &&
      refused.reason === "0 is below 1",
  );
  power.cut();
  world.boot();
  await world.clock.run(10_000);
  t.deepEqual(reportedBy(world), { sampleSeconds: 60, alertAbove: 27, led: "blue", _verdicts });
});

test("what was desired while the device was offline is in force after it is back", async t => {
  const world = await openWorld();
  world.boot();
  await world.clock.run(10_000);
  world.network.isUp = false;
  await world.clock.run(600_000);
  t.deepEqual(world.cloud.clients(), []);
  world.cloud.updateDesired("node-SN-1", { led: "red" });
  world.network.isUp = true;
  t.true(await world.clock.runUntil(() => world.cloud.clients().length === 1, 120_000));
  await world.clock.run(2000);
  t.deepEqual(reportedBy(world), {
    sampleSeconds: 60,
    alertAbove: 27,
    led: "red",
  });
  const measured = world.cloudSaw("message").length;
  t.true(measured >= 10, `${measured} of the samples of ten minutes arrived`);
});

test("a serial number the hook does not know stays unprovisioned, waits longer each time, and says why", async t => {
  const world = await openWorld();
  world.boot(new Power(), "SN-unknown");
  await world.clock.run(3_600_000);
  t.is(world.cloud.things().length, 0);
  const offline = world.seen("offline");
  const [first] = offline;
  t.true(
    first?.type === "offline" && first.error.message.includes("ACCESS_DENIED"),
    first?.type === "offline" ? first.error.message : "",
  );
  t.true(offline.length > 20 && offline.length < 200, `${offline.length} tries in an hour`);
  const orphans = world.cloudSaw("certificateIssued").length;
  t.true(orphans <= Math.ceil(offline.length / 3) + 1, `${orphans} certificates`);
});

test("power cut at every flash operation of the first boot: the next boot ends provisioned, with one identity", async t => {
  const reference = await openWorld();
  const whole = new Power();
  reference.boot(whole);
  await reference.clock.run(10_000);
  t.true(whole.operations >= 4);
  for (let cutAt = 0; cutAt < 2 * whole.operations; cutAt++) {
    const world = await openWorld();
    const power = new Power(cutAt);
    world.boot(power);
    await world.clock.run(10_000);
    t.false(power.isOn, `cut ${cutAt} happened`);
    world.boot();
    await world.clock.run(300_000);
    t.is(identityOf(world)?.thingName, "node-SN-1", `cut ${cutAt}`);
    t.deepEqual(world.cloud.clients(), ["node-SN-1"], `cut ${cutAt}`);
    t.true(world.cloudSaw("certificateIssued").length <= 2, `cut ${cutAt}: at most one orphan`);
    const all = world.cloud.certificates.list();
    const active = all.filter(({ kind, status }) => kind === "device" && status === "ACTIVE");
    t.is(active.length, 1, `cut ${cutAt}: what was registered, but never answered, is retired`);
    t.is(world.cloud.things().length, 1, `cut ${cutAt}`);
  }
});

test("power cut at every flash operation, with settings changed while it was off: the next boot follows", async t => {
  for (let cutAt = 0; cutAt < 24; cutAt++) {
    const world = await openWorld();
    const power = new Power(cutAt);
    world.boot(power);
    await world.clock.run(5000);
    if (power.isOn) {
      world.cloud.updateDesired("node-SN-1", { led: "blue" });
      await world.clock.run(5000);
      power.cut();
    }
    world.cloud.updateDesired("node-SN-1", { led: "red" });
    world.statuses.length = 0;
    world.boot();
    await world.clock.run(300_000);
    t.is((reportedBy(world) as { led?: string }).led, "red", `cut ${cutAt}`);
    t.is(world.seen("fault").length, 0, `cut ${cutAt}`);
  }
});

test("a certificate for another key is refused, and nothing is registered with it", async t => {
  const world = await openWorld();
  const power = new Power();
  world.boot(power);
  await world.clock.run(10_000);
  const { publicKey } = heldIn(world.flash).credential!.keyPair;
  const certificatePem = world.cloud.claim().certificate;
  const reply = { certificateId: "id", certificatePem, certificateOwnershipToken: "token" };
  t.throws(() => parseCertified("json", Buffer.from(JSON.stringify(reply)), publicKey), {
    message: /not for this device's key/,
  });
});

test("a product that cannot forget its claim, and a flash that cannot note it, do not keep the device offline", async t => {
  const world = await openWorld();
  world.boot();
  await world.clock.run(10_000);
  const flash = new Flash();
  let isFull = false;
  const clock = world.clock;
  const host = virtualHost({
    id: "board-1",
    clock,
    random: new Random(2),
    network: world.network,
    flash,
  });
  const store = host.keyValue.open({ path: "skerry" });
  const write = (key: string, value: Uint8Array) => {
    if (isFull) throw new Error("flash is worn");
    store.write(key, value);
  };
  const claim = world.cloud.claim();
  const codes: string[] = [];
  world.cloud.allow("SN-2");
  const agent = new Agent({
    host: { ...host, keyValue: { open: () => ({ ...store, write }) } },
    endpoint: "cloud.test",
    trustAnchors: [claim.trustAnchor],
    identity: {
      template: "sensor-node",
      claim,
      parameters: { SerialNumber: "SN-2" },
      forgetClaim: () => {
        throw new Error("product flash is read-only");
      },
    },
    onStatus: status => {
      if (status.type === "registered") isFull = true;
      if (status.type === "fault") codes.push(status.error.code);
    },
  });
  agent.start();
  await clock.run(60_000);
  t.true(world.cloud.clients().includes("node-SN-2"));
  t.deepEqual(codes, ["storage/write", "agent/fault"]);
});

test("a certificate that is switched off before its first session gives way to another, earned with the claim", async t => {
  const world = await openWorld();
  world.boot();
  t.true(await world.clock.runUntil(() => world.seen("registered").length === 1, 10_000));
  const [issued] = world.cloudSaw("certificateIssued");
  const first = issued?.type === "certificateIssued" ? issued.certificateId : "";
  t.true(world.cloud.setCertificateStatus(first, "INACTIVE"));
  t.true(await world.clock.runUntil(() => world.seen("provisioned").length === 1, 900_000));
  t.not(identityOf(world)?.certificateId, first);
  t.is(world.cloudSaw("certificateIssued").length, 2);
  t.deepEqual(world.cloud.clients(), ["node-SN-1"]);
});

test("an identity that cannot be read is kept aside and a new one earned", async t => {
  const world = await openWorld();
  const power = new Power();
  world.boot(power);
  await world.clock.run(10_000);
  power.cut();
  const store = world.flash.provider(new Power()).open({ path: "skerry" });
  for (const place of ["identity.0", "identity.1"]) store.write(place, Uint8Array.of(1, 2, 3));
  world.boot();
  await world.clock.run(120_000);
  t.is(identityOf(world)?.thingName, "node-SN-1");
  t.deepEqual(world.flash.peek("skerry", "bad.identity.1"), Uint8Array.of(1, 2, 3));
  const [fault] = world.seen("fault");
  t.is(fault?.type === "fault" && fault.error.code, "storage/damaged");
});

test("first boot to first telemetry takes a bounded number of round trips", async t => {
  const world = await openWorld();
  world.boot();
  t.true(await world.clock.runUntil(() => world.cloudSaw("message").length > 0, 10_000));
  const roundTrips = world.clock.ticks() / 50;
  t.log(`${world.clock.ticks()} ms at a round trip of 50 ms: ${roundTrips} round trips`);
  t.true(roundTrips <= 14, `${roundTrips}`);
});
