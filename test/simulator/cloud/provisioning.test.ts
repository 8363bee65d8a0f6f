import "reflect-metadata";
import { createPrivateKey, type webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import test from "ava";
import { encode } from "cborg";
import type { HookAnswer, HookRequest } from "../../../simulator/cloud/hook.js";
import { openCloud } from "./harness.js";
import {
  claimClient,
  createFromCsr,
  createTopic,
  type Format,
  idOf,
  inFormat,
  keysTopic,
  newCsr,
  provision,
  registerThing,
  registerTopic,
  replyTo,
  request,
} from "./provisioning-rig.js";

type KeyAlgorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;

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
  const client = claimClient(world);
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
  const client = claimClient(world);
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
  const client = claimClient(world);
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
  const client = claimClient(world);
  client.publish(keysTopic, "");
  await world.cloud.idle();
  const reply = client.json(`${keysTopic}/accepted`);
  t.regex(String(reply?.privateKey), /^-----BEGIN RSA PRIVATE KEY-----/);
  const certificate = new X509Certificate(String(reply?.certificatePem));
  t.true(certificate.checkPrivateKey(createPrivateKey(String(reply?.privateKey))));
  await world.cloud.close();
});

test("the hook denies a serial number that is not on the list, and the token stays good", async t => {
  const world = await openCloud();
  const client = claimClient(world);
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
  const client = claimClient(world);
  const again = await request(world, client, registerTopic, {
    certificateOwnershipToken: token,
    parameters: { SerialNumber: "1" },
  });
  t.like(again, { statusCode: 400, errorCode: "InvalidCertificateOwnershipToken" });
  await world.cloud.close();
});

