// FreeRTOS's sixteen cases for ports of its updates (OTA PAL), asked of the whole: agent, slots, bootloader and cloud.
import test from "ava";
import { slotState } from "../../hosts/emulation/slots.js";
import type { UpdateWorld } from "../../simulator/fleet/update-world.js";
import {
  agree,
  changed,
  createAfrJob,
  createOta,
  customSigning,
  firmware,
  largeBytes,
  minute,
  openWorld,
  recovers,
  refuses,
  runs,
  succeeds,
  watchTraffic,
} from "./updates.js";

test("PAL CloseFile_ValidSignature: a file that is whole and signed is taken", async t => {
  const world = await openWorld(t);
  await succeeds(t, world, await createOta(world, "1", world.image(firmware())), "1.1.0");
});

test("PAL CloseFile_InvalidSignatureBlockWritten: the slot is never selected, what was fetched is forgotten", async t => {
  const world = await openWorld(t);
  const image = world.image(firmware());
  const signing = customSigning(changed(world.signer.key.sign(image), 40));
  const before = world.slots.partitions.otadata.bytes.slice();
  const jobId = await createOta(world, "1", image, { signing });
  await refuses(t, world, jobId, "FAILED the image is not the one that was signed");
  t.deepEqual(world.slots.partitions.otadata.bytes, before);
  const traffic = watchTraffic(world);
  const again = await createOta(world, "2", image, { signing });
  await refuses(t, world, again, "FAILED the image is not the one that was signed");
  t.is(new Set(traffic.blocks).size, Math.ceil(image.length / 4096), "all of it was fetched again");
  await recovers(t, world);
});

test("PAL CloseFile_InvalidSignatureNoBlockWritten: a signature that cannot be one costs no download", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const image = world.image(firmware());
  const jobId = await createAfrJob(world, "1", image, { file: { "sig-sha256-ecdsa": "" } });
  await refuses(t, world, jobId, /^REJECTED afr_ota\.files\[0\]\.sig-sha256-ecdsa /);
  t.is(traffic.requests, 0);
  await recovers(t, world);
});

test("PAL CloseFile_NonexistingCodeSignerCertificate: a signer that the device does not know costs no download", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const image = world.image(firmware());
  const signing = customSigning(world.signer.key.sign(image), { name: "nobody" });
  await refuses(t, world, await createOta(world, "1", image, { signing }), /^REJECTED .*"nobody"/);
  t.is(traffic.requests, 0);
  await recovers(t, world);
});

test("PAL CreateFileForRx_CreateAnyFile: whatever is in the slot, a file is begun over it", async t => {
  const world = await openWorld(t);
  world.slots.partitions.ota_1.bytes.fill(0x5a);
  await succeeds(t, world, await createOta(world, "1", world.image(firmware())), "1.1.0");
});

test("PAL Abort_NullFileHandle: a job that is cancelled before it starts touches no flash", async t => {
  const world = await openWorld(t, {
    config: {
      prepare: agent => agent.jobs.gate((_, about) => (about === "start" ? 60 : undefined)),
    },
  });
  const before = world.slots.partitions.ota_1.bytes.slice();
  const jobId = await createOta(world, "1", world.image(firmware()));
  await world.clock.run(10_000);
  t.is(world.outcome(jobId), "QUEUED");
  world.cloud.jobs.cancel(jobId);
  await world.clock.run(3 * minute);
  t.is(world.outcome(jobId), "CANCELED");
  t.deepEqual(world.slots.partitions.ota_1.bytes, before);
  runs(t, world, "1.0.0");
});

for (const [name, blocks] of [
  ["Abort_OpenFile: cancelled before the first block", 0],
  ["Abort_FileWithBlockWritten: cancelled in mid-file", 12],
] as const) {
  test(`PAL ${name}, the next job is taken`, async t => {
    const world = await openWorld(t);
    const { streams } = world.cloud.files;
    streams.faults = { fate: ({ index }) => (index < blocks ? "send" : "drop") };
    const jobId = await createOta(world, "1", world.image(firmware(), largeBytes));
    await world.until(() => /^IN_PROGRESS/.test(world.outcome(jobId)), minute);
    await world.clock.run(5000);
    world.cloud.jobs.cancel(jobId, { force: true });
    await world.clock.run(5000);
    agree(t, world, jobId, "1.0.0");
    streams.faults = {};
    await recovers(t, world);
  });
}

