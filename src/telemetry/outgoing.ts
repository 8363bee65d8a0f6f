// Telemetry by way of flash: kept until the cloud has it, sent by class and pace; what was lost is told.
import type { Json } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { Drain, type DrainOptions, type Parcel } from "../outbox/drain.js";
import type { Gap } from "../outbox/ledger.js";
import { Outbox } from "../outbox/outbox.js";
import { type ClassPolicy, priorities } from "../outbox/policies.js";
import { refuse, wholeNumber } from "../util/checked.js";
import type { Wiring } from "../wiring.js";
import type { ChannelMessage, Priority } from "./channel.js";
import { encodeReadings } from "./telemetry.js";
import { countWaiting, type Waiting, type WaitingBound } from "./waiting.js";

export interface OutboxSettings extends DrainOptions {
  /** Label of the flash partition; default `outbox`. */
  readonly partition?: string;
  /** How much of the partition each class may take, and what happens then. */
  readonly policies?: Readonly<Record<Priority, ClassPolicy>>;
}

/**
 * Policies are checked against the partition, when it is opened.
 *
 * @throws AgentError "agent/options" naming the option and the value
 */
export function checkOutbox(outbox: OutboxSettings): OutboxSettings {
  const {
    partition = "outbox",
    messagesPerSecond = 20,
    bytesPerSecond = 32_768,
    batchBytes,
  } = outbox;
  if (!/^[A-Za-z0-9_-]{1,15}$/.test(partition))
    refuse(`outbox.partition "${partition}" is not 1 to 15 of A-Z a-z 0-9 _ -`);
  wholeNumber(messagesPerSecond, 1, 50, "outbox.messagesPerSecond");
  wholeNumber(bytesPerSecond, 1024, 10_000_000, "outbox.bytesPerSecond");
  wholeNumber(batchBytes ?? 0, 0, limits.payloadBytes, "outbox.batchBytes");
  return outbox;
}

/** Where the reports of gaps go. */
const gapChannel = "gaps";
const names = Object.freeze(Object.keys(priorities)) as readonly Priority[];
/** What every message from flash begins with: a reading of that name would hide it. */
const reserved: readonly string[] = Object.freeze(["id", "time", "timeUncertain"]);