test("an ownership token and its certificate are gone after an hour", async t => {
  const world = await openCloud();
  const client = claimClient(world);
  const created = await request(world, client, createTopic, {
    certificateSigningRequest: await newCsr(),
  });
  client.send({ cmd: "disconnect" });
  world.time.advance(3_600_000);
  const later = claimClient(world);
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
  const client = claimClient(world);
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

const foreignTopics = [
  "dt/node-1/x",
  "$aws/things/node-1/shadow/update",
  "$aws/things/node-1/jobs/get",
  registerTopic.replace("sensor-node", "other"),
];

test("a claim may do nothing but provision", async t => {
  const world = await openCloud();
  for (const topic of foreignTopics) {
    const client = claimClient(world);
    client.publish(topic, "{}");
    t.true(client.closed, `publish ${topic}`);
    t.is(world.eventsOf("clientDisconnected").at(-1)?.reason, "AUTH_ERROR");
    t.true(claimClient(world).subscribe(topic).closed, `subscribe ${topic}`);
  }
  for (const topic of [createTopic, keysTopic, registerTopic]) {
    for (const format of ["json", "cbor"] as const) {
      const filter = `${inFormat(topic, format)}/accepted`;
      t.false(claimClient(world).subscribe(filter).closed, filter);
    }
  }
  await world.cloud.close();
});

test("a claim on MQTT 5 hears that it is not authorized", async t => {
  const world = await openCloud();
  const client = claimClient(world, 5);
  for (const topic of foreignTopics) {
    client.publish(topic, "{}", 1);
    t.like(client.packets.at(-1), { cmd: "puback", reasonCode: 0x87 }, topic);
    client.subscribe(topic);
    t.like(client.packets.at(-1), { cmd: "suback", granted: [0x87] }, topic);
  }
  client.subscribe("#");
  t.like(client.packets.at(-1), { cmd: "suback", granted: [0x87] });
  t.deepEqual(world.eventsOf("message"), []);
  await world.cloud.close();
});

test("an unknown ownership token is refused", async t => {
  const world = await openCloud();
  const client = claimClient(world);
  const reply = await registerThing(world, client, "x", {});
  t.like(reply, { statusCode: 400, errorCode: "InvalidCertificateOwnershipToken" });
  await world.cloud.close();
});

for (const format of ["json", "cbor"] as Format[]) {
  test(`both ways to a certificate complete in ${format}`, async t => {
    const world = await openCloud();
    const client = claimClient(world);
    const csr = { certificateSigningRequest: await newCsr() };
    const requests: [string, object | string, string][] = [
      [inFormat(createTopic, format), csr, "1"],
      [inFormat(keysTopic, format), "", "2"],
    ];
    for (const [topic, body, serial] of requests) {
      const created = await request(world, client, topic, body);
      t.is(created.topic, `${topic}/accepted`);
      const certificate = new X509Certificate(String(created.certificatePem));
      t.is(created.certificateId, idOf(certificate.toString()));
      if (body === "") {
        const key = createPrivateKey(String(created.privateKey));
        t.is(key.asymmetricKeyDetails?.modulusLength, 2048);
        t.true(certificate.checkPrivateKey(key));
      }
      const { certificateOwnershipToken } = created;
      const parameters = { SerialNumber: serial };
      const register = inFormat(registerTopic, format);
      const asked = { certificateOwnershipToken, parameters };
      t.deepEqual(await request(world, client, register, asked), {
        topic: `${register}/accepted`,
        qos: 0,
        deviceConfiguration: {},
        thingName: `node-${serial}`,
      });
      const device = world.client(String(created.certificateId)).connect(`node-${serial}`);
      t.like(device.packets[0], { cmd: "connack", returnCode: 0 });
    }
    await world.cloud.close();
  });

  test(`refusals in ${format} carry a code, a name and a message, in that format`, async t => {
    const world = await openCloud();
    const client = claimClient(world);
    const deep = Buffer.alloc(20_000, format === "json" ? "[" : "\x81");
    const bodies: [string, object | string][] = [
      [createTopic, deep],
      [createTopic, { certificateSigningRequest: 7 }],
      [createTopic, { certificateSigningRequest: "x".repeat(40_000) }],
      [createTopic, ""],
      [keysTopic, "no"],
      [registerTopic, { certificateOwnershipToken: "x", parameters: { SerialNumber: 1 } }],
      [registerTopic, { certificateOwnershipToken: "x" }],
    ];
    for (const [topic, body] of bodies) {
      const asked = inFormat(topic, format);
      const reply = await request(world, client, asked, body);
      t.is(reply.topic, `${asked}/rejected`);
      t.is(reply.statusCode, 400);
      t.is(typeof reply.errorCode, "string");
      t.regex(String(reply.errorMessage), /./);
    }
    await world.cloud.close();
  });
}

test("a request in CBOR that is not strict is refused", async t => {
  const world = await openCloud();
  const client = claimClient(world);
  const token = Buffer.from(encode({ certificateOwnershipToken: "x" }));
  const topic = inFormat(registerTopic, "cbor");
  const bodies = {
    "an indefinite length": Buffer.concat([Buffer.of(0xbf), token.subarray(1), Buffer.of(0xff)]),
    "a name twice": Buffer.concat([Buffer.of(0xa2), token.subarray(1), token.subarray(1)]),
    "bytes behind it": Buffer.concat([token, Buffer.of(0)]),
    "cut short": token.subarray(0, -1),
  };
  for (const [what, body] of Object.entries(bodies)) {
    const reply = await request(world, client, topic, body);
    t.like(reply, { statusCode: 400, errorCode: "InvalidParameters" }, what);
  }
  t.is((await request(world, client, topic, token)).errorCode, "InvalidCertificateOwnershipToken");
  await world.cloud.close();
});

test("the hook hears who asks for what, and its overrides count", async t => {
  const asked: HookRequest[] = [];
  const world = await openCloud({
    hook: async each => {
      asked.push(each);
      return { allowProvisioning: true, parameterOverrides: { SerialNumber: "7" } };
    },
  });
  const client = claimClient(world);
  const { id, token, reply } = await createFromCsr(world, client);
  const registered = await registerThing(world, client, token, { SerialNumber: "1", More: "x" });
  t.is(registered.thingName, "node-7");
  t.deepEqual(asked, [
    {
      claimCertificateId: idOf(world.cloud.claim().certificate),
      certificateId: id,
      certificatePem: String(reply.certificatePem),
      templateArn: "arn:aws:iot:eu-west-1:000000000000:provisioningtemplate/sensor-node",
      clientId: "claim-1",
      parameters: { SerialNumber: "1", More: "x" },
    },
  ]);
  await world.cloud.close();
});

const unhelpful: Record<string, () => HookAnswer | Promise<HookAnswer>> = {
  denies: () => ({ allowProvisioning: false }),
  throws: () => {
    throw new Error("broken");
  },
  rejects: () => Promise.reject(new Error("broken")),
  "answers nonsense": () => ({ allowProvisioning: "yes" }) as unknown as HookAnswer,
};
for (const [what, hook] of Object.entries(unhelpful)) {
  test(`a hook that ${what} is ACCESS_DENIED, and leaves an orphan`, async t => {
    const world = await openCloud({ hook });
    const client = claimClient(world);
    const { id, token } = await createFromCsr(world, client);
    const reply = await registerThing(world, client, token, { SerialNumber: "1" });
    t.like(reply, { statusCode: 403, errorCode: "ACCESS_DENIED" });
    t.deepEqual(world.cloud.things(), []);
    t.deepEqual(
      world.cloud.certificates.orphans().map(each => each.certificateId),
      [id],
    );
    await world.cloud.close();
  });
}

test("a hook has five seconds, and time goes on while it thinks", async t => {
  const answers: ((answer: HookAnswer) => void)[] = [];
  const world = await openCloud({ hook: () => new Promise(resolve => answers.push(resolve)) });
  const client = claimClient(world);
  const { token } = await createFromCsr(world, client);
  const body = { certificateOwnershipToken: token, parameters: { SerialNumber: "1" } };
  client.publish(registerTopic, body);
  await world.cloud.idle();
  t.is(client.messages().length, 1);
  world.time.advance(4_999);
  await world.cloud.idle();
  t.is(client.messages().length, 1);
  const late = await replyTo(world, client, () => world.time.advance(1));
  t.like(late, { statusCode: 403, errorCode: "ACCESS_DENIED" });
  client.publish(registerTopic, body).publish(registerTopic, body);
  world.time.advance(4_000);
  for (const answer of answers) answer({ allowProvisioning: true });
  await world.cloud.idle();
  const replies = client.messages().slice(2);
  t.deepEqual(replies.map(each => JSON.parse(each.payload.toString()).errorCode).sort(), [
    "InvalidCertificateOwnershipToken",
    undefined,
  ]);
  t.is(world.eventsOf("thingRegistered").length, 1);
  await world.cloud.close();
});

test("a template's defaults, overrides and device configuration reach the device", async t => {
  const world = await openCloud({ hook: () => ({ allowProvisioning: true }) });
  world.cloud.putTemplate("configured", {
    Parameters: {
      Serial: { Type: "String" },
      Site: { Type: "String", Default: "harbour" },
      "AWS::IoT::Certificate::Id": { Type: "String" },
    },
    Resources: {
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" }, Status: "INACTIVE" },
      },
      thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: "Serial" } } },
    },
    DeviceConfiguration: { site: { Ref: "Site" }, fallback: "a.example" },
  });
  world.cloud.putPolicy("skerry-claim", {
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Action: "iot:*", Resource: "*" },
  });
  const client = claimClient(world);
  const { id, token } = await createFromCsr(world, client);
  t.like(await registerThing(world, client, token, {}, "configured"), {
    statusCode: 400,
    errorMessage: "Parameter Serial is missing",
  });
  t.like(await registerThing(world, client, token, { Serial: "s-1" }, "configured"), {
    thingName: "s-1",
    deviceConfiguration: { site: "harbour", fallback: "a.example" },
  });
  t.like(world.cloud.certificates.get(id), { status: "INACTIVE", thingName: "s-1" });
  await world.cloud.close();
});

