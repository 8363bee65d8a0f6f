// A job that AWS's SDK does as a device, over mutual TLS, under the default policy.

import type { ChildProcess } from "node:child_process";
import type { Report } from "./aws-worker.js";
import { forkProgram, openCloud, taskOf, withSdk } from "./rig.js";

const arn = "arn:aws:iot:eu-west-1:000000000000:";

/** Rejects when the device fails or ends before. */
function reportOf<T extends Report["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<Report, { type: T }>> {
  const found = new Promise<Extract<Report, { type: T }>>((resolve, reject) => {
    child.once("exit", code => reject(new Error(`AWS's SDK ended with ${code}`)));
    child.on("message", (report: Report) => {
      if (report.type === "failed") reject(new Error(report.message));
      else if (report.type === type) resolve(report as Extract<Report, { type: T }>);
    });
  });
  found.catch(() => undefined);
  return found;
}

for (const version of [4, 5] as const) {
  withSdk(`MQTT ${version === 4 ? "3.1.1" : "5"}: AWS's SDK does a job as a device`, async t => {
    const { cloud } = await openCloud(t, ["SN-1"]);
    const child = await forkProgram(t, "aws-worker");
    const [waiting, done] = [reportOf(child, "waiting"), reportOf(child, "done")];
    child.send(taskOf(cloud, "SN-1", { version, keys: "device", style: "request/response" }));
    const { thingName, pending } = await waiting;
    t.is(thingName, "node-SN-1");
    t.like(pending, { inProgressJobs: [], queuedJobs: [] });

    const document = { operation: "blink", times: 3 };
    const targets = [`${arn}thing/${thingName}`];
    cloud.jobs.create({ jobId: "first", targets, document: JSON.stringify(document) });
    const { next, queued, started, described, refused, updated, after } = await done;
    t.like(next, { jobId: "first", jobDocument: document, status: "QUEUED" });
    const statusDetails = { step: "1" };
    t.like(started, { jobId: "first", thingName, status: "IN_PROGRESS", jobDocument: document });
    t.like(described, { versionNumber: 2, executionNumber: 1, statusDetails });
    const executionState = { status: "IN_PROGRESS", statusDetails, versionNumber: 2 };
    t.like(refused, { code: "VersionMismatch", executionState });
    t.like(updated, { status: "SUCCEEDED", statusDetails, versionNumber: 3 });
    t.is(after, undefined);
    t.deepEqual(queued, [1, 0]);
    t.is(cloud.jobs.describe("first")?.status, "COMPLETED");
  });
}
