// Telemetry by way of flash: kept until the cloud has it, sent by class and pace; what was lost is told.
import type { Json } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { Drain, type DrainOptions, type Parcel } from "../outbox/drain.js";
import type { Gap } from "../outbox/ledger.js";
import { type ClassPolicy, Outbox, priorities } from "../outbox/outbox.js";
import type { Wiring } from "../wiring.js";
import type { ChannelMessage, Priority } from "./channel.js";
import { encodeReadings } from "./telemetry.js";

export interface OutboxSettings extends DrainOptions {
  /** Label of the flash partition; default `outbox`. */
  readonly partition?: string;
  /** How much of the partition each class may take, and what happens then. */
  readonly policies?: Readonly<Record<Priority, ClassPolicy>>;
}

/** Where the reports of gaps go. */
const gapChannel = "gaps";
const names = Object.freeze(Object.keys(priorities)) as readonly Priority[];

export class Outgoing {
  readonly #wiring: Wiring;
  readonly #outbox: Outbox;
  readonly #drain: Drain;
  #timer: TimerHandle | undefined;
  /** Which losses the cloud has been told of; undefined: none yet on this link. */
  #toldMark: number | undefined;

  /** Mounts. @throws AgentError "outbox/partition" or "outbox/flash", and what the host throws */
  constructor(wiring: Wiring, settings: OutboxSettings) {
    const { partition = "outbox", policies } = settings;
    const { flash, crypto } = wiring.host;
    if (!flash) throw new AgentError("outbox/partition", "outbox: this host has no raw flash");
    const generation = new DataView(crypto.random(4).slice().buffer).getUint32(0);
    this.#wiring = wiring;
    this.#outbox = new Outbox(flash.open({ path: partition }), {
      generation,
      ...(policies && { policies: names.map(name => policies[name]) }),
    });
    this.#drain = new Drain(this.#outbox, settings);
  }

  /**
   * On flash when it returns, or refused and told.
   *
   * @throws AgentError "telemetry/limit", "codec/json" or "outbox/record" for what cannot be kept, "outbox/flash" when the flash
   *         takes nothing any more
   */
  keep(message: ChannelMessage): void {
    const { channel, readings, priority, ageLimitSeconds, time, isTimeCertain } = message;
    const id = this.#outbox.append({
      priority: priorities[priority],
      topic: channel,
      payload: encodeReadings(channel, readings),
      time: Math.floor(time ?? this.#wiring.timeFloor ?? 0),
      isTimeCertain,
      ageLimitSeconds,
    });
    if (id !== undefined) return;
    const error = new AgentError("outbox/full", `outbox: no room for "${channel}" (${priority})`);
    this.#wiring.emit({ type: "telemetryRefused", channel, error });
  }

  get isEmpty(): boolean {
    return this.#drain.inFlight === 0 && names.every(name => !this.#outbox.peek(priorities[name]));
  }

  online(): void {
    this.#toldMark = undefined;
    this.#drain.reset();
  }

  offline(): void {
    this.#drain.reset();
    this.#wiring.host.timer.clear(this.#timer);
    this.#timer = undefined;
  }

  /** Hands on what the session has room for. The link is up. */
  flush(): void {
    const { host, session, now } = this.#wiring;
    while (session.hasRoom) {
      const parcel = this.#drain.next(host.clock.ticks(), now);
      if (!parcel) break;
      this.#send(parcel);
    }
    this.#arm();
    if (session.hasRoom && this.#outbox.lossMark !== this.#toldMark) this.#tellGaps();
  }

  /** The pace may be what keeps the next one. */
  #arm(): void {
    const { clock, timer } = this.#wiring.host;
    const waitMs = this.#drain.freeAt - clock.ticks();
    if (this.#timer || waitMs <= 0) return;
    const onDue = () => {
      this.#timer = undefined;
      this.#wiring.enter(() => this.flush());
    };
    this.#timer = timer.set(onDue, waitMs);
  }

  #send(parcel: Parcel): void {
    const { channel, payload } = parcel;
    const { byteLength } = payload;
    this.#wiring.session.publish({
      topic: this.#wiring.topicOf(channel),
      payload,
      QoS: 1,
      onAcknowledged: () => {
        this.#attempt(() => this.#drain.acknowledged(parcel));
        this.#wiring.emit({ type: "telemetry", channel, byteLength, dropped: 0 });
      },
      onRefused: error => {
        this.#attempt(() => this.#drain.rejected(parcel));
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

  #tellGaps(): void {
    this.#toldMark = this.#outbox.lossMark;
    const gaps = this.#outbox.gaps();
    if (gaps.length === 0) return;
    const generation = this.#outbox.status.generation.toString(16);
    const done = () =>
      this.#attempt(() => {
        const isNews = this.#outbox.lossMark !== this.#toldMark;
        this.#outbox.reported(gaps);
        if (!isNews) this.#toldMark = this.#outbox.lossMark;
      });
    const refused = (error: AgentError) =>
      this.#wiring.emit({ type: "telemetryRefused", channel: gapChannel, error });
    this.#wiring.publish(gapChannel, { generation, gaps: gaps.map(toJson) }, done, refused);
  }
}

function toJson({ priority, reason, count, from, to }: Gap): Json {
  return { class: names[priority]!, reason, count, from, to };
}
