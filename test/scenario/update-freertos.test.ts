// FreeRTOS's end-to-end cases of updates over the air, by their names, with documents of AWS's CreateOTAUpdate; where a case is about
// trust or versions, with a manifest as well. The cases of its suite for ports (PAL) are in update-pal.test.ts.
import test from "ava";
import { makeSigner } from "../../simulator/fleet/update-world.js";
import {
  agree,
  base64,
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
  takeOver,
  watchTraffic,
} from "./updates.js";

const ways = [["MQTT"], ["HTTP"]] as const;

for (const protocols of ways) {
  test(`OTAE2EGreaterVersion: a newer image is taken over ${protocols}`, async t => {
    const world = await openWorld(t);
    await succeeds(t, world, await world.createOtaUpdate("1", firmware(), protocols), "1.1.0");
    t.true(world.running.isOnTrial, "it was tried first");
    t.is(world.boots.length, 2);
  });

  test(`OTAE2EBackToBackDownloads: three updates in a row are all taken over ${protocols}`, async t => {
    const world = await openWorld(t);
    for (const version of ["1.1.0", "1.2.0", "1.3.0"]) {
      const jobId = await world.createOtaUpdate(version.at(2)!, firmware(version), protocols);
      await succeeds(t, world, jobId, version);
    }
    t.deepEqual(
      world.boots.map(({ version, slot }) => [version, slot]),
      [
        ["1.0.0", "ota_0"],
        ["1.1.0", "ota_1"],
        ["1.2.0", "ota_0"],
        ["1.3.0", "ota_1"],
      ],
    );
  });

  test(`OTAE2EBackToBackDownloads: three updates that wait together over ${protocols}`, async t => {
    const world = await openWorld(t);
    const jobs: string[] = [];
    for (const version of ["1.1.0", "1.2.0", "1.3.0"])
      jobs.push(await world.createOtaUpdate(version.at(2)!, firmware(version), protocols));
    for (const [i, jobId] of jobs.entries())
      t.is(await world.ended(jobId), `SUCCEEDED accepted v1.${i + 1}.0`);
    agree(t, world, jobs[2]!, "1.3.0");
  });

  test(`OTAE2ERollbackIfUnableToConnectAfterUpdate: the image before is back (${protocols})`, async t => {
    const world = await openWorld(t);
    const jobId = await world.createOtaUpdate("1", firmware("1.1.0", "offline"), protocols);
    await refuses(t, world, jobId, "FAILED reverted: not connected");
    t.deepEqual(
      world.boots.map(each => each.version),
      ["1.0.0", "1.1.0", "1.0.0"],
    );
    await recovers(t, world);
  });

  test(`OTAE2EImageCrashed: the image before is back (${protocols})`, async t => {
    const world = await openWorld(t);
    const jobId = await world.createOtaUpdate("1", firmware("1.1.0", "crashes"), protocols);
    await refuses(
      t,
      world,
      jobId,
      /^FAILED reverted: the new image did not last until it was confirmed/,
    );
    t.is(world.boots.length, 3, "it ran once");
    await recovers(t, world);
  });

  for (const [name, version, what] of [
    ["OTAE2ESameVersion", "1.0.0", '"1.0.0" is running already'],
    ["OTAE2EPreviousVersion", "0.9.0", 'not newer than "1.0.0"'],
  ] as const) {
    test(`${name}: an image of ${version} is refused over ${protocols}`, async t => {
      const world = await openWorld(t);
      const jobId = await world.createOtaUpdate("1", firmware(version), protocols);
      await refuses(t, world, jobId, `FAILED image has version "${version}", ${what}`);
      t.is(world.boots.length, 1, "it was never run");
      await recovers(t, world);
    });
  }

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

  test(`OTAE2E2UpdatesCancel1st: the first is dropped, the second is taken over ${protocols}`, async t => {
    const world = await openWorld(t);
    const first = await createOta(world, "1", world.image(firmware(), largeBytes), { protocols });
    const second = await world.createOtaUpdate("2", firmware("1.2.0"), protocols);
    await world.until(() => /^IN_PROGRESS/.test(world.outcome(first)), minute);
    world.cloud.jobs.cancel(first, { force: true });
    t.is(world.outcome(first), "CANCELED");
    await succeeds(t, world, second, "1.2.0");
    t.deepEqual(
      world.boots.map(each => each.version),
      ["1.0.0", "1.2.0"],
    );
  });

  test(`OTAE2ECancelThenUpdate: one is dropped, the next is taken over ${protocols}`, async t => {
    const world = await openWorld(t);
    const first = await createOta(world, "1", world.image(firmware(), largeBytes), { protocols });
    await world.until(() => /^IN_PROGRESS/.test(world.outcome(first)), minute);
    world.cloud.jobs.cancel(first, { force: true });
    await world.clock.run(5000);
    agree(t, world, first, "1.0.0");
    const second = await world.createOtaUpdate("2", firmware("1.2.0"), protocols);
    await succeeds(t, world, second, "1.2.0");
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

test("OTAE2ESameVersion, OTAE2EPreviousVersion: with a manifest they are refused before the download", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const same = await world.createManifestUpdate("same", firmware("1.0.0"));
  await refuses(t, world, same, 'REJECTED image has version "1.0.0", "1.0.0" is running already');
  const older = await world.createManifestUpdate("older", firmware("0.9.9"));
  await refuses(t, world, older, 'REJECTED image has version "0.9.9", not newer than "1.0.0"');
  t.deepEqual([traffic.requests, traffic.ranges.length], [0, 0]);
  await recovers(t, world);
});

test("OTAE2EUnsignedImage: an image that nobody has signed is refused before the download", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  for (const protocols of ways) {
    const jobId = await createOta(world, protocols[0], world.image(firmware()), {
      protocols,
      signing: "none",
    });
    await refuses(t, world, jobId, "REJECTED afr_ota.files[0] is unsigned");
  }
  t.deepEqual([traffic.requests, traffic.ranges.length], [0, 0]);
  await recovers(t, world);
});

test("OTAE2EUntrustedCertificate: an image that somebody else has signed is refused", async t => {
  const world = await openWorld(t);
  const profile = { hashAlgorithm: "SHA256", signatureAlgorithm: "ECDSA" } as const;
  const { pem } = makeSigner("stranger");
  world.cloud.codeSigning.putProfile("liar", {
    ...{ key: pem, certificatePathOnDevice: "signer" },
    ...profile,
  });
  world.cloud.codeSigning.putProfile("stranger", {
    ...{ key: pem, certificatePathOnDevice: "stranger" },
    ...profile,
  });
  const by = (signingProfileName: string) => ({
    signing: { startSigningJobParameter: { signingProfileName } },
  });
  const image = world.image(firmware());
  const liar = await createOta(world, "1", image, by("liar"));
  await refuses(t, world, liar, "FAILED the image is not the one that was signed");
  const traffic = watchTraffic(world);
  const stranger = await createOta(world, "2", image, by("stranger"));
  await refuses(t, world, stranger, /^REJECTED .*stranger/);
  t.is(traffic.requests, 0);
  await recovers(t, world);
});

test("OTAE2EIncorrectSigningAlgorithm: what the device cannot verify is refused before the download", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const { pem } = makeSigner("rsa", "rsa");
  for (const [name, hashAlgorithm, reason] of [
    [
      "sha1",
      "SHA1",
      /^REJECTED .*sig-sha1-rsa" is not taken, only sig-sha256-ecdsa and sig-sha256-rsa$/,
    ],
    ["sha256", "SHA256", /^REJECTED .*the signature is rsa, and no key of the signer is$/],
  ] as const) {
    world.cloud.codeSigning.putProfile(name, {
      ...{ key: pem, certificatePathOnDevice: "signer" },
      ...{ hashAlgorithm, signatureAlgorithm: "RSA" },
    });
    const jobId = await createOta(world, name, world.image(firmware()), {
      signing: { startSigningJobParameter: { signingProfileName: name } },
    });
    await refuses(t, world, jobId, reason);
  }
  t.is(traffic.requests, 0);
  await recovers(t, world);
});

