// The end-to-end cases of updates over the air that only FreeRTOS's older suite has (tools/ota_e2e_tests), by their names.
import test from "ava";
import { decode } from "cborg";
import {
  base64,
  changed,
  createAfrJob,
  createOta,
  customSigning,
  firmware,
  largeBytes,
  openWorld,
  recovers,
  refuses,
  runs,
  succeeds,
  watchTraffic,
} from "./updates.js";

const ways = [["MQTT"], ["HTTP"]] as const;

for (const protocols of ways) {
  test(`CorruptImageAfterSigning: an image that was changed meanwhile is refused over ${protocols}`, async t => {
    const world = await openWorld(t);
    const image = world.image(firmware());
    const signature = world.signer.key.sign(image);
    const jobId = await createOta(world, "1", changed(image), {
      protocols,
      signing: customSigning(signature),
    });
    await refuses(t, world, jobId, "FAILED the image is not the one that was signed");
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`CorruptImageBeforeSigning: what cannot run is refused although it is signed (${protocols})`, async t => {
    const world = await openWorld(t);
    const jobId = await createOta(world, "1", changed(world.image(firmware())), { protocols });
    await refuses(t, world, jobId, "FAILED ota_1: there is no whole image");
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`CorruptSignature: a signature that was changed is refused over ${protocols}`, async t => {
    const world = await openWorld(t);
    const image = world.image(firmware());
    const signature = changed(world.signer.key.sign(image), 40);
    const jobId = await createOta(world, "1", image, {
      protocols,
      signing: customSigning(signature),
    });
    await refuses(t, world, jobId, "FAILED the image is not the one that was signed");
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`SingleByteImage: an image of one byte is no image (${protocols})`, async t => {
    const world = await openWorld(t);
    const jobId = await createOta(world, "1", Uint8Array.of(0xe9), { protocols });
    await refuses(t, world, jobId, "FAILED ota_1: there is no whole image");
    t.is(world.boots.length, 1);
    await recovers(t, world);
  });

  test(`MissingFilename: a document without a file's name is refused over ${protocols}`, async t => {
    const world = await openWorld(t);
    const traffic = watchTraffic(world);
    const image = world.image(firmware());
    const jobId = await createOta(world, "1", image, { protocols, fileName: undefined });
    await refuses(t, world, jobId, "REJECTED afr_ota.files[0].filepath is missing");
    t.deepEqual([traffic.requests, traffic.ranges.length], [0, 0]);
    await recovers(t, world);
  });
}

test("MaxBlockConfig: an image of 128 blocks is asked for in pieces that one request may ask for", async t => {
  const world = await openWorld(t, { slots: { blocks: 136 } });
  const { streams } = world.cloud.files;
  const handle = streams.handle.bind(streams);
  const asked: number[] = [];
  streams.handle = (topic, payload, client) => {
    const { n, l } = decode(payload) as { readonly n: number; readonly l: number };
    asked.push(n * l);
    handle(topic, payload, client);
  };
  const image = world.image(firmware(), 128 * 4096 - 1000);
  t.is(Math.ceil(image.length / 4096), 128);
  await succeeds(t, world, await createOta(world, "1", image), "1.1.0");
  t.true(Math.max(...asked) <= 131_072, "AWS sends 128 KB for one request");
  t.true(asked.length >= 8);
});

test("MaxBlockConfig: the largest image that fits is taken, one byte more is refused before the download", async t => {
  const world = await openWorld(t);
  const most = 31 * 4096;
  const overhead = world.image(firmware(), 1000).length - 1000;
  const larger = world.image(firmware(), most + 1 - overhead);
  t.is(larger.length, most + 1);
  const tooLarge = await createOta(world, "1", larger);
  const reason = `image of ${most + 1} bytes: there is room for ${most}`;
  await refuses(t, world, tooLarge, `REJECTED ${reason}`);
  const largest = await createOta(world, "2", world.image(firmware(), most - overhead));
  await succeeds(t, world, largest, "1.1.0");
});

test("MinBlockConfig: an image of one block, and a cloud that sends one block for a request", async t => {
  const world = await openWorld(t);
  await succeeds(t, world, await createOta(world, "1", world.image(firmware(), 200)), "1.1.0");
  const { streams } = world.cloud.files;
  const handle = streams.handle.bind(streams);
  let isFirst = true;
  streams.handle = (...request) => {
    isFirst = true;
    handle(...request);
  };
  streams.faults = {
    fate: () => {
      const fate = isFirst ? "send" : "drop";
      isFirst = false;
      return fate;
    },
  };
  const jobId = await createOta(world, "2", world.image(firmware("1.2.0"), largeBytes));
  await succeeds(t, world, jobId, "1.2.0");
});

for (const [first, second, why] of [
  ["MQTT", "HTTP", /^FAILED stream AFR_OTA-[0-9a-f-]+: ResourceNotFound/],
  [
    "HTTP",
    "MQTT",
    /^FAILED downloads\.test: text\/html; charset=utf-8 of 79 bytes, the image has \d+$/,
  ],
] as const) {
  test(`BackToBackSwitchProtocol: after an update over ${first} that failed, one over ${second} is taken`, async t => {
    const world = await openWorld(t);
    world.cloud.files.streams.faults = { rejection: "ResourceNotFound" };
    world.cloud.files.downloads.faults = { webPage: true };
    const image = world.image(firmware());
    await refuses(t, world, await createOta(world, "1", image, { protocols: [first] }), why);
    world.cloud.files.streams.faults = {};
    world.cloud.files.downloads.faults = {};
    await succeeds(t, world, await createOta(world, "2", image, { protocols: [second] }), "1.1.0");
  });
}

test("DefaultDataProtocol: an update that names no protocol comes over MQTT; one that names both begins with the first", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const id = "1";
  await world.put("1.bin", world.image(firmware()));
  world.cloud.otaUpdates.create(id, {
    targets: [world.target],
    files: [
      {
        fileName: "firmware.bin",
        fileLocation: { s3Location: { bucket: "firmware", key: "1.bin" } },
        codeSigning: { startSigningJobParameter: { signingProfileName: "signer" } },
      },
    ],
  });
  await world.cloud.idle();
  await succeeds(t, world, "AFR_OTA-1", "1.1.0");
  t.true(traffic.requests > 0 && traffic.ranges.length === 0);
  const before = traffic.requests;
  const both = await world.createOtaUpdate("2", firmware("1.2.0"), ["HTTP", "MQTT"]);
  await succeeds(t, world, both, "1.2.0");
  t.true(traffic.requests === before && traffic.ranges.length > 0);
});

test("IncorrectWifiPassword: an image that finds no network is taken back", async t => {
  const world = await openWorld(t);
  const { fate } = world.network;
  world.network.fate = options => (world.running.version === "1.1.0" ? "silent" : fate(options));
  const jobId = await world.createOtaUpdate("1", firmware());
  await refuses(t, world, jobId, "FAILED reverted: not connected");
  runs(t, world, "1.0.0");
  await recovers(t, world);
});

test("a document that AWS would not write, with members that are unknown, is taken for what it says", async t => {
  const world = await openWorld(t);
  const image = world.image(firmware());
  const jobId = await createAfrJob(world, "1", image, {
    file: { fileVersion: "7", attr: 3, "sig-sha1-rsa": base64(image.subarray(0, 64)) },
    update: { protocols: ["BLE", "MQTT"], more: { a: [1, { b: null }] } },
  });
  await succeeds(t, world, jobId, "1.1.0");
});
