// Telemetry from the product to the session: by way of flash where there is an outbox, else by a short queue in memory.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import type { Wiring } from "../wiring.js";
import type { ChannelMessage, Priority } from "./channel.js";
import type { Channels } from "./channels.js";
import type { OutboxSettings, Outgoing } from "./outgoing.js";
import { encodeSample, type Readings, type Sample, TelemetryQueue } from "./telemetry.js";
import type { Waiting, WaitingBound } from "./waiting.js";
import type { Windows } from "./windows.js";

export interface SendOptions {
  /** 1 is kept until it is acknowledged; 0 goes out as it is when the link is up. Default 1. */
  readonly QoS?: 0 | 1;
  /** Default "telemetry". */
  readonly priority?: Priority;
  /** Seconds after which it is of no use any more; with an outbox only. */
  readonly ageLimitSeconds?: number;
}

export class Sender {
  readonly #wiring: Wiring;
  readonly #queue = new TelemetryQueue();
  readonly #windows: Windows | undefined;
  /** Null when the partition could not be used. */
  #outgoing: Outgoing | null | undefined;
  #isOnline = false;
  #isFlushing = false;

  constructor(wiring: Wiring, channels: Channels | undefined) {
    this.#wiring = wiring;
    this.#windows = channels?.windows(wiring, this);
  }

  /** Mounts the outbox, once; without it telemetry waits in memory, and a fault says why. @param io the class of outboxes */
  open(settings: OutboxSettings | undefined, io: typeof Outgoing): void {
    if (!settings || this.#outgoing !== undefined) return;
    this.#outgoing = null;
    try {
      this.#outgoing = new io(this.#wiring, settings);
    } catch (cause) {
      const isOurs = cause instanceof AgentError && cause.kind !== "bug";
      const message = "outbox: the partition cannot be used";
      const error = isOurs ? cause : new AgentError("outbox/partition", message, { cause });
      this.#wiring.emit({ type: "fault", error });
    }
  }

  /** @throws AgentError "telemetry/limit", "codec/json" or "outbox/record" for what cannot be sent */
  send(channel: string, readings: Readings, options: SendOptions): void {
    if (this.#windows?.add(channel, readings)) return;
    const { QoS = 1, priority = "telemetry", ageLimitSeconds } = options;
    const time = this.#wiring.now;
    const isTimeCertain = time !== undefined;
    const message = { channel, readings, QoS, priority, ageLimitSeconds, time, isTimeCertain };
    this.keepAll([message], readings);
  }

  /** Ends every window now: before a sleep. */
  flushWindows(): void {
    this.#windows?.flush();
  }

  /**
   * @param own  readings of the call that brought all this about: an exception is for them only, of earlier ones a status tells
   * @throws     as `send`
   */
  keepAll(messages: readonly ChannelMessage[], own?: Readings): void {
    let fault: unknown;
    for (const message of messages) {
      try {
        this.keep(message);
      } catch (cause) {
        const isOwn = message.readings === own || !(cause instanceof AgentError);
        if (isOwn) fault ??= cause;
        else
          this.#wiring.emit({ type: "telemetryRefused", channel: message.channel, error: cause });
      }
    }
    if (messages.length > 0) this.#wiring.enter(() => this.flush());
    if (fault) throw fault;
  }

  /** On flash if there is an outbox; QoS 0 goes past it while the link is up. */
  private keep(message: ChannelMessage): void {
    const { channel, readings, QoS, time } = message;
    if (this.#outgoing && (QoS === 1 || !this.#isOnline)) {
      try {
        this.#outgoing.keep(message);
        this.#outgoing.isLame = false;
        return;
      } catch (cause) {
        if (!(cause instanceof AgentError) || cause.kind !== "storage") throw cause;
        // Flash that takes nothing any more: the memory is what is left.
        const isKnown = this.#outgoing.isLame;
        this.#outgoing.isLame = true;
        if (!isKnown) this.#wiring.emit({ type: "fault", error: cause });
      }
    }
    this.#queue.push(encodeSample(channel, readings, time, QoS));
  }

  /** Nothing waits, and nothing from flash is on its way; what came from memory and is on its way is for the session to tell. */
  get isEmpty(): boolean {
    return this.#queue.length === 0 && (this.#outgoing?.isEmpty ?? true);
  }

  get waitsInMemory(): boolean {
    return this.#queue.length > 0;
  }

  /** @returns undefined without an outbox */
  waiting(bound: WaitingBound): Waiting | undefined {
    return this.#outgoing?.waiting(bound);
  }

  online(): void {
    this.#isOnline = true;
    this.#outgoing?.online();
  }

  offline(): void {
    this.#isOnline = false;
    this.#outgoing?.offline();
  }

  /** Hands on what the session has room for: what waits longer waits here. */
  flush(): void {
    if (!this.#isOnline) return;
    const { session } = this.#wiring;
    // As with the outbox, the rest of the window is for others.
    for (let left: number = limits.telemetryMessages; left > 0 && !this.#isFlushing; left--) {
      if (!session.hasRoom || session.kept >= limits.memoryInFlight) break;
      const sample = this.#queue.shift();
      if (!sample) break;
      // Whoever sends when it is told of a refusal in here is not flushed in here.
      this.#isFlushing = true;
      try {
        this.put(sample);
      } finally {
        this.#isFlushing = false;
      }
    }
    this.#outgoing?.flush();
  }

  private put({ channel, payload, QoS }: Sample): void {
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
}
