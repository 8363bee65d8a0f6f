import test, { type ExecutionContext } from "ava";
import { lineOfCloud } from "../../../simulator/narrator.js";
import { openCloud, type TestClient, type TestCloud } from "./harness.js";
import { createFromCsr, keysTopic, provision, registerThing } from "./provisioning-rig.js";

/** A device with a session on its first certificate, and a second one that its thing has too. */
async function rotating(
  t: ExecutionContext,
): Promise<{ world: TestCloud; device: TestClient; old: string; new: string }> {
  const world = await openCloud();
  t.teardown(() => world.cloud.close());
  const { id: old } = await provision(t, world, "1");
  const device = world.client(old).connect("node-1");
  const { id, token } = await createFromCsr(world, device);
  const registered = await registerThing(world, device, token, { SerialNumber: "1" });
  t.is(registered.thingName, "node-1");
  return { world, device, old, new: id };
}

const statusOf = ({ cloud }: TestCloud, id: string): string | undefined =>
  cloud.certificates.get(id)?.status;

test("a device earns its next certificate with its own, for the same thing", async t => {
  const { world, device, old, new: next } = await rotating(t);
  t.false(device.closed);
  for (const id of [old, next]) {
    t.like(world.cloud.certificates.get(id), { status: "ACTIVE", thingName: "node-1" });
  }
  t.deepEqual(
    world.cloud.things().map(each => each.name),
    ["node-1"],
  );
  const session = world.client(next).connect("node-1");
  t.like(session.packets[0], { cmd: "connack", returnCode: 0 });
});

test("a device cannot register as another thing, and its token stays good", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  await provision(t, world, "2");
  const device = world.client(id).connect("node-1");
  const { id: next, token } = await createFromCsr(world, device);
  t.like(await registerThing(world, device, token, { SerialNumber: "2" }), {
    statusCode: 403,
    errorCode: "ACCESS_DENIED",
    errorMessage: "The device is thing node-1 and cannot register as another",
  });
  t.like(world.cloud.certificates.get(next), {
    status: "PENDING_ACTIVATION",
    thingName: undefined,
  });
  const registered = await registerThing(world, device, token, { SerialNumber: "1" });
  t.is(registered.thingName, "node-1");
  await world.cloud.close();
});

test("a device has no use for keys made elsewhere, nor for other templates", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  const device = (): TestClient => world.client(id).connect("node-1");
  t.true(device().publish(keysTopic, "").closed);
  t.true(device().publish("$aws/provisioning-templates/other/provision/json", "{}").closed);
  await world.cloud.close();
});

test("who shows the new certificate retires the old one, once", async t => {
  const { world, device, old, new: next } = await rotating(t);
  const session = world.client(next).connect("node-1");
  t.true(device.closed);
  const body = { certificateId: next, retired: old };
  session.publish("dt/node-1/identity", body, 1).publish("dt/node-1/identity", body, 1);
  t.is(statusOf(world, old), "INACTIVE");
  t.is(statusOf(world, next), "ACTIVE");
  const retired = world.eventsOf("certificateRetired");
  t.deepEqual(retired, [
    {
      type: "certificateRetired",
      thingName: "node-1",
      certificateId: next,
      retired: old,
      clientId: "node-1",
    },
  ]);
  t.regex(lineOfCloud(retired[0]!)?.text ?? "", /^retired certificate \w{12}… of node-1: \w{12}… /);
  t.false(session.closed);
  t.true(world.client(old).connect("node-1").closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_INACTIVE");
});

test("an old certificate in another session loses it when it is retired", async t => {
  const { world, old, new: next } = await rotating(t);
  world.cloud.putPolicy("skerry-device", {
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Action: "iot:*", Resource: "*" },
  });
  const clone = world.client(old).connect("somebody");
  const session = world.client(next).connect("node-1");
  t.false(clone.closed);
  session.publish("dt/node-1/identity", { certificateId: next, retired: old });
  t.true(clone.closed);
});

test("nobody else's word retires a certificate", async t => {
  const { world, old, new: next } = await rotating(t);
  const { id: stranger } = await provision(t, world, "2");
  const say = (sender: string, topic: string, body: object | string): void => {
    world
      .client(sender)
      .connect(topic.split("/")[1] ?? "")
      .publish(topic, body);
  };
  say(old, "dt/node-1/identity", { certificateId: next, retired: old });
  say(next, "dt/node-1/identity", { certificateId: next, retired: next });
  say(next, "dt/node-1/identity", { certificateId: next, retired: stranger });
  say(next, "dt/node-1/identity", { certificateId: old, retired: old });
  say(next, "dt/node-1/other", { certificateId: next, retired: old });
  say(next, "dt/node-1/identity", "no JSON");
  say(next, "dt/node-1/identity", { certificateId: next, retired: 7 });
  say(stranger, "dt/node-2/identity", { certificateId: stranger, retired: old });
  say(stranger, "dt/node-1/identity", { certificateId: next, retired: old });
  t.deepEqual(
    [old, next, stranger].map(id => statusOf(world, id)),
    ["ACTIVE", "ACTIVE", "ACTIVE"],
  );
  t.deepEqual(world.eventsOf("certificateRetired"), []);
});
