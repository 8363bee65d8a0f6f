// The MQTT session: packet identifiers, what is in flight, what is subscribed. It outlives any one link and drives
// whichever ECMA-419 MQTT client it is attached to.
import { AgentError } from "../errors.js";
import type { Clock, Timer, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import type { ControlMessage, MQTTClientLike, ReadableInfo } from "./client.js";
import { checkTopic, operation, publishOverhead, type QoS } from "./packet.js";
import type { Properties } from "./properties.js";
import { describeReason } from "./reasons.js";

export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly QoS: QoS;
  /** Of MQTT 5; left out on a link of 3.1.1. */
  readonly properties?: Properties;
  /** Sent again on the next link when this one ends before the PUBACK; without it the message is forgotten then. */
  readonly keep?: boolean;
  /** PUBACK has arrived; never called for QoS 0. */
  readonly onAcknowledged?: () => void;
  /** The broker refused this message with a reason of PUBACK, or would, and then there is none: it is forgotten. */
  readonly onRefused?: (error: AgentError, reasonCode?: number) => void;
}

export interface SessionHandlers {
  /** @returns what is done once the payload has been let go of, before the acknowledgement */
  onMessage(topic: string, payload: Uint8Array): (() => void) | undefined;
  /** A message longer than `limits.messageBytes` was read to its end, acknowledged and dropped. */
  onOversize(topic: string, byteLength: number): void;
  /** All filters are granted; after a link that found its session again, at once. */
  onSubscribed(): void;
  /** A filter was refused: the others hold, and this one is asked for again, a few times. */
  onRefused(topic: string, error: AgentError): void;
  /** All filters have their answer, and some of them are refused. */
  onAnswered?(): void;
  /** There is room for another publish. */
  onRoom(): void;
  /** The broker does not acknowledge what it was sent: the link is of no use. */
  onUnacknowledged(error: AgentError): void;
  /** Runs what a timer starts; an exception in it must not leave. */
  enter(work: () => void): void;
}

/** What CONNACK says of the link to come. */
export interface Terms {
  readonly sessionPresent: boolean;
  /** MQTT 3.1.1 sends again on the same link what is not acknowledged; MQTT 5 forbids it (section 4.4). */
  readonly resends: boolean;
  /** QoS 1 messages the broker takes at once; default 65535. */
  readonly receiveMaximum?: number;
  /** Bytes of a packet the broker takes. */
  readonly maximumPacketSize?: number;
}

interface Awaited {
  /** Ticks of the last sending on this link; undefined until it is sent, or sent again. */
  sentAt: number | undefined;
  /** How often on this link. */
  tries: number;
}

interface InFlight extends Awaited {
  readonly message: Message;
}

interface Subscribe extends Awaited {
  readonly filters: readonly string[];
}

interface Outgoing {
  readonly message: Message;
  readonly id: number | undefined;
  offset: number;
}

interface Incoming {
  readonly topic: string;
  readonly id: number | undefined;
  readonly byteLength: number;
  /** Undefined when the message is too long to keep. */
  bytes: Uint8Array | undefined;
  have: number;
}

const second = 1000;

export class Session {
  readonly #handlers: SessionHandlers;
  #filters: readonly string[];
  readonly #clock: Clock;
  readonly #timer: Timer;
  /** The very list of `#filters` once it is all of them. */
  #granted: readonly string[] = [];
  readonly #pendingSubscribes = new Map<number, Subscribe>();
  readonly #inFlight = new Map<number, InFlight>();
  readonly #queue: Message[] = [];
  readonly #acknowledgements: number[] = [];
  #subscribes: (readonly string[])[] = [];
  /** Filters the broker refused on this link, when to ask again, and how often it was asked. */
  #refused: string[] = [];
  #refusedAt = 0;
  #refusals = 0;
  #client: MQTTClientLike | undefined;
  #terms: Terms | undefined;
  #writable = 0;
  #outgoing: Outgoing | undefined;
  #incoming: Incoming | undefined;
  #lastId = 0;
  /** The second that is running, and how many publishes it has seen. */
  #paceAt = 0;
  #paced = 0;
  #due: TimerHandle | undefined;
  #dueAt = 0;

  /** @param filters what this session subscribes to, at QoS 1, whenever the broker has no memory of it */
  constructor(
    filters: readonly string[],
    handlers: SessionHandlers,
    host: { readonly clock: Clock; readonly timer: Timer },
  ) {
    this.#filters = filters;
    this.#handlers = handlers;
    this.#clock = host.clock;
    this.#timer = host.timer;
  }

  /** Whether a publish would be sent on without waiting. */
  get hasRoom(): boolean {
    return (
      this.#client !== undefined &&
      this.#queue.length === 0 &&
      this.#inFlight.size < this.window &&
      this.mayPublish
    );
  }