test("PAL Abort_NonExistentFile: cancelled while a stream is asked for that is not there", async t => {
  const world = await openWorld(t);
  const jobId = await createOta(world, "1", world.image(firmware()));
  for (const { streamId } of world.cloud.files.streams.list())
    world.cloud.files.streams.remove(streamId);
  await refuses(t, world, jobId, /^FAILED stream AFR_OTA-[0-9a-f-]+: ResourceNotFound/);
  t.throws(() => world.cloud.jobs.cancel(jobId, { force: true }));
  await recovers(t, world);
});

test("PAL WriteBlock_WriteSingleByte: a last block of one byte", async t => {
  const world = await openWorld(t);
  const overhead = world.image(firmware(), 1000).length - 1000;
  const image = world.image(firmware(), 4096 * 3 + 1 - overhead);
  t.is(image.length % 4096, 1);
  await succeeds(t, world, await createOta(world, "1", image), "1.1.0");
});

test("PAL WriteBlock_WriteManyBlocks: out of order, and some of them twice", async t => {
  const world = await openWorld(t);
  world.cloud.files.streams.faults = {
    reorders: true,
    fate: ({ index }) => (index % 3 === 0 ? "double" : "send"),
  };
  const image = world.image(firmware(), largeBytes);
  await succeeds(t, world, await createOta(world, "1", image), "1.1.0");
});

/** The state of a slot, as the bootloader keeps it: two records, whose higher sequence counts. */
function stateOf(world: UpdateWorld, slot: 0 | 1): number | undefined {
  const { bytes } = world.slots.partitions.otadata;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sequences = [0, 4096].map(at => (view.getUint32(at, true) + 1) >>> 0);
  const at = sequences[0]! > sequences[1]! ? 0 : 4096;
  return bytes[at + 5 + slot];
}

test("PAL SetPlatformImageState_AcceptedImageStateButImageNotCommitted: nothing is confirmed that is not on trial", async t => {
  const world = await openWorld(t);
  const before = world.slots.partitions.otadata.bytes.slice();
  world.host!.update!.confirm();
  t.deepEqual(world.slots.partitions.otadata.bytes, before);
  await recovers(t, world);
});

test("PAL SetPlatformImageState_AbortedImageState: an image that is switched off on trial is given up", async t => {
  const world = await openWorld(t);
  const jobId = await createOta(world, "1", world.image(firmware()));
  t.true(await world.until(() => world.running.isOnTrial, 10 * minute));
  world.restart("powerOn");
  await refuses(
    t,
    world,
    jobId,
    "FAILED reverted: the new image did not last until it was confirmed, reset: powerOn",
  );
  t.is(stateOf(world, 1), slotState.aborted);
  await recovers(t, world);
});

test("PAL SetPlatformImageState_InvalidImageState: an image that is not well is given up for good", async t => {
  const world = await openWorld(t);
  const jobId = await createOta(world, "1", world.image(firmware("1.1.0", "unhealthy")));
  await refuses(t, world, jobId, "FAILED reverted: health check sensor");
  t.is(stateOf(world, 1), slotState.invalid);
  world.restart("restart");
  await world.until(() => world.isOnline, minute);
  runs(t, world, "1.0.0");
  await recovers(t, world);
});

test("PAL SetPlatformImageState_UnknownImageState: where the states cannot be read, a whole image runs", async t => {
  const world = await openWorld(t);
  world.slots.partitions.otadata.bytes.fill(0x5a);
  world.restart("powerOn");
  await world.clock.run(minute);
  runs(t, world, "1.0.0");
  await recovers(t, world);
});