test("OTAE2EDisconnectResume: somebody takes the device's client id in mid-download; it comes back and goes on", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  traffic.at(20, () => takeOver(world));
  const jobId = await createOta(world, "1", world.image(firmware(), largeBytes));
  await succeeds(t, world, jobId, "1.1.0");
  const reasons = world.events.flatMap(each =>
    each.type === "clientDisconnected" ? [each.reason] : [],
  );
  t.true(reasons.includes("DUPLICATE_CLIENTID"));
  t.is(new Set(traffic.blocks).size, 29);
  t.true(traffic.blocks.length <= 29 + 16, "at most a window was sent again");
});

test("OTAE2EDisconnectCancelUpdate: the job is cancelled while the device is away; the next one is taken", async t => {
  const world = await openWorld(t);
  const traffic = watchTraffic(world);
  const first = await createOta(world, "1", world.image(firmware(), largeBytes));
  const isCut = new Promise<void>(resolve => {
    traffic.at(20, () => {
      takeOver(world);
      resolve();
    });
  });
  await world.until(() => traffic.blocks.length >= 20, minute);
  await isCut;
  t.false(world.isOnline);
  world.cloud.jobs.cancel(first, { force: true });
  const second = await world.createOtaUpdate("2", firmware("1.2.0"));
  await succeeds(t, world, second, "1.2.0");
  agree(t, world, first, "1.2.0");
});

test("OTAE2EPresignedUrlExpired: a link that ends in mid-download is asked for anew, and the download goes on", async t => {
  const world = await openWorld(t);
  const ranges: string[] = [];
  world.cloud.files.downloads.faults = ({ range = "" }) => {
    ranges.push(range);
    // The first link breaks in its first range, and is then no good any more.
    return ranges.length === 1
      ? { closeAfterBytes: 30_000 }
      : ranges.length === 2
        ? { expired: true }
        : {};
  };
  const jobId = await createOta(world, "1", world.image(firmware(), largeBytes), {
    protocols: ["HTTP"],
  });
  await succeeds(t, world, jobId, "1.1.0");
  t.deepEqual(
    ranges.slice(1, 3).map(range => Number(/^bytes=(\d+)-/.exec(range)?.[1])),
    [28_672, 28_672],
    "at the first missing block",
  );
});

test("MaxBlockConfig: the largest image that fits is taken, one byte more is refused before the download", async t => {
  const world = await openWorld(t);
  const most = 31 * 4096;
  const overhead = world.image(firmware(), 1000).length - 1000;
  const larger = world.image(firmware(), most + 1 - overhead);
  t.is(larger.length, most + 1);
  await refuses(
    t,
    world,
    await createOta(world, "1", larger),
    `REJECTED image of ${most + 1} bytes: there is room for ${most}`,
  );
  await succeeds(
    t,
    world,
    await createOta(world, "2", world.image(firmware(), most - overhead)),
    "1.1.0",
  );
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
