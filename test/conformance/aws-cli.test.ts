// An owner with nothing but AWS's command line gives the running virtual device new firmware, and takes it back.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import type { Behaviour } from "../../simulator/fleet/updatable.js";
import { manifestDocument } from "../../simulator/signing/job-document.js";
import { parseSignedManifest } from "../../simulator/signing/manifest.js";
import { bucket, profile, thingName, updateRig } from "../simulator/fleet/update-rig.js";
import { aws, withCli } from "./aws-cli.js";

const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));
const role = ["--role-arn", "arn:aws:iam::000000000000:role/any"];
const thing = ["--thing-name", thingName];

/** The device is online, and both of the owner's tools are at hand. */
async function ownerRig(t: ExecutionContext) {
  const rig = await updateRig(t);
  await rig.start();
  await rig.online();
  const iot = (...args: string[]) => aws(`http://127.0.0.1:${rig.cloud.restPort}`, "iot", ...args);
  const uploads = await rig.until(
    ({ from, ...what }) =>
      from === "cloud" &&
      "event" in what &&
      what.event.type === "uploadsListening" &&
      `http://127.0.0.1:${what.event.port}`,
  );
  const skerry = (...args: string[]): string =>
    execFileSync(process.execPath, [main, ...args], { encoding: "utf8" });
  /** Made by the command line of ours, put by AWS's. */
  const put = async (version: string, behaviour: Behaviour): Promise<string> => {
    const path = join(rig.directory, `${version}.bin`);
    skerry("image", "--version", version, "--behaviour", behaviour, path);
    const where = ["--bucket", bucket, "--key", `${version}.bin`];
    await aws(uploads, "s3api", "put-object", ...where, "--body", path);
    return path;
  };
  return {
    ...{ rig, iot, skerry, put },
    target: ["--targets", rig.target],
    location: (version: string) => ({ s3Location: { bucket, key: `${version}.bin` } }),
    execution: (jobId: string) => iot("describe-job-execution", "--job-id", jobId, ...thing),
  };
}

type OwnerRig = Awaited<ReturnType<typeof ownerRig>>;

/** Signed by the cloud's profile. @returns the job's id */
async function createOtaUpdate(
  { iot, target, location }: OwnerRig,
  id: string,
  version: string,
): Promise<string> {
  const codeSigning = { startSigningJobParameter: { signingProfileName: profile } };
  const files = [{ fileName: "firmware.bin", fileLocation: location(version), codeSigning }];
  const { awsIotJobId } = await iot(
    ...["create-ota-update", "--ota-update-id", id, ...target, ...role],
    ...["--protocols", "MQTT", "--files", JSON.stringify(files)],
  );
  return awsIotJobId as string;
}

withCli("create-ota-update gives the running device new firmware", async t => {
  const owner = await ownerRig(t);
  const { rig, iot } = owner;
  await owner.put("1.1.0", "good");
  const jobId = await createOtaUpdate(owner, "first", "1.1.0");
  t.is(jobId, "AFR_OTA-first");
  await rig.ended(jobId);
  const details = { reason: "accepted v1.1.0", updatedBy: "v1.0.0" };
  t.like(await owner.execution(jobId), {
    execution: { status: "SUCCEEDED", statusDetails: { detailsMap: details } },
  });
  t.like(await iot("get-ota-update", "--ota-update-id", "first"), {
    otaUpdateInfo: { otaUpdateStatus: "CREATE_COMPLETE", awsIotJobId: jobId },
  });
  t.deepEqual(rig.boots, ["ota_0 1.0.0", "ota_1 1.1.0 on trial"]);
});

withCli("create-stream and create-job offer firmware that 'skerry sign' has signed", async t => {
  const { rig, iot, skerry, put, ...owner } = await ownerRig(t);
  const image = await put("1.1.0", "good");
  const key = join(rig.directory, "key.pem");
  rig.writeKey(key);
  const board = ["--product", "sensor-node", "--hardware", "devkit", "--version", "1.1.0"];
  t.regex(skerry("sign", "--key", key, ...board, image), /^signer {5}[0-9a-f]{16}$/m);
  const files = [{ fileId: 0, ...owner.location("1.1.0") }];
  await iot("create-stream", "--stream-id", "fw", "--files", JSON.stringify(files), ...role);
  const path = `${image}.manifest.json`;
  const signed = parseSignedManifest(readFileSync(path, "utf8"), path);
  const document = manifestDocument(signed, [{ stream: "fw", fileId: 0 }]);
  const job = ["--job-id", "second", "--document", JSON.stringify(document)];
  await iot("create-job", ...job, ...owner.target);
  await rig.ended("second");
  t.like(await owner.execution("second"), {
    execution: { status: "SUCCEEDED", statusDetails: { detailsMap: { updatedBy: "v1.0.0" } } },
  });
  t.is(rig.boots.at(-1), "ota_1 1.1.0 on trial");
});

withCli("cancel-job takes back what is on trial", async t => {
  const owner = await ownerRig(t);
  const { rig, iot } = owner;
  await owner.put("1.1.0", "unhealthy");
  const from = rig.seen.length;
  const jobId = await createOtaUpdate(owner, "third", "1.1.0");
  await rig.online(await rig.bootedAfter(from));
  t.like(await owner.execution(jobId), { execution: { status: "IN_PROGRESS" } });
  const cancelled = rig.seen.length;
  await iot("cancel-job", "--job-id", jobId, "--force");
  await rig.online(await rig.bootedAfter(cancelled));
  t.like(await owner.execution(jobId), { execution: { status: "CANCELED" } });
  t.deepEqual(rig.boots, ["ota_0 1.0.0", "ota_1 1.1.0 on trial", "ota_0 1.0.0 again"]);
  t.is(rig.reportedVersion, "1.0.0");
});
