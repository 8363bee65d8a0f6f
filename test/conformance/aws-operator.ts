// An operator that runs AWS's SDK, in a process of its own: provisioned by claim, then a second client of another thing's shadow.

import { inspect } from "node:util";
import { dial, Refused } from "./aws-connection.js";
import { type Provisioned, provision, type Task } from "./aws-provision.js";
import {
  type Delta,
  type ShadowAccess,
  shadowOf,
  type Updated,
  type UpdateRequest,
} from "./aws-shadow.js";

export type Order =
  | { readonly type: "provision"; readonly task: Task }
  /** With the certificate that was earned. */
  | { readonly type: "follow"; readonly thingName: string; readonly shadowName: string | undefined }
  | { readonly type: "ask"; readonly operation: "get" | "delete" }
  | { readonly type: "ask"; readonly operation: "update"; readonly request: UpdateRequest };

export type Told =
  | { readonly type: "ready" }
  | { readonly type: "provisioned"; readonly thingName: string; readonly certificateId: string }
  | { readonly type: "following" }
  /** To the orders "ask", in their order. */
  | { readonly type: "answered"; readonly body: object }
  | { readonly type: "refused"; readonly body: object }
  | { readonly type: "delta"; readonly message: Delta }
  | { readonly type: "updated"; readonly message: Updated }
  | { readonly type: "failed"; readonly message: string };

const tell = (told: Told): void => void process.send?.(told);

let task: Task;
let identity: Provisioned;
let shadow: ShadowAccess;

async function follow(thingName: string, shadowName: string | undefined): Promise<void> {
  const dialed = await dial({ ...task, ...identity, clientId: identity.thingName });
  shadow = shadowOf(dialed.shadowV2(), thingName, shadowName);
  await shadow.followDelta(message => tell({ type: "delta", message }));
  await shadow.followUpdated(message => tell({ type: "updated", message }));
  tell({ type: "following" });
}

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case "provision":
      task = order.task;
      identity = await provision(task);
      return tell({
        type: "provisioned",
        thingName: identity.thingName,
        certificateId: identity.certificateId,
      });
    case "follow":
      return follow(order.thingName, order.shadowName);
    case "ask":
      return tell({
        type: "answered",
        body: await (order.operation === "update"
          ? shadow.update(order.request)
          : shadow[order.operation]()),
      });
  }
}

process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) =>
    tell(
      error instanceof Refused
        ? { type: "refused", body: error.body }
        : { type: "failed", message: inspect(error) },
    ),
  );
});
tell({ type: "ready" });
