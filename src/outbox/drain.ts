// What goes out next: the most important class first, oldest first within it, several on their way, at a pace.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat, toUtf8 } from "../util/bytes.js";
import type { Entry, Outbox } from "./outbox.js";

export interface DrainOptions {
  /** Messages in one second at most, 1 to 50; default 20. */
  readonly messagesPerSecond?: number;
  /** Bytes of payload in one second, 1,024 and more; default 32,768. */
  readonly bytesPerSecond?: number;
  /** Records of one channel are put together into one message of at most this many bytes, as a JSON array; default 0: never. */
  readonly batchBytes?: number;
}

/** One message, and the records it is made of. */
export interface Parcel {
  readonly priority: number;
  readonly channel: string;
  readonly payload: Uint8Array;
  readonly records: readonly Pick<Entry, "id" | "priority" | "time">[];
}

const second = 1000;
const classes = 3;

/**
 * Reasons of PUBACK that say something about the moment, not about the message: unspecified, implementation specific, the packet
 * identifier, quota exceeded. MQTT 5 section 3.4.2.1
 */
const passing: readonly number[] = Object.freeze([0x80, 0x83, 0x91, 0x97]);

export class Drain {
  readonly #outbox: Outbox;
  readonly #messagesPerSecond: number;
  readonly #bytesPerSecond: number;
  readonly #batchBytes: number;
  /** What the broker has taken on this link: less than `#batchBytes` after it refused that much. */
  #batchLimit: number;
  /** By class, id of the last record that is on its way. */
  readonly #sent = new Float64Array(classes);
  /** By class, ticks before which flash that could not be read is not read again. */
  readonly #readableAt = new Float64Array(classes);
  #inFlight = 0;
  /** Something is to be sent again: nothing else goes out until the rest of the window has its answer. */
  #isGoingBack = false;
  /** Ticks from which the next message may go. */
  #freeAt = 0;
  /** Links that ended, and windows that were refused, since something arrived. */
  #setbacks = 0;
  #refusals = 0;
  #fault: AgentError | undefined;