export class Outgoing {
  /** Flash takes nothing any more: said, and not again before it took something. */
  isLame = false;
  readonly #wiring: Wiring;
  readonly #outbox: Outbox;
  readonly #drain: Drain;
  #timer: TimerHandle | undefined;
  /** Which losses the cloud has been told of; undefined: none yet on this link. */
  #toldMark: number | undefined;
  /** A report is on its way. */
  #isTelling = false;
  /** Ticks before which there is no other report. */
  #tellAt = 0;
  #isFlushing = false;
  #isRefusing = false;

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
    const { channel, readings, priority, ageLimitSeconds } = message;
    for (const name of reserved) {
      if (!Object.hasOwn(readings, name)) continue;
      const what = `telemetry: "${name}" cannot be a reading's name in "${channel}"`;
      throw new AgentError("telemetry/limit", what);
    }
    // A clock that tells of no year there will be is as good as none.
    const isTimeCertain = message.isTimeCertain && !(message.time! > limits.latestTime);
    const time = isTimeCertain ? message.time! : (this.#wiring.timeFloor ?? 0);
    const payload = encodeReadings(channel, readings);
    const id = this.#outbox.append({
      priority: priorities[priority],
      topic: channel,
      payload,
      time: Math.floor(time),
      isTimeCertain,
      ageLimitSeconds,
    });
    if (id === undefined) this.refuse(channel, priority);
    else this.#wiring.observer?.onKept(priorities[priority], payload.length);
  }

  /** Counted already. What a product sends when it is told, and has no room either, is not told again. */
  private refuse(channel: string, priority: Priority): void {
    if (this.#isRefusing) return;
    const error = new AgentError("outbox/full", `outbox: no room for "${channel}" (${priority})`);
    this.#isRefusing = true;
    this.#wiring.emit({ type: "telemetryRefused", channel, error });
    this.#isRefusing = false;
  }

  /** @throws AgentError "outbox/flash" */
  get isEmpty(): boolean {
    if (this.#drain.inFlight > 0) return false;
    const { now } = this;
    return names.every(name => !this.#outbox.peek(priorities[name], 0, now));
  }

  /** By which records are too old. */
  private get now(): number | undefined {
    const { now } = this.#wiring;
    return now === undefined || now > limits.latestTime ? undefined : now;
  }

  waiting(bound: WaitingBound): Waiting {
    return countWaiting(this.#outbox, bound, this.now);
  }

  online(): void {
    this.#toldMark = undefined;
    this.#isTelling = false;
  }

  offline(): void {
    this.#drain.reset(this.ticks);
    this.#isTelling = false;
    this.#wiring.host.timer.clear(this.#timer);
    this.#timer = undefined;
  }

  private get ticks(): number {
    return this.#wiring.host.clock.ticks();
  }

  /** Hands on what the session has room for. The link is up. */
  flush(): void {
    // The product was told something in there, and sends: whoever is in there goes on while there is room.
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      this.sendAll();
      this.tellGaps();
    } finally {
      this.#isFlushing = false;
    }
    this.arm();
  }

  private sendAll(): void {
    while (this.#wiring.session.hasRoom) {
      const parcel = this.#drain.next(this.ticks, this.now);
      const error = this.#drain.takeFault();
      if (error) this.#wiring.emit({ type: "fault", error });
      if (!parcel) return;
      this.send(parcel);
    }
  }

  /** The pace, or a pause, may be what keeps the next one. */
  private arm(): void {
    const { timer } = this.#wiring.host;
    const waitMs = this.#drain.waitMs(this.ticks) || (this.isNews ? this.#tellAt - this.ticks : 0);
    if (this.#timer || waitMs <= 0) return;
    const onDue = () => {
      this.#timer = undefined;
      this.#wiring.enter(() => this.flush());
    };
    this.#timer = timer.set(onDue, waitMs);
  }

  private send(parcel: Parcel): void {
    const { channel, payload } = parcel;
    const { byteLength } = payload;
    const onRefused = (error: AgentError, reasonCode?: number) => {
      let isGivenUp = false;
      this.attempt(() => {
        isGivenUp = this.#drain.refused(parcel, this.ticks, reasonCode);
      });
      if (isGivenUp) this.#wiring.emit({ type: "telemetryRefused", channel, error });
      else if (reasonCode !== undefined) this.#wiring.emit({ type: "fault", error });
    };
    const onAcknowledged = () => {
      this.attempt(() => this.#drain.acknowledged(parcel));
      this.#wiring.emit({ type: "telemetry", channel, byteLength, dropped: 0 });
    };
    try {
      const topic = this.#wiring.topicOf(channel);
      this.#wiring.session.publish({ topic, payload, QoS: 1, onAcknowledged, onRefused });
    } catch (cause) {
      // Of another firmware's channel no topic can be made, today or tomorrow.
      if (!(cause instanceof AgentError) || cause.code !== "mqtt/limit") throw cause;
      onRefused(cause);
    }
  }

  /** What flash does not keep is done again with the next link: a double, not a loss. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof AgentError) || cause.kind !== "storage") throw cause;
      this.#wiring.emit({ type: "fault", error: cause });
    }
  }

  private get isNews(): boolean {
    return !this.#isTelling && this.#outbox.lossMark !== this.#toldMark;
  }

  /** One report at a time: what is lost while it is on its way is in the next. */
  private tellGaps(): void {
    const { session } = this.#wiring;
    if (!this.isNews || this.ticks < this.#tellAt || !session.hasRoom) return;
    this.attempt(() => {
      const mark = this.#outbox.lossMark;
      this.#toldMark = mark;
      const gaps = this.#outbox.gaps();
      if (gaps.length > 0) this.tell(gaps, mark);
    });
  }

  private tell(gaps: readonly Gap[], mark: number): void {
    const generation = this.#outbox.generation.toString(16);
    const onDone = () => {
      this.#isTelling = false;
      this.#tellAt = this.ticks + limits.gapReportMs;
      this.attempt(() => {
        const isNews = this.#outbox.lossMark !== mark;
        this.#outbox.reported(gaps);
        if (!isNews) this.#toldMark = this.#outbox.lossMark;
      });
    };
    const onRefused = (error: AgentError) => {
      this.#isTelling = false;
      this.#toldMark = undefined;
      this.#tellAt = this.ticks + limits.drainPauseMs;
      this.#wiring.emit({ type: "telemetryRefused", channel: gapChannel, error });
    };
    const id = `${generation}-gaps-${this.#outbox.reports}`;
    this.#isTelling = true;
    this.#wiring.publish(gapChannel, { id, generation, gaps: gaps.map(toJson) }, onDone, onRefused);
  }
}

function toJson({ priority, reason, count, from, to }: Gap): Json {
  return { class: names[priority]!, reason, count, from, to };
}
