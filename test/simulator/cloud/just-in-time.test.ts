import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import test, { type ExecutionContext } from "ava";
import { devicePolicyName } from "../../../simulator/cloud/defaults.js";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { openCloud, TestClient, type TestCloud } from "./harness.js";
import { idOf } from "./provisioning-rig.js";

x509.cryptoProvider.set(webcrypto);

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dates = { notBefore: new Date("2020-01-01"), notAfter: new Date("2045-01-01") };

interface Leaf {
  readonly id: string;
  readonly certificate: string;
  readonly key: string;
}

interface Factory {
  readonly certificate: string;
  issue(subject: string, notAfter?: Date): Promise<Leaf>;
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

/** An owner's own authority. */
async function newFactory(name = "CN=Owner CA"): Promise<Factory> {
  const keys = await newKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name,
    ...dates,
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  let serial = 0x10;
  const issue = async (subject: string, notAfter = dates.notAfter): Promise<Leaf> => {
    const pair = await newKeys();
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: (++serial).toString(16),
      subject,
      issuer: root.subject,
      notBefore: dates.notBefore,
      notAfter,
      publicKey: pair.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
    });
    const certificate = leaf.toString("pem");
    const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", pair.privateKey);
    const key = x509.PemConverter.encode(pkcs8, "PRIVATE KEY");
    return { id: idOf(certificate), certificate, key };
  };
  return { certificate: root.toString("pem"), issue };
}

const own = (name: string): string => `AWS::IoT::Certificate::${name}`;
const templateBody = {
  Parameters: {
    [own("CommonName")]: { Type: "String" },
    [own("SerialNumber")]: { Type: "String" },
    [own("Organization")]: { Type: "String" },
    [own("Id")]: { Type: "String" },
  },
  Resources: {
    certificate: {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateId: { Ref: own("Id") }, Status: "ACTIVE" },
    },
    thing: {
      Type: "AWS::IoT::Thing",
      Properties: {
        ThingName: { Ref: own("CommonName") },
        AttributePayload: {
          serial: { Ref: own("SerialNumber") },
          maker: { Ref: own("Organization") },
        },
      },
    },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: devicePolicyName } },
  },
};

/** Connects in memory; the certificate is taken at its word, like its id. */
function connect({ cloud }: TestCloud, { id, certificate }: Leaf, clientId: string): TestClient {
  const client = new TestClient();
  const peer = { certificateId: id, certificatePem: certificate, address: "10.0.0.1" };
  return client.attach(cloud.accept(client.link, peer)).connect(clientId);
}

const subject = "CN=pump-1, O=Owner, 2.5.4.5=S-77";

test("the first connect provisions from the subject and is dropped, the second is accepted", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  const authorityId = world.cloud.registerAuthority({ ...factory, templateBody });
  t.is(authorityId, idOf(factory.certificate));
  const leaf = await factory.issue(subject);
  const first = connect(world, leaf, "pump-1");
  t.true(first.closed);
  t.deepEqual(first.packets, []);
  t.is(world.eventsOf("connectionRefused")[0]?.reason, "DEVICE_CERTIFICATE_INACTIVE");
  t.deepEqual(world.eventsOf("certificateRegistered"), [
    {
      type: "certificateRegistered",
      certificateId: leaf.id,
      authorityId,
      status: "ACTIVE",
      thingName: "pump-1",
    },
  ]);
  t.like(world.cloud.things()[0], {
    name: "pump-1",
    attributes: { serial: "S-77", maker: "Owner" },
  });
  const second = connect(world, leaf, "pump-1");
  t.like(second.packets[0], { cmd: "connack", returnCode: 0 });
  t.false(second.publish("dt/pump-1/x", "{}").closed);
  t.true(connect(world, leaf, "pump-2").closed);
  await world.cloud.close();
});

