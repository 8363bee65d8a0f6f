// The device of `npm start` gets new firmware over real sockets, and starts again by itself.

import anyTest, { type TestFn } from "ava";
import type { Behaviour } from "../../../simulator/fleet/updatable.js";
import { buildForTests, workerOrReport } from "../../hosts/engine.js";
import { bucket, profile, thingName, type UpdateRig, updateRig } from "./update-rig.js";

const test = anyTest as TestFn;
const { worker64 } = await buildForTests();
const withXS = workerOrReport(test, worker64, 64) === undefined ? test.skip : test;

async function offer(
  { cloud, image, target }: UpdateRig,
  id: string,
  version: string,
  behaviour: Behaviour = "good",
  protocol: "MQTT" | "HTTP" = "MQTT",
): Promise<string> {
  const key = `${id}.bin`;
  await cloud.files.objects.put(bucket, key, image({ version, behaviour }));
  cloud.otaUpdates.create(id, {
    targets: [target],
    protocols: [protocol],
    files: [
      {
        fileName: "firmware.bin",
        fileLocation: { s3Location: { bucket, key } },
        codeSigning: { startSigningJobParameter: { signingProfileName: profile } },
      },
    ],
  });
  await cloud.idle();
  return `AFR_OTA-${id}`;
}

for (const engine of ["node", "xs"] as const) {
  const on = engine === "node" ? test : withXS;
  on(`${engine}: new firmware is tried and confirmed, one that crashes is given up`, async t => {
    const rig = await updateRig(t, { engine });
    await rig.start();
    await rig.online();
    const good = await offer(rig, "good", "1.1.0");
    t.like(await rig.ended(good), { status: "SUCCEEDED" });
    t.deepEqual(rig.boots, ["ota_0 1.0.0", "ota_1 1.1.0 on trial"]);
    const bad = await offer(rig, "bad", "1.2.0", "crashes", "HTTP");
    const reason = "reverted: the new image did not last until it was confirmed, reset: other";
    t.deepEqual(await rig.ended(bad), { status: "FAILED", statusDetails: { reason } });
    t.deepEqual(rig.boots.slice(2), ["ota_0 1.2.0 on trial", "crashed", "ota_1 1.1.0 again"]);
    t.is(rig.reportedVersion, "1.1.0");
  });

  on(
    `${engine}: a job that is cancelled while its image is on trial takes the image back`,
    async t => {
      const rig = await updateRig(t, { engine });
      await rig.start();
      await rig.online();
      const jobId = await offer(rig, "bad", "1.1.0", "unhealthy");
      await rig.until(
        what => what.from === "machine" && what.boot.type === "started" && what.boot.isOnTrial,
      );
      const from = rig.seen.length;
      await rig.online(from);
      rig.cloud.jobs.cancel(jobId, { force: true });
      t.like(await rig.ended(jobId), { status: "CANCELED" });
      await rig.online(await rig.bootedAfter(from));
      t.deepEqual(rig.boots, ["ota_0 1.0.0", "ota_1 1.1.0 on trial", "ota_0 1.0.0 again"]);
    },
  );
}

test("what was confirmed runs when the power comes back, and what was not does not", async t => {
  const rig = await updateRig(t);
  await rig.start();
  await rig.online();
  await rig.ended(await offer(rig, "good", "1.1.0"));
  await rig.stop();
  await rig.start();
  t.is(rig.boots.at(-1), "ota_1 1.1.0");
  const from = rig.seen.length;
  await rig.online(from);
  const jobId = await offer(rig, "next", "1.2.0", "unhealthy");
  await rig.bootedAfter(from);
  await rig.stop();
  await rig.start();
  t.is(rig.boots.at(-1), "ota_1 1.1.0");
  t.like(await rig.ended(jobId), { status: "FAILED" });
});

test("a download that the power has ended goes on with what is missing", async t => {
  const rig = await updateRig(t);
  await rig.start();
  await rig.online();
  const { streams } = rig.cloud.files;
  streams.faults = { fate: ({ index }) => (index < 9 ? "send" : "drop") };
  const jobId = await offer(rig, "good", "1.1.0");
  await rig.until(
    ({ from, ...what }) =>
      from === "device" &&
      "status" in what &&
      what.status.type === "job" &&
      what.status.state === "progress" &&
      "receive" in what.status.details,
  );
  await rig.stop();
  const asked = new Set<number>();
  streams.faults = {
    fate: ({ index }) => {
      asked.add(index);
      return "send";
    },
  };
  await rig.start();
  t.like(await rig.ended(jobId), { status: "SUCCEEDED" });
  t.false(asked.has(0));
  t.true(asked.has(16));
});

test("it can be stopped while it restarts", async t => {
  const rig = await updateRig(t, { bootMs: 60_000 });
  await rig.start();
  await rig.online();
  await offer(rig, "good", "1.1.0");
  await rig.until(
    what => what.from === "cloud" && what.event.type === "clientDisconnected" && thingName,
    rig.seen.length,
  );
  await rig.stop();
  await rig.start();
  t.regex(rig.boots.at(-1)!, /^ota_1 1.1.0 on trial$/);
});
