// Whose turn it is to ask: requests to the shadow service within its bounds, and a deadline for each answer.
import type { Clock, Timer, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { Door } from "../wiring.js";

/** Asks when it is its turn. */
export interface Asker {
  /** @returns false when there is nothing to ask any more */
  onTurn(): boolean;
  /** No answer in time. */
  onTimeout(): void;
}

interface Owner extends Door {
  readonly host: { readonly clock: Clock; readonly timer: Timer };
}

interface Pending {
  readonly asker: Asker;
  readonly dueAt: number;
}

const second = 1000;

export class Turns {
  readonly #wiring: Owner;
  #queue: Asker[] = [];
  /** In the order of their deadlines. */
  #pending: Pending[] = [];
  #timer: TimerHandle | undefined;
  /** The second that is running, and how many turns it has seen. */
  #paceAt = Number.NEGATIVE_INFINITY;
  #paced = 0;

  constructor(wiring: Owner) {
    this.#wiring = wiring;
  }

  /** `onTurn` follows, perhaps at once. */
  want(asker: Asker): void {
    this.#queue.push(asker);
    this.flush();
  }

  /** The answer to its first request is here; it may have asked again because of it. */
  answered(asker: Asker): void {
    const first = this.#pending.findIndex(pending => pending.asker === asker);
    if (first >= 0) this.#pending.splice(first, 1);
    this.flush();
  }

  /** Whoever asked or wanted to: nobody waits any more. */
  reset(): void {
    this.#queue = [];
    this.#pending = [];
    this.arm();
  }

  private flush(): void {
    while (this.#queue.length > 0 && this.hasRoom) {
      const asker = this.#queue.shift()!;
      const pending = { asker, dueAt: this.#wiring.host.clock.ticks() + limits.replyMs };
      this.#pending.push(pending);
      if (asker.onTurn()) this.count();
      else this.#pending = this.#pending.filter(other => other !== pending);
    }
    this.arm();
  }

  private get hasRoom(): boolean {
    return this.#pending.length < limits.shadowsInFlight && !this.isPaced;
  }

  private get isPaced(): boolean {
    return (
      this.#paced >= limits.shadowRequestsPerSecond &&
      this.#wiring.host.clock.ticks() - this.#paceAt < second
    );
  }

  private count(): void {
    const now = this.#wiring.host.clock.ticks();
    if (now - this.#paceAt >= second) {
      this.#paceAt = now;
      this.#paced = 0;
    }
    this.#paced++;
  }

  /** One timer: for the first deadline, or for the next second when somebody waits for it. */
  private arm(): void {
    this.#wiring.host.timer.clear(this.#timer);
    this.#timer = undefined;
    let dueAt = this.#pending[0]?.dueAt ?? Number.POSITIVE_INFINITY;
    if (this.#queue.length > 0 && this.isPaced) dueAt = Math.min(dueAt, this.#paceAt + second);
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(0, dueAt - this.#wiring.host.clock.ticks());
    this.#timer = this.#wiring.host.timer.set(
      () => this.#wiring.enter(() => this.onDue()),
      delayMs,
    );
  }

  private onDue(): void {
    this.#timer = undefined;
    const now = this.#wiring.host.clock.ticks();
    const overdue = this.#pending.filter(({ dueAt }) => dueAt <= now);
    this.#pending = this.#pending.filter(({ dueAt }) => dueAt > now);
    for (const { asker } of overdue) asker.onTimeout();
    this.flush();
  }
}
