// The updatable product on the XS engine, from one start of the machine to the next.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import type { AgentStatus, Host } from "../../src/index.js";
import type { UpdatableConfig } from "./updatable.js";

const guest = fileURLToPath(new URL("./updatable-guest.js", import.meta.url));

export interface XsProgramOptions {
  /** Path of the engine's worker, from `buildEngine`. */
  readonly worker: string;
  /** Told when the guest asks for a restart, or reverts. */
  readonly host: Host;
  readonly config: UpdatableConfig;
  onStatus(status: AgentStatus): void;
  /** What left the program while it started: a board would have restarted. */
  onCrash(error: Error): void;
}

export class XsProgram {
  readonly #options: XsProgramOptions;
  readonly #started: Promise<void>;
  #device: Device | undefined;
  #isClosed = false;
  /** What left the program later. */
  #fault: Error | undefined;

  constructor(options: XsProgramOptions) {
    this.#options = options;
    this.#started = this.#start();
  }

  /** Settles when the program has done what there is to do now. @throws Error what the program did not catch */
  async idle(): Promise<void> {
    await this.#started;
    await this.#device?.idle();
    if (this.#fault !== undefined && !this.#isClosed) throw this.#fault;
  }

  /** Power off. @returns when the engine has ended */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#started;
    await this.#device?.close();
  }

  async #start(): Promise<void> {
    const { worker, host, config } = this.#options;
    const machine = await Machine.start({ worker });
    try {
      this.#device = await startDevice({
        machine,
        host,
        bundle: await bundleModule(guest),
        config,
        onEvent: event => {
          if (this.#isClosed) return;
          if (event.type === "error") this.#fault ??= event.error;
          else if (event.name === "status") this.#options.onStatus(event.value as AgentStatus);
        },
      });
    } catch (error) {
      await machine.close();
      throw error;
    }
    const fault = this.#fault;
    if (fault === undefined || this.#isClosed) return;
    this.#fault = undefined;
    this.#options.onCrash(fault);
  }
}
