import "reflect-metadata";
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import test, { type ExecutionContext } from "ava";
import { openCloud, type TestClient, type TestCloud } from "./harness.js";

x509.cryptoProvider.set(webcrypto);

const createTopic = "$aws/certificates/create-from-csr/json";
const keysTopic = "$aws/certificates/create/json";
const registerTopic = "$aws/provisioning-templates/sensor-node/provision/json";

function idOf(pem: string): string {
  return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;

async function newCsr(
  algorithm: KeyAlgorithm = { name: "ECDSA", namedCurve: "P-256" },
): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const signingAlgorithm = { ...algorithm, hash: "SHA-256" };
  const name = "CN=device";
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm });
  return csr.toString("pem");
}

async function claimClient(world: TestCloud): Promise<TestClient> {
  return world.client(idOf(world.cloud.claim().certificate)).connect("claim-1");
}

async function request(
  world: TestCloud,
  client: TestClient,
  topic: string,
  body: object,
): Promise<Record<string, unknown>> {
  const before = client.messages().length;
  client.publish(topic, body);
  await world.cloud.idle();
  const reply = client.messages()[before];
  if (reply === undefined) throw new Error(`no reply on ${topic}`);
  return { topic: reply.topic, qos: reply.qos, ...JSON.parse(reply.payload.toString()) };
}

async function provision(
  t: ExecutionContext,
  world: TestCloud,
  serial: string,
): Promise<{ id: string; token: string }> {
  const client = await claimClient(world);
  const created = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  t.is(created.topic, `${createTopic}/accepted`);
  const token = String(created.certificateOwnershipToken);
  const registered = await request(world, client, registerTopic, {
    certificateOwnershipToken: token,
    parameters: { SerialNumber: serial },
  });
  t.like(registered, {
    topic: `${registerTopic}/accepted`,
    qos: 0,
    thingName: `node-${serial}`,
    deviceConfiguration: {},
  });
  client.send({ cmd: "disconnect" });
  return { id: String(created.certificateId), token };
}

test("a device earns its certificate and connects as its thing without ever subscribing", async t => {
  const world = await openCloud();
  const { id } = await provision(t, world, "1");
  t.deepEqual(
    world.cloud.things().map(thing => thing.name),
    ["node-1"],
  );
  const device = world.client(id).connect("node-1");
  t.like(device.packets[0], { cmd: "connack", returnCode: 0 });
  t.like(world.eventsOf("clientConnected").at(-1), { certificate: "device", thingName: "node-1" });
  t.deepEqual(
    world.events.map(event => event.type).filter(type => !type.startsWith("client")),
    ["certificateIssued", "thingRegistered"],
  );
  await world.cloud.close();
});

test("an issued certificate is AWS-shaped: subject, expiry, issuer and id", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const reply = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  const certificate = new X509Certificate(String(reply.certificatePem));
  t.is(certificate.subject, "CN=AWS IoT Certificate");
  t.is(Date.parse(certificate.validTo), Date.parse("2049-12-31T23:59:59Z"));
  t.is(reply.certificateId, idOf(String(reply.certificatePem)));
  const root = new X509Certificate(world.cloud.claim().trustAnchor);
  t.true(certificate.verify(root.publicKey));
  t.true(certificate.checkIssued(root));
  await world.cloud.close();
});

test("RSA-2048 and P-384 requests are signed, RSA-1024 is not", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const rsa = (modulusLength: number): KeyAlgorithm => ({
    name: "RSASSA-PKCS1-v1_5",
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  });
  for (const algorithm of [rsa(2048), { name: "ECDSA", namedCurve: "P-384" }]) {
    const certificateSigningRequest = await newCsr(algorithm);
    const reply = await request(world, client, createTopic, { certificateSigningRequest });
    t.is(reply.topic, `${createTopic}/accepted`);
  }
  const weak = { certificateSigningRequest: await newCsr(rsa(1024)) };
  const reply = await request(world, client, createTopic, weak);
  t.like(reply, {
    topic: `${createTopic}/rejected`,
    statusCode: 400,
    errorCode: "InvalidParameters",
  });
  await world.cloud.close();
});

