// What goes out next: the most important class first, oldest first within it, several on their way, at a pace.
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

export class Drain {
  readonly #outbox: Outbox;
  readonly #messagesPerSecond: number;
  readonly #bytesPerSecond: number;
  readonly #batchBytes: number;
  /** By class, id of the last record that is on its way. */
  readonly #sent = new Float64Array(classes);
  #inFlight = 0;
  /** Ticks from which the next message may go. */
  #freeAt = 0;

  constructor(outbox: Outbox, options: DrainOptions) {
    this.#outbox = outbox;
    this.#messagesPerSecond = options.messagesPerSecond ?? 20;
    this.#bytesPerSecond = options.bytesPerSecond ?? 32_768;
    this.#batchBytes = options.batchBytes ?? 0;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Ticks before which nothing goes out, however much waits. */
  get freeAt(): number {
    return this.#freeAt;
  }

  /** A new link: what was on its way may not have arrived. */
  reset(): void {
    this.#sent.fill(0);
    this.#inFlight = 0;
  }

  /**
   * @param now  epoch ms, undefined while the clock is not set
   * @returns    undefined when nothing waits, enough is on its way, or the pace does not allow it yet
   */
  next(ticks: number, now: number | undefined): Parcel | undefined {
    if (this.#inFlight >= limits.drainInFlight || ticks < this.#freeAt) return undefined;
    for (let priority = 0; priority < classes; priority++) {
      const first = this.#outbox.peek(priority, this.#sent[priority]!, now);
      if (!first) continue;
      const parcel = this.#pack(first, now);
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

  #pack(first: Entry, now: number | undefined): Parcel {
    const { priority, topic } = first;
    const texts = [this.#message(first)];
    const records = [first];
    let byteLength = texts[0]!.length + 2;
    while (this.#batchBytes > 0) {
      const next = this.#outbox.peek(priority, records.at(-1)!.id, now);
      if (!next || next.topic !== topic) break;
      const text = this.#message(next);
      byteLength += text.length + 1;
      if (byteLength > this.#batchBytes || records.length >= limits.batchRecords) break;
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
  #message({ id, priority, time, isTimeCertain, payload }: Entry): Uint8Array {
    const name = `${this.#outbox.status.generation.toString(16)}-${priority}-${id}`;
    const isEmpty = payload.length <= 2;
    const certainty = isTimeCertain ? "" : ',"timeUncertain":true';
    const head = toUtf8(`{"id":"${name}","time":${time}${certainty}${isEmpty ? "" : ","}`);
    return concat([head, payload.subarray(1)]);
  }

  /** It has arrived. @throws AgentError "outbox/flash" when that cannot be kept: some of it will be sent again */
  acknowledged({ records }: Parcel): void {
    this.#inFlight--;
    for (const record of records) this.#outbox.acknowledge(record);
  }

  /** It would never be taken. */
  rejected({ records }: Parcel): void {
    this.#inFlight--;
    for (const record of records) this.#outbox.drop(record, "rejected");
  }
}

function listOf(texts: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const text of texts) parts.push(toUtf8(parts.length === 0 ? "[" : ","), text);
  return concat([...parts, toUtf8("]")]);
}
