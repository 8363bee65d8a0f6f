// What tests of updates share: images as wrong as a test wants, offered in AWS's words and in our own, and what is to be true afterwards.
import type { ExecutionContext } from "ava";
import { generate } from "mqtt-packet";
import type { JobRequest } from "../../simulator/cloud/jobs.js";
import type { JsonObject } from "../../simulator/cloud/json.js";
import type { OtaRequest } from "../../simulator/cloud/ota-request.js";
import type { Firmware } from "../../simulator/fleet/updatable.js";
import {
  bucket,
  type Signer,
  UpdateWorld,
  type UpdateWorldOptions,
} from "../../simulator/fleet/update-world.js";
import { manifestDocument } from "../../simulator/signing/job-document.js";

export const minute = 60_000;
/** About 30 blocks: the largest image that the slots of these tests take is of 31. */
export const largeBytes = 118_000;

export async function openWorld(
  t: ExecutionContext,
  options: UpdateWorldOptions = {},
): Promise<UpdateWorld> {
  const world = await UpdateWorld.open(options);
  t.teardown(() => world.close());
  return world;
}

export function firmware(version = "1.1.0", behaviour: Firmware["behaviour"] = "good"): Firmware {
  return { version, behaviour };
}

/** What the device asked for, and what the cloud sent of it. */
export interface Traffic {
  /** Requests for blocks of a stream. */
  readonly requests: number;
  /** Ranges, or whole files, asked for by a link. */
  readonly ranges: readonly (string | undefined)[];
  /** Blocks sent over streams. */
  readonly blocks: readonly number[];
  /** Called, in a turn of its own, when so many blocks have been sent over streams. */
  at(blocks: number, work: () => void): void;
}

/** Counts from now on; faults that are set later are to call what is set here. */
export function watchTraffic(world: UpdateWorld): Traffic {
  const ranges: (string | undefined)[] = [];
  const blocks: number[] = [];
  const works = new Map<number, () => void>();
  const traffic = {
    ...{ requests: 0, ranges, blocks },
    at: (number: number, work: () => void) => void works.set(number, work),
  };
  const { streams, downloads } = world.cloud.files;
  const handle = streams.handle.bind(streams);
  streams.handle = (topic, payload, client) => {
    traffic.requests++;
    handle(topic, payload, client);
  };
  streams.faults = {
    fate: ({ index }) => {
      const work = works.get(blocks.push(index));
      if (work) world.clock.set(work, 0);
      return "send";
    },
  };
  downloads.faults = ({ range }) => {
    ranges.push(range);
    return {};
  };
  return traffic;
}

/** About three blocks a second, whichever way they come. */
export function slowly(world: UpdateWorld, bytesPerSecond = 12_000): void {
  world.network.faults = { toDevice: { bytesPerSecond } };
}

/** Waits until so many blocks are in the slot that does not run. */
export async function midway(t: ExecutionContext, world: UpdateWorld, blocks = 12): Promise<void> {
  const before = world.spare.counts.erases;
  t.true(
    await world.until(() => world.spare.counts.erases - before > blocks, 10 * minute),
    `${blocks} blocks`,
  );
  t.true(world.spare.counts.erases - before < blocks + 10);
}

/** Of an image of `largeBytes`, into a slot that was empty: no block was written twice. */
export function onceEach(t: ExecutionContext, world: UpdateWorld): void {
  t.is(world.slots.partitions.ota_1.counts.erases, 1 + 29);
}

export const protocols = ["MQTT", "HTTP"] as const;
export type Protocol = (typeof protocols)[number];
type Protocols = readonly Protocol[];