test("a tampered request and nonsense are rejected with code, name and message", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const der = Buffer.from(x509.PemConverter.decodeFirst(await newCsr()));
  der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
  const tampered = x509.PemConverter.encode(der, "CERTIFICATE REQUEST");
  for (const body of [
    { certificateSigningRequest: tampered },
    { certificateSigningRequest: "hello" },
    { certificateSigningRequest: 7 },
    { certificateSigningRequest: "x".repeat(5000) },
    {},
    [],
  ]) {
    const reply = await request(world, client, createTopic, body);
    t.like(reply, { topic: `${createTopic}/rejected`, statusCode: 400 }, JSON.stringify(body));
    t.is(typeof reply.errorMessage, "string");
  }
  await world.cloud.close();
});

test("CreateKeysAndCertificate answers with an RSA key that fits the certificate", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  client.publish(keysTopic, "");
  await world.cloud.idle();
  const reply = client.json(`${keysTopic}/accepted`);
  t.regex(String(reply?.privateKey), /^-----BEGIN RSA PRIVATE KEY-----/);
  const certificate = new X509Certificate(String(reply?.certificatePem));
  const { createPrivateKey } = await import("node:crypto");
  t.true(certificate.checkPrivateKey(createPrivateKey(String(reply?.privateKey))));
  await world.cloud.close();
});

test("the hook denies a serial number that is not on the list, and the token stays good", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const created = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  const certificateOwnershipToken = created.certificateOwnershipToken;
  const denied = await request(world, client, registerTopic, {
    certificateOwnershipToken,
    parameters: { SerialNumber: "stolen" },
  });
  t.like(denied, { statusCode: 403, errorCode: "ACCESS_DENIED" });
  t.like(world.eventsOf("provisioningRefused")[0], { parameters: { SerialNumber: "stolen" } });
  t.is(world.cloud.things().length, 0);
  const allowed = await request(world, client, registerTopic, {
    certificateOwnershipToken,
    parameters: { SerialNumber: "2" },
  });
  t.is(allowed.thingName, "node-2");
  await world.cloud.close();
});

test("an ownership token works once", async t => {
  const world = await openCloud();
  const { token } = await provision(t, world, "1");
  const client = await claimClient(world);
  const again = await request(world, client, registerTopic, {
    certificateOwnershipToken: token,
    parameters: { SerialNumber: "1" },
  });
  t.like(again, { statusCode: 400, errorCode: "InvalidCertificateOwnershipToken" });
  await world.cloud.close();
});

test("an ownership token and its certificate are gone after an hour", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const created = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  client.send({ cmd: "disconnect" });
  world.time.advance(3_600_000);
  const later = await claimClient(world);
  const reply = await request(world, later, registerTopic, {
    certificateOwnershipToken: created.certificateOwnershipToken,
    parameters: { SerialNumber: "1" },
  });
  t.like(reply, { statusCode: 400, errorCode: "InvalidCertificateOwnershipToken" });
  t.false(world.cloud.setCertificateStatus(String(created.certificateId), "ACTIVE"));
  await world.cloud.close();
});

test("a certificate cannot connect before RegisterThing, nor under another thing's name", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const created = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  const early = world.client(String(created.certificateId)).connect("node-1");
  t.true(early.closed);
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "DEVICE_CERTIFICATE_INACTIVE");
  const { id } = await provision(t, world, "1");
  const stranger = world.client(id).connect("node-2");
  t.like(stranger.packets[0], { cmd: "connack", returnCode: 5 });
  t.is(world.eventsOf("connectionRefused").at(-1)?.reason, "AUTHORIZATION_FAILED");
  await world.cloud.close();
});

test("a claim may do nothing but provision", async t => {
  const world = await openCloud();
  for (const topic of [
    "dt/node-1/x",
    "$aws/things/node-1/shadow/update",
    registerTopic.replace("sensor-node", "other"),
  ]) {
    const client = await claimClient(world);
    client.publish(topic, "{}");
    t.true(client.closed, `publish ${topic}`);
    t.is(world.eventsOf("clientDisconnected").at(-1)?.reason, "AUTH_ERROR");
    t.true((await claimClient(world)).subscribe(topic).closed, `subscribe ${topic}`);
  }
  t.false((await claimClient(world)).subscribe(`${createTopic}/accepted`).closed);
  await world.cloud.close();
});

test("an unknown ownership token is refused", async t => {
  const world = await openCloud();
  const client = await claimClient(world);
  const reply = await request(world, client, registerTopic, { certificateOwnershipToken: "x" });
  t.like(reply, { statusCode: 400, errorCode: "InvalidCertificateOwnershipToken" });
  await world.cloud.close();
});