test("a certificate nobody registers is deleted when its hour is over, and orphans can be counted", async t => {
  const world = await openCloud();
  const client = claimClient(world);
  const first = await createFromCsr(world, client);
  world.time.advance(1_800_000);
  const later = claimClient(world);
  await createFromCsr(world, later);
  const registered = await createFromCsr(world, later);
  await registerThing(world, later, registered.token, { SerialNumber: "1" });
  t.is(world.cloud.certificates.orphans().length, 2);
  world.time.advance(1_799_999);
  t.is(world.cloud.certificates.orphans().length, 2);
  world.time.advance(1);
  t.is(world.cloud.certificates.orphans().length, 1);
  t.deepEqual(
    world.eventsOf("certificateExpired").map(each => each.certificateId),
    [first.id],
  );
  world.time.advance(3_600_000);
  t.is(world.cloud.certificates.orphans().length, 0);
  t.like(world.cloud.certificates.get(registered.id), { status: "ACTIVE", thingName: "node-1" });
  await world.cloud.close();
});

test("a token is of its certificate, whichever client brings it", async t => {
  const world = await openCloud();
  const { token, id } = await createFromCsr(world, claimClient(world));
  const other = world.client(idOf(world.cloud.claim().certificate), 5).connect("claim-2");
  await registerThing(world, other, token, { SerialNumber: "1" });
  t.is(world.cloud.certificates.get(id)?.thingName, "node-1");
  const revoked = await createFromCsr(world, other);
  world.cloud.setCertificateStatus(revoked.id, "REVOKED");
  t.like(await registerThing(world, other, revoked.token, { SerialNumber: "1" }), {
    statusCode: 400,
    errorCode: "InvalidCertificateOwnershipToken",
  });
  await world.cloud.close();
});
