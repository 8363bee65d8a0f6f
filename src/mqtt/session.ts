// The MQTT session: packet identifiers, what is in flight, what is subscribed. It outlives any one link and drives
// whichever ECMA-419 MQTT client it is attached to.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import type { ControlMessage, MQTTClientLike, ReadableInfo } from "./client.js";
import { checkTopic, operation, type QoS } from "./packet.js";

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly QoS: QoS;
  /** Sent again on the next link when this one ends before the PUBACK; without it the message is forgotten then. */
  readonly keep?: boolean;
  /** PUBACK has arrived; never called for QoS 0. */
  readonly onAcknowledged?: () => void;
}

export interface SessionHandlers {
  onMessage(topic: string, payload: Uint8Array): void;
  /** A message longer than `limits.messageBytes` was read to its end, acknowledged and dropped. */
  onOversize(topic: string, byteLength: number): void;
  /** All filters are granted; after a link that found its session again, at once. */
  onSubscribed(): void;
  /** A filter was refused: the others hold. */
  onRefused(topic: string): void;
  /** There is room for another publish. */
  onRoom(): void;
}

interface InFlight {
  readonly message: Message;
  sent: boolean;
}

interface Outgoing {
  readonly message: Message;
  readonly id: number | undefined;
  readonly again: boolean;
  offset: number;
}

interface Incoming {
  readonly topic: string;
  readonly id: number | undefined;
  readonly byteLength: number;
  /** Undefined when the message is too long to keep. */
  readonly bytes: Uint8Array | undefined;
  have: number;
}

export class Session {
  readonly #handlers: SessionHandlers;
  readonly #filters: readonly string[];
  #granted = new Set<string>();
  readonly #pendingSubscribes = new Map<number, readonly string[]>();
  readonly #inFlight = new Map<number, InFlight>();
  readonly #queue: Message[] = [];
  readonly #acknowledgements: number[] = [];
  #subscribes: (readonly string[])[] = [];
  #client: MQTTClientLike | undefined;
  #writable = 0;
  #outgoing: Outgoing | undefined;
  #incoming: Incoming | undefined;
  #lastId = 0;
  #isResumed = false;

  /** @param filters what this session subscribes to, at QoS 1, whenever the broker has no memory of it */
  constructor(filters: readonly string[], handlers: SessionHandlers) {
    this.#filters = filters;
    this.#handlers = handlers;
  }

  /** QoS 1 messages without their PUBACK. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Whether a publish would be sent on without waiting. */
  get hasRoom(): boolean {
    return (
      this.#client !== undefined &&
      this.#queue.length === 0 &&
      this.#inFlight.size < limits.inFlight
    );
  }

