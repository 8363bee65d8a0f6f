// One virtual sensor node: the very agent and product code that go onto a board, on Node or on the XS engine, started by a bootloader
// from one of two slots, again whenever it restarts.
import { mkdirSync } from "node:fs";
import { createHost } from "../../hosts/node/host.js";
import { toSystemId } from "../../hosts/node/system.js";
import { AgentError } from "../../src/errors.js";
import type { Host, System, Update } from "../../src/host.js";
import type { AgentStatus } from "../../src/index.js";
import { CredentialStore } from "../../src/provisioning/credentials.js";
import { firmwareIn, slotBlocks } from "./images.js";
import { type PoweredHost, poweredHost } from "./power.js";
import { type SensorConfig, sensor } from "./sensor.js";
import type { Firmware } from "./updatable.js";

export type Engine = "node" | "xs";

export interface DeviceOptions {
  readonly engine: Engine;
  /** Stands for the flash; made when absent. */
  readonly directory: string;
  /** Its version is that of the program where no slot holds an image. A trial takes 60 seconds and 5 of them in good health by default. */
  readonly config: SensorConfig;
  /** Between a restart and the first line of the program; default 300. */
  readonly bootMs?: number;
  onStatus(status: AgentStatus): void;
  onBoot?(event: BootEvent): void;
  /** The device's program has ended by itself, and it was not on trial. */
  onCrash(error: Error): void;
}

export type BootEvent =
  | {
      readonly type: "started";
      readonly slot: string;
      readonly version: string;
      readonly isOnTrial: boolean;
      /** Undefined when the power was switched on. `revert`: the image that ran is given up. */
      readonly after: "restart" | "revert" | undefined;
    }
  /** An image on trial has ended by itself: the machine starts again. */
  | { readonly type: "crashed"; readonly error: Error };

export interface VirtualDevice {
  /** Ends the link in good order, then switches the power off. */
  stop(): Promise<void>;
}

/** What runs from one start to the next. */
export interface Program {
  /** Ends the link in good order. */
  stop(): Promise<void>;
  /** Gives back what is not the host's. */
  off(): Promise<void>;
}

export interface ProgramOptions {
  readonly host: Host;
  readonly config: SensorConfig;
  onStatus(status: AgentStatus): void;
  onCrash(error: Error): void;
}

/** The agent's own are for devices that nobody waits for. */
const trial = { trialSeconds: 60, settleSeconds: 5 } as const;

/**
 * Powers the device on.
 *
 * @throws AgentError "storage/damaged" when the identity in its directory cannot be read; nothing is changed then.
 *         A board would earn a new identity; a person at a desk is asked first.
 */
export async function startDevice(options: DeviceOptions): Promise<VirtualDevice> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const device = new Device(options);
  await device.powerOn();
  return device;
}

class Device implements VirtualDevice {
  readonly #options: DeviceOptions;
  #power: PoweredHost | undefined;
  #program: Program | undefined;
  /** The start that is under way, or was the last. */
  #starting: Promise<void> = Promise.resolve();
  #pause: NodeJS.Timeout | undefined;
  #isStopping = false;
  /** Slot of the start before, where it was on trial. */
  #tried: string | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
  }

  async powerOn(): Promise<void> {
    const power = this.#newPower();
    checkIdentity(power.host, this.#options.directory);
    this.#starting = this.#boot(power, undefined);
    await this.#starting;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#pause);
    await this.#starting;
    // It may ask for a restart in the meantime, and says nothing more then.
    if (this.#power?.isOn) await Promise.race([this.#program?.stop(), this.#power.isOff]);
    this.#power?.off();
    await this.#program?.off();
  }

  #newPower(resetReason?: System["resetReason"]): PoweredHost {
    const { directory, config } = this.#options;
    const id = toSystemId(config.serialNumber);
    const restart = () => this.#restart(power, "restart");
    const host = createHost({ directory, id, slotBlocks, restart });
    const system = resetReason === undefined ? host.system : { ...host.system, resetReason };
    const power = poweredHost({ ...host, system });
    return power;
  }

  async #boot(power: PoweredHost, after: "restart" | undefined): Promise<void> {
    this.#power = power;
    this.#program = undefined;
    const { engine } = this.#options;
    const update = power.host.update!;
    const program: ProgramOptions = {
      host: power.host,
      config: this.#options.config,
      onStatus: status => {
        if (power.isOn) this.#options.onStatus(status);
      },
      onCrash: error => this.#crashed(power, error),
    };
    try {
      const firmware = this.#firmware(update, after);
      const config = { trial, ...program.config, ...firmware };
      const start = engine === "node" ? startOnNode : (await import("./xs.js")).startOnXs;
      this.#program = await start({ ...program, config });
    } catch (error) {
      // Before it is known whether the device runs at all, it is the caller's.
      if (after === undefined && !update.isOnTrial) throw error;
      this.#crashed(power, error as Error);
    }
  }

  /** Runs the bootloader, and tells what it has found. */
  #firmware(
    update: Update,
    after: "restart" | undefined,
  ): Pick<SensorConfig, "firmwareVersion" | "behaviour"> {
    const { directory, config, onBoot } = this.#options;
    const { running: slot, isOnTrial } = update;
    const own: Firmware = { version: config.firmwareVersion ?? "1.0.0", behaviour: "good" };
    const { version, behaviour } = firmwareIn(directory, slot) ?? own;
    const isBack = this.#tried !== undefined && this.#tried !== slot && !isOnTrial;
    onBoot?.({ type: "started", slot, version, isOnTrial, after: isBack ? "revert" : after });
    this.#tried = isOnTrial ? slot : undefined;
    return { firmwareVersion: version, behaviour };
  }

  #crashed(power: PoweredHost, error: Error): void {
    if (!power.isOn) return;
    if (!power.host.update!.isOnTrial) return this.#options.onCrash(error);
    this.#options.onBoot?.({ type: "crashed", error });
    this.#restart(power, "other");
  }

  #restart(power: PoweredHost, resetReason: System["resetReason"]): void {
    if (!power.isOn) return;
    power.off();
    if (this.#isStopping) return;
    this.#pause = setTimeout(() => {
      this.#starting = this.#again(resetReason).catch(this.#options.onCrash);
    }, this.#options.bootMs ?? 300);
  }

  async #again(resetReason: System["resetReason"]): Promise<void> {
    await this.#starting;
    await this.#program?.off();
    if (!this.#isStopping) await this.#boot(this.#newPower(resetReason), "restart");
  }
}

function checkIdentity(host: Host, directory: string): void {
  const store = host.keyValue.open({ path: "skerry" });
  try {
    const credentials = new CredentialStore(store);
    const { identity } = credentials.read() ?? {};
    if (identity !== undefined && identity.slot !== "given")
      credentials.readCredential(identity.slot);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError(
      "storage/damaged",
      `${directory}: ${reason}; remove the folder to start over`,
      { cause },
    );
  } finally {
    store.close();
  }
}

async function startOnNode({ host, config, onStatus }: ProgramOptions): Promise<Program> {
  let onStopped = () => {};
  const stopped = new Promise<void>(resolve => {
    onStopped = resolve;
  });
  const agent = sensor(host, config, status => {
    onStatus(status);
    if (status.type === "stopped") onStopped();
  });
  agent.start();
  return {
    stop: async () => {
      agent.stop();
      await stopped;
    },
    off: () => Promise.resolve(),
  };
}
