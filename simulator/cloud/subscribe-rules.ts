// SUBSCRIBE, judged filter by filter: form, permission, quotas (developer guide "mqtt", quota page).

import type { ISubscribePacket } from "mqtt-packet";
import type { BrokerLimits } from "./limits.js";
import { checkIdentifier, fault, tooLong } from "./packet-rules.js";
import type { Properties } from "./properties.js";
import { type Fault, MalformedPacket, reason } from "./reasons.js";
import type { Identity } from "./registry.js";
import { isShareName, sharedFilter } from "./shared.js";
import { type Grant, isTopicFilter, isWithinLimits } from "./topics.js";

/** What one filter of a request comes to. */
export interface Judged {
  readonly filter: string;
  readonly grant: Grant;
  readonly fault: Fault | undefined;
  /** A retained message goes out at once. */
  readonly sendRetained: boolean;
}

export interface Subscriber {
  readonly identity: Identity;
  /** What its session holds already. */
  readonly existing: ReadonlyMap<string, Grant>;
  /** Whether the quotas of shared subscriptions leave room for this filter. */
  hasRoom(filter: string): boolean;
}

/** @throws MalformedPacket when the request as a whole ends the connection */
export function judgeSubscribe(
  packet: ISubscribePacket,
  properties: Properties,
  subscriber: Subscriber,
  limits: BrokerLimits,
): Judged[] {
  checkSubscribe(packet, properties);
  const whole = requestFault(packet, limits);
  /** Filters that the session did not have before this request. */
  const fresh = new Set<string>();
  return packet.subscriptions.map(({ topic: filter, qos, nl = false, rh = 0 }) => ({
    filter,
    grant: { qos: qos === 1 ? 1 : 0, noLocal: nl },
    fault: whole ?? subscribeFault(filter, fresh, subscriber, limits),
    sendRetained: rh === 0 || (rh === 1 && fresh.has(filter)),
  }));
}

function checkSubscribe(packet: ISubscribePacket, properties: Properties): void {
  if (packet.subscriptions.length < 1) {
    throw new MalformedPacket("SUBSCRIBE without a filter", reason.protocolError);
  }
  checkIdentifier(properties);
  // No SUBACK is sent for QoS 2; closing at once is assumed for MQTT 3.1.1.
  if (packet.subscriptions.some(({ qos }) => qos > 1)) {
    throw new MalformedPacket("SUBSCRIBE with QoS 2", reason.qosNotSupported);
  }
  // MQTT 5 3.8.3.1
  if (packet.subscriptions.some(({ topic, nl }) => nl && sharedFilter(topic) !== undefined)) {
    throw new MalformedPacket("no-local on a shared subscription", reason.protocolError);
  }
}

/** The quota page says that the whole request is rejected; the code, and closing in MQTT 3.1.1, are assumed. */
function requestFault(packet: ISubscribePacket, limits: BrokerLimits): Fault | undefined {
  const count = packet.subscriptions.length;
  if (count <= limits.filtersPerSubscribe) return undefined;
  return fault(reason.quotaExceeded, `SUBSCRIBE with ${count} filters`);
}

function subscribeFault(
  filter: string,
  fresh: Set<string>,
  { identity, existing, hasRoom }: Subscriber,
  limits: BrokerLimits,
): Fault | undefined {
  const invalid = filterFault(filter, limits);
  if (invalid !== undefined) return invalid;
  if (!identity.allows("iot:Subscribe", `topicfilter/${filter}`)) {
    const detail = `not allowed to subscribe to ${filter}`;
    return { code: reason.notAuthorized, reason: "AUTH_ERROR", detail };
  }
  if (existing.has(filter) || fresh.has(filter)) return undefined;
  if (existing.size + fresh.size >= limits.subscriptionsPerConnection || !hasRoom(filter)) {
    const detail = `no room for another subscription to ${filter}`;
    return { code: reason.quotaExceeded, reason: "THROTTLED", detail };
  }
  fresh.add(filter);
  return undefined;
}

/** Answering an ill-formed filter like one that is not accepted is assumed. */
export function filterFault(text: string, limits: BrokerLimits): Fault | undefined {
  const shared = sharedFilter(text);
  // The share name and its slashes do not count towards the limits of the filter ("mqtt").
  const filter = shared?.filter ?? text;
  const isNamed = shared === undefined || isShareName(shared.group, limits);
  if (!isNamed || !isTopicFilter(filter)) {
    return fault(reason.filterInvalid, `"${text}" is not a topic filter`);
  }
  if (!isWithinLimits(filter, limits)) return fault(reason.filterInvalid, tooLong(filter, limits));
  return undefined;
}
