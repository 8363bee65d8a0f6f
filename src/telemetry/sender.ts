// Telemetry from the product to the session: by way of the outbox where there is one, else by a short queue in memory.
import type { Json } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { Drain, type DrainOptions, type Parcel } from "../outbox/drain.js";
import type { Gap } from "../outbox/ledger.js";
import { type ClassPolicy, Outbox, priorities } from "../outbox/outbox.js";
import type { Wiring } from "../wiring.js";
import type { ChannelMessage, Priority } from "./channel.js";
import type { Channels } from "./channels.js";
import {
  encodeReadings,
  encodeSample,
  type Readings,
  type Sample,
  TelemetryQueue,
} from "./telemetry.js";

export interface SendOptions {
  /** 1 is kept until it is acknowledged; 0 goes out as it is when the link is up. Default 1. */
  readonly QoS?: 0 | 1;
  /** Default "telemetry". */
  readonly priority?: Priority;
  /** Seconds after which it is of no use any more; with an outbox only. */
  readonly ageLimitSeconds?: number;
}

export interface OutboxSettings extends DrainOptions {
  /** Label of the flash partition; default `outbox`. */
  readonly partition?: string;
  /** How much of the partition each class may take, and what happens then. */
  readonly policies?: Readonly<Record<Priority, ClassPolicy>>;
}

/** Where the reports of gaps go. */
const gapChannel = "gaps";
const names = Object.freeze(Object.keys(priorities)) as readonly Priority[];

export class Sender {
  readonly #wiring: Wiring;
  readonly #settings: OutboxSettings | undefined;
  readonly #queue = new TelemetryQueue();
  #outbox: Outbox | undefined;
  #drain: Drain | undefined;
  #timer: TimerHandle | undefined;
  readonly #channels: Channels | undefined;
  /** For the window that ends first. */
  #windowTimer: TimerHandle | undefined;
  #isOnline = false;
  /** Which losses the cloud has been told of; undefined: none yet on this link. */
  #toldMark: number | undefined;

  constructor(wiring: Wiring, settings: OutboxSettings | undefined, channels?: Channels) {
    this.#wiring = wiring;
    this.#settings = settings;
    this.#channels = channels;
  }

