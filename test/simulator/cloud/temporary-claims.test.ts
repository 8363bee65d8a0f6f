import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { Timer } from "../../../simulator/cloud/environment.js";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { openCloud, VirtualTime } from "./harness.js";
import {
  createFromCsr,
  createTopic,
  idOf,
  registerThing,
  registerTopic,
} from "./provisioning-rig.js";

const minuteMs = 60_000;

test("a trusted user's claim provisions one device with its template", async t => {
  const world = await openCloud();
  const claim = await world.cloud.createProvisioningClaim("sensor-node");
  const certificate = new X509Certificate(claim.certificate);
  t.is(claim.certificateId, idOf(claim.certificate));
  t.is(Date.parse(certificate.validTo), world.time.now() + 5 * minuteMs);
  t.is(claim.expiresAt, world.time.now() + 5 * minuteMs);
  t.regex(claim.key, /^-----BEGIN PRIVATE KEY-----/);
  t.is(claim.trustAnchor, world.cloud.claim().trustAnchor);
  const client = world.client(claim.certificateId).connect("installer-1");
  t.is(world.eventsOf("clientConnected")[0]?.certificate, "claim");
  const { token } = await createFromCsr(world, client);
  t.is((await registerThing(world, client, token, { SerialNumber: "1" })).thingName, "node-1");
  await world.cloud.close();
});

test("it is not listed, and is no orphan", async t => {
  const world = await openCloud();
  const { certificateId } = await world.cloud.createProvisioningClaim("sensor-node");
  t.false(world.cloud.certificates.list().some(each => each.certificateId === certificateId));
  t.deepEqual(world.cloud.certificates.orphans(), []);
  await world.cloud.close();
});

test("it works with no other template and for nothing else", async t => {
  const world = await openCloud();
  const { certificateId } = await world.cloud.createProvisioningClaim("sensor-node");
  const others = [
    registerTopic.replace("sensor-node", "other"),
    "dt/node-1/x",
    "$aws/things/n/shadow/get",
  ];
  for (const topic of others) {
    const three = world.client(certificateId).connect("installer");
    t.true(three.publish(topic, "{}").closed, topic);
    const five = world.client(certificateId, 5).connect("installer").publish(topic, "{}", 1);
    t.like(five.packets.at(-1), { cmd: "puback", reasonCode: 0x87 }, topic);
  }
  const missing = { instanceOf: CloudError, code: "cloud/not-found" };
  await t.throwsAsync(world.cloud.createProvisioningClaim("other"), missing);
  await world.cloud.close();
});

test("after five minutes it is refused; who connected in time has five more", async t => {
  const world = await openCloud();
  const { certificateId } = await world.cloud.createProvisioningClaim("sensor-node");
  world.time.advance(5 * minuteMs - 1);
  const inTime = world.client(certificateId).connect("installer", { keepalive: 1200 });
  t.like(inTime.packets[0], { cmd: "connack", returnCode: 0 });
  world.time.advance(1);
  t.true(world.client(certificateId).connect("late").closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_INACTIVE");
  t.is((await createFromCsr(world, inTime)).reply.topic, `${createTopic}/accepted`);
  world.time.advance(5 * minuteMs);
  t.true(inTime.closed);
  t.true(world.client(certificateId).connect("later").closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_NOT_REGISTERED");
  await world.cloud.close();
});

test("it survives a restart, but not its time", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-claims-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const first = await openCloud({ directory });
  const { certificateId } = await first.cloud.createProvisioningClaim("sensor-node");
  await first.cloud.close();
  const second = await openCloud({ directory });
  const client = second.client(certificateId).connect("installer");
  t.like(client.packets[0], { cmd: "connack", returnCode: 0 });
  second.time.advance(10 * minuteMs);
  t.true(client.closed);
  await second.cloud.close();
  const third = await openCloud({ directory });
  t.is(third.cloud.certificates.get(certificateId), undefined);
  await third.cloud.close();
});

test("a cloud that is closed, or could not listen, leaves no timer behind", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-claims-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const time = new VirtualTime();
  const armed = new Set<object>();
  const timer: Timer = {
    set: (callback, delayMs) => {
      const handle = time.set(callback, delayMs);
      armed.add(handle);
      return handle;
    },
    clear: handle => {
      armed.delete(handle);
      time.clear(handle);
    },
  };
  const first = await openCloud({ directory, clock: time, timer });
  const claim = await first.cloud.createProvisioningClaim("sensor-node");
  await createFromCsr(first, first.client(claim.certificateId).connect("installer"));
  t.not(armed.size, 0);
  await first.cloud.close();
  t.is(armed.size, 0);
  const taken = createServer().listen(0, "127.0.0.1");
  t.teardown(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const listen = { host: "127.0.0.1", port };
  await t.throwsAsync(openCloud({ directory, clock: time, timer, listen }), {
    code: "cloud/port-in-use",
  });
  t.is(armed.size, 0);
});
