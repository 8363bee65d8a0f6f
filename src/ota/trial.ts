// An image on trial: looked at once a second, until it has been well for a while or its time is over.
import type { Host, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { Door } from "../wiring.js";
import type { Health } from "./health.js";

export interface TrialOwner extends Door {
  readonly host: Host;
  /** Why the link is not what an update needs, or undefined when the cloud has answered over it, and the broker acknowledged. */
  readonly linkTrouble: string | undefined;
  onWell(): void;
  onUnwell(): void;
  /** Well for all of the settle time. @returns whether it is confirmed; if not it follows again in a second */
  onSettled(): boolean;
  /** @param trouble what kept it from being confirmed */
  onOverdue(trouble: string): void;
}

export interface TrialTimes {
  /** From the start of the machine until the image is given up. */
  readonly trialMs: number;
  /** How long all must hold without a break. */
  readonly settleMs: number;
}

export class Trial {
  readonly #owner: TrialOwner;
  readonly #times: TrialTimes;
  readonly #health: Health;
  readonly #since: number;
  /** Ticks; undefined while something is wrong. */
  #wellSince: number | undefined;
  readonly #timer: TimerHandle;

  constructor(owner: TrialOwner, times: TrialTimes, health: Health) {
    this.#owner = owner;
    this.#times = times;
    this.#health = health;
    const { clock, timer } = owner.host;
    this.#since = clock.ticks();
    this.#timer = timer.repeat(() => owner.enter(() => this.look()), limits.healthCheckMs);
  }

  close(): void {
    this.#owner.host.timer.clear(this.#timer);
  }

  private look(): void {
    const now = this.#owner.host.clock.ticks();
    const trouble = this.#owner.linkTrouble ?? this.#health.trouble();
    const isOverdue = now - this.#since >= this.#times.trialMs;
    if (trouble !== undefined) {
      this.#wellSince = undefined;
      this.#owner.onUnwell();
      if (isOverdue) this.#owner.onOverdue(trouble);
      return;
    }
    if (this.#wellSince === undefined) {
      this.#wellSince = now;
      this.#owner.onWell();
    }
    const isSettled = now - this.#wellSince >= this.#times.settleMs;
    if (isSettled && this.#owner.onSettled()) return;
    if (!isOverdue) return;
    this.#owner.onOverdue(isSettled ? "it cannot be confirmed" : "not well for long enough");
  }
}