  constructor(outbox: Outbox, options: DrainOptions) {
    this.#outbox = outbox;
    this.#messagesPerSecond = options.messagesPerSecond ?? 20;
    this.#bytesPerSecond = options.bytesPerSecond ?? 32_768;
    this.#batchBytes = options.batchBytes ?? 0;
    this.#batchLimit = this.#batchBytes;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** @returns ms in which nothing goes out, or not everything, however much waits; 0 when that is not a matter of time */
  waitMs(ticks: number): number {
    if (this.#freeAt > ticks) return this.#freeAt - ticks;
    const later = this.#readableAt.filter(at => at > ticks);
    return later.length === 0 ? 0 : Math.min(...later) - ticks;
  }

  /** Why flash could not be read, told once. */
  takeFault(): AgentError | undefined {
    const fault = this.#fault;
    this.#fault = undefined;
    return fault;
  }

  /** The link has ended: what was on its way may not have arrived. */
  reset(ticks: number): void {
    if (this.#inFlight > 0 && ++this.#setbacks > 1) this.pause(ticks);
    this.#sent.fill(0);
    this.#inFlight = 0;
    this.#isGoingBack = false;
    this.#batchLimit = this.#batchBytes;
  }

  /** What comes before does nothing but cost the link: others get their turn on it. */
  private pause(ticks: number): void {
    const pauseMs = Math.min(limits.drainPauseMs, second * 2 ** this.#setbacks);
    this.#freeAt = Math.max(this.#freeAt, ticks + pauseMs);
  }

  /**
   * @param now  epoch ms, undefined while the clock is not set
   * @returns    undefined when nothing waits, enough is on its way, or the pace does not allow it yet
   */
  next(ticks: number, now: number | undefined): Parcel | undefined {
    if (this.#isGoingBack && this.#inFlight === 0) {
      this.#isGoingBack = false;
      this.#sent.fill(0);
    }
    const most = this.#setbacks > 0 ? 1 : limits.drainInFlight;
    if (this.#isGoingBack || this.#inFlight >= most || ticks < this.#freeAt) return undefined;
    for (let priority = 0; priority < classes; priority++) {
      const parcel = this.nextOf(priority, ticks, now);
      if (!parcel) continue;
      this.#inFlight++;
      const costMs = Math.max(
        second / this.#messagesPerSecond,
        (parcel.payload.length * second) / this.#bytesPerSecond,
      );
      this.#freeAt = Math.max(this.#freeAt, ticks - second) + costMs;
      return parcel;
    }
    return undefined;
  }

  /** A class that cannot be read waits; the others go on. */
  private nextOf(priority: number, ticks: number, now: number | undefined): Parcel | undefined {
    if (ticks < this.#readableAt[priority]!) return undefined;
    try {
      for (;;) {
        const first = this.#outbox.peek(priority, this.#sent[priority]!, now);
        if (!first || isReadings(first)) return first && this.pack(first, now);
        this.#outbox.drop(first, "rejected");
      }
    } catch (cause) {
      if (!(cause instanceof AgentError) || cause.kind !== "storage") throw cause;
      this.#readableAt[priority] = ticks + limits.drainPauseMs;
      this.#fault = cause;
      return undefined;
    }
  }

  private pack(first: Entry, now: number | undefined): Parcel {
    const { priority, topic } = first;
    const texts = [this.message(first)];
    const records = [first];
    let byteLength = texts[0]!.length + 2;
    while (this.#batchLimit > 0) {
      const next = this.#outbox.peek(priority, records.at(-1)!.id, now);
      if (!next || next.topic !== topic || !isReadings(next)) break;
      const text = this.message(next);
      byteLength += text.length + 1;
      if (byteLength > this.#batchLimit || records.length >= limits.batchRecords) break;
      texts.push(text);
      records.push(next);
    }
    this.#sent[priority] = records.at(-1)!.id;
    return {
      priority,
      channel: topic,
      payload: this.#batchBytes > 0 ? listOf(texts) : texts[0]!,
      records: records.map(({ id, time }) => ({ id, priority, time })),
    };
  }

  /** The readings as they are stored, with what tells them from all others, and when they were taken. */
  private message({ id, priority, time, isTimeCertain, payload }: Entry): Uint8Array {
    const name = `${this.#outbox.generation.toString(16)}-${priority}-${id}`;
    const isEmpty = payload.length <= 2;
    const certainty = isTimeCertain ? "" : ',"timeUncertain":true';
    const head = toUtf8(`{"id":"${name}","time":${time}${certainty}${isEmpty ? "" : ","}`);
    return concat([head, payload.subarray(1)]);
  }

  /** It has arrived. @throws AgentError "outbox/flash" when that cannot be kept: what cannot will be sent again */
  acknowledged({ records }: Parcel): void {
    this.#inFlight--;
    this.#setbacks = 0;
    this.#refusals = 0;
    let fault: unknown;
    for (const record of records) {
      try {
        if (!this.#outbox.acknowledge(record)) this.#outbox.arrived(record);
      } catch (cause) {
        fault ??= cause;
      }
    }
    if (fault) throw fault;
  }

  /**
   * The broker did not take it. What was refused for a reason that may pass is sent again after a pause; what was made of several
   * records, in smaller parts; anything else would never be taken.
   *
   * @param reasonCode  of PUBACK; undefined when it was not even sent
   * @returns           whether the records are given up
   * @throws            AgentError "outbox/flash" when that cannot be kept
   */
  refused({ payload, records }: Parcel, ticks: number, reasonCode: number | undefined): boolean {
    this.#inFlight--;
    const mayPass = reasonCode !== undefined && passing.includes(reasonCode);
    if (mayPass && this.#refusals < limits.drainRefusals) {
      if (!this.#isGoingBack) {
        this.#refusals++;
        this.#setbacks++;
        this.pause(ticks);
      }
      this.#isGoingBack = true;
      return false;
    }
    if (records.length > 1) {
      this.#batchLimit = Math.min(this.#batchLimit, Math.floor(payload.length / 2));
      this.#isGoingBack = true;
      return false;
    }
    this.#outbox.drop(records[0]!, "rejected");
    return true;
  }
}

/** What another firmware has left may be anything. */
function isReadings({ payload }: Entry): boolean {
  return payload.length > 1 && payload[0] === 0x7b && payload.at(-1) === 0x7d;
}

function listOf(texts: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const text of texts) parts.push(toUtf8(parts.length === 0 ? "[" : ","), text);
  return concat([...parts, toUtf8("]")]);
}