/** By AWS's CreateOTAUpdate, signed by the cloud's profile unless it is said otherwise. @returns the job's id */
export async function createOta(
  world: UpdateWorld,
  id: string,
  image: Uint8Array,
  options: {
    readonly protocols?: Protocols;
    /** "none": the image is not signed. */
    readonly signing?: OtaRequest["files"][number]["codeSigning"] | "none";
    readonly fileName?: string | undefined;
    readonly more?: Partial<OtaRequest>;
  } = {},
): Promise<string> {
  const { protocols = ["MQTT"], more = {} } = options;
  const { signing = { startSigningJobParameter: { signingProfileName: "signer" } } } = options;
  const fileName = "fileName" in options ? options.fileName : "firmware.bin";
  const key = `${id}.bin`;
  await world.put(key, image);
  world.cloud.otaUpdates.create(id, {
    targets: [world.target],
    protocols: [...protocols],
    files: [
      {
        ...(fileName === undefined ? {} : { fileName }),
        fileLocation: { s3Location: { bucket, key } },
        ...(signing === "none" ? {} : { codeSigning: signing }),
      },
    ],
    ...more,
  });
  await world.cloud.idle();
  const update = world.cloud.otaUpdates.find(id);
  if (update?.status !== "CREATE_COMPLETE") throw new Error(update?.errorInfo?.message);
  return `AFR_OTA-${id}`;
}

/** A signature as an owner gives it to CreateOTAUpdate. */
export function customSigning(
  signature: Uint8Array,
  {
    name = "signer",
    hash = "SHA256",
    algorithm = "ECDSA",
  }: {
    readonly name?: string;
    readonly hash?: "SHA256" | "SHA1";
    readonly algorithm?: "ECDSA" | "RSA";
  } = {},
): OtaRequest["files"][number]["codeSigning"] {
  return {
    customCodeSigning: {
      signature: { inlineDocument: Buffer.from(signature).toString("base64") },
      certificateChain: { certificateName: name },
      hashAlgorithm: hash,
      signatureAlgorithm: algorithm,
    },
  };
}

/** Members that stand in the place of those AWS would have written; undefined: there is none. */
export type Change = Readonly<Record<string, unknown>>;

/** A document as AWS writes it, but for what is changed, as a job of its own. @returns the job's id */
export async function createAfrJob(
  world: UpdateWorld,
  id: string,
  image: Uint8Array,
  options: {
    readonly protocols?: Protocols;
    readonly signed?: Uint8Array;
    readonly signer?: Signer;
    readonly file?: Change;
    readonly update?: Change;
  } = {},
): Promise<string> {
  const { protocols = ["MQTT"], signed = image, signer = world.signer } = options;
  const [stream, link] = (await world.sources(id, image)) as readonly [
    { readonly stream: string },
    { readonly url: string },
  ];
  const hasLink = protocols.includes("HTTP");
  const file = {
    ...{ filepath: "firmware.bin", filesize: image.length, fileid: 0, certfile: "signer" },
    ...(hasLink ? { update_data_url: link.url, auth_scheme: "aws.s3.presigned" } : {}),
    [`sig-sha256-${signer.key.algorithm}`]: base64(signer.key.sign(signed)),
    ...options.file,
  };
  const update = { protocols, streamname: stream.stream, files: [file], ...options.update };
  world.createJob(id, { afr_ota: update } as unknown as JsonObject);
  return id;
}

/** With a manifest, over one source or, where none is said, over both. @returns the job's id */
export async function createManifestJob(
  world: UpdateWorld,
  id: string,
  signed: Uint8Array,
  options: {
    /** What the cloud has in the place of what was signed. */
    readonly file?: Uint8Array;
    readonly size?: number;
    readonly by?: Protocol;
    readonly version?: string;
    readonly more?: Partial<JobRequest>;
  } = {},
): Promise<string> {
  const { file = signed, size = signed.length, by, version = "1.1.0", more } = options;
  const [stream, link] = await world.sources(id, file);
  const sources = [...(by === "HTTP" ? [] : [stream!]), ...(by === "MQTT" ? [] : [link!])];
  const manifest = world.manifest(signed, { size, version });
  world.createJob(id, manifestDocument(manifest, sources) as unknown as JsonObject, more);
  return id;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Another image with one byte of its middle changed. */
export function changed(bytes: Uint8Array, at = bytes.length >> 1): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 1;
  return copy;
}

