// A device whose agent runs in the XS engine: feeds it events in order and performs what it asks on the host it is given.

import { AgentError } from "../../../src/errors.js";
import type { Host } from "../../../src/host.js";
import type { Bundle } from "./bundle.js";
import { type Machine, MachineError } from "./machine.js";
import { type Event, errorParts, Requests, type Response } from "./requests.js";

export type DeviceEvent =
  /**
   * What the guest told by `bridge.event`, such as the sensor node's `status`. Two names are ours: `log`, a line it printed, and
   * `restart`: it asked for one, for sleep, or to revert an update, its sockets and timers are gone, and nothing is given to it any more.
   */
  | { readonly type: "event"; readonly name: string; readonly value: unknown }
  /**
   * An exception or a rejected promise left the guest's code; a board would have restarted, this machine goes on unless `ended`:
   * too much computation, memory or stack exhausted, or the process lost.
   */
  | { readonly type: "error"; readonly error: Error; readonly ended: boolean };

export interface DeviceOptions {
  readonly machine: Machine;
  /** Real (hosts/node) or simulated. */
  readonly host: Host;
  readonly bundle: Bundle;
  /** Given to the guest as JSON with its `start` event. */
  readonly config: unknown;
  onEvent(event: DeviceEvent): void;
  /** Answers operations that are not the host's, for guests that ask for more; undefined is refused. */
  perform?(operation: string, args: readonly unknown[]): Response | undefined;
}

/** @returns when the guest has handled its `start` event. @throws MachineError when the bundle itself does not run. */
export async function startDevice(options: DeviceOptions): Promise<Device> {
  const device = new Device(options);
  await options.machine.runBundle(options.bundle);
  device.send("start", [], Buffer.from(JSON.stringify(options.config)));
  await device.idle();
  return device;
}

export class Device {
  readonly #options: DeviceOptions;
  readonly #requests: Requests;
  readonly #queue: { readonly event: Event; readonly bytes: Uint8Array }[] = [];
  #running: Promise<void> | undefined;
  #faultText: string | undefined;
  #restarting = false;
  /** Asked for in the place of a restart. */
  #sleepMs: number | undefined;
  #isReverting = false;
  #over = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#requests = new Requests(options.host, event => this.#post(event));
    options.machine.onRequest = frame => this.#answer(frame);
    options.machine.onEnd = error => this.#onEnd(error);
    options.machine.onPrint = text => options.onEvent({ type: "event", name: "log", value: text });
  }

  /** Gives the guest an event of its own, after those that wait. */
  send(name: string, args: readonly unknown[] = [], bytes: Uint8Array = new Uint8Array(0)): void {
    this.#post(() => [name, ...args], bytes);
  }

  /** Settles when the guest has handled everything that waited: the moment at which virtual time may move. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Tells the guest to stop and waits until it has; what it leaves open stays open, so that it can say goodbye. */
  async stop(): Promise<void> {
    this.send("stop");
    await this.idle();
  }

  /** Power off: gives back sockets, timers and stores, and ends the machine. May be called twice. */
  async close(): Promise<void> {
    this.#release();
    await this.#options.machine.close();
    await this.idle();
  }

  #post(event: Event, bytes: Uint8Array = new Uint8Array(0)): void {
    if (this.#over) return;
    this.#queue.push({ event, bytes });
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Not inside the call that posted: the first event waits as the others do.
    await Promise.resolve();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const header = next.event();
      if (header !== undefined) await this.#deliver(header, next.bytes);
    }
    this.#running = undefined;
  }

  async #deliver(header: readonly unknown[], bytes: Uint8Array): Promise<void> {
    this.#faultText = undefined;
    try {
      await this.#options.machine.command(toFrame(header, bytes));
    } catch (error) {
      this.#report(error as MachineError);
    }
    if (this.#restarting) this.#restart();
  }

  #report(error: MachineError): void {
    if (this.#over || this.#restarting || error.kind === "ended") return;
    const told = new MachineError(error.kind, this.#faultText ?? error.message);
    this.#options.onEvent({ type: "error", error: told, ended: false });
  }

  /** @param error undefined when the machine was closed on purpose. */
  #onEnd(error: MachineError | undefined): void {
    if (this.#over) return;
    this.#release();
    if (error !== undefined) this.#options.onEvent({ type: "error", error, ended: true });
  }

  #restart(): void {
    if (this.#over) return;
    this.#release();
    this.#options.onEvent({ type: "event", name: "restart", value: undefined });
    const { system } = this.#options.host;
    if (this.#isReverting) this.#revert();
    else if (this.#sleepMs === undefined) system.restart();
    else system.sleep!(this.#sleepMs);
  }

  /** What is refused here is told: the guest that asked is gone. */
  #revert(): void {
    try {
      this.#options.host.update!.revert();
    } catch (error) {
      this.#options.onEvent({ type: "error", error: error as Error, ended: true });
    }
  }

  #release(): void {
    this.#over = true;
    this.#queue.length = 0;
    this.#requests.close();
  }

  #answer(frame: Buffer): Uint8Array {
    const end = frame.indexOf(10);
    const [operation, ...args] = JSON.parse(frame.toString("utf8", 0, end)) as [
      string,
      ...unknown[],
    ];
    try {
      if (this.#restarting || this.#over) throw new Error("system: restarting");
      // A copy: the stream's buffer is used again.
      const bytes = new Uint8Array(frame.subarray(end + 1));
      const { value = null, bytes: answer } = this.#perform(operation, args, bytes);
      return toFrame([value], answer);
    } catch (error) {
      return toFrame({ error: errorParts(error ?? "undefined") });
    }
  }

  #perform(operation: string, args: readonly unknown[], bytes: Uint8Array): Response {
    switch (operation) {
      case "event": {
        const value: unknown = JSON.parse(Buffer.from(bytes).toString());
        this.#options.onEvent({ type: "event", name: args[0] as string, value });
        return {};
      }
      case "fault":
        this.#faultText = args[0] as string;
        return {};
      case "system.restart":
        this.#restarting = true;
        return {};
      case "system.sleep":
        this.#restarting = true;
        this.#sleepMs = args[0] as number;
        return {};
      case "update.revert":
        if (this.#options.host.update?.isOnTrial !== true) {
          throw new AgentError("agent/illegal-event", "update: revert without a trial");
        }
        this.#restarting = true;
        this.#isReverting = true;
        return {};
      default: {
        const response =
          this.#requests.perform(operation, args, bytes) ??
          this.#options.perform?.(operation, args);
        if (response === undefined) throw new Error(`XS guest: no operation "${operation}"`);
        return response;
      }
    }
  }
}

function toFrame(header: unknown, bytes: Uint8Array = new Uint8Array(0)): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes]);
}
