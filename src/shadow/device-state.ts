// What the cloud may know of the device itself, in a small shadow of its own: reported when it changes.
import type { AgentError } from "../errors.js";
import type { Host, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { Door } from "../wiring.js";
import { Follower } from "./follower.js";
import type { Value } from "./schema.js";

export interface DeviceStateOptions {
  /** Name of the shadow; default `device`. */
  readonly shadow?: string;
}

/** Free heap is told in steps of this many bytes, when it has changed by an eighth. */
const heapStep = 1024;

export class DeviceState {
  readonly follower: Follower;
  readonly #host: Host;
  readonly #door: Door;
  #lost = 0;
  #timer: TimerHandle | undefined;

  constructor(options: DeviceStateOptions, firmwareVersion: string, host: Host, door: Door) {
    this.#host = host;
    this.#door = door;
    const { resetReason = "unknown" } = host.system;
    const values = { firmwareVersion, resetReason, ...this.heap(undefined) };
    this.follower = new Follower(options.shadow ?? "device", {}, values);
  }

  /** The link is up. */
  online(protocolVersion: 4 | 5, endpoint: string): void {
    this.change({
      "connection.protocolVersion": protocolVersion === 5 ? "5" : "3.1.1",
      "connection.endpoint": endpoint,
      "connection.lost": this.#lost,
    });
    this.offline();
    const look = () => this.#door.enter(() => this.change({}));
    this.#timer = this.#host.timer.repeat(look, limits.deviceStateMs);
  }

  /** A link that was up is gone, and will be dialed again. */
  lost(error: AgentError): void {
    this.#lost++;
    this.change({ "connection.lastError": error.code });
  }

  /** Nothing is looked at any more. */
  offline(): void {
    this.#host.timer.clear(this.#timer);
    this.#timer = undefined;
  }

  private change(values: { readonly [path: string]: Value }): void {
    const told = this.follower.values["freeHeapBytes"] as number | undefined;
    this.follower.event({ type: "changed", values: { ...values, ...this.heap(told) } });
  }

  private heap(told: number | undefined): { readonly freeHeapBytes?: number } {
    const free = this.#host.system.freeHeapBytes();
    if (free === undefined) return {};
    if (told !== undefined && Math.abs(free - told) < Math.max(heapStep, told / 8)) return {};
    return { freeHeapBytes: Math.floor(free / heapStep) * heapStep };
  }
}
