// One request to the cloud at a time, with a deadline for its answer: so provisioning asks.
import type { Timer, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { Door } from "../wiring.js";
import type { Session } from "./session.js";

export class Requests {
  readonly #timer: Timer;
  readonly #door: Door;
  #deadline: TimerHandle | undefined;

  constructor(timer: Timer, door: Door) {
    this.#timer = timer;
    this.#door = door;
  }

  /**
   * Publishes at QoS 1; `onTimeout` is called unless `answered` or another `send` comes first.
   *
   * @param onAcknowledged PUBACK has arrived, before the answer or after it
   */
  send(
    session: Session,
    topic: string,
    payload: Uint8Array,
    onTimeout: () => void,
    onAcknowledged?: () => void,
  ): void {
    this.answered();
    const onDue = () => {
      this.#deadline = undefined;
      this.#door.enter(onTimeout);
    };
    this.#deadline = this.#timer.set(onDue, limits.replyMs);
    session.publish({ topic, payload, QoS: 1, ...(onAcknowledged && { onAcknowledged }) });
  }

  get isWaiting(): boolean {
    return this.#deadline !== undefined;
  }

  /** The answer is here, or nobody waits for it any more. */
  answered(): void {
    this.#timer.clear(this.#deadline);
    this.#deadline = undefined;
  }
}