  /** Mounts the outbox; without it telemetry waits in memory, and a fault says why. */
  open(): void {
    if (!this.#settings || this.#outbox) return;
    const { partition = "outbox", policies } = this.#settings;
    try {
      const { flash, crypto } = this.#wiring.host;
      if (!flash) throw new AgentError("outbox/partition", "outbox: this host has no raw flash");
      const generation = new DataView(crypto.random(4).slice().buffer).getUint32(0);
      this.#outbox = new Outbox(flash.open({ path: partition }), {
        generation,
        ...(policies && { policies: names.map(name => policies[name]) }),
      });
      this.#drain = new Drain(this.#outbox, this.#settings);
    } catch (cause) {
      const error =
        cause instanceof AgentError && cause.kind !== "bug"
          ? cause
          : new AgentError("outbox/partition", `outbox: "${partition}" cannot be used`, { cause });
      this.#wiring.emit({ type: "fault", error });
    }
  }

  /** @throws AgentError "telemetry/limit", "codec/json" or "outbox/record" for what cannot be sent */
  send(name: string, readings: Readings, options: SendOptions): void {
    const channel = this.#channels?.get(name);
    if (channel) {
      const { clock } = this.#wiring.host;
      this.#keepAll(channel.add(readings, clock.ticks(), this.#wiring.now));
      this.#armWindows();
      return;
    }
    const { QoS = 1, priority = "telemetry", ageLimitSeconds } = options;
    const time = this.#wiring.now;
    const isTimeCertain = time !== undefined;
    this.#keepAll([
      { channel: name, readings, QoS, priority, ageLimitSeconds, time, isTimeCertain },
    ]);
  }

  /** Ends every window now: before a sleep. */
  flushWindows(): void {
    const messages = this.#channels?.flush(this.#wiring.host.clock.ticks(), this.#wiring.now) ?? [];
    this.#keepAll(messages);
    this.#armWindows();
  }

  #armWindows(): void {
    const { clock, timer } = this.#wiring.host;
    timer.clear(this.#windowTimer);
    const dueMs = this.#channels?.due(clock.ticks());
    const onDue = () => {
      this.#windowTimer = undefined;
      this.#wiring.enter(() => {
        this.#keepAll(this.#channels!.take(clock.ticks(), this.#wiring.now));
        this.#armWindows();
      });
    };
    this.#windowTimer = dueMs === undefined ? undefined : timer.set(onDue, dueMs);
  }

  #keepAll(messages: readonly ChannelMessage[]): void {
    for (const message of messages) this.#keep(message);
    if (messages.length > 0) this.#wiring.enter(() => this.flush());
  }

  /** On flash if there is an outbox; QoS 0 goes past it while the link is up. */
  #keep(message: ChannelMessage): void {
    const { channel, readings, QoS, priority, ageLimitSeconds, time, isTimeCertain } = message;
    if (!this.#outbox || (QoS === 0 && this.#isOnline)) {
      this.#queue.push(encodeSample(channel, readings, time, QoS));
      return;
    }
    const record = {
      priority: priorities[priority],
      topic: channel,
      payload: encodeReadings(channel, readings),
      time: Math.floor(time ?? this.#wiring.timeFloor ?? 0),
      isTimeCertain,
      ageLimitSeconds,
    };
    try {
      if (this.#outbox.append(record) === undefined) this.#refuse(channel, priority);
    } catch (cause) {
      if (!(cause instanceof AgentError) || cause.kind !== "storage") throw cause;
      // Flash that takes nothing any more: the memory is what is left.
      this.#wiring.emit({ type: "fault", error: cause });
      this.#queue.push(encodeSample(channel, readings, time, QoS));
    }
  }

  #refuse(channel: string, priority: Priority): void {
    const error = new AgentError("outbox/full", `outbox: no room for "${channel}" (${priority})`);
    this.#wiring.emit({ type: "telemetryRefused", channel, error });
  }

  /** Whether nothing waits, and nothing is on its way. */
  get isEmpty(): boolean {
    if (this.#queue.length > 0 || (this.#drain?.inFlight ?? 0) > 0) return false;
    return this.#outbox === undefined || names.every(name => !this.#outbox!.peek(priorities[name]));
  }

  online(): void {
    this.#isOnline = true;
    this.#toldMark = undefined;
    this.#drain?.reset();
  }

  offline(): void {
    this.#isOnline = false;
    this.#drain?.reset();
    this.#wiring.host.timer.clear(this.#timer);
    this.#timer = undefined;
  }

  /** Hands on what the session has room for: what waits longer waits here. */
  flush(): void {
    if (!this.#isOnline) return;
    const { session } = this.#wiring;
    while (session.hasRoom) {
      const sample = this.#queue.shift();
      if (!sample) break;
      this.#sendSample(sample);
    }
    while (session.hasRoom && this.#drain) {
      const parcel = this.#drain.next(this.#wiring.host.clock.ticks(), this.#wiring.now);
      if (!parcel) break;
      this.#sendParcel(parcel, this.#drain);
    }
    this.#arm();
    if (session.hasRoom && this.#outbox && this.#outbox.lossMark !== this.#toldMark)
      this.#tellGaps(this.#outbox);
  }

  /** The pace may be what keeps the next one. */
  #arm(): void {
    const { clock, timer } = this.#wiring.host;
    const waitMs = (this.#drain?.freeAt ?? 0) - clock.ticks();
    if (this.#timer || waitMs <= 0 || !this.#isOnline) return;
    const onDue = () => {
      this.#timer = undefined;
      this.#wiring.enter(() => this.flush());
    };
    this.#timer = timer.set(onDue, waitMs);
  }

  #sendSample({ channel, payload, QoS }: Sample): void {
    const { dropped } = this.#queue;
    const { byteLength } = payload;
    this.#wiring.session.publish({
      topic: this.#wiring.topicOf(channel),
      payload,
      QoS,
      keep: true,
      onAcknowledged: () => this.#wiring.emit({ type: "telemetry", channel, byteLength, dropped }),
      onRefused: error => this.#wiring.emit({ type: "telemetryRefused", channel, error }),
    });
  }

  #sendParcel(parcel: Parcel, drain: Drain): void {
    const { channel, payload } = parcel;
    const { byteLength } = payload;
    this.#wiring.session.publish({
      topic: this.#wiring.topicOf(channel),
      payload,
      QoS: 1,
      onAcknowledged: () => {
        this.#attempt(() => drain.acknowledged(parcel));
        this.#wiring.emit({ type: "telemetry", channel, byteLength, dropped: 0 });
      },
      onRefused: error => {
        this.#attempt(() => drain.rejected(parcel));
        this.#wiring.emit({ type: "telemetryRefused", channel, error });
      },
    });
  }

  /** What flash does not keep is done again with the next link: a double, not a loss. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof AgentError) || cause.kind !== "storage") throw cause;
      this.#wiring.emit({ type: "fault", error: cause });
    }
  }

  #tellGaps(outbox: Outbox): void {
    this.#toldMark = outbox.lossMark;
    const gaps = outbox.gaps();
    if (gaps.length === 0) return;
    const generation = outbox.status.generation.toString(16);
    const done = () =>
      this.#attempt(() => {
        const isNews = outbox.lossMark !== this.#toldMark;
        outbox.reported(gaps);
        if (!isNews) this.#toldMark = outbox.lossMark;
      });
    const refused = (error: AgentError) =>
      this.#wiring.emit({ type: "telemetryRefused", channel: gapChannel, error });
    this.#wiring.publish(gapChannel, { generation, gaps: gaps.map(toJson) }, done, refused);
  }
}

function toJson({ priority, reason, count, from, to }: Gap): Json {
  return { class: names[priority]!, reason, count, from, to };
}
