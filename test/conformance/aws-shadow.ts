// One shadow, classic or named, through AWS's newer client: the SDK has other operations for either.

import type { iotshadow } from "aws-iot-device-sdk-v2";
import { ask, opened } from "./aws-connection.js";

type Client = iotshadow.IotShadowClientv2;
export type Updated = iotshadow.model.ShadowUpdatedEvent;
export type Delta = iotshadow.model.ShadowDeltaUpdatedEvent;

export interface UpdateRequest {
  readonly state?: iotshadow.model.ShadowState;
  readonly version?: number;
}

/** Each operation throws `Refused` when the cloud rejects it. */
export interface ShadowAccess {
  get(): Promise<iotshadow.model.GetShadowResponse>;
  update(request: UpdateRequest): Promise<iotshadow.model.UpdateShadowResponse>;
  delete(): Promise<iotshadow.model.DeleteShadowResponse>;
  /** Resolves once subscribed. */
  followDelta(onDelta: (delta: Delta) => void): Promise<void>;
  /** The documents before and after; resolves once subscribed. */
  followUpdated(onUpdated: (updated: Updated) => void): Promise<void>;
}

/** @param shadowName undefined for the classic shadow */
export function shadowOf(
  client: Client,
  thingName: string,
  shadowName: string | undefined,
): ShadowAccess {
  return shadowName === undefined
    ? classicShadow(client, thingName)
    : namedShadow(client, { thingName, shadowName });
}

function classicShadow(client: Client, thingName: string): ShadowAccess {
  const at = { thingName };
  return {
    get: () => ask(client.getShadow(at)),
    update: request => ask(client.updateShadow({ ...at, ...request })),
    delete: () => ask(client.deleteShadow(at)),
    followDelta: onDelta => opened(client.createShadowDeltaUpdatedStream(at), onDelta),
    followUpdated: onUpdated => opened(client.createShadowUpdatedStream(at), onUpdated),
  };
}

function namedShadow(
  client: Client,
  at: { readonly thingName: string; readonly shadowName: string },
): ShadowAccess {
  return {
    get: () => ask(client.getNamedShadow(at)),
    update: request => ask(client.updateNamedShadow({ ...at, ...request })),
    delete: () => ask(client.deleteNamedShadow(at)),
    followDelta: onDelta => opened(client.createNamedShadowDeltaUpdatedStream(at), onDelta),
    followUpdated: onUpdated => opened(client.createNamedShadowUpdatedStream(at), onUpdated),
  };
}