test("authorities and what they signed survive a restart", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-authority-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const factory = await newFactory();
  const known = await factory.issue(subject);
  const first = await openCloud({ directory });
  first.cloud.registerAuthority({ ...factory, templateBody });
  connect(first, known, "pump-1");
  await first.cloud.close();
  const second = await openCloud({ directory });
  t.like(connect(second, known, "pump-1").packets[0], { cmd: "connack", returnCode: 0 });
  const fresh = await factory.issue("CN=pump-2, O=Owner, 2.5.4.5=S-78");
  t.true(connect(second, fresh, "pump-2").closed);
  t.like(connect(second, fresh, "pump-2").packets[0], { cmd: "connack", returnCode: 0 });
  await second.cloud.close();
});

test("a template may write its policy out, as the guide's sample does", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  const policyOf = (Properties: Record<string, unknown>) => ({
    ...templateBody,
    Resources: { ...templateBody.Resources, policy: { Type: "AWS::IoT::Policy", Properties } },
  });
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["iot:Connect"], Resource: "*" }],
  });
  world.cloud.registerAuthority({ ...factory, templateBody: policyOf({ PolicyDocument }) });
  const leaf = await factory.issue(subject);
  connect(world, leaf, "anyone");
  const client = connect(world, leaf, "anyone");
  t.like(client.packets[0], { cmd: "connack", returnCode: 0 });
  t.true(client.publish("dt/pump-1/x", "{}").closed);
  const name = world.cloud.certificates.get(leaf.id)?.policies[0] ?? "";
  for (const wrong of [{}, { PolicyDocument, PolicyName: name }, { PolicyDocument: "{}" }]) {
    const other = await newFactory(`CN=CA ${JSON.stringify(wrong).length}`);
    world.cloud.registerAuthority({ ...other, templateBody: policyOf(wrong) });
    const { id, certificate, key } = await other.issue(subject);
    connect(world, { id, certificate, key }, "anyone");
    t.is(world.cloud.certificates.get(id)?.status, "PENDING_ACTIVATION");
  }
  t.deepEqual(
    world.eventsOf("justInTimeRefused").map(each => each.errorMessage),
    [
      "A policy has either PolicyName or PolicyDocument",
      "A policy has either PolicyName or PolicyDocument",
      "PolicyDocument is not a policy",
    ],
  );
  await world.cloud.close();
});

test("a subject without what the template asks for stays pending, and has another try", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  world.cloud.registerAuthority({ ...factory, templateBody });
  const leaf = await factory.issue("CN=pump-1, O=Owner");
  t.true(connect(world, leaf, "pump-1").closed);
  t.true(connect(world, leaf, "pump-1").closed);
  t.like(world.cloud.certificates.get(leaf.id), { status: "PENDING_ACTIVATION" });
  t.deepEqual(
    world.eventsOf("justInTimeRefused").map(each => each.errorMessage),
    Array(2).fill("Parameter AWS::IoT::Certificate::SerialNumber is missing"),
  );
  t.is(world.cloud.certificates.orphans().length, 1);
  await world.cloud.close();
});

test("without a template a certificate is announced, and waits for the API to activate it", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  const authorityId = world.cloud.registerAuthority(factory);
  world.cloud.putPolicy("listener", {
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Action: "iot:*", Resource: "*" },
  });
  world.cloud.certificates.attachPolicy(idOf(world.cloud.claim().certificate), "listener");
  const topic = `$aws/events/certificates/registered/${authorityId}`;
  const listener = world.client(idOf(world.cloud.claim().certificate)).connect("lambda");
  listener.subscribe(topic);
  const leaf = await factory.issue("CN=pump-1");
  t.true(connect(world, leaf, "pump-1").closed);
  t.like(listener.json(topic), {
    certificateId: leaf.id,
    caCertificateId: authorityId,
    certificateStatus: "PENDING_ACTIVATION",
  });
  t.true(connect(world, leaf, "pump-1").closed);
  t.is(listener.messages().length, 2);
  world.cloud.certificates.attachPolicy(leaf.id, "listener");
  t.true(world.cloud.setCertificateStatus(leaf.id, "ACTIVE"));
  t.like(connect(world, leaf, "pump-1").packets[0], { cmd: "connack", returnCode: 0 });
  t.is(listener.messages().length, 2);
  await world.cloud.close();
});

