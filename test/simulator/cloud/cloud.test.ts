import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { type Claim, Cloud, type CloudEvent } from "../../../simulator/cloud/cloud.js";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { lineOfCloud } from "../../../simulator/narrator.js";
import { openCloud, TestClient, type TestCloud, VirtualTime } from "./harness.js";

async function newDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-cloud-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

interface Identity {
  readonly certificate: string;
  readonly key: string;
}

const keysTopic = "$aws/certificates/create/json";
const registerTopic = "$aws/provisioning-templates/sensor-node/provision/json";

function idOf(pem: string): string {
  return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

/** Provisions over memory. */
async function provision(
  { cloud, client }: TestCloud,
  serial: string,
): Promise<Identity & { id: string }> {
  const claim = client(idOf(cloud.claim().certificate)).connect("claim");
  claim.publish(keysTopic, "");
  await cloud.idle();
  const created = claim.json(`${keysTopic}/accepted`) ?? {};
  const certificateOwnershipToken = created.certificateOwnershipToken;
  claim.publish(registerTopic, { certificateOwnershipToken, parameters: { SerialNumber: serial } });
  await cloud.idle();
  claim.send({ cmd: "disconnect" });
  return {
    id: String(created.certificateId),
    certificate: String(created.certificatePem),
    key: String(created.privateKey),
  };
}

function open(t: ExecutionContext, directory: string): Promise<TestCloud> {
  return openCloud({ directory }).then(world => {
    t.teardown(() => world.cloud.close());
    return world;
  });
}

test("registry, certificates and shadows survive a restart", async t => {
  const directory = await newDirectory(t);
  const first = await open(t, directory);
  const { id } = await provision(first, "1");
  t.is(first.cloud.updateDesired("node-1", { led: "red" }), 1);
  const claim = first.cloud.claim();
  await first.cloud.close();
  const second = await open(t, directory);
  t.deepEqual(second.cloud.claim(), claim);
  t.deepEqual(
    second.cloud.things().map(each => each.name),
    ["node-1"],
  );
  t.like(second.cloud.shadow("node-1"), { version: 1, state: { desired: { led: "red" } } });
  const device = second.client(id).connect("node-1");
  t.like(device.packets[0], { returnCode: 0 });
  device
    .subscribe("$aws/things/node-1/shadow/get/accepted")
    .publish("$aws/things/node-1/shadow/get", "");
  t.like(device.json("$aws/things/node-1/shadow/get/accepted"), { version: 1 });
});

test("a device on MQTT 5 provisions, follows its shadow, and is disconnected by the API", async t => {
  const { cloud, client, events } = await openCloud();
  t.teardown(() => cloud.close());
  const claim = client(idOf(cloud.claim().certificate), 5).connect("");
  claim.publish(keysTopic, "", 1);
  await cloud.idle();
  const { certificateOwnershipToken, certificateId } = claim.json(`${keysTopic}/accepted`) ?? {};
  claim.publish(registerTopic, { certificateOwnershipToken, parameters: { SerialNumber: "1" } });
  await cloud.idle();
  t.is(claim.json(`${registerTopic}/accepted`)?.thingName, "node-1");
  const device = client(String(certificateId), 5).connect("node-1");
  const shadow = "$aws/things/node-1/shadow";
  device.subscribe(`${shadow}/update/delta`).publish(`${shadow}/update`, { state: {} }, 1);
  cloud.updateDesired("node-1", { led: "red" });
  t.like(device.json(`${shadow}/update/delta`), { state: { led: "red" } });
  device.publish("dt/node-2/x", "", 1);
  t.like(device.packets.at(-1), { cmd: "puback", reasonCode: 0x87 });
  t.true(cloud.deleteConnection("node-1"));
  t.like(device.packets.at(-1), { cmd: "disconnect", reasonCode: 0x98 });
  const connected = events.filter(each => each.type === "clientConnected");
  t.deepEqual(
    connected.map(each => lineOfCloud(each)?.text.replace(/[0-9a-f]{12,}/, "…")),
    ["… connected with the claim, MQTT 5", "node-1 connected with certificate ……, MQTT 5"],
  );
});

test("an ownership token survives a restart", async t => {
  const directory = await newDirectory(t);
  const first = await open(t, directory);
  const claim = first
    .client(idOf(first.cloud.claim().certificate))
    .connect("claim")
    .publish(keysTopic, "");
  await first.cloud.idle();
  const token = claim.json(`${keysTopic}/accepted`)?.certificateOwnershipToken;
  await first.cloud.close();
  const second = await open(t, directory);
  const again = second.client(idOf(second.cloud.claim().certificate)).connect("claim");
  again.publish(registerTopic, {
    certificateOwnershipToken: token,
    parameters: { SerialNumber: "2" },
  });
  await second.cloud.idle();
  t.is(again.json(`${registerTopic}/accepted`)?.thingName, "node-2");
});

test("keys and state are for their owner only", async t => {
  const directory = join(await newDirectory(t), "state");
  const { cloud } = await open(t, directory);
  await cloud.close();
  t.is((await stat(directory)).mode & 0o777, 0o700);
  const names = (await readdir(directory)).sort();
  t.deepEqual(names, ["authority.json", "objects", "presign.json", "state.journal"]);
  for (const name of names) {
    const mode = name === "objects" ? 0o700 : 0o600;
    t.is((await stat(join(directory, name))).mode & 0o777, mode, name);
  }
});

test("a journal that ends in the middle of a line loses that line only", async t => {
  const directory = await newDirectory(t);
  const first = await open(t, directory);
  first.cloud.updateDesired("node-1", { led: "red" });
  await first.cloud.close();
  await writeFile(join(directory, "state.journal"), '[["shadow/node-1",{"vers', { flag: "a" });
  const second = await open(t, directory);
  t.like(second.cloud.shadow("node-1"), { version: 1 });
});

const damages = test.macro({
  exec: async (t: ExecutionContext, name: string, content: string, what: RegExp) => {
    const directory = await newDirectory(t);
    await (await open(t, directory)).cloud.close();
    const path = join(directory, name);
    await writeFile(path, content);
    const error = await t.throwsAsync(openCloud({ directory }), { instanceOf: CloudError });
    t.is(error.code, "cloud/damaged-state");
    t.true(error.message.startsWith(`The file ${path} is damaged (`), error.message);
    t.regex(error.message, what);
    t.is(await readFile(path, "utf8"), content);
  },
  title: (name, file) => `${file} ${name} is named in one sentence and left alone`,
});
test("that is not JSON", damages, "authority.json", "{", /it is not JSON/);
test("of another shape", damages, "authority.json", '{"format":1}', /root: Invalid key/);
test(
  "with a broken key",
  damages,
  "authority.json",
  JSON.stringify({
    format: 1,
    root: { certificate: "x", key: "x" },
    claim: { certificate: "x", key: "x" },
    server: { certificate: "x", key: "x", names: [] },
  }),
  /cannot be read/,
);
test("that is empty", damages, "state.json", "", /it is not JSON/);
test("of another format", damages, "state.json", '{"format":2,"records":{}}', /format/);
test(
  "with an unknown record",
  damages,
  "state.json",
  '{"format":1,"records":{"toaster/1":{}}}',
  /toaster\/1: no such kind/,
);
test(
  "with a wrong record",
  damages,
  "state.json",
  '{"format":1,"records":{"shadow/n":{"version":0,"sections":{}}}}',
  /shadow\/n\.version/,
);
test("with a bad line", damages, "state.journal", '[]\n{"a":\n', /line 2 is not JSON/);

test("a directory that cannot be used is named in one sentence", async t => {
  const file = join(await newDirectory(t), "file");
  await writeFile(file, "");
  const error = await t.throwsAsync(openCloud({ directory: join(file, "state") }), {
    instanceOf: CloudError,
  });
  t.is(error.code, "cloud/unusable-directory");
  t.regex(error.message, /^The state directory .*file\/state cannot be used \(ENOTDIR\)/);
});

test("many shadow updates leave a small journal behind a restart", async t => {
  const directory = await newDirectory(t);
  const first = await open(t, directory);
  for (let index = 0; index < 2000; index++) first.cloud.updateDesired("node-1", { index });
  await first.cloud.close();
  t.true((await stat(join(directory, "state.journal"))).size < 20_000);
  t.like((await open(t, directory)).cloud.shadow("node-1"), { version: 2000 });
});

test("a long journal is folded into the snapshot, and a failed write is reported and made up for", async t => {
  const directory = await newDirectory(t);
  let report: (message: string) => void = () => undefined;
  const failure = new Promise<string>(resolve => {
    report = resolve;
  });
  const { cloud } = await openCloud({
    directory,
    onEvent: event => {
      if (event.type === "storeFailed") report(event.error.message);
    },
  });
  const obstacle = join(directory, "state.json.new");
  await mkdir(obstacle);
  const text = "x".repeat(8000);
  for (let index = 0; index < 600; index++) cloud.updateDesired(`node-${index}`, { text });
  t.regex(await failure, /^The file .*state\.json cannot be written/);
  await rm(obstacle, { recursive: true });
  await cloud.close();
  t.is((await stat(join(directory, "state.journal"))).size, 0);
  const again = await open(t, directory);
  t.like(again.cloud.shadow("node-599"), { state: { desired: { text } } });
});

test("a device follows desired state and reports, and the console hears of it", async t => {
  const world = await openCloud();
  const { id } = await provision(world, "1");
  const device = world.client(id).connect("node-1");
  device.subscribe(
    "$aws/things/node-1/shadow/update/delta",
    "$aws/things/node-1/shadow/update/accepted",
  );
  world.cloud.updateDesired("node-1", { led: "red" });
  t.like(device.json("$aws/things/node-1/shadow/update/delta"), {
    version: 1,
    state: { led: "red" },
  });
  device.publish(
    "$aws/things/node-1/shadow/update",
    { state: { reported: { led: "red" } }, clientToken: "r" },
    1,
  );
  t.like(device.json("$aws/things/node-1/shadow/update/accepted"), {
    version: 2,
    clientToken: "r",
  });
  t.deepEqual(
    world.eventsOf("shadowUpdated").map(each => each.delta !== undefined),
    [true, false],
  );
  device.publish("dt/node-1/climate", { celsius: 20 }, 1);
  t.like(world.eventsOf("message")[0], { topic: "dt/node-1/climate", clientId: "node-1" });
  t.throws(() => world.cloud.updateDesired("node-1", { l: [null] }), { instanceOf: CloudError });
  t.throws(() => world.cloud.updateDesired("no such name", {}), { instanceOf: CloudError });
});

test("a device cannot speak to another thing, to answers, or to unknown reserved topics", async t => {
  const world = await openCloud();
  const { id } = await provision(world, "1");
  const attempts = [
    "$aws/things/node-2/shadow/update",
    "$aws/things/node-1/shadow/update/accepted",
    "$aws/things/node-1/shadow/nonsense",
    "$aws/events/presence/connected/x",
  ];
  for (const topic of attempts) {
    t.true(world.client(id).connect("node-1").publish(topic, "{}").closed, topic);
  }
  t.false(world.client(id).connect("node-1").publish("$aws/things/node-1/jobs/get", "{}").closed);
});

test("revoking a certificate ends its session and refuses the next", async t => {
  const world = await openCloud();
  const { id } = await provision(world, "1");
  const device = world.client(id).connect("node-1");
  t.true(world.cloud.setCertificateStatus(id, "REVOKED"));
  t.true(device.closed);
  t.true(world.client(id).connect("node-1").closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_REVOKED");
});

test("provisioning that ends after its connection, or during close, harms nobody", async t => {
  const world = await openCloud();
  const claim = world.client(idOf(world.cloud.claim().certificate)).connect("claim");
  claim.publish(keysTopic, "").lose();
  await world.cloud.idle();
  t.is(world.eventsOf("certificateIssued").length, 1);
  const other = world.client(idOf(world.cloud.claim().certificate)).connect("claim");
  other.publish(keysTopic, "");
  await world.cloud.close();
  await world.cloud.close();
  t.true(other.closed);
});

interface Served {
  readonly cloud: Cloud;
  readonly claim: Claim;
  readonly events: CloudEvent[];
  /** Resolves with the first event of this type, past or to come. */
  event<T extends CloudEvent["type"]>(type: T): Promise<Extract<CloudEvent, { type: T }>>;
}

async function serve(t: ExecutionContext): Promise<Served> {
  const events: CloudEvent[] = [];
  const waiting = new Set<() => void>();
  const cloud = await Cloud.open({
    listen: { host: "127.0.0.1", port: 0 },
    allow: ["1"],
    onEvent: event => {
      events.push(event);
      for (const wake of waiting) wake();
    },
  });
  t.teardown(() => cloud.close());
  const event: Served["event"] = async type => {
    for (;;) {
      const found = events.find(
        (each): each is Extract<CloudEvent, { type: typeof type }> => each.type === type,
      );
      if (found !== undefined) return found;
      await new Promise<void>(resolve => waiting.add(resolve));
    }
  };
  return { cloud, claim: cloud.claim(), events, event };
}

/** Opens mutual TLS and attaches a client to the socket. */
async function dial(
  { cloud, claim }: Served,
  identity: Identity,
  more: ConnectionOptions = {},
): Promise<{ socket: TLSSocket; client: TestClient }> {
  const { certificate: cert, key } = identity;
  const socket = connectTls({
    host: "127.0.0.1",
    port: cloud.port ?? 0,
    servername: "localhost",
    ca: claim.trustAnchor,
    cert,
    key,
    ...more,
  });
  await once(socket, "secureConnect");
  const client = new TestClient();
  socket.on("data", bytes => client.link.write(bytes));
  socket.on("error", () => client.link.close());
  socket.on("close", () => client.link.close());
  client.attach({
    receive: bytes => void socket.write(bytes),
    closed: () => void socket.destroy(),
  });
  return { socket, client };
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`a device provisions and connects over ${version}`, async t => {
    const served = await serve(t);
    const only = { minVersion: version, maxVersion: version, ALPNProtocols: ["x-amzn-mqtt-ca"] };
    const { client, socket } = await dial(served, served.claim, only);
    t.is(socket.getProtocol(), version);
    t.is(socket.alpnProtocol, "x-amzn-mqtt-ca");
    client.connect("claim").publish(keysTopic, "", 1);
    const created = await client.until(each => each.json(`${keysTopic}/accepted`));
    client.publish(registerTopic, {
      certificateOwnershipToken: created.certificateOwnershipToken,
      parameters: { SerialNumber: "1" },
    });
    await client.until(each => each.json(`${registerTopic}/accepted`));
    socket.destroy();
    const identity = {
      certificate: String(created.certificatePem),
      key: String(created.privateKey),
    };
    const device = await dial(served, identity, only);
    device.client.connect("node-1");
    t.like(await device.client.until(each => each.packets[0]), { cmd: "connack", returnCode: 0 });
    t.true(served.cloud.disconnect("node-1"));
    t.true(await device.client.until(each => each.closed));
  });
}

test("the server certificate names localhost and 127.0.0.1 and may serve only", async t => {
  const served = await serve(t);
  const { socket } = await dial(served, served.claim);
  const { subjectaltname, ext_key_usage } = socket.getPeerCertificate();
  t.is(subjectaltname, "DNS:localhost, IP Address:127.0.0.1");
  t.deepEqual(ext_key_usage, ["1.3.6.1.5.5.7.3.1"]);
  socket.destroy();
  await t.throwsAsync(dial(served, served.claim, { servername: "example.com" }), {
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  });
});

test("a certificate of another authority is refused, with the reason", async t => {
  const served = await serve(t);
  const stranger = (await openCloud()).cloud.claim();
  const attempt = dial(served, stranger, { maxVersion: "TLSv1.2" });
  await t.throwsAsync(attempt);
  t.like(await served.event("connectionRefused"), { reason: "TLS_HANDSHAKE_FAILED" });
});

test("no certificate at all is refused", async t => {
  const served = await serve(t);
  const socket = connectTls({
    host: "127.0.0.1",
    port: served.cloud.port ?? 0,
    servername: "localhost",
    ca: served.claim.trustAnchor,
  });
  socket.on("error", () => socket.destroy());
  await new Promise(resolve => socket.once("close", resolve));
  t.like(await served.event("connectionRefused"), { reason: "TLS_HANDSHAKE_FAILED" });
});

test("a certificate that is ours but not active is closed without a CONNACK", async t => {
  const served = await serve(t);
  served.cloud.setCertificateStatus(idOf(served.claim.certificate), "INACTIVE");
  const { client } = await dial(served, served.claim);
  await client.until(each => each.closed);
  t.deepEqual(client.packets, []);
  t.like(await served.event("connectionRefused"), { reason: "DEVICE_CERTIFICATE_INACTIVE" });
});

test("nonsense instead of TLS is refused, and refusing drops new connections but not old ones", async t => {
  const served = await serve(t);
  const { client, socket } = await dial(served, served.claim);
  client.connect("claim");
  await client.until(each => each.packets.length > 0);
  const garbage = connectTcp({ host: "127.0.0.1", port: served.cloud.port ?? 0 }).resume();
  garbage.on("error", () => garbage.destroy());
  garbage.write("GET / HTTP/1.1\r\n\r\n");
  await new Promise(resolve => garbage.once("close", resolve));
  t.like(await served.event("connectionRefused"), { reason: "TLS_HANDSHAKE_FAILED" });
  served.cloud.refuse(true);
  await t.throwsAsync(dial(served, served.claim));
  client.send({ cmd: "pingreq" });
  await client.until(each => each.commands().includes("pingresp"));
  served.cloud.refuse(false);
  (await dial(served, served.claim)).socket.destroy();
  socket.destroy();
});

test("closing the cloud ends every socket", async t => {
  const served = await serve(t);
  const { client } = await dial(served, served.claim);
  client.connect("claim");
  await client.until(each => each.packets.length > 0);
  const half = connectTcp({ host: "127.0.0.1", port: served.cloud.port ?? 0 });
  await once(half, "connect");
  half.on("error", () => half.destroy());
  const ended = new Promise(resolve => half.once("close", resolve));
  await served.cloud.close();
  await client.until(each => each.closed);
  await ended;
  t.pass();
});

test("a port in use is named in one sentence", async t => {
  const blocker = createServer();
  blocker.listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const address = blocker.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const opening = Cloud.open({ listen: { host: "127.0.0.1", port }, allow: [] });
  const error = await t.throwsAsync(opening, { instanceOf: CloudError });
  t.is(
    error.message,
    `The local cloud cannot listen on 127.0.0.1:${port}: port ${port} is already in use.`,
  );
  blocker.close();
});

test("the server certificate is renewed before it expires and when names change, the authority is not", async t => {
  const directory = await newDirectory(t);
  const read = async (): Promise<{ server: Identity; root: Identity }> =>
    JSON.parse(await readFile(join(directory, "authority.json"), "utf8"));
  const openAt = async (clock: VirtualTime, serverNames: string[] = []): Promise<void> =>
    (await openCloud({ directory, clock, serverNames })).cloud.close();
  const time = new VirtualTime();
  await openAt(time);
  const first = await read();
  await openAt(time);
  t.deepEqual(await read(), first);
  time.advance(370 * 86_400_000);
  await openAt(time);
  const renewed = await read();
  t.not(renewed.server.certificate, first.server.certificate);
  t.deepEqual(renewed.root, first.root);
  await openAt(time, ["192.168.1.5", "cloud.local"]);
  const { subjectAltName } = new X509Certificate((await read()).server.certificate);
  t.is(
    subjectAltName,
    "DNS:localhost, IP Address:127.0.0.1, IP Address:192.168.1.5, DNS:cloud.local",
  );
});
