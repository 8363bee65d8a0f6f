// The test's side of an operator of jobs that runs AWS's SDK in a process of its own.

import { EventEmitter, once } from "node:events";
import type { ExecutionContext } from "ava";
import type { Cloud } from "../../simulator/cloud/cloud.js";
import { arnPrefix } from "../../simulator/cloud/policy.js";
import type { Execution, Order, Told } from "./aws-jobs-operator.js";
import { forkProgram, taskOf } from "./rig.js";

/** What it provisions itself with. */
export const operatorSerial = "OPERATOR";

export interface JobsOperator {
  pending(): Promise<object>;
  /** Starts the head of the queue. */
  start(statusDetails: Readonly<Record<string, string>>): Promise<object>;
  describe(jobId: string): Promise<object>;
  /** What `describe` is refused with. */
  refusal(jobId: string): Promise<object>;
  end(
    jobId: string,
    status: "FAILED" | "SUCCEEDED",
    statusDetails: Readonly<Record<string, string>>,
  ): Promise<object>;
  /** Until it is told that the queue has this head, or none. */
  heard(jobId: string | undefined): Promise<void>;
}

/** @param device whose jobs it may use beside its own, as the owner says with one more policy */
export async function jobsOperator(
  t: ExecutionContext,
  cloud: Cloud,
  version: 4 | 5,
  device: string,
): Promise<JobsOperator> {
  const child = await forkProgram(t, "aws-jobs-operator");
  const heads: (Execution | undefined)[] = [];
  const changes = new EventEmitter();
  let failure: Error | undefined;
  const fail = (message: string): void => {
    failure = new Error(message);
    changes.emit("told");
  };
  let answer: Told | undefined;
  child.once("exit", code => fail(`AWS's SDK ended with ${code}`));
  child.on("message", (told: Told) => {
    if (told.type === "failed") return fail(told.message);
    if (told.type === "next") heads.push(told.execution);
    else answer = told;
    changes.emit("told");
  });
  t.teardown(() => {
    if (!t.passed) t.log(heads);
  });
  const until = async <S>(find: () => S | undefined): Promise<S> => {
    for (;;) {
      if (failure !== undefined) throw failure;
      const found = find();
      if (found !== undefined) return found;
      await once(changes, "told");
    }
  };
  const obey = async (order: Order): Promise<Told> => {
    answer = undefined;
    child.send(order);
    return until(() => answer);
  };
  const ask = async (order: Order): Promise<object> => {
    const told = await obey(order);
    if (told.type === "answered") return told.body;
    throw new Error(JSON.stringify(told));
  };
  const task = taskOf(cloud, operatorSerial, {
    ...{ version, keys: "device" },
    style: "request/response",
  });
  const provisioned = await obey({ type: "provision", task });
  if (provisioned.type !== "provisioned") throw new Error(JSON.stringify(provisioned));
  cloud.putPolicy("jobs-operator", policyFor(device));
  cloud.certificates.attachPolicy(provisioned.certificateId, "jobs-operator");
  await obey({ type: "follow", thingName: device });
  return {
    pending: () => ask({ type: "pending" }),
    start: statusDetails => ask({ type: "start", statusDetails }),
    describe: jobId => ask({ type: "describe", jobId }),
    refusal: async jobId => {
      const told = await obey({ type: "describe", jobId });
      if (told.type === "refused") return told.body;
      throw new Error(JSON.stringify(told));
    },
    end: (jobId, status, statusDetails) => ask({ type: "end", jobId, status, statusDetails }),
    heard: async jobId =>
      void (await until(() => (heads.at(-1)?.jobId === jobId && heads.length > 0) || undefined)),
  };
}

function policyFor(device: string): object {
  const jobs = `$aws/things/${device}/jobs/*`;
  const allow = (actions: string[], kind: string) => ({
    Effect: "Allow",
    Action: actions,
    Resource: `${arnPrefix}${kind}/${jobs}`,
  });
  return {
    Version: "2012-10-17",
    Statement: [
      allow(["iot:Publish", "iot:Receive"], "topic"),
      allow(["iot:Subscribe"], "topicfilter"),
    ],
  };
}
