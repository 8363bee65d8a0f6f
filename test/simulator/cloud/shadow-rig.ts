// The shadow service on virtual time, without a broker, for the tests of this folder.

import {
  type ShadowChange,
  Shadows,
  type ShadowsOptions,
  shadowSchemas,
} from "../../../simulator/cloud/shadows.js";
import { Store } from "../../../simulator/cloud/store.js";
import { VirtualTime } from "./harness.js";

export interface Sent {
  readonly topic: string;
  readonly body: Record<string, unknown>;
}

export interface ShadowRig {
  readonly time: VirtualTime;
  readonly store: Store;
  readonly shadows: Shadows;
  readonly changes: ShadowChange[];
  /** Sends a request, as text or as JSON, and returns what was published; topics without the prefix. */
  ask(operation: string, body?: unknown): Sent[];
  /** What was published since the last call. */
  heard(): Sent[];
}

export const classic = "$aws/things/node-1/shadow";

/** @param at prefix of the topics that are asked on */
export async function shadowRig(
  at = classic,
  { directory, ...options }: Partial<ShadowsOptions> & { readonly directory?: string } = {},
): Promise<ShadowRig> {
  const time = new VirtualTime();
  const sent: Sent[] = [];
  const changes: ShadowChange[] = [];
  const store = await Store.open({
    schemas: shadowSchemas,
    onFailure: () => undefined,
    ...(directory === undefined ? {} : { directory }),
  });
  const shadows = new Shadows({
    store,
    clock: time,
    publish: (topic, payload) => {
      const body = JSON.parse(Buffer.from(payload).toString());
      sent.push({ topic: topic.replace(`${at}/`, ""), body });
    },
    onChange: change => changes.push(change),
    ...options,
  });
  const heard = (): Sent[] => sent.splice(0);
  const ask = (operation: string, body: unknown = ""): Sent[] => {
    heard();
    const bytes =
      body instanceof Uint8Array
        ? body
        : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    shadows.handle(`${at}/${operation}`, bytes);
    return heard();
  };
  return { time, store, shadows, changes, ask, heard };
}