/** Somebody else takes the device's client id; until the device knows that its link is gone. */
export async function isTakenOver(t: ExecutionContext, world: UpdateWorld): Promise<void> {
  takeOver(world);
  for (let i = 0; i < 1000 && world.isOnline; i++) await world.clock.run(10);
  t.false(world.isOnline);
}

/** Another client with the device's own id and certificate: the broker ends the device's link for it. */
function takeOver(world: UpdateWorld): void {
  const connects = world.events.filter(event => event.type === "clientConnected");
  const { clientId, certificateId, address } = connects.at(-1)!;
  const link = { write: () => undefined, close: () => undefined };
  const client = world.cloud.accept(link, { certificateId, address });
  client.receive(
    generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clientId,
      clean: true,
      keepalive: 60,
    }),
  );
}

/** The job as the cloud holds it is the one the device speaks of; what runs is the image of this version, confirmed. */
export function agree(t: ExecutionContext, world: UpdateWorld, jobId: string, version: string) {
  const { status, statusDetails = {} } = world.execution(jobId) ?? {};
  const ends = world.statuses.flatMap(each =>
    each.type === "job" && each.state === "ended" && each.jobId === jobId ? [each] : [],
  );
  const { reason = "" } = statusDetails as { readonly reason?: string };
  t.deepEqual(
    ends.map(each => [each.status, each.reason]),
    [[status, reason]],
    "the device says the same once",
  );
  runs(t, world, version);
}

/** An image of this version runs, confirmed, and is online. */
export function runs(t: ExecutionContext, world: UpdateWorld, version: string): void {
  t.is(world.running.version, version);
  t.false(world.host!.update!.isOnTrial, "confirmed");
  t.true(world.isOnline, "online");
  t.deepEqual(
    world.statuses.flatMap(each =>
      each.type === "fault" && each.error.code === "agent/fault" ? [each.error] : [],
    ),
    [],
  );
}

/** Waits for the end of a job that is taken. */
export async function succeeds(
  t: ExecutionContext,
  world: UpdateWorld,
  jobId: string,
  version: string,
): Promise<void> {
  // A stream that keeps back one block is given up after 20 minutes.
  t.is(await world.ended(jobId, 60 * minute), `SUCCEEDED accepted v${version}`);
  agree(t, world, jobId, version);
}

/** Waits for the end of a job that is not: what ran runs on, and not a byte of it is another. */
export async function refuses(
  t: ExecutionContext,
  world: UpdateWorld,
  jobId: string,
  outcome: RegExp | string,
): Promise<void> {
  const { version, slot } = world.boots[0]!;
  const ended = await world.ended(jobId, 120 * minute);
  if (typeof outcome === "string") t.is(ended, outcome);
  else t.regex(ended, outcome);
  await world.until(() => world.isOnline, 5 * minute);
  agree(t, world, jobId, version);
  t.is(world.running.slot, slot);
  const { programmed, erases } = world.slots.partitions[slot as "ota_0" | "ota_1"].counts;
  t.deepEqual({ programmed, erases }, { programmed: 0, erases: 0 }, "what runs was not written to");
}

/** Nothing was fetched, nothing written where an image would be. */
export function untouched(t: ExecutionContext, world: UpdateWorld, traffic: Traffic): void {
  t.deepEqual([traffic.requests, traffic.ranges.length], [0, 0], "nothing was fetched");
  t.true(
    world.slots.partitions.ota_1.bytes.every(byte => byte === 0xff),
    "nothing was written",
  );
}

/** The device is as good as before: it takes an image that there is nothing wrong with. */
export async function recovers(
  t: ExecutionContext,
  world: UpdateWorld,
  signers?: readonly Signer[],
): Promise<void> {
  world.cloud.files.streams.faults = {};
  world.cloud.files.downloads.faults = {};
  const jobId = await world.createManifestUpdate("recovery", firmware("1.9.0"), {}, signers);
  await succeeds(t, world, jobId, "1.9.0");
}
