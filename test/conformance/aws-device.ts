// A device as AWS's own SDK makes one, in a process of its own: the SDK's threads would keep a test's process alive.
// It provisions itself by claim, comes back with its own certificate and follows its shadow; its parent hears of each step.

import { inspect } from "node:util";
import { connect, Refused, type Services } from "./aws-connection.js";
import { provision, type Task } from "./aws-provision.js";

export type Step =
  | { readonly type: "ready" }
  | { readonly type: "refused"; readonly body: object }
  | { readonly type: "failed"; readonly message: string }
  /** It holds a session with its own certificate, found no shadow, and has reported. */
  | {
      readonly type: "provisioned";
      readonly thingName: string;
      readonly certificateId: string;
      readonly noShadow: object | undefined;
    }
  /** What was desired is reported. */
  | { readonly type: "followed"; readonly delta: object; readonly shadow: object | undefined };

const tell = (step: Step): void => void process.send?.(step);

async function live(task: Task): Promise<void> {
  const { thingName, certificateId, ...identity } = await provision(task);
  const { services } = await connect({ ...task, ...identity, clientId: thingName });
  const noShadow = await refusalOf(services.getShadow(thingName));
  let isDesired: (state: object) => void = () => undefined;
  const desired = new Promise<object>(resolve => {
    isDesired = resolve;
  });
  await services.followDelta(thingName, state => state && isDesired(state));
  await services.report(thingName, { led: "off" });
  tell({ type: "provisioned", thingName, certificateId, noShadow });
  await follow(services, thingName, await desired);
}

async function follow(services: Services, thingName: string, delta: object): Promise<void> {
  await services.report(thingName, delta);
  const { state } = await services.getShadow(thingName);
  tell({ type: "followed", delta, shadow: state });
}

async function refusalOf(answer: Promise<unknown>): Promise<object | undefined> {
  try {
    await answer;
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.body;
    throw error;
  }
}

process.on("disconnect", () => process.exit());
process.on("message", (task: Task) => {
  live(task).catch((error: unknown) =>
    tell(
      error instanceof Refused
        ? { type: "refused", body: error.body }
        : { type: "failed", message: inspect(error) },
    ),
  );
});
tell({ type: "ready" });
// Asked whether the SDK loads on this computer: it does.
if (process.send === undefined) process.exit();
