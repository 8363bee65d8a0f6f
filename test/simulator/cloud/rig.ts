// A broker on virtual time that allows almost everything, for the tests of this folder.

import { Broker } from "../../../simulator/cloud/broker.js";
import type { BrokerEvent, BrokerOptions } from "../../../simulator/cloud/broker-types.js";
import type { Message } from "../../../simulator/cloud/session.js";
import { connectTo, type TestClient, VirtualTime } from "./harness.js";

export interface Rig {
  readonly broker: Broker;
  readonly time: VirtualTime;
  readonly events: BrokerEvent[];
  connect(clientId: string, more?: Parameters<TestClient["connect"]>[1]): TestClient;
  /** An MQTT 5 client, connected. */
  connect5(clientId: string, more?: Parameters<TestClient["connect"]>[1]): TestClient;
  raw(version?: 4 | 5): TestClient;
  reasons(): string[];
}

/** A broker that allows everything, except where a name holds "secret". */
export function rig(options: Partial<BrokerOptions> = {}): Rig {
  const time = new VirtualTime();
  const events: BrokerEvent[] = [];
  const broker = new Broker({
    clock: time,
    timer: time,
    random: length => new Uint8Array(length).fill(7),
    refusal: id => (id === undefined ? "DEVICE_CERTIFICATE_NOT_REGISTERED" : undefined),
    identify: certificateId => ({
      certificateId,
      kind: "device",
      attachedThing: "node-1",
      exclusiveThing: undefined,
      allows: (action, resource) => !resource.includes(`secret-${action.slice(4)}`),
    }),
    onPublish: ({ topic }) => (topic.startsWith("$undefined") ? "undefined-topic" : "route"),
    onEvent: event => void events.push(event),
    ...options,
  });
  const raw = (version: 4 | 5 = 4): TestClient =>
    connectTo(broker, { certificateId: "cert", address: "10.0.0.9" }, version);
  return {
    broker,
    time,
    events,
    raw,
    connect: (clientId, more) => raw().connect(clientId, more),
    connect5: (clientId, more) => raw(5).connect(clientId, more),
    reasons: () =>
      events.flatMap(each => (each.type === "clientDisconnected" ? [each.reason] : [])),
  };
}

export const message = (topic: string, payload = "x", more: Partial<Message> = {}): Message => ({
  topic,
  payload: Buffer.from(payload),
  qos: 1,
  retain: false,
  ...more,
});
