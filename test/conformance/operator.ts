// The test's side of an operator that runs AWS's SDK in a process of its own.

import { EventEmitter, once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import type { Cloud } from "../../simulator/cloud/cloud.js";
import { arnPrefix } from "../../simulator/cloud/policy.js";
import type { Order, Told } from "./aws-operator.js";
import type { Delta, Updated, UpdateRequest } from "./aws-shadow.js";
import { forkProgram, taskOf, type Way } from "./rig.js";

type Answer = Readonly<Record<string, unknown>>;

export interface Operator {
  readonly thingName: string;
  readonly deltas: readonly Delta[];
  readonly updates: readonly Updated[];
  /** @param shadowName undefined for the classic shadow */
  follow(thingName: string, shadowName: string | undefined): Promise<void>;
  get(): Promise<Answer>;
  update(request: UpdateRequest): Promise<Answer>;
  delete(): Promise<Answer>;
  /** The first update that left `reported` so, of those after version `after`. */
  reported(reported: object, after?: number): Promise<Updated>;
}

/** @param device whose shadows it may use beside its own, as the owner says with one more policy */
export async function awsOperator(
  t: ExecutionContext,
  cloud: Cloud,
  way: Way,
  device: string,
): Promise<Operator> {
  const child = await forkProgram(t, "aws-operator");
  const told: Told[] = [];
  const changes = new EventEmitter();
  child.on("message", (each: Told) => {
    told.push(each);
    changes.emit("told");
  });
  child.once("exit", code => {
    told.push({ type: "failed", message: `AWS's SDK ended with ${code}` });
    changes.emit("told");
  });
  t.teardown(() => {
    if (!t.passed) t.log(told);
  });
  const until = async <S>(find: () => S | undefined): Promise<S> => {
    for (;;) {
      const failure = told.find(each => each.type === "failed");
      if (failure !== undefined) throw new Error(failure.message);
      const found = find();
      if (found !== undefined) return found;
      await once(changes, "told");
    }
  };
  const said = <T extends Told["type"]>(type: T) =>
    told.filter((each): each is Extract<Told, { type: T }> => each.type === type);
  /** What is told next of that type; throws what it was refused with. */
  const obey = async <T extends Told["type"]>(order: Order, type: T) => {
    const before = told.length;
    child.send(order);
    const answer = await until(() =>
      told.slice(before).find(each => each.type === type || each.type === "refused"),
    );
    if (answer.type === "refused") throw new Error(JSON.stringify(answer.body));
    return answer as Extract<Told, { type: T }>;
  };
  const ask = async (order: Order) => (await obey(order, "answered")).body as Answer;
  const task = taskOf(cloud, "OPERATOR", { ...way, style: "request/response" });
  const { thingName, certificateId } = await obey({ type: "provision", task }, "provisioned");
  cloud.putPolicy("operator", policyFor(device));
  cloud.certificates.attachPolicy(certificateId, "operator");
  return {
    thingName,
    get deltas() {
      return said("delta").map(({ message }) => message);
    },
    get updates() {
      return said("updated").map(({ message }) => message);
    },
    follow: async (thing, shadowName) =>
      void (await obey({ type: "follow", thingName: thing, shadowName }, "following")),
    get: () => ask({ type: "ask", operation: "get" }),
    update: request => ask({ type: "ask", operation: "update", request }),
    delete: () => ask({ type: "ask", operation: "delete" }),
    reported: (reported, after = 0) =>
      until(() =>
        said("updated")
          .map(({ message }) => message)
          .filter(({ current }) => Number(current?.version) > after)
          .find(({ current }) => isDeepStrictEqual(current?.state?.reported, reported)),
      ),
  };
}

function policyFor(device: string): object {
  const shadows = `$aws/things/${device}/shadow/*`;
  const allow = (actions: string[], kind: string) => ({
    Effect: "Allow",
    Action: actions,
    Resource: `${arnPrefix}${kind}/${shadows}`,
  });
  return {
    Version: "2012-10-17",
    Statement: [
      allow(["iot:Publish", "iot:Receive"], "topic"),
      allow(["iot:Subscribe"], "topicfilter"),
    ],
  };
}
