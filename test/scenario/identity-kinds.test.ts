// The ways a device may come by its identity, each against the local cloud in virtual time.
import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import test from "ava";
import { defaultTemplate, devicePolicyName } from "../../simulator/cloud/defaults.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentOptions, type AgentStatus, type ClaimIdentity } from "../../src/index.js";
import { toPem } from "../../src/trust/pem.js";
import { heldIn } from "./identity.js";
import { openWorld, type World } from "./world.js";

interface Extra {
  readonly identity?: Partial<ClaimIdentity>;
  readonly options?: Partial<AgentOptions>;
  readonly host?: (host: Host) => Host;
  readonly flash?: Flash;
}

/** A device of its own in the world's cloud. */
function start(
  world: World,
  { identity = {}, options = {}, host: change = h => h, flash = new Flash() }: Extra,
) {
  const statuses: AgentStatus[] = [];
  const { clock, network, cloud } = world;
  const random = new Random(9);
  const host = virtualHost({ id: "board-9", clock, random, network, flash, power: new Power() });
  const claim = cloud.claim();
  const agent = new Agent({
    host: change(host),
    endpoint: "cloud.test",
    trustAnchors: [claim.trustAnchor],
    identity: { template: "sensor-node", claim, parameters: { SerialNumber: "SN-9" }, ...identity },
    onStatus: status => statuses.push(status),
    ...options,
  });
  cloud.allow("SN-9");
  agent.start();
  const seen = <T extends AgentStatus["type"]>(type: T) =>
    statuses.filter(status => status.type === type) as Extract<AgentStatus, { type: T }>[];
  return { agent, flash, seen, statuses };
}

for (const format of ["json", "cbor"] as const) {
  for (const keys of ["device", "cloud"] as const) {
    test(`an identity by ${format}, the key made by the ${keys}`, async t => {
      const world = await openWorld();
      world.cloud.putTemplate("sensor-node", {
        ...defaultTemplate,
        DeviceConfiguration: { site: "north", "rate limit": "5" },
      });
      const { agent, flash, seen } = start(world, { identity: { format, keys } });
      t.true(await world.clock.runUntil(() => seen("provisioned").length === 1, 10_000));
      t.is(seen("offline").length, 0);
      t.deepEqual(
        [...agent.deviceConfiguration],
        [
          ["site", "north"],
          ["rate limit", "5"],
        ],
      );
      const { keyPair, certificates } = heldIn(flash).credential!;
      const key = createPrivateKey({
        key: Buffer.from(keyPair.privateKey),
        format: "der",
        type: "pkcs8",
      });
      t.is(key.asymmetricKeyType, keys === "cloud" ? "rsa" : "ec");
      t.true(new X509Certificate(certificates[0]!).checkPrivateKey(key));
      t.is(seen("keyMade").length, keys === "device" ? 1 : 0);
      agent.stop();
      await world.clock.run(5000);
      const again = start(world, { identity: { format, keys }, flash });
      await world.clock.run(5000);
      t.is(again.agent.deviceConfiguration.get("site"), "north", "kept over a restart");
      t.is(again.seen("online")[0]?.as, "device");
    });
  }
}

test("a claim that an installer was given for five minutes is as good as one that is built in, and no longer", async t => {
  const world = await openWorld();
  const claim = await world.cloud.createProvisioningClaim("sensor-node");
  const { seen } = start(world, {
    identity: { claim: { certificate: claim.certificate, key: claim.key } },
  });
  t.true(await world.clock.runUntil(() => seen("provisioned").length === 1, 10_000));
  const late = await world.cloud.createProvisioningClaim("sensor-node");
  await world.clock.run(301_000);
  const second = start(world, {
    identity: { claim: { certificate: late.certificate, key: late.key } },
  });
  await world.clock.run(600_000);
  t.is(second.seen("provisioned").length, 0);
  const ends = second.seen("offline");
  t.true(ends.length > 0 && ends.length < 40, `${ends.length} tries in ten minutes`);
});

test("a key in a secure element: only its handle is ever stored", async t => {
  const world = await openWorld();
  const handle = Uint8Array.of(0x5e, 0xc, 1);
  let secret: Uint8Array | undefined;
  const { flash, seen, agent } = start(world, {
    host: host => {
      const { privateKey, publicKey } = host.crypto.generateKeyPair();
      secret = privateKey;
      element = { privateKey: handle, publicKey };
      return {
        ...host,
        crypto: {
          ...host.crypto,
          generateKeyPair: () => {
            throw new Error("keys are made in the element");
          },
          sign: (key, message) => {
            t.deepEqual(key, handle);
            return host.crypto.sign(privateKey, message);
          },
        },
      };
    },
    identity: {
      get keyPair() {
        return element!;
      },
    },
  });
  t.true(await world.clock.runUntil(() => seen("provisioned").length === 1, 10_000));
  t.deepEqual(heldIn(flash).privateKeys, [handle]);
  t.false(heldIn(flash).privateKeys.some(key => Buffer.from(key).equals(Buffer.from(secret!))));
  agent.rotate();
  t.true(await world.clock.runUntil(() => seen("rotated").length === 1, 10_000));
  t.deepEqual(heldIn(flash).privateKeys, [handle]);
});
let element: { privateKey: Uint8Array; publicKey: Uint8Array } | undefined;

