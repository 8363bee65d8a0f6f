// One virtual sensor node: the very agent and product code that go onto a board, on Node or on the XS engine.
import { mkdirSync } from "node:fs";
import { type SensorNodeConfig, sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { createHost } from "../../hosts/node/host.js";
import { toSystemId } from "../../hosts/node/system.js";
import { AgentError } from "../../src/errors.js";
import type { Host, Timer, TimerHandle } from "../../src/host.js";
import type { AgentStatus } from "../../src/index.js";
import { CredentialStore } from "../../src/provisioning/credentials.js";

export type Engine = "node" | "xs";

export interface DeviceOptions {
  readonly engine: Engine;
  /** Stands for the flash; made when absent. */
  readonly directory: string;
  readonly config: SensorNodeConfig;
  onStatus(status: AgentStatus): void;
  /** The device's program has ended by itself: on a board this would be a restart. */
  onCrash(error: Error): void;
}

export interface VirtualDevice {
  /** Ends the link in good order, then switches the power off. */
  stop(): Promise<void>;
}

/**
 * Powers the device on.
 *
 * @throws AgentError "storage/damaged" when the identity in its directory cannot be read; nothing is changed then.
 *         A board would earn a new identity; a person at a desk is asked first.
 */
export async function startDevice(options: DeviceOptions): Promise<VirtualDevice> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const powered = poweredHost(
    createHost({ directory: options.directory, id: toSystemId(options.config.serialNumber) }),
  );
  checkIdentity(powered.host, options.directory);
  if (options.engine === "node") return startOnNode(options, powered);
  const { startOnXs } = await import("./xs.js");
  return startOnXs(options, powered);
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

/** A host whose timers end when its power does. */
export interface PoweredHost {
  readonly host: Host;
  /** Ends every timer the device has set. */
  readonly off: () => void;
}

function poweredHost(host: Host): PoweredHost {
  const handles = new Set<TimerHandle>();
  const keep = (handle: TimerHandle) => {
    handles.add(handle);
    return handle;
  };
  const timer: Timer = {
    set: (callback, delayMs) => {
      const handle = host.timer.set(() => {
        handles.delete(handle);
        callback();
      }, delayMs);
      return keep(handle);
    },
    repeat: (callback, intervalMs) => keep(host.timer.repeat(callback, intervalMs)),
    clear: handle => {
      if (handle) handles.delete(handle);
      host.timer.clear(handle);
    },
  };
  return {
    host: { ...host, timer },
    off: () => {
      for (const handle of handles) host.timer.clear(handle);
      handles.clear();
    },
  };
}

function startOnNode(options: DeviceOptions, { host, off }: PoweredHost): VirtualDevice {
  let onStopped = () => {};
  const stopped = new Promise<void>(resolve => {
    onStopped = resolve;
  });
  const agent = sensorNode(host, options.config, status => {
    options.onStatus(status);
    if (status.type === "stopped") onStopped();
  });
  agent.start();
  return {
    stop: async () => {
      agent.stop();
      await stopped;
      off();
    },
  };
}
