// FreeRTOS's end-to-end cases of updates over the air, by their names, with documents of AWS's CreateOTAUpdate; where a case is about
// trust or versions, with a manifest as well. Those that only its older suite has are in update-freertos-older.test.ts, the cases of
// its suite for ports (PAL) in update-pal.test.ts.
import test from "ava";
import { makeSigner } from "../../simulator/fleet/update-world.js";
import {
  agree,
  createOta,
  firmware,
  isTakenOver,
  largeBytes,
  midway,
  minute,
  onceEach,
  openWorld,
  recovers,
  refuses,
  slowly,
  succeeds,
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

for (const protocols of ways) {
  test(`OTAE2EDisconnectResume: somebody takes the device's client id in mid-download over ${protocols}; it comes back and goes on`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const jobId = await createOta(world, "1", world.image(firmware(), largeBytes), { protocols });
    await midway(t, world);
    await isTakenOver(t, world);
    await succeeds(t, world, jobId, "1.1.0");
    const reasons = world.events.flatMap(each =>
      each.type === "clientDisconnected" ? [each.reason] : [],
    );
    t.true(reasons.includes("DUPLICATE_CLIENTID"));
    onceEach(t, world);
  });

  test(`OTAE2EDisconnectCancelUpdate: the job is cancelled while the device is away; the next one is taken (${protocols})`, async t => {
    const world = await openWorld(t);
    slowly(world);
    const first = await createOta(world, "1", world.image(firmware(), largeBytes), { protocols });
    await midway(t, world);
    await isTakenOver(t, world);
    world.cloud.jobs.cancel(first, { force: true });
    const second = await world.createOtaUpdate("2", firmware("1.2.0"), protocols);
    await succeeds(t, world, second, "1.2.0");
    agree(t, world, first, "1.2.0");
    t.is(world.boots.length, 2, "the first was never run");
  });
}

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
