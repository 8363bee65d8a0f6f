// Updates that must not be, or must be in spite of all, where only what is fetched tells: files, streams and servers, each wrong in
// one thing. What runs goes on running, and the next good update is taken.
import test from "ava";
import type { DownloadFaults } from "../../simulator/cloud/download-faults.js";
import type { StreamFaults } from "../../simulator/cloud/stream-faults.js";
import { virtualImage } from "../../simulator/world/slots.js";
import {
  changed,
  createAfrJob,
  createManifestJob,
  createOta,
  firmware,
  largeBytes,
  openWorld,
  type Protocol,
  protocols,
  recovers,
  refuses,
  succeeds,
} from "./updates.js";

interface FileCase {
  readonly name: string;
  /** What the cloud has in the place of what was signed. */
  file(signed: Uint8Array): Uint8Array;
  /** In the document, where it is another than that of what was signed. */
  size?(signed: Uint8Array): number;
  /** How it ends over a stream and over a link, but for the source's name; absent: only the signature tells. */
  readonly MQTT?: RegExp;
  readonly HTTP?: RegExp;
}

const otherSize = /^\d+ to \d+ of \d+ in place of bytes 0 to \d+ of \d+$/;
const otherBlock = /^block \d has \d+ bytes in place of \d+$/;

const wrongFiles: readonly FileCase[] = [
  { name: "changed in one bit", file: signed => changed(signed) },
  {
    name: "truncated",
    file: signed => signed.subarray(0, -1),
    ...{ MQTT: otherBlock, HTTP: otherSize },
  },
  {
    name: "truncated by blocks",
    file: signed => signed.subarray(0, 8192),
    ...{ MQTT: /^ResourceNotFound \(File 0 has none of these blocks\)$/, HTTP: otherSize },
  },
  {
    name: "extended",
    file: signed => Buffer.concat([signed, Buffer.alloc(10)]),
    ...{ MQTT: otherBlock, HTTP: otherSize },
  },
  {
    name: "of one byte",
    file: signed => signed.subarray(0, 1),
    ...{ MQTT: otherBlock, HTTP: otherSize },
  },
  {
    name: "empty",
    file: () => new Uint8Array(0),
    ...{ MQTT: /^ResourceNotFound/, HTTP: /^status 416, application\/xml$/ },
  },
  { name: "of zeros", file: signed => new Uint8Array(signed.length) },
  {
    name: "right, said to be longer",
    file: signed => signed,
    size: ({ length }) => length + 5000,
    ...{ MQTT: otherBlock, HTTP: otherSize },
  },
  {
    name: "right, said to be shorter",
    file: signed => signed,
    size: ({ length }) => length - 1,
    ...{ MQTT: otherBlock, HTTP: otherSize },
  },
  {
    // Each block that is asked for is as long as it should be: a stream does not tell of what is behind.
    name: "right, said to be shorter by blocks",
    file: signed => signed,
    size: () => 8192,
    HTTP: otherSize,
  },
];

/** The outcome as it is to be, with what a source says in its place. */
function outcomeOf(one: FileCase, by: Protocol, id: string, judged: string): RegExp {
  const told = one[by]?.source.slice(1);
  if (told === undefined) return new RegExp(`^FAILED ${judged}$`);
  return new RegExp(`^FAILED ${by === "MQTT" ? `stream ${id}` : "downloads\\.test"}: ${told}`);
}

