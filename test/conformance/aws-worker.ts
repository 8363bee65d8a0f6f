// A device that does its jobs by AWS's newer jobs client, in a process of its own; its parent hears what it was told.

import { inspect } from "node:util";
import { iotjobs } from "aws-iot-device-sdk-v2";
import { ask, dial, opened, Refused } from "./aws-connection.js";
import { provision, type Task } from "./aws-provision.js";

type Execution = iotjobs.model.JobExecutionData;

export type Report =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly message: string }
  /** Subscribed to both notices, with nothing to do. */
  | { readonly type: "waiting"; readonly thingName: string; readonly pending: object }
  | {
      readonly type: "done";
      /** The job that `notify-next` told of, and how long the lists of `notify` were. */
      readonly next: Execution | undefined;
      readonly queued: readonly number[];
      readonly started: Execution | undefined;
      readonly described: Execution | undefined;
      readonly refused: object;
      readonly updated: object | undefined;
      readonly after: Execution | undefined;
    };

const tell = (report: Report): void => void process.send?.(report);

async function work(task: Task): Promise<void> {
  const { thingName, ...identity } = await provision(task);
  const client = (await dial({ ...task, ...identity, clientId: thingName })).jobsV2();
  const at = { thingName };
  const queued: number[] = [];
  let hear: (execution: Execution | undefined) => void = () => undefined;
  const heard = new Promise<Execution | undefined>(resolve => {
    hear = resolve;
  });
  await opened(client.createJobExecutionsChangedStream(at), ({ jobs }) => {
    queued.push((jobs as { QUEUED?: unknown[] } | undefined)?.QUEUED?.length ?? 0);
  });
  await opened(client.createNextJobExecutionChangedStream(at), ({ execution }) => hear(execution));
  const pending = await ask(client.getPendingJobExecutions(at));
  tell({ type: "waiting", thingName, pending });
  const next = await heard;
  const { execution: started } = await ask(
    client.startNextPendingJobExecution({ ...at, statusDetails: { step: "1" } }),
  );
  const jobId = started?.jobId ?? "";
  const { execution: described } = await ask(
    client.describeJobExecution({ ...at, jobId, includeJobDocument: true }),
  );
  const { IN_PROGRESS, SUCCEEDED } = iotjobs.model.JobStatus;
  const refused = await refusalOf(
    ask(client.updateJobExecution({ ...at, jobId, status: IN_PROGRESS, expectedVersion: 1 })),
  );
  const { executionState: updated } = await ask(
    client.updateJobExecution({
      ...at,
      jobId,
      status: SUCCEEDED,
      expectedVersion: started?.versionNumber ?? 0,
      includeJobExecutionState: true,
    }),
  );
  const { execution: after } = await ask(
    client.describeJobExecution({ ...at, jobId: "$next", includeJobDocument: true }),
  );
  tell({ type: "done", next, queued, started, described, refused, updated, after });
}

async function refusalOf(answer: Promise<unknown>): Promise<object> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof Refused) return error.body;
    throw error;
  }
  throw new Error("it was not refused");
}

process.on("disconnect", () => process.exit());
process.on("message", (task: Task) => {
  work(task).catch((error: unknown) => tell({ type: "failed", message: inspect(error) }));
});
tell({ type: "ready" });
