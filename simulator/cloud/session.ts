// What a client leaves with the broker: subscriptions, stored messages, the in-flight window.
// Outlives the connection when the client asked for it; knows no sockets.

import type { BrokerLimits } from "./limits.js";

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

export interface Delivery {
  readonly packetId: number;
  readonly message: Message;
}

export class Session {
  readonly clientId: string;
  /** Ends with the connection. */
  readonly clean: boolean;
  readonly subscriptions = new Map<string, 0 | 1>();
  readonly #limits: BrokerLimits;
  #queue: Message[] = [];
  #queuedBytes = 0;
  readonly #inflight = new Map<number, Message>();
  #lastPacketId = 0;

  constructor(clientId: string, clean: boolean, limits: BrokerLimits) {
    this.clientId = clientId;
    this.clean = clean;
    this.#limits = limits;
  }

  /** Stores a QoS 1 message. @returns false when it was dropped because the store is full */
  enqueue(message: Message): boolean {
    const { queuedMessages, queuedBytes } = this.#limits;
    const bytes = this.#queuedBytes + message.payload.length;
    if (this.#queue.length >= queuedMessages || bytes > queuedBytes) return false;
    this.#queue.push(message);
    this.#queuedBytes = bytes;
    return true;
  }

  /** Moves the next message into the window. @returns undefined when the window is full or nothing waits */
  next(): Delivery | undefined {
    if (this.#inflight.size >= this.#limits.inflight) return undefined;
    const message = this.#queue.shift();
    if (message === undefined) return undefined;
    this.#queuedBytes -= message.payload.length;
    const packetId = this.#newPacketId();
    this.#inflight.set(packetId, message);
    return { packetId, message };
  }

  /** An unknown id is harmless: it may be of a message sent before a take-over. */
  acknowledge(packetId: number): void {
    this.#inflight.delete(packetId);
  }

  /** On resume, unacknowledged messages come first; their packet ids may change ("mqtt"). */
  rewind(): void {
    const unacknowledged = [...this.#inflight.values()];
    this.#inflight.clear();
    this.#queue = [...unacknowledged, ...this.#queue];
    for (const message of unacknowledged) this.#queuedBytes += message.payload.length;
  }

  #newPacketId(): number {
    do {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1;
    } while (this.#inflight.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}
