// One wake-up of a device that sleeps between its samples: knows what was before the sleep, and ends it with a link or without.
import type { LinkStatus } from "../connection/link.js";
import { AgentError } from "../errors.js";
import type { Host, KeyValue, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { AgentStatus } from "../status.js";
import type { Observer } from "../wiring.js";
import {
  checkDutyCycle,
  type DutyCycleEvent,
  type DutyCyclePolicy,
  type DutyCycleState,
  decide,
  decodeDutyCycle,
  encodeDutyCycle,
  newDutyCycle,
  step,
} from "./duty-cycle.js";
import type { Waiting, WaitingBound } from "./waiting.js";

/** What a cycle asks of the agent. */
export interface CycleAgent {
  readonly host: Host;
  readonly store: KeyValue;
  observer?: Observer;
  readonly hasOutbox: boolean;
  readonly linkStatus: LinkStatus;
  /** Epoch ms, or undefined while the wall clock is not set. */
  readonly now: number | undefined;
  /** Online as the device itself, its shadows read and reported. */
  readonly isSettled: boolean;
  /** Nothing waits, nothing is on its way, and no other identity is asked for. */
  readonly isDrained: boolean;
  /** The firmware is on trial, which a sleep would end. */
  readonly isOnTrial: boolean;
  /** Opens storage and the outbox, without a link. */
  open(): void;
  start(): void;
  stop(): void;
  flushWindows(): void;
  /** Something is not on flash: a sleep would lose it. */
  readonly waitsInMemory: boolean;
  /** What the outbox holds; undefined when it cannot be used. */
  waiting(bound: WaitingBound): Waiting | undefined;
  enter(work: () => void): void;
  emit(status: AgentStatus): void;
}

/** Where the state is kept on a machine whose memory does not survive sleep. */
const key = "cycle";

export class DutyCycle implements Observer {
  readonly #agent: CycleAgent;
  #policy: DutyCyclePolicy;
  readonly #sleep: (delayMs: number) => void;
  #state: DutyCycleState;
  #phase: "awake" | "linking" | "stopping" | "asleep" = "awake";
  /** Ticks up to which the state has counted time. */
  #countedAt: number;
  /** Ticks at which the phase is over. */
  #deadline = 0;
  #failedDials = 0;
  /** A link was settled in this wake-up. */
  #hasSettled = false;
  #timer: TimerHandle | undefined;

  /**
   * The device has woken up, or starts for the first time: storage and the outbox are open when this returns.
   *
   * @throws AgentError "agent/options" for a policy that cannot be, a host that cannot sleep and an agent without an outbox
   */
  constructor(agent: CycleAgent, policy: DutyCyclePolicy) {
    this.#policy = checkDutyCycle(policy);
    const { clock, system } = agent.host;
    if (!system.sleep)
      throw new AgentError("agent/options", "cycle: this host cannot sleep (system.sleep)");
    if (!agent.hasOutbox)
      throw new AgentError("agent/options", "cycle: options.outbox is missing: sleep loses memory");
    if (agent.observer) throw new AgentError("agent/options", "cycle: there is one already");
    this.#sleep = delayMs => system.sleep!(delayMs);
    this.#agent = agent;
    this.#countedAt = clock.ticks();
    agent.open();
    const known = decodeDutyCycle(this.read());
    this.#state = known ? step(known, { type: "woke", at: agent.now }) : newDutyCycle;
    if (!known) this.count();
    agent.observer = this;
    this.retain();
  }

  /** What the device knows of itself; for a console. */
  get state(): DutyCycleState {
    return this.#state;
  }

  get policy(): DutyCyclePolicy {
    return this.#policy;
  }

  /** From now on: a setting of the product's, perhaps. @throws AgentError "agent/options" for one that cannot be */
  set policy(policy: DutyCyclePolicy) {
    this.#policy = checkDutyCycle(policy);
  }

  /**
   * Ends this wake-up, once its readings are sent: connects first when it is time, until the shadows are read and reported and
   * nothing waits any more, or `linkSeconds` have passed. Status "cycle" says which, and "sleeping" is the last one. While new
   * firmware is on trial the device stays awake and connects.
   */
  sleep(): void {
    if (this.#phase !== "awake") return;
    const { host, isOnTrial, linkStatus } = this.#agent;
    this.#agent.flushWindows();
    this.passTime();
    if (this.#agent.waitsInMemory) this.count();
    const { connect, why } = decide(this.#policy, this.#state);
    this.#agent.emit({ type: "cycle", connect, why });
    // The product may have connected for reasons of its own.
    if (!connect && !isOnTrial && linkStatus.state === "offline") return this.fallAsleep();
    this.enter("linking", (this.#policy.linkSeconds ?? 120) * 1000);
    const check = () => this.#agent.enter(() => this.check());
    this.#timer = host.timer.repeat(check, limits.cycleCheckMs);
    this.#agent.start();
  }

  onKept(priority: number, bytes: number): void {
    this.passTime();
    this.advance({ type: "appended", priority: priority as 0 | 1 | 2, bytes });
    this.retain();
  }

  onStatus(status: AgentStatus): void {
    if (status.type === "connecting") {
      // Before the dial: one that crashes the device, again and again, is within the budget too.
      this.passTime();
      this.advance({ type: "dialing" });
      this.retain(true);
    } else if (status.type === "offline") {
      const isLong = status.retryInMs > limits.cycleRetryMs;
      this.#failedDials += isLong ? limits.cycleDials : 1;
    }
  }

  private enter(phase: "linking" | "stopping", forMs: number): void {
    this.#phase = phase;
    this.#deadline = this.ticks + forMs;
  }

  private check(): void {
    const { isSettled, isDrained, isOnTrial, linkStatus } = this.#agent;
    const isOver = this.ticks >= this.#deadline;
    if (this.#phase === "stopping") {
      if (linkStatus.state === "offline" || isOver) this.fallAsleep();
      return;
    }
    this.#hasSettled ||= isSettled;
    if (isOnTrial) return;
    const isDone = isSettled && isDrained;
    if (!isDone && !isOver && this.#failedDials < limits.cycleDials) return;
    this.enter("stopping", 2 * limits.drainMs);
    this.#agent.stop();
  }

  private fallAsleep(): void {
    const { host, now } = this.#agent;
    host.timer.clear(this.#timer);
    // What was measured while the device was online.
    this.#agent.flushWindows();
    this.passTime();
    if (this.#phase === "stopping") this.conclude();
    const { sleepMs } = decide(this.#policy, this.#state);
    this.advance({ type: "sleeping", ms: sleepMs, at: now });
    this.#phase = "asleep";
    this.retain(true);
    this.#agent.emit({ type: "sleeping", delayMs: sleepMs });
    this.#sleep(sleepMs);
  }

  /** What the link was good for. */
  private conclude(): void {
    if (this.#hasSettled) this.count();
    const isHeard = this.#hasSettled && this.#state.waiting[0] === 0;
    if (isHeard) return this.advance({ type: "connected" });
    this.advance({ type: "failed", chance: this.#agent.host.crypto.random(1)[0]! / 256 });
  }

  /** Asks the outbox. What is in memory only is reason to connect now. */
  private count(): void {
    const { maxWaitingBytes: bytes, maxWaitingRecords: records } = this.#policy;
    const found = this.#agent.waiting({ bytes, records });
    const alerts = found?.records[0] ?? 0;
    this.advance({
      type: "counted",
      waiting: this.#agent.waitsInMemory ? [alerts, records, 0] : (found?.records ?? [0, 0, 0]),
      bytes: found?.bytes ?? 0,
      oldestAgeMs: this.ageOf(found?.oldestTime),
    });
  }

  /** Without a clock the oldest is as old as what was known to wait. */
  private ageOf(time: number | undefined): number | undefined {
    const { now } = this.#agent;
    if (now !== undefined && time !== undefined) return now - time;
    const { elapsedMs, oldestAtMs } = this.#state;
    return oldestAtMs === undefined ? undefined : elapsedMs - oldestAtMs;
  }

  private get ticks(): number {
    return this.#agent.host.clock.ticks();
  }

  private passTime(): void {
    const ticks = this.ticks;
    this.advance({ type: "passed", ms: ticks - this.#countedAt });
    this.#countedAt = ticks;
  }

  private advance(event: DutyCycleEvent): void {
    this.#state = step(this.#state, event);
  }

  private read(): Uint8Array | undefined {
    const { retained } = this.#agent.host.system;
    if (retained) return retained.read();
    let stored: ArrayBuffer | undefined;
    this.#agent.enter(() => {
      stored = this.#agent.store.read(key);
    });
    return stored && new Uint8Array(stored);
  }

  /** @param isLasting worth a write to flash, where there is no other memory */
  private retain(isLasting = false): void {
    const { retained } = this.#agent.host.system;
    const bytes = encodeDutyCycle(this.#state);
    if (retained) retained.write(bytes);
    else if (isLasting) this.#agent.enter(() => this.#agent.store.write(key, bytes));
  }
}
