// AWS's SDK as a second client of the jobs of a virtual device whose firmware is replaced: it watches, starts and ends them.

import type { ExecutionContext } from "ava";
import {
  bucket,
  profile,
  thingName,
  type UpdateRig,
  updateRig,
} from "../simulator/fleet/update-rig.js";
import { jobsOperator, operatorSerial } from "./jobs-operator.js";
import { withSdk } from "./rig.js";

async function rigWithOperator(t: ExecutionContext, version: 4 | 5) {
  const rig = await updateRig(t, { allow: [operatorSerial] });
  await rig.start();
  await rig.online();
  return { rig, operator: await jobsOperator(t, rig.cloud, version, thingName) };
}

async function offer({ cloud, image, target }: UpdateRig, behaviour: "good" | "unhealthy") {
  await cloud.files.objects.put(bucket, "fw.bin", image({ version: "1.1.0", behaviour }));
  const fileLocation = { s3Location: { bucket, key: "fw.bin" } };
  const codeSigning = { startSigningJobParameter: { signingProfileName: profile } };
  const files = [{ fileName: "firmware.bin", fileLocation, codeSigning }];
  cloud.otaUpdates.create("1", { targets: [target], protocols: ["MQTT"], files });
  await cloud.idle();
  return "AFR_OTA-1";
}

for (const version of [4, 5] as const) {
  const way = `MQTT ${version === 4 ? "3.1.1" : "5"}`;

  withSdk(`${way}: an update that AWS's SDK has started is carried to its end`, async t => {
    const { rig, operator } = await rigWithOperator(t, version);
    await rig.stop();
    const jobId = await offer(rig, "good");
    await operator.heard(jobId);
    t.like(await operator.pending(), { inProgressJobs: [], queuedJobs: [{ jobId }] });
    const started = await operator.start({ by: "operator" });
    t.like(started, { execution: { jobId, status: "IN_PROGRESS", versionNumber: 2 } });
    await rig.start();
    await operator.heard(undefined);
    const statusDetails = { reason: "accepted v1.1.0", updatedBy: "v1.0.0" };
    t.deepEqual(await rig.ended(jobId), { status: "SUCCEEDED", statusDetails });
    t.like(await operator.refusal(jobId), { code: "TerminalStateReached" });
    t.like(await operator.pending(), { inProgressJobs: [], queuedJobs: [] });
    t.is(rig.boots.at(-1), "ota_1 1.1.0 on trial");
  });
}

withSdk("an update that AWS's SDK ends is given up by the device", async t => {
  const { rig, operator } = await rigWithOperator(t, 5);
  const from = rig.seen.length;
  const jobId = await offer(rig, "unhealthy");
  await rig.online(await rig.bootedAfter(from));
  t.like(await operator.describe(jobId), { execution: { jobId, status: "IN_PROGRESS" } });
  const ended = rig.seen.length;
  await operator.end(jobId, "FAILED", { reason: "the operator says so" });
  await operator.heard(undefined);
  await rig.online(await rig.bootedAfter(ended));
  const statusDetails = { reason: "the operator says so" };
  t.deepEqual(await rig.ended(jobId), { status: "FAILED", statusDetails });
  t.like(await operator.refusal(jobId), { code: "TerminalStateReached" });
  t.is(rig.boots.at(-1), "ota_0 1.0.0 again");
  t.is(rig.reportedVersion, "1.0.0");
});
