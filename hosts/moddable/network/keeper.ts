// Keeps a device in its Wi-Fi and its clock set: performs what network.ts decides.
import type { Clock, Timer, TimerHandle } from "../../../src/host.js";
import {
  type Credentials,
  checkCredentials,
  describeFault,
  type Fault,
  faultOf,
  NetworkError,
} from "./fault.js";
import {
  hasAddress,
  lateFault,
  type NetworkEffect,
  type NetworkEvent,
  networkAtRest,
  step,
} from "./network.js";
import { networkTable } from "./table.js";
import type { TimeAnswer } from "./time-asker.js";

export type NetworkStatus =
  | { readonly type: "off" }
  | { readonly type: "joining"; readonly ssid: string; readonly attempt: number }
  | { readonly type: "addressing"; readonly ssid: string }
  /** Not in the Wi-Fi, which is joined again. */
  | { readonly type: "waiting"; readonly error: NetworkError; readonly retryInMs: number }
  | { readonly type: "timing"; readonly address: string }
  /** In the Wi-Fi, and nobody tells the time, which is asked for again. */
  | {
      readonly type: "untimed";
      readonly address: string;
      readonly error: NetworkError;
      readonly retryInMs: number;
    }
  | { readonly type: "online"; readonly address: string; readonly server: string };

/** What the radio tells; never from inside of a call to it. */
export interface WifiEvents {
  onAssociated(): void;
  onAddress(address: string): void;
  /** @param reason a `wifi_err_reason_t`, 0 where none is known */
  onLost(reason: number): void;
}

export interface Wifi {
  /** @throws when the radio refuses */
  join(credentials: Credentials): void;
  /** Never throws. */
  leave(): void;
}

export interface KeeperParts {
  readonly clock: Clock;
  readonly timer: Timer;
  /** Uniform in [0, 1). */
  chance(): number;
  openWifi(events: WifiEvents): Wifi;
  readonly asker: { ask(onAnswer: (answer: TimeAnswer) => void): void; stop(): void };
  /** @param time epoch ms */
  setTime(time: number): void;
  /** What a product has told to keep, and to keep no more. */
  readKept(): Credentials | undefined;
  keep(credentials: Credentials | undefined): void;
}

/** Who waits for an address, such as the resolver. */
interface Waiting {
  readonly go: () => void;
  readonly fail: (error: Error) => void;
}

/** More are refused. */
const mostWaiting = 16;

/** What a product sees of it. */
export interface Network {
  readonly status: NetworkStatus;
  /** Called with each change; the host's own writes it on the console. */
  onStatus: (status: NetworkStatus) => void;
  /**
   * Joins this Wi-Fi, in the place of one that was joined before, and stays in it.
   *
   * @throws AgentError "agent/options" for a name or a password that cannot be one
   */
  start(credentials: Credentials): void;
  stop(): void;
  /**
   * As `start`, and after each restart, in the place of the build's own Wi-Fi; undefined goes back to that.
   *
   * @throws AgentError "agent/options", or "storage/write": nothing has changed then
   */
  keep(credentials: Credentials | undefined): void;
  /**
   * Calls one of the two, perhaps before it returns: `go` once there is an address, or where the network is somebody else's;
   * `fail` with the reason while the Wi-Fi cannot be joined.
   */
  whenAddressed(go: () => void, fail: (error: Error) => void): void;
}

export class NetworkKeeper implements Network, WifiEvents {
  onStatus: (status: NetworkStatus) => void = () => undefined;
  readonly #parts: KeeperParts;
  #record = networkAtRest;
  #status: NetworkStatus = { type: "off" };
  #credentials: Credentials = { ssid: "" };
  /** The build's own. */
  #own: Credentials | undefined;
  #wifi: Wifi | undefined;
  #timer: TimerHandle | undefined;
  #address = "";
  #server = "";
  /** Why the last step did not succeed. */
  #error: NetworkError | undefined;
  #waiting: Waiting[] = [];

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  get status(): NetworkStatus {
    return this.#status;
  }

  /** Joins what is kept, or the build's own, or nothing. @param own may be no Wi-Fi: that is thrown, after what is kept was tried */
  begin(own: Credentials | undefined): void {
    this.#own = own;
    const first = this.#parts.readKept() ?? own;
    if (first) this.start(first);
  }

  keep(credentials: Credentials | undefined): void {
    if (credentials) checkCredentials(credentials);
    this.#parts.keep(credentials);
    const next = credentials ?? this.#own;
    if (next) this.start(next);
    else this.stop();
  }

  start(credentials: Credentials): void {
    checkCredentials(credentials);
    this.#credentials = credentials;
    this.advance({ type: "start" });
  }

  stop(): void {
    this.advance({ type: "stop" });
  }

