// A cloud whose jobs are written down and not made, for the tests of OTA updates.

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { ExecutionContext } from "ava";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import type { OtaRequest } from "../../../simulator/cloud/ota-request.js";
import type { OtaJobRequest, OtaUpdate } from "../../../simulator/cloud/ota-updates.js";
import { image, open } from "./objects-rig.js";

export const target = "arn:aws:iot:eu-west-1:000000000000:thing/node-1";
export const firmware = image(34_000);
export const s3Location = { bucket: "images", key: "lamp/fw 1.bin" };
export const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

export const pemOf = (key: KeyObject): string =>
  key.export({ type: "pkcs8", format: "pem" }).toString();

export async function otaRig(t: ExecutionContext, options: Partial<CloudOptions> = {}) {
  const jobs: OtaJobRequest[] = [];
  const removed: [string, boolean][] = [];
  const fault: { error?: Error } = {};
  const world = await open(t, {
    otaJobs: {
      createJob: request => {
        if (fault.error) throw fault.error;
        jobs.push(request);
        const { jobId } = request;
        return { jobId, jobArn: `arn:aws:iot:eu-west-1:000000000000:job/${jobId}` };
      },
      deleteJob: (jobId, { force }) => {
        if (fault.error) throw fault.error;
        removed.push([jobId, force]);
      },
    },
    ...options,
  });
  const { cloud } = world;
  await cloud.files.objects.put(s3Location.bucket, s3Location.key, firmware);
  const make = async (id: string, request: Partial<OtaRequest>): Promise<OtaUpdate> => {
    const files = [{ fileLocation: { s3Location } }];
    cloud.otaUpdates.create(id, { targets: [target], files, ...request });
    await cloud.idle();
    return cloud.otaUpdates.find(id)!;
  };
  return { ...world, jobs, removed, fault, make };
}

export interface AfrOta {
  readonly protocols: string[];
  readonly files: readonly Record<string, string>[];
}

/** What the document of the job that was made holds. */
export function afrOtaOf([job]: readonly OtaJobRequest[]): AfrOta {
  const { afr_ota: ota } = (job?.document ?? {}) as unknown as { afr_ota: AfrOta };
  return ota;
}
