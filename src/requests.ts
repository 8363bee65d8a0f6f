// One request to the cloud at a time, with a deadline for its answer: what the parts of the agent share.
import type { Timer, TimerHandle } from "./host.js";
import { limits } from "./limits.js";
import type { Session } from "./mqtt/session.js";

export class Requests {
  readonly #timer: Timer;
  readonly #enter: (work: () => void) => void;
  #deadline: TimerHandle | undefined;

  /** @param enter runs what the timer starts; see `Agent` */
  constructor(timer: Timer, enter: (work: () => void) => void) {
    this.#timer = timer;
    this.#enter = enter;
  }

  /** Publishes at QoS 1; `onTimeout` is called unless `answered` or another `send` comes first. */
  send(session: Session, topic: string, payload: Uint8Array, onTimeout: () => void): void {
    this.expect(onTimeout);
    session.publish({ topic, payload, QoS: 1 });
  }

  /** Whether something is waited for. */
  get isExpecting(): boolean {
    return this.#deadline !== undefined;
  }

  /** Something has to come within the time for a reply; `answered` when it is here. */
  expect(onTimeout: () => void): void {
    this.answered();
    const onDue = () => {
      this.#deadline = undefined;
      this.#enter(onTimeout);
    };
    this.#deadline = this.#timer.set(onDue, limits.replyMs);
  }

  /** The answer is here, or nobody waits for it any more. */
  answered(): void {
    this.#timer.clear(this.#deadline);
    this.#deadline = undefined;
  }
}