  whenAddressed(go: () => void, fail: (error: Error) => void): void {
    const { state } = this.#record;
    if (state === "off" || hasAddress(state)) go();
    else if (state === "waiting") fail(this.#error!);
    else if (this.#waiting.length < mostWaiting) this.#waiting.push({ go, fail });
    else fail(new Error(`network: ${mostWaiting} wait already`));
  }

  // -- what the radio tells; it may be late --

  onAssociated(): void {
    if (this.isLegal("associated")) this.advance({ type: "associated" });
  }

  onAddress(address: string): void {
    if (!this.isLegal("addressed")) return;
    if (hasAddress(this.#record.state) && address === this.#address) return;
    this.#address = address;
    this.advance({ type: "addressed", ticks: this.#parts.clock.ticks() });
  }

  onLost(reason: number): void {
    if (!this.isLegal("lost")) return;
    const { state } = this.#record;
    const fault = faultOf(reason, state !== "joining");
    this.fail(fault, reason === 0 ? "" : `reason ${reason}`);
    const { chance, clock } = this.#parts;
    this.advance({ type: "lost", fault, ticks: clock.ticks(), chance: chance() });
  }

  private onAnswer(answer: TimeAnswer): void {
    if (answer.type === "told") {
      this.#server = answer.server;
      this.#parts.setTime(answer.time);
    } else this.fail(answer.fault, answer.detail);
    this.advance({ type: answer.type, chance: this.#parts.chance() });
  }

  private isLegal(type: "associated" | "addressed" | "lost"): boolean {
    return networkTable[this.#record.state][type] !== undefined;
  }

  private fail(fault: Fault, detail = ""): void {
    const { ssid } = this.#credentials;
    this.#error = new NetworkError(fault, describeFault(fault, ssid, detail));
  }

  private advance(event: NetworkEvent): void {
    const { record, effects } = step(this.#record, event);
    const isAnother = record.state !== this.#record.state || event.type === "addressed";
    this.#record = record;
    let retryInMs = 0;
    for (const effect of effects) {
      if (effect.type === "wait") retryInMs = effect.delayMs;
      if (effect.type !== "join") this.perform(effect);
    }
    try {
      if (isAnother || event.type === "start") this.tell(retryInMs);
    } finally {
      // The product may have changed its mind when it was told.
      const joins = effects.some(({ type }) => type === "join");
      if (joins && this.#record === record) this.join();
    }
  }

  private perform(effect: NetworkEffect): void {
    const { asker, timer, chance } = this.#parts;
    switch (effect.type) {
      case "ask":
        return asker.ask(answer => this.onAnswer(answer));
      case "hush":
        return asker.stop();
      case "leave":
        return this.#wifi?.leave();
      case "cancelWait":
        return timer.clear(this.#timer);
      case "deadline":
        return this.after(effect.delayMs, () => {
          this.fail(lateFault(this.#record.state));
          this.advance({ type: "late", chance: chance() });
        });
      case "wait":
        return this.after(effect.delayMs, () => this.advance({ type: "due" }));
      case "join":
        return this.join();
    }
  }

  private join(): void {
    try {
      this.#wifi ??= this.#parts.openWifi(this);
      this.#wifi.join(this.#credentials);
    } catch (error) {
      const { chance, clock } = this.#parts;
      this.fail("refused", String(error));
      this.advance({ type: "lost", fault: "refused", ticks: clock.ticks(), chance: chance() });
    }
  }

  private after(delayMs: number, work: () => void): void {
    const { timer } = this.#parts;
    timer.clear(this.#timer);
    this.#timer = timer.set(work, delayMs);
  }

  private tell(retryInMs: number): void {
    const status = this.describe(retryInMs);
    this.#status = status;
    const { state } = this.#record;
    const isDecided = state === "off" || state === "waiting" || hasAddress(state);
    const waiting = isDecided ? this.#waiting : [];
    if (isDecided) this.#waiting = [];
    for (const { go, fail } of waiting) {
      if (state === "waiting") fail(this.#error!);
      else go();
    }
    this.onStatus(status);
  }

  private describe(retryInMs: number): NetworkStatus {
    const { state, attempt } = this.#record;
    const { ssid } = this.#credentials;
    const address = this.#address;
    switch (state) {
      case "off":
        return { type: state };
      case "joining":
        return { type: state, ssid, attempt: attempt + 1 };
      case "addressing":
        return { type: state, ssid };
      case "waiting":
        return { type: state, error: this.#error!, retryInMs };
      case "timing":
        return { type: state, address };
      case "untimed":
        return { type: state, address, error: this.#error!, retryInMs };
      case "online":
        return { type: state, address, server: this.#server };
    }
  }
}

/** One line for a console. */
export function describeNetwork(status: NetworkStatus): string {
  const again = "retryInMs" in status ? `; again in ${(status.retryInMs / 1000).toFixed(1)} s` : "";
  switch (status.type) {
    case "off":
      return "off";
    case "joining":
      return `joins Wi-Fi ${JSON.stringify(status.ssid)}, attempt ${status.attempt}`;
    case "addressing":
      return `in Wi-Fi ${JSON.stringify(status.ssid)}, asks for an address`;
    case "waiting":
    case "untimed":
      return `${status.error.message}${again}`;
    case "timing":
      return `address ${status.address}, asks for the time`;
    case "online":
      return `address ${status.address}, time from ${status.server}`;
  }
}