test("only certificates that a registered authority signed, in their time, are taken", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  world.cloud.registerAuthority({ ...factory, allowAutoRegistration: false });
  const other = await newFactory();
  const live = await newFactory("CN=Another CA");
  world.cloud.registerAuthority(live);
  const expired = await live.issue("CN=x", new Date("2021-01-01"));
  const leaf = await live.issue("CN=x");
  const strangers = [
    await factory.issue("CN=x"),
    await other.issue("CN=x"),
    expired,
    { ...leaf, id: "00" },
    { ...leaf, certificate: "no certificate" },
  ];
  for (const stranger of strangers) t.true(connect(world, stranger, "x").closed);
  t.true(world.client(leaf.id).connect("x").closed);
  t.deepEqual(
    world.eventsOf("connectionRefused").map(each => each.reason),
    Array(6).fill("DEVICE_CERTIFICATE_NOT_REGISTERED"),
  );
  t.is(world.cloud.certificates.list().length, 1);
  await world.cloud.close();
});

test("an authority is one, is registered once, and its template is of its kind", async t => {
  const world = await openCloud();
  const factory = await newFactory();
  const leaf = await factory.issue("CN=x");
  const refused = (
    registration: Parameters<typeof world.cloud.registerAuthority>[0],
    code: string,
  ) =>
    t.throws(() => world.cloud.registerAuthority(registration), { instanceOf: CloudError, code });
  refused({ certificate: leaf.certificate }, "cloud/invalid-authority");
  refused({ certificate: "x" }, "cloud/invalid-authority");
  const wrong = [
    {},
    { ...templateBody, DeviceConfiguration: {} },
    { ...templateBody, Mappings: {} },
  ];
  for (const each of wrong) {
    refused({ ...factory, templateBody: each }, "cloud/invalid-template");
  }
  world.cloud.registerAuthority(factory);
  refused(factory, "cloud/invalid-authority");
  await world.cloud.close();
});

async function dial(
  t: ExecutionContext,
  { cloud }: TestCloud,
  { certificate: cert, key }: Leaf,
  servername = "localhost",
): Promise<TLSSocket> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: cloud.port ?? 0,
    servername,
    ca: cloud.claim().trustAnchor,
    cert,
    key,
    checkServerIdentity: () => undefined,
  });
  t.teardown(() => socket.destroy());
  socket.on("error", () => socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

function closed(socket: TLSSocket): Promise<void> {
  return new Promise(resolve => socket.resume().once("close", () => resolve()));
}

test("over TLS too; without a server name the certificate stays unknown", async t => {
  const world = await openCloud({ listen: { host: "127.0.0.1", port: 0 } });
  t.teardown(() => world.cloud.close());
  const factory = await newFactory();
  world.cloud.registerAuthority({ ...factory, templateBody });
  const leaf = await factory.issue(subject);
  await closed(await dial(t, world, leaf, ""));
  t.is(world.eventsOf("connectionRefused")[0]?.reason, "DEVICE_CERTIFICATE_NOT_REGISTERED");
  await closed(await dial(t, world, leaf));
  t.is(world.eventsOf("connectionRefused")[1]?.reason, "DEVICE_CERTIFICATE_INACTIVE");
  const socket = await dial(t, world, leaf);
  const client = new TestClient().attach({
    receive: bytes => void socket.write(bytes),
    closed: () => void socket.destroy(),
  });
  socket.on("data", bytes => client.link.write(bytes));
  client.connect("pump-1");
  t.like(await client.until(each => each.packets[0]), { cmd: "connack", returnCode: 0 });
});