  /** A link is up: CONNACK has arrived. */
  attach(client: MQTTClientLike, sessionPresent: boolean): void {
    this.#client = client;
    this.#writable = 0;
    this.#isResumed = sessionPresent;
    if (!sessionPresent) this.#granted = new Set();
    for (const entry of this.#inFlight.values()) entry.sent = false;
    const missing = this.#filters.filter(filter => !this.#granted.has(filter));
    this.#subscribes = [];
    for (let i = 0; i < missing.length; i += limits.subscribeFilters) {
      this.#subscribes.push(missing.slice(i, i + limits.subscribeFilters));
    }
    if (missing.length === 0) this.#handlers.onSubscribed();
  }

  /** The link is gone. */
  detach(): void {
    this.#client = undefined;
    this.#outgoing = undefined;
    this.#incoming = undefined;
    this.#acknowledgements.length = 0;
    this.#pendingSubscribes.clear();
    for (const [id, entry] of this.#inFlight) if (!entry.message.keep) this.#inFlight.delete(id);
    const kept = this.#queue.filter(message => message.keep);
    this.#queue.length = 0;
    this.#queue.push(...kept);
  }

  /**
   * Takes a message; it is written as soon as the link and the window have room.
   *
   * @throws AgentError "mqtt/limit" for a topic or payload the service would refuse, and when too many wait
   */
  publish(message: Message): void {
    checkTopic(message.topic);
    if (message.payload.length > limits.payloadBytes) {
      throw new AgentError(
        "mqtt/limit",
        `payload of ${message.payload.length} bytes, at most ${limits.payloadBytes}`,
      );
    }
    if (this.#queue.length >= limits.queuedRequests) {
      throw new AgentError(
        "mqtt/limit",
        `${this.#queue.length} messages wait for the link already`,
      );
    }
    this.#queue.push(message);
    this.#flush();
  }

  onWritable(count: number): void {
    this.#writable = count;
    this.#flush();
    if (this.hasRoom) this.#handlers.onRoom();
  }

  onControl(message: ControlMessage): void {
    if (message.operation === operation.PUBACK) this.#onPuback(message.id);
    else if (message.operation === operation.SUBACK)
      this.#onSuback(message.id, message.payload ?? []);
  }

  onReadable(count: number, info: ReadableInfo): void {
    // Detached while the client was still handing out what it had: unread, it stays where it is.
    if (!this.#client) return;
    const bytes = new Uint8Array(
      (count > 0 ? this.#client.read(count) : undefined) ?? new ArrayBuffer(0),
    );
    this.#incoming ??= startIncoming(info);
    const incoming = this.#incoming;
    if (incoming.bytes && incoming.have + bytes.length <= incoming.bytes.length) {
      incoming.bytes.set(bytes, incoming.have);
    }
    incoming.have += bytes.length;
    if (info.more) return;
    this.#incoming = undefined;
    if (incoming.bytes) this.#handlers.onMessage(incoming.topic, incoming.bytes);
    else this.#handlers.onOversize(incoming.topic, incoming.byteLength);
    if (incoming.id !== undefined && this.#client) this.#acknowledge(incoming.id);
  }

  #acknowledge(id: number): void {
    if (this.#acknowledgements.length >= limits.queuedAcknowledgements) {
      throw new AgentError(
        "mqtt/packet",
        `MQTT: ${this.#acknowledgements.length} acknowledgements wait already`,
      );
    }
    this.#acknowledgements.push(id);
    this.#flush();
  }

  #onPuback(id: number): void {
    const entry = this.#inFlight.get(id);
    // A second PUBACK for one message is harmless, whoever sent it.
    if (!entry?.sent) return;
    this.#inFlight.delete(id);
    entry.message.onAcknowledged?.();
    this.#flush();
    if (this.hasRoom) this.#handlers.onRoom();
  }

  #onSuback(id: number, codes: readonly number[]): void {
    const filters = this.#pendingSubscribes.get(id);
    if (!filters || codes.length !== filters.length) {
      throw new AgentError(
        "mqtt/packet",
        `MQTT: SUBACK ${id} with ${codes.length} codes matches no SUBSCRIBE`,
      );
    }
    this.#pendingSubscribes.delete(id);
    filters.forEach((filter, i) => {
      if (codes[i] === 0x80) this.#handlers.onRefused(filter);
      else this.#granted.add(filter);
    });
    if (this.#filters.every(filter => this.#granted.has(filter))) this.#handlers.onSubscribed();
  }

  /** Writes what there is room for: acknowledgements first, then subscriptions, then what is in flight again, then new. */
  #flush(): void {
    while (this.#client && this.#step(this.#client));
  }

  /** @returns false when nothing more can be written now */
  #step(client: MQTTClientLike): boolean {
    if (this.#outgoing) return this.#continue(client, this.#outgoing);
    if (this.#acknowledgements.length > 0) {
      if (this.#writable < 4) return false;
      this.#writable = client.write(undefined, {
        operation: operation.PUBACK,
        id: this.#acknowledgements.shift()!,
      });
      return true;
    }
    if (this.#subscribes.length > 0) return this.#subscribe(client, this.#subscribes[0]!);
    return this.#publishNext(client);
  }

  #subscribe(client: MQTTClientLike, filters: readonly string[]): boolean {
    let size = 7;
    for (const filter of filters) size += toUtf8(filter).length + 3;
    if (this.#writable < size) return false;
    this.#subscribes.shift();
    const id = this.#nextId();
    this.#pendingSubscribes.set(id, filters);
    const items = filters.map(topic => ({ topic, QoS: 1 as const }));
    this.#writable = client.write(undefined, { operation: operation.SUBSCRIBE, id, items });
    return true;
  }

  #publishNext(client: MQTTClientLike): boolean {
    for (const [id, entry] of this.#inFlight) {
      if (!entry.sent)
        return this.#start(client, { message: entry.message, id, again: true, offset: 0 });
    }
    const message = this.#queue[0];
    if (!message || (message.QoS === 1 && this.#inFlight.size >= limits.inFlight)) return false;
    const id = message.QoS === 1 ? this.#nextId() : undefined;
    return this.#start(client, { message, id, again: false, offset: 0 });
  }

  #start(client: MQTTClientLike, outgoing: Outgoing): boolean {
    const { message, id, again } = outgoing;
    const room = this.#writable - (toUtf8(message.topic).length + 9);
    if (room < Math.min(message.payload.length, 64)) return false;
    if (id !== undefined) this.#inFlight.set(id, { message, sent: true });
    if (!again) this.#queue.shift();
    const first = message.payload.subarray(0, Math.min(room, message.payload.length));
    this.#writable = client.write(first, {
      topic: message.topic,
      QoS: message.QoS,
      duplicate: again && this.#isResumed,
      byteLength: message.payload.length,
      ...(id === undefined ? {} : { id }),
    });
    outgoing.offset = first.length;
    this.#outgoing = first.length < message.payload.length ? outgoing : undefined;
    return true;
  }

  #continue(client: MQTTClientLike, outgoing: Outgoing): boolean {
    if (this.#writable <= 0) return false;
    const { payload } = outgoing.message;
    const piece = payload.subarray(outgoing.offset, outgoing.offset + this.#writable);
    this.#writable = client.write(piece);
    outgoing.offset += piece.length;
    if (outgoing.offset === payload.length) this.#outgoing = undefined;
    return true;
  }

  /** Next packet identifier: 1 to 65535, none that is in use. */
  #nextId(): number {
    do this.#lastId = this.#lastId === 0xffff ? 1 : this.#lastId + 1;
    while (this.#inFlight.has(this.#lastId) || this.#pendingSubscribes.has(this.#lastId));
    return this.#lastId;
  }
}

function startIncoming(info: ReadableInfo): Incoming {
  const byteLength = info.byteLength ?? 0;
  return {
    topic: info.topic ?? "",
    id: info.id,
    byteLength,
    bytes: byteLength <= limits.messageBytes ? new Uint8Array(byteLength) : undefined,
    have: 0,
  };
}