  /** Whether nothing waits to be sent, or acknowledged. */
  get isQuiet(): boolean {
    const isSent = this.#queue.length === 0 && this.#acknowledgements.length === 0;
    const isTaken = this.#inFlight.size === 0 && this.#pendingSubscribes.size === 0;
    return isSent && isTaken && this.#outgoing === undefined && this.#subscribes.length === 0;
  }

  private get window(): number {
    return Math.min(limits.inFlight, this.#terms?.receiveMaximum ?? limits.inFlight);
  }

  /** Messages that are kept for the next link and have no answer yet. */
  get kept(): number {
    let count = 0;
    for (const { message } of this.#inFlight.values()) if (message.keep) count++;
    for (const message of this.#queue) if (message.keep) count++;
    return count;
  }

  /** A link is up: CONNACK has arrived. */
  attach(client: MQTTClientLike, terms: Terms): void {
    this.#client = client;
    this.#terms = terms;
    this.#writable = 0;
    this.#refused = [];
    this.#refusals = 0;
    if (!terms.sessionPresent) this.#granted = [];
    for (const entry of this.#inFlight.values()) {
      entry.sentAt = undefined;
      entry.tries = 0;
    }
    const missing = this.#filters.filter(filter => !this.#granted.includes(filter));
    this.#subscribes = [];
    this.ask(missing);
    if (missing.length === 0) this.#handlers.onSubscribed();
  }

  /** Subscribes to more; `onSubscribed` follows when all is granted. */
  add(filters: readonly string[]): void {
    this.#filters = [...new Set([...this.#filters, ...filters])];
    if (!this.#client) return;
    const missing = this.#filters.filter(filter => !this.#granted.includes(filter));
    if (missing.length === 0) this.#handlers.onSubscribed();
    else {
      this.ask(missing);
      this.flush();
    }
  }

  /** The link is gone. */
  detach(): void {
    this.#timer.clear(this.#due);
    this.#due = undefined;
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
    this.flush();
  }

  onWritable(count: number): void {
    this.#writable = count;
    this.flush();
    if (this.hasRoom) this.#handlers.onRoom();
  }

  onControl(message: ControlMessage): void {
    if (message.operation === operation.PUBACK) this.onPuback(message.id, message.reasonCode ?? 0);
    else if (message.operation === operation.SUBACK)
      this.onSuback(message.id, message.payload ?? []);
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
    if (incoming.bytes) {
      const work = this.#handlers.onMessage(incoming.topic, incoming.bytes);
      incoming.bytes = undefined;
      work?.();
    } else this.#handlers.onOversize(incoming.topic, incoming.byteLength);
    if (incoming.id !== undefined && this.#client) this.acknowledge(incoming.id);
  }

  private acknowledge(id: number): void {
    if (this.#acknowledgements.length >= limits.queuedAcknowledgements) {
      throw new AgentError(
        "mqtt/packet",
        `MQTT: ${this.#acknowledgements.length} acknowledgements wait already`,
      );
    }
    this.#acknowledgements.push(id);
    this.flush();
  }

  private onPuback(id: number, reasonCode: number): void {
    const entry = this.#inFlight.get(id);
    // A second PUBACK for one message is harmless, whoever sent it.
    if (entry?.sentAt === undefined || this.#outgoing?.id === id) return;
    this.#inFlight.delete(id);
    const { message } = entry;
    if (reasonCode < 0x80) message.onAcknowledged?.();
    else refuse(message, `PUBACK ${describeReason(reasonCode)}`, reasonCode);
    this.flush();
    if (this.hasRoom) this.#handlers.onRoom();
  }

  private onSuback(id: number, codes: readonly number[]): void {
    const filters = this.#pendingSubscribes.get(id)?.filters;
    // Nothing hangs on an answer to a SUBSCRIBE that was sent twice, or never.
    if (!filters) return;
    if (codes.length !== filters.length) {
      throw new AgentError(
        "mqtt/packet",
        `MQTT: SUBACK ${id} with ${codes.length} codes for ${filters.length} filters`,
      );
    }
    this.#pendingSubscribes.delete(id);
    filters.forEach((filter, i) => {
      if (codes[i]! < 0x80) this.#granted = [...this.#granted, filter];
      else this.onRefused(filter, codes[i]!);
    });
    if (this.isGranted(this.#filters)) {
      this.#granted = this.#filters;
      this.#handlers.onSubscribed();
    } else if (this.#client && this.#pendingSubscribes.size === 0 && this.#subscribes.length === 0)
      this.#handlers.onAnswered?.();
  }

  isGranted(filters: readonly string[]): boolean {
    return filters.every(filter => this.#granted.includes(filter));
  }

  private onRefused(filter: string, code: number): void {
    this.#refused.push(filter);
    this.#refusedAt = this.#clock.ticks();
    const error = new AgentError("mqtt/subscribe", `SUBSCRIBE ${filter}: ${describeReason(code)}`);
    this.#handlers.onRefused(filter, error);
    this.arm();
  }

  /** Several packets, when one does not hold the filters. */
  private ask(filters: readonly string[]): void {
    for (let i = 0; i < filters.length; i += limits.subscribeFilters) {
      this.#subscribes.push(filters.slice(i, i + limits.subscribeFilters));
    }
  }

  /** Writes what there is room for: acknowledgements first, then subscriptions, then what is in flight again, then new. */
  private flush(): void {
    while (this.#client && this.step(this.#client));
    this.arm();
  }

  /** @returns false when nothing more can be written now */
  private step(client: MQTTClientLike): boolean {
    if (this.#outgoing) return this.continue(client, this.#outgoing);
    if (this.#acknowledgements.length > 0) {
      if (this.#writable < 4) return false;
      this.#writable = client.write(undefined, {
        operation: operation.PUBACK,
        id: this.#acknowledgements.shift()!,
      });
      return true;
    }
    const subscribe = this.nextSubscribe();
    if (subscribe) return this.subscribe(client, ...subscribe);
    return this.mayPublish && this.publishNext(client);
  }

  /** One that is to be sent again, or a new one. */
  private nextSubscribe(): readonly [id: number, entry: Subscribe] | undefined {
    for (const pending of this.#pendingSubscribes) {
      if (pending[1].sentAt === undefined) return pending;
    }
    const filters = this.#subscribes.shift();
    if (!filters) return undefined;
    const id = this.nextId();
    const entry: Subscribe = { filters, sentAt: undefined, tries: 0 };
    this.#pendingSubscribes.set(id, entry);
    return [id, entry];
  }

  private subscribe(client: MQTTClientLike, id: number, entry: Subscribe): boolean {
    const bytes = entry.filters.reduce((sum, filter) => sum + toUtf8(filter).length + 3, 8);
    if (this.#writable < bytes) return false;
    entry.sentAt = this.#clock.ticks();
    entry.tries++;
    const items = entry.filters.map(topic => ({ topic, QoS: 1 as const }));
    this.#writable = client.write(undefined, { operation: operation.SUBSCRIBE, id, items });
    return true;
  }

  private publishNext(client: MQTTClientLike): boolean {
    let sent = 0;
    for (const [id, { message, sentAt }] of this.#inFlight) {
      if (sentAt !== undefined) sent++;
      else return sent < this.window && this.put(client, message, id);
    }
    const message = this.#queue[0];
    if (!message || (message.QoS === 1 && this.#inFlight.size >= this.window)) return false;
    return this.put(client, message, undefined);
  }

  /** @param again identifier of a message that was sent before; undefined for the first in the queue */
  private put(client: MQTTClientLike, message: Message, again: number | undefined): boolean {
    if (!this.isTooLong(message)) return this.start(client, message, again);
    if (again === undefined) this.#queue.shift();
    else this.#inFlight.delete(again);
    refuse(message, `${message.payload.length} bytes are more than the broker takes`);
    return true;
  }

  private isTooLong({ topic, payload, properties }: Message): boolean {
    const { maximumPacketSize } = this.#terms!;
    if (maximumPacketSize === undefined) return false;
    return publishOverhead(topic, properties) + payload.length > maximumPacketSize;
  }

  private start(client: MQTTClientLike, message: Message, again: number | undefined): boolean {
    const { topic, payload, QoS, properties } = message;
    const room = this.#writable - publishOverhead(topic, properties);
    if (room < Math.min(payload.length, 64)) return false;
    const id = again ?? (QoS === 1 ? this.nextId() : undefined);
    const entry = id === undefined ? undefined : this.sent(id, message);
    if (again === undefined) this.#queue.shift();
    this.count();
    const isRepeat = entry !== undefined && entry.tries > 1;
    const first = payload.subarray(0, Math.min(room, payload.length, limits.firstBytes));
    this.#writable = client.write(first, {
      topic,
      QoS,
      // A session the broker has forgotten begins anew: nothing in it is a repetition.
      duplicate: isRepeat || (again !== undefined && this.#terms!.sessionPresent),
      byteLength: payload.length,
      ...(id === undefined ? {} : { id }),
      ...(properties === undefined ? {} : { properties }),
    });
    this.#outgoing =
      first.length < payload.length ? { message, id, offset: first.length } : undefined;
    return true;
  }

  private sent(id: number, message: Message): InFlight {
    const entry = this.#inFlight.get(id) ?? { message, sentAt: undefined, tries: 0 };
    entry.sentAt = this.#clock.ticks();
    entry.tries++;
    this.#inFlight.set(id, entry);
    return entry;
  }

  private continue(client: MQTTClientLike, outgoing: Outgoing): boolean {
    if (this.#writable <= 0) return false;
    const { payload } = outgoing.message;
    const piece = payload.subarray(outgoing.offset, outgoing.offset + this.#writable);
    this.#writable = client.write(piece);
    outgoing.offset += piece.length;
    if (outgoing.offset === payload.length) {
      this.#outgoing = undefined;
      // The wait for its PUBACK begins where the message ends.
      const entry = outgoing.id === undefined ? undefined : this.#inFlight.get(outgoing.id);
      if (entry) entry.sentAt = this.#clock.ticks();
    }
    return true;
  }

  /** Whether this second takes another publish. */
  private get mayPublish(): boolean {
    return this.#paced < limits.publishesPerSecond || this.#clock.ticks() - this.#paceAt >= second;
  }

  private count(): void {
    const now = this.#clock.ticks();
    if (now - this.#paceAt >= second) {
      this.#paceAt = now;
      this.#paced = 0;
    }
    this.#paced++;
  }

  /** One timer for all that is waited for; set anew only when something is due before it. */
  private arm(): void {
    const dueAt = this.#client ? this.nextDue() : Number.POSITIVE_INFINITY;
    if (dueAt === Number.POSITIVE_INFINITY || (this.#due && this.#dueAt <= dueAt)) return;
    this.#timer.clear(this.#due);
    this.#dueAt = dueAt;
    const delayMs = Math.max(0, dueAt - this.#clock.ticks());
    this.#due = this.#timer.set(() => this.#handlers.enter(() => this.onDue()), delayMs);
  }

  private nextDue(): number {
    let dueAt = Number.POSITIVE_INFINITY;
    const waitMs = this.patienceMs;
    for (const { sentAt } of this.#inFlight.values()) {
      if (sentAt !== undefined) dueAt = Math.min(dueAt, sentAt + waitMs);
    }
    for (const { sentAt } of this.#pendingSubscribes.values()) {
      if (sentAt !== undefined) dueAt = Math.min(dueAt, sentAt + waitMs);
    }
    if (this.#refused.length > 0 && this.#refusals < limits.subscribeTries) {
      dueAt = Math.min(dueAt, this.#refusedAt + limits.subscribeRetryMs);
    }
    return this.mayPublish ? dueAt : Math.min(dueAt, this.#paceAt + second);
  }

  /** How long an acknowledgement may take before something is done about it. */
  private get patienceMs(): number {
    const { acknowledgeMs, acknowledgeTries } = limits;
    return this.#terms!.resends ? acknowledgeMs : acknowledgeMs * acknowledgeTries;
  }

  private onDue(): void {
    this.#due = undefined;
    const now = this.#clock.ticks();
    for (const [id, entry] of this.#pendingSubscribes) {
      if (this.isOverdue(entry, now)) return this.giveUp(`SUBSCRIBE ${id} ${entry.filters[0]}`);
    }
    for (const [id, entry] of this.#inFlight) {
      if (this.isOverdue(entry, now)) return this.giveUp(`PUBLISH ${id} ${entry.message.topic}`);
    }
    const isTime = now - this.#refusedAt >= limits.subscribeRetryMs;
    if (isTime && this.#refused.length > 0 && this.#refusals < limits.subscribeTries) {
      this.#refusals++;
      this.ask(this.#refused);
      this.#refused = [];
    }
    this.flush();
    if (this.hasRoom) this.#handlers.onRoom();
  }

  /** Marks what is to be sent again. @returns whether it has been sent often enough, or may not be */
  private isOverdue(entry: Awaited, now: number): boolean {
    if (entry.sentAt === undefined || now - entry.sentAt < this.patienceMs) return false;
    if (!this.#terms!.resends || entry.tries >= limits.acknowledgeTries) return true;
    entry.sentAt = undefined;
    return false;
  }

  private giveUp(what: string): void {
    const waitedMs = limits.acknowledgeMs * limits.acknowledgeTries;
    const message = `MQTT: ${what}: no acknowledgement in ${waitedMs} ms`;
    this.#handlers.onUnacknowledged(new AgentError("mqtt/unacknowledged", message));
  }

  /** Next packet identifier: 1 to 65535, none that is in use. */
  private nextId(): number {
    do this.#lastId = this.#lastId === 0xffff ? 1 : this.#lastId + 1;
    while (this.#inFlight.has(this.#lastId) || this.#pendingSubscribes.has(this.#lastId));
    return this.#lastId;
  }
}

function refuse(message: Message, reason: string, reasonCode?: number): void {
  const error = new AgentError("mqtt/publish", `PUBLISH ${message.topic}: ${reason}`);
  message.onRefused?.(error, reasonCode);
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
