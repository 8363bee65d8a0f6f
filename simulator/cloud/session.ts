// What a client leaves with the broker: subscriptions, stored messages, the in-flight window.
// Outlives the connection when the client asked for it; knows no sockets.

import type { ProtocolVersion } from "./frames.js";
import type { BrokerLimits } from "./limits.js";
import type { Properties } from "./properties.js";
import type { Grant } from "./topics.js";

/** What a publisher on MQTT 5 says about a message; subscribers on MQTT 5 get it unchanged. */
export type MessageProperties = Pick<
  Properties,
  "payloadFormatIndicator" | "contentType" | "responseTopic" | "correlationData" | "userProperties"
>;

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  readonly properties?: MessageProperties;
  /** Epoch milliseconds; holds for subscribers of either version ("mqtt"). Absent: never. */
  readonly expiresAt?: number;
}

export function isExpired({ expiresAt }: Message, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

export interface Delivery {
  readonly packetId: number;
  readonly message: Message;
}

export class Session {
  readonly clientId: string;
  /** A session made with one version cannot be resumed with the other ("mqtt"). */
  readonly version: ProtocolVersion;
  /** How long it outlives its connection; 0 ends it with the connection. */
  expiryMs = 0;
  readonly subscriptions = new Map<string, Grant>();
  readonly #limits: BrokerLimits;
  #window: number;
  #queue: Message[] = [];
  #queuedBytes = 0;
  readonly #inflight = new Map<number, Message>();
  #lastPacketId = 0;

  constructor(clientId: string, version: ProtocolVersion, limits: BrokerLimits) {
    this.clientId = clientId;
    this.version = version;
    this.#limits = limits;
    this.#window = limits.inflight;
  }

  /** Stores a QoS 1 message. @returns false when it was dropped because the store is full */
  enqueue(message: Message): boolean {
    const { queuedMessages, queuedBytes } = this.#limits;
    const bytes = this.#queuedBytes + sizeOf(message);
    if (this.#queue.length >= queuedMessages || bytes > queuedBytes) return false;
    this.#queue.push(message);
    this.#queuedBytes = bytes;
    return true;
  }

  /** Moves the next message into the window. @returns undefined when the window is full or nothing waits */
  next(): Delivery | undefined {
    if (this.#inflight.size >= this.#window) return undefined;
    const message = this.#queue.shift();
    if (message === undefined) return undefined;
    this.#queuedBytes -= sizeOf(message);
    const packetId = this.#newPacketId();
    this.#inflight.set(packetId, message);
    return { packetId, message };
  }

  /** An unknown id is harmless: it may be of a message sent before a take-over. */
  acknowledge(packetId: number): void {
    this.#inflight.delete(packetId);
  }

  /**
   * A connection takes the session on; unacknowledged messages come first, their packet ids may change ("mqtt").
   *
   * @param receiveMaximum what this client takes without acknowledging
   */
  begin(receiveMaximum: number): void {
    this.#window = Math.min(receiveMaximum, this.#limits.inflight);
    const unacknowledged = [...this.#inflight.values()];
    this.#inflight.clear();
    this.#queue = [...unacknowledged, ...this.#queue];
    for (const message of unacknowledged) this.#queuedBytes += sizeOf(message);
  }

  #newPacketId(): number {
    do {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1;
    } while (this.#inflight.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}

/** Characters count as bytes here: it bounds memory, not the wire. */
export function sizeOf({ payload, properties }: Message): number {
  if (properties === undefined) return payload.length;
  const { contentType = "", responseTopic = "", correlationData, userProperties } = properties;
  const pairs = userProperties.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const texts = contentType.length + responseTopic.length + pairs;
  return payload.length + texts + (correlationData?.length ?? 0);
}