for (const by of protocols) {
  for (const one of wrongFiles) {
    test(`a file that is ${one.name} fails over ${by}, with a manifest and without`, async t => {
      const world = await openWorld(t);
      const before = world.slots.partitions.otadata.bytes.slice();
      const signed = world.image(firmware());
      const file = one.file(signed);
      const size = one.size?.(signed) ?? signed.length;
      const own = await createManifestJob(world, "1", signed, { file, size, by });
      const noManifest = "the image is not the one of its manifest";
      await refuses(t, world, own, outcomeOf(one, by, "1", noManifest));
      const plain = await createAfrJob(world, "2", file, {
        ...{ protocols: [by], signed },
        file: { filesize: size },
      });
      const noSignature = "the image is not the one that was signed";
      await refuses(t, world, plain, outcomeOf(one, by, "2", noSignature));
      t.is(world.boots.length, 1);
      t.deepEqual(world.slots.partitions.otadata.bytes, before, "no slot was chosen");
      await recovers(t, world);
    });
  }

  test(`a manifest for another image fails over ${by}`, async t => {
    const world = await openWorld(t);
    const other = world.image(firmware("1.2.0"));
    const jobId = await createManifestJob(world, "1", world.image(firmware()), { file: other, by });
    await refuses(t, world, jobId, "FAILED the image is not the one of its manifest");
    await recovers(t, world);
  });

  test(`an image that is not what its manifest says, digest and all, fails over ${by}`, async t => {
    const world = await openWorld(t);
    const image = world.image(firmware());
    const newer = await createManifestJob(world, "1", image, { by, version: "1.2.0" });
    const says = "image says sensor-node 1.1.0, its manifest sensor-node 1.2.0";
    await refuses(t, world, newer, `FAILED ${says}`);
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`an image of another product, signed, fails over ${by}`, async t => {
    const world = await openWorld(t);
    const payload = Buffer.from(JSON.stringify(firmware()));
    const image = virtualImage({ product: "toaster", version: "1.1.0", payload });
    const jobId = await createOta(world, "1", image, { protocols: [by] });
    await refuses(t, world, jobId, 'FAILED image is for product "toaster", not "sensor-node"');
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`an image below the floor fails over ${by}, where older ones are taken`, async t => {
    const world = await openWorld(t, { config: { allowDowngrade: true, minimumVersion: "0.8.0" } });
    const low = await world.createOtaUpdate("1", firmware("0.7.9"), [by]);
    await refuses(t, world, low, 'FAILED image has version "0.7.9", none below "0.8.0" is taken');
    const older = await world.createOtaUpdate("2", firmware("0.8.0"), [by]);
    await succeeds(t, world, older, "0.8.0");
  });
}

test("a manifest that raises the floor: what is below is rejected from then on, whoever signs it", async t => {
  const world = await openWorld(t, { config: { allowDowngrade: true } });
  const raising = await world.createManifestUpdate("1", firmware("1.5.0"), {
    minimumVersion: "1.4.0",
  });
  await succeeds(t, world, raising, "1.5.0");
  const low = await world.createManifestUpdate("2", firmware("1.3.9"));
  t.is(await world.ended(low), 'REJECTED image has version "1.3.9", none below "1.4.0" is taken');
  const plain = await world.createOtaUpdate("3", firmware("1.3.9"));
  t.is(await world.ended(plain), 'FAILED image has version "1.3.9", none below "1.4.0" is taken');
  const allowed = await world.createManifestUpdate("4", firmware("1.4.0"));
  await succeeds(t, world, allowed, "1.4.0");
});

// -- streams --

const third = ({ index }: { readonly index: number }) => index % 3 === 2;

/** Faults of streams in spite of which the image arrives. */
const bearable: readonly (readonly [name: string, make: () => StreamFaults])[] = [
  ["every block twice", () => ({ fate: () => "double" })],
  ["blocks in reverse order", () => ({ reorders: true })],
  ["every third block lost the first time", () => ({ fate: once(block => third(block), "drop") })],
  [
    "every third block from another file the first time",
    () => ({ fate: once(third, "otherFile") }),
  ],
  ["all blocks lost the first time", () => ({ fate: once(() => true, "drop") })],
];

function once(
  isMeant: (block: { readonly index: number }) => boolean,
  fate: "drop" | "otherFile",
): NonNullable<StreamFaults["fate"]> {
  const seen = new Set<number>();
  return block => {
    if (seen.has(block.index) || !isMeant(block)) return "send";
    seen.add(block.index);
    return fate;
  };
}

for (const [name, make] of bearable) {
  test(`a stream with ${name}: the image is taken, with a manifest and without`, async t => {
    const world = await openWorld(t);
    world.cloud.files.streams.faults = make();
    const own = await createManifestJob(world, "1", world.image(firmware(), largeBytes), {
      by: "MQTT",
    });
    await succeeds(t, world, own, "1.1.0");
    world.cloud.files.streams.faults = make();
    const image = world.image(firmware("1.2.0"), largeBytes);
    await succeeds(t, world, await createOta(world, "2", image), "1.2.0");
  });
}

/** Faults of streams with which no image arrives. */
const unbearable: readonly (readonly [name: string, faults: StreamFaults, outcome: RegExp])[] = [
  [
    "one block changed",
    { fate: ({ index }) => (index === 3 ? "change" : "send") },
    /^FAILED the image is not the one (of its manifest|that was signed)$/,
  ],
  [
    "one block never sent",
    { fate: ({ index }) => (index === 3 ? "drop" : "send") },
    /^FAILED stream .+: no answer$/,
  ],
  [
    "one block always from another file",
    { fate: ({ index }) => (index === 3 ? "otherFile" : "send") },
    /^FAILED stream .+: no answer$/,
  ],
  ["no answers", { isSilent: true }, /^FAILED stream .+: no answer$/],
  ["refusals for ever", { rejection: "Unauthorized" }, /^FAILED stream .+: Unauthorized/],
  ["failures for ever", { rejection: "InternalError" }, /^FAILED stream .+: InternalError/],
];

for (const [name, faults, outcome] of unbearable) {
  test(`a stream with ${name}: failed, with a manifest and without; a link in the same document is taken instead`, async t => {
    const world = await openWorld(t);
    world.cloud.files.streams.faults = faults;
    const image = world.image(firmware());
    await refuses(t, world, await createManifestJob(world, "1", image, { by: "MQTT" }), outcome);
    await refuses(t, world, await createOta(world, "2", image), outcome);
    t.is(world.boots.length, 1);
    if (/not the one/.test(world.outcome("1"))) return recovers(t, world);
    const both = await createOta(world, "3", image, { protocols: ["MQTT", "HTTP"] });
    await succeeds(t, world, both, "1.1.0");
  });
}

// -- servers --

const servers: readonly (readonly [name: string, faults: DownloadFaults, outcome: RegExp])[] = [
  ["redirects for ever", { redirects: true }, /^FAILED downloads\.test: .*redirect/],
  ["answers with a web page", { webPage: true }, /^FAILED downloads\.test: text\/html/],
  ["answers 500", { status: 500 }, /^FAILED downloads\.test: .*500/],
  ["answers 503", { status: 503 }, /^FAILED downloads\.test: .*503/],
  ["says that every link has expired", { expired: true }, /^FAILED downloads\.test: .*403/],
  ["shifts its ranges", { contentRangeShift: 1 }, /^FAILED downloads\.test: /],
  ["sends less than it says", { truncateBytes: 1000 }, /^FAILED downloads\.test: /],
  ["breaks off at once", { closeAfterBytes: 0 }, /^FAILED downloads\.test: /],
];

for (const [name, faults, outcome] of servers) {
  test(`a server that ${name}: failed, with a manifest and without; a stream in the same document is taken instead`, async t => {
    const world = await openWorld(t);
    world.cloud.files.downloads.faults = faults;
    const image = world.image(firmware());
    await refuses(t, world, await createManifestJob(world, "1", image, { by: "HTTP" }), outcome);
    await refuses(t, world, await createOta(world, "2", image, { protocols: ["HTTP"] }), outcome);
    t.is(world.boots.length, 1);
    const both = await createOta(world, "3", image, { protocols: ["HTTP", "MQTT"] });
    await succeeds(t, world, both, "1.1.0");
  });
}

for (const [name, faults] of [
  ["ignores ranges", { ignoresRanges: true }],
  ["is slow", { bytesPerSecond: 2000 }],
  ["breaks off after 5,000 bytes", { closeAfterBytes: 5000 }],
] as const) {
  test(`a server that ${name}: the image is taken, with a manifest and without`, async t => {
    const world = await openWorld(t);
    world.cloud.files.downloads.faults = faults;
    const own = await createManifestJob(world, "1", world.image(firmware()), { by: "HTTP" });
    await succeeds(t, world, own, "1.1.0");
    const plain = await createOta(world, "2", world.image(firmware("1.2.0")), {
      protocols: ["HTTP"],
    });
    await succeeds(t, world, plain, "1.2.0");
  });
}
