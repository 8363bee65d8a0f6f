// Updates that must not be, known from the document alone: each wrong in one thing, in AWS's words and in ours. None costs a download
// or a write to flash; what runs goes on running, and the next good update is taken. Documents that cannot be read are in
// update-documents.test.ts, and what only the file tells is in update-files.test.ts.
import test from "ava";
import type { JsonObject } from "../../simulator/cloud/json.js";
import type { UpdatableConfig } from "../../simulator/fleet/updatable.js";
import { makeSigner, type UpdateWorld } from "../../simulator/fleet/update-world.js";
import { manifestDocument } from "../../simulator/signing/job-document.js";
import type { ManifestFields } from "../../simulator/signing/manifest.js";
import {
  base64,
  changed,
  createAfrJob,
  firmware,
  openWorld,
  recovers,
  refuses,
  succeeds,
  untouched,
  watchTraffic,
} from "./updates.js";

const stranger = makeSigner("stranger");
const rsa = makeSigner("rsa", "rsa");
/** Known as well, where two have to sign. */
const second = makeSigner("second");

/** Makes the job. @returns its id */
type Offer = (world: UpdateWorld) => Promise<string>;

interface Case {
  readonly name: string;
  readonly offer: Offer;
  readonly outcome: RegExp | string;
  readonly config?: Partial<UpdatableConfig>;
}

/** Refused for what the document says. */
function refusedAtOnce({ name, offer, outcome, config = {} }: Case): void {
  test(`${name}: rejected before anything is fetched`, async t => {
    const isTwice = config.threshold === 2;
    const world = await openWorld(t, { config, coSigners: isTwice ? [second] : [] });
    const traffic = watchTraffic(world);
    await refuses(t, world, await offer(world), outcome);
    t.is(world.execution("1")?.status, "REJECTED");
    untouched(t, world, traffic);
    t.is(world.boots.length, 1);
    await recovers(t, world, isTwice ? [world.signer, second] : undefined);
  });
}

const image = (world: UpdateWorld, version = "1.1.0") => world.image(firmware(version));

/** AWS's document with other members of the file. */
function afr(
  name: string,
  file: Readonly<Record<string, unknown>>,
  outcome: RegExp | string,
): Case {
  return {
    name: `afr_ota, ${name}`,
    offer: world => createAfrJob(world, "1", image(world), { protocols: ["MQTT", "HTTP"], file }),
    outcome,
  };
}

/** Ours with other fields of the manifest, signed as it is. */
function manifest(name: string, fields: Partial<ManifestFields>, outcome: RegExp | string): Case {
  return {
    name: `manifest, ${name}`,
    offer: world => world.createManifestUpdate("1", firmware(), fields),
    outcome,
  };
}

/** Ours with other members of the document. */
function own(name: string, change: (own: OwnDocument) => unknown, outcome: RegExp | string): Case {
  return {
    name: `manifest, ${name}`,
    offer: async world => {
      const bytes = image(world);
      const signed = world.manifest(bytes, {});
      const sources = await world.sources("1", bytes);
      const { skerry } = manifestDocument(signed, sources);
      world.createJob("1", { skerry: change({ ...skerry }) } as unknown as JsonObject);
      return "1";
    },
    outcome,
  };
}

type OwnDocument = ReturnType<typeof manifestDocument>["skerry"];

// -- who has signed --

