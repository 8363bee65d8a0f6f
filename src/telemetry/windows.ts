// Channels whose readings wait for their window's end: one timer for all.
import type { TimerHandle } from "../host.js";
import type { Wiring } from "../wiring.js";
import type { ChannelMessage } from "./channel.js";
import type { Channels } from "./channels.js";
import type { Readings } from "./telemetry.js";

/** Takes the messages of windows that are over. */
export interface Keeper {
  keepAll(messages: readonly ChannelMessage[], own?: Readings): void;
}

export class Windows {
  readonly #wiring: Wiring;
  readonly #channels: Channels;
  readonly #owner: Keeper;
  #timer: TimerHandle | undefined;

  constructor(wiring: Wiring, channels: Channels, owner: Keeper) {
    this.#wiring = wiring;
    this.#channels = channels;
    this.#owner = owner;
  }

  /**
   * @returns false for a channel that is not declared
   * @throws AgentError "telemetry/limit" for readings that cannot be sent; nothing is taken then
   */
  add(name: string, readings: Readings): boolean {
    const channel = this.#channels.get(name);
    if (!channel) return false;
    const messages = channel.add(readings, this.ticks, this.#wiring.now);
    this.arm();
    this.#owner.keepAll(messages, readings);
    return true;
  }

  /** Ends every window now: before a sleep. */
  flush(): void {
    const messages = this.#channels.flush(this.ticks, this.#wiring.now);
    this.arm();
    this.#owner.keepAll(messages);
  }

  private get ticks(): number {
    return this.#wiring.host.clock.ticks();
  }

  private arm(): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#timer);
    this.#timer = undefined;
    const dueMs = this.#channels.due(this.ticks);
    if (dueMs === undefined) return;
    this.#timer = timer.set(() => this.#wiring.enter(() => this.onDue()), dueMs);
  }

  private onDue(): void {
    this.#timer = undefined;
    const messages = this.#channels.take(this.ticks, this.#wiring.now);
    this.arm();
    this.#owner.keepAll(messages);
  }
}
