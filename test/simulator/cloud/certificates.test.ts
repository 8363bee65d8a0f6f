import test from "ava";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { openCloud } from "./harness.js";
import { claimClient, createFromCsr, idOf, provision } from "./provisioning-rig.js";

for (const status of ["INACTIVE", "REVOKED"] as const) {
  test(`a certificate that is set ${status} ends its sessions at once, and may come back`, async t => {
    const world = await openCloud();
    const { id } = await provision(t, world, "1");
    const other = world.client((await provision(t, world, "2")).id).connect("node-2");
    const three = world.client(id).connect("node-1");
    t.true(world.cloud.setCertificateStatus(id, status));
    t.true(three.closed);
    t.is(world.eventsOf("clientDisconnected").at(-1)?.reason, "FORBIDDEN_ACCESS");
    t.true(world.client(id).connect("node-1").closed);
    t.is(world.eventsOf("connectionRefused").at(-1)?.reason, `DEVICE_CERTIFICATE_${status}`);
    t.true(world.cloud.setCertificateStatus(id, "ACTIVE"));
    const five = world.client(id, 5).connect("node-1");
    t.like(five.packets[0], { cmd: "connack", reasonCode: 0 });
    world.cloud.setCertificateStatus(id, status);
    t.like(five.packets.at(-1), { cmd: "disconnect", reasonCode: 0x8b });
    t.true(five.closed);
    t.false(other.closed);
    await world.cloud.close();
  });
}

test("PENDING_ACTIVATION is the service's to give", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  const status = "PENDING_ACTIVATION" as "ACTIVE";
  t.throws(() => world.cloud.setCertificateStatus(id, status), {
    instanceOf: CloudError,
    code: "cloud/invalid-status",
  });
  t.false(world.cloud.setCertificateStatus("nobody's", "ACTIVE"));
  await world.cloud.close();
});

test("a certificate in use is deleted by force only, and its session ends", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  const device = world.client(id).connect("node-1");
  const { certificates } = world.cloud;
  t.throws(() => certificates.delete(id), { instanceOf: CloudError, code: "cloud/in-use" });
  world.cloud.setCertificateStatus(id, "INACTIVE");
  t.throws(() => certificates.delete(id), { instanceOf: CloudError, code: "cloud/in-use" });
  world.cloud.setCertificateStatus(id, "ACTIVE");
  t.true(device.closed);
  const again = world.client(id).connect("node-1");
  t.true(certificates.delete(id, { force: true }));
  t.true(again.closed);
  t.is(world.eventsOf("clientDisconnected").at(-1)?.reason, "FORBIDDEN_ACCESS");
  t.true(world.client(id).connect("node-1").closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_NOT_REGISTERED");
  t.false(certificates.delete(id));
  const orphan = await createFromCsr(world, claimClient(world));
  t.true(certificates.delete(orphan.id));
  t.is(certificates.orphans().length, 0);
  await world.cloud.close();
});

test("certificates are listed with their status, thing and policies", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  const { certificates } = world.cloud;
  const claimId = idOf(world.cloud.claim().certificate);
  t.deepEqual(
    certificates.list().map(({ certificateId, kind, status, thingName, policies }) => ({
      certificateId,
      kind,
      status,
      thingName,
      policies,
    })),
    [
      {
        certificateId: claimId,
        kind: "claim",
        status: "ACTIVE",
        thingName: undefined,
        policies: ["skerry-claim"],
      },
      {
        certificateId: id,
        kind: "device",
        status: "ACTIVE",
        thingName: "node-1",
        policies: ["skerry-device"],
      },
    ],
  );
  t.is(certificates.get("nobody's"), undefined);
  t.deepEqual(certificates.orphans(), []);
  const missing = { instanceOf: CloudError, code: "cloud/not-found" };
  t.throws(() => certificates.attachThing(id, "none"), missing);
  t.throws(() => certificates.attachThing("nobody's", "node-1"), missing);
  t.throws(() => certificates.attachPolicy(id, "none"), missing);
  await world.cloud.close();
});