const untrusted: readonly Case[] = [
  afr("unsigned", { "sig-sha256-ecdsa": undefined }, "REJECTED afr_ota.files[0] is unsigned"),
  afr("the signer is not known", { certfile: "stranger" }, /^REJECTED .*"stranger"/),
  afr(
    "SHA-1",
    { "sig-sha256-ecdsa": undefined, "sig-sha1-rsa": "AAAA" },
    'REJECTED afr_ota.files[0]: algorithm "sig-sha1-rsa" is not taken, only sig-sha256-ecdsa and sig-sha256-rsa',
  ),
  afr(
    "an algorithm that no key is for",
    { "sig-sha256-ecdsa": undefined, "sig-sha256-rsa": "AAAA" },
    "REJECTED file: the signature is rsa, and no key of the signer is",
  ),
  own("unsigned", ({ signatures: _, ...rest }) => rest, "REJECTED skerry.manifest is unsigned"),
  own(
    "an empty list of signatures",
    rest => ({ ...rest, signatures: [] }),
    "REJECTED skerry.manifest is unsigned",
  ),
  {
    name: "manifest, signed by somebody else",
    offer: world => world.createManifestUpdate("1", firmware(), {}, [stranger]),
    outcome: `REJECTED manifest: signed by 0 known keys, 1 needed; signatures are of ${stranger.key.keyId}`,
  },
  {
    name: "manifest, signed by somebody else with the id of a key that is known",
    offer: own(
      "",
      ({ signatures, ...rest }) => ({
        ...rest,
        signatures: signatures.map(({ keyId }) => ({
          keyId,
          signature: base64(stranger.key.sign(Buffer.from(rest.manifest, "base64"))),
        })),
      }),
      "",
    ).offer,
    outcome: /^REJECTED manifest: signature of key [0-9a-f]{16} is wrong$/,
  },
  {
    name: "manifest, an algorithm that no key is for",
    offer: world => world.createManifestUpdate("1", firmware(), {}, [rsa]),
    outcome: /^REJECTED manifest: signed by 0 known keys/,
  },
  own(
    "its signature changed",
    ({ signatures, ...rest }) => ({
      ...rest,
      signatures: signatures.map(({ keyId, signature }) => ({
        keyId,
        signature: base64(changed(Buffer.from(signature, "base64"), 40)),
      })),
    }),
    /^REJECTED manifest: signature of key [0-9a-f]{16} is wrong$/,
  ),
  own(
    "changed after it was signed",
    rest => ({
      ...rest,
      manifest: base64(
        Buffer.from(Buffer.from(rest.manifest, "base64").toString().replace("1.1.0", "1.1.1")),
      ),
    }),
    /^REJECTED manifest: signature of key [0-9a-f]{16} is wrong$/,
  ),
  {
    ...manifest(
      "one signature where two are needed",
      {},
      /^REJECTED .*signed by 1 known keys, 2 needed/,
    ),
    config: { threshold: 2 },
  },
  {
    name: "manifest, one signature twice where two are needed",
    offer: own(
      "",
      ({ signatures, ...rest }) => ({
        ...rest,
        signatures: [...signatures, ...signatures],
      }),
      "",
    ).offer,
    outcome: /^REJECTED .*signed by 1 known keys, 2 needed/,
    config: { threshold: 2 },
  },
  {
    ...afr(
      "one signature where two are needed",
      {},
      "REJECTED file: one signature, 2 needed: only a manifest can have them",
    ),
    config: { threshold: 2 },
  },
  {
    ...afr(
      "where only manifests are taken",
      {},
      "REJECTED only images with a signed manifest are taken",
    ),
    config: { manifestOnly: true },
  },
];
for (const one of untrusted) refusedAtOnce(one);

// -- for whom, and when --

const unsuitable: readonly Case[] = [
  manifest(
    "another product",
    { product: "toaster" },
    'REJECTED image is for product "toaster", not "sensor-node"',
  ),
  manifest(
    "another board",
    { hardware: ["board-b", "board-c"] },
    'REJECTED image is for hardware "board-b,board-c", not "board-a"',
  ),
  manifest("a script", { type: "script" }, "REJECTED a script, not firmware"),
  manifest(
    "the version that runs",
    { version: "1.0.0" },
    'REJECTED image has version "1.0.0", "1.0.0" is running already',
  ),
  manifest(
    "an older version",
    { version: "0.9.0" },
    'REJECTED image has version "0.9.0", not newer than "1.0.0"',
  ),
  {
    ...manifest(
      "below the floor, where older versions are taken",
      { version: "0.7.0" },
      'REJECTED image has version "0.7.0", none below "0.8.0" is taken',
    ),
    config: { allowDowngrade: true, minimumVersion: "0.8.0" },
  },
  manifest(
    "expired",
    { expires: 1_767_225_600 },
    /^REJECTED manifest has expired at 1767225600 s, /,
  ),
  manifest(
    "larger than the slot",
    { size: 200_000 },
    "REJECTED image of 200000 bytes: there is room for 126976",
  ),
  afr(
    "larger than the slot",
    { filesize: 200_000 },
    "REJECTED image of 200000 bytes: there is room for 126976",
  ),
  afr("no bytes", { filesize: 0 }, "REJECTED afr_ota.files[0].filesize is 0, not 1 to 16777216"),
  afr("not firmware", { fileType: 202 }, "REJECTED file type 202 is no firmware"),
];
for (const one of unsuitable) refusedAtOnce(one);

// -- and those that are right --

test("with the keys that are known: RSA alone, and both where two are needed, whoever else has signed", async t => {
  const world = await openWorld(t, { coSigners: [rsa] });
  const plain = await createAfrJob(world, "1", image(world), {
    ...{ protocols: ["HTTP"], signer: rsa },
    file: { certfile: "rsa" },
  });
  await succeeds(t, world, plain, "1.1.0");
  const signers = [stranger, rsa];
  const own = await world.createManifestUpdate("2", firmware("1.2.0"), {}, signers);
  await succeeds(t, world, own, "1.2.0");

  const careful = await openWorld(t, { coSigners: [rsa], config: { threshold: 2 } });
  const both = [stranger, rsa, careful.signer];
  const jobId = await careful.createManifestUpdate("1", firmware(), {}, both);
  await succeeds(t, careful, jobId, "1.1.0");
});
