// An operator that runs AWS's jobs client in a process of its own: it sees another thing's jobs, and may start and end them.

import { inspect } from "node:util";
import { iotjobs } from "aws-iot-device-sdk-v2";
import { ask, dial, opened, Refused } from "./aws-connection.js";
import { type Provisioned, provision, type Task } from "./aws-provision.js";

export type Execution = iotjobs.model.JobExecutionData;

export type Order =
  | { readonly type: "provision"; readonly task: Task }
  /** With the certificate that was earned. */
  | { readonly type: "follow"; readonly thingName: string }
  | { readonly type: "pending" }
  | { readonly type: "start"; readonly statusDetails: Readonly<Record<string, string>> }
  | { readonly type: "describe"; readonly jobId: string }
  | {
      readonly type: "end";
      readonly jobId: string;
      readonly status: "FAILED" | "SUCCEEDED";
      readonly statusDetails: Readonly<Record<string, string>>;
    };

export type Told =
  | { readonly type: "ready" }
  | { readonly type: "provisioned"; readonly certificateId: string }
  | { readonly type: "following" }
  /** To the other orders, in their order. */
  | { readonly type: "answered"; readonly body: object }
  | { readonly type: "refused"; readonly body: object }
  /** The head of the thing's queue is another; undefined: there is none. */
  | { readonly type: "next"; readonly execution: Execution | undefined }
  | { readonly type: "failed"; readonly message: string };

const tell = (told: Told): void => void process.send?.(told);

let task: Task;
let identity: Provisioned;
let client: iotjobs.IotJobsClientv2;
let at: { readonly thingName: string };

async function follow(thingName: string): Promise<void> {
  client = (await dial({ ...task, ...identity, clientId: identity.thingName })).jobsV2();
  at = { thingName };
  await opened(client.createNextJobExecutionChangedStream(at), ({ execution }) =>
    tell({ type: "next", execution }),
  );
}

async function obey(order: Order): Promise<Told> {
  switch (order.type) {
    case "provision":
      task = order.task;
      identity = await provision(task);
      return { type: "provisioned", certificateId: identity.certificateId };
    case "follow":
      await follow(order.thingName);
      return { type: "following" };
    default:
      return { type: "answered", body: await asked(order) };
  }
}

function asked(order: Exclude<Order, { type: "provision" | "follow" }>): Promise<object> {
  switch (order.type) {
    case "pending":
      return ask(client.getPendingJobExecutions(at));
    case "start":
      return ask(
        client.startNextPendingJobExecution({ ...at, statusDetails: order.statusDetails }),
      );
    case "describe":
      return ask(client.describeJobExecution({ ...at, jobId: order.jobId }));
    case "end": {
      const { jobId, statusDetails } = order;
      const status = iotjobs.model.JobStatus[order.status];
      return ask(client.updateJobExecution({ ...at, jobId, status, statusDetails }));
    }
  }
}

process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  obey(order).then(tell, (error: unknown) =>
    tell(
      error instanceof Refused
        ? { type: "refused", body: error.body }
        : { type: "failed", message: inspect(error) },
    ),
  );
});
tell({ type: "ready" });