test("an identity made in a factory is rotated when somebody said how, and refused to be when nobody did", async t => {
  const world = await openWorld();
  const first = start(world, {});
  t.true(await world.clock.runUntil(() => first.seen("provisioned").length === 1, 10_000));
  first.agent.stop();
  await world.clock.run(5000);
  const { keyPair, certificates } = heldIn(first.flash).credential!;
  const given = {
    thingName: "node-SN-9",
    certificate: toPem(certificates[0]!, "CERTIFICATE"),
    key: toPem(keyPair.privateKey, "PRIVATE KEY"),
  };
  const fixed = start(world, { options: { identity: given } });
  await world.clock.run(5000);
  t.throws(() => fixed.agent.rotate(), { message: /no template/ });
  t.throws(() => fixed.agent.provisionAgain(), { message: /no template/ });
  fixed.agent.stop();
  await world.clock.run(5000);
  const enrolling = { template: "sensor-node", parameters: { SerialNumber: "SN-9" } };
  const flash = new Flash();
  const { agent, seen } = start(world, {
    flash,
    options: { identity: given, rotation: { enrolling } },
  });
  await world.clock.run(5000);
  agent.rotate();
  t.true(await world.clock.runUntil(() => seen("rotated").length === 1, 10_000));
  await world.clock.run(5000);
  t.is(world.cloudSaw("certificateRetired").length, 1);
  agent.stop();
  await world.clock.run(5000);
  // The firmware still carries the old one, which is switched off by now.
  const later = start(world, { flash, options: { identity: given, rotation: { enrolling } } });
  await world.clock.run(5000);
  t.deepEqual(world.cloud.clients(), ["node-SN-9"]);
  t.is(later.seen("offline").length, 0);
});

test("a certificate from a factory's own authority: the first connection is dropped, the next one accepted", async t => {
  const world = await openWorld();
  x509.cryptoProvider.set(webcrypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const pair = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const dates = { notBefore: new Date("2020-01-01"), notAfter: new Date("2045-01-01") };
  const factory = await pair();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Factory",
    ...dates,
    signingAlgorithm: algorithm,
    keys: factory,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const own = await pair();
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=pump-1",
    issuer: authority.subject,
    ...dates,
    publicKey: own.publicKey,
    signingKey: factory.privateKey,
    signingAlgorithm: algorithm,
  });
  const commonName = "AWS::IoT::Certificate::CommonName";
  const id = "AWS::IoT::Certificate::Id";
  world.cloud.registerAuthority({
    certificate: authority.toString("pem"),
    templateBody: {
      Parameters: { [commonName]: { Type: "String" }, [id]: { Type: "String" } },
      Resources: {
        certificate: {
          Type: "AWS::IoT::Certificate",
          Properties: {
            CertificateId: { Ref: id },
            Status: "ACTIVE",
            ThingPrincipalType: "EXCLUSIVE_THING",
          },
        },
        thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: commonName } } },
        policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: devicePolicyName } },
      },
    },
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
  const identity = {
    thingName: "pump-1",
    certificate: leaf.toString("pem"),
    key: x509.PemConverter.encode(key, "PRIVATE KEY"),
  };
  const { seen } = start(world, { options: { identity } });
  t.true(await world.clock.runUntil(() => seen("online").length === 1, 300_000));
  t.is(seen("offline").length, 1);
  t.deepEqual(world.cloud.clients(), ["pump-1"]);
  t.log(`online after ${world.clock.ticks()} ms`);
});

test("options that make no identity are refused by name and value", async t => {
  const world = await openWorld();
  const cases: readonly (readonly [Partial<ClaimIdentity>, RegExp])[] = [
    [{ template: "a/b" }, /identity\.template "a\/b"/],
    [{ format: "xml" as "json" }, /identity\.format "xml"/],
    [{ keys: "mine" as "cloud" }, /identity\.keys "mine"/],
    [
      { keys: "cloud", keyPair: { privateKey: new Uint8Array(1), publicKey: new Uint8Array(65) } },
      /keyPair/,
    ],
  ];
  for (const [identity, message] of cases) {
    t.throws(() => start(world, { identity }), { message });
  }
  t.throws(() => start(world, { options: { rotation: { afterDays: 0 } } }), {
    message: /afterDays 0/,
  });
});

test("what would fail with every dial, or never happen, is refused before the first", async t => {
  const world = await openWorld();
  const { certificate, key } = world.cloud.claim();
  const given = { thingName: "node-SN-9", certificate, key };
  const cases: readonly (readonly [Partial<AgentOptions>, RegExp])[] = [
    [{ identity: given, rotation: { afterDays: 30 } }, /rotation\.enrolling is missing/],
    [{ mqtt: { will: { topic: "w", message: "\ud800" } } }, /mqtt\.will\.message.*surrogate/],
    [{ mqtt: { will: { topic: "w", message: "x".repeat(65_536) } } }, /65536 bytes/],
    [{ mqtt: { userProperties: [["a", "\udc00"]] } }, /userProperties.*surrogate/],
  ];
  for (const [options, message] of cases) t.throws(() => start(world, { options }), { message });
});

test("a claim for a template there is not gets the cloud's own words, and a bounded number of tries", async t => {
  const world = await openWorld();
  const { seen } = start(world, { identity: { template: "other" } });
  await world.clock.run(3_600_000);
  t.is(seen("provisioned").length, 0);
  const ends = seen("offline");
  t.true(ends.length > 10 && ends.length < 200, `${ends.length}`);
  t.log([...new Set(ends.map(({ error }) => error.message))]);
});
