// The virtual sensor node on the XS engine: the program in the engine, its sockets, flash and timers here.
import { fileURLToPath } from "node:url";
import { buildEngine } from "../../hosts/xs/engine/build.js";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import type { AgentStatus } from "../../src/index.js";
import type { Program, ProgramOptions } from "./device.js";

const guest = fileURLToPath(new URL("./sensor-guest.js", import.meta.url));

/** @throws Error with one line that says what is missing when the engine cannot be built */
export async function startOnXs(options: ProgramOptions): Promise<Program> {
  const [engine, bundle] = await Promise.all([buildEngine(), bundleModule(guest)]);
  if (!engine.ok) throw new Error(`the XS engine cannot be built: ${engine.missing}`);
  const machine = await Machine.start({ worker: engine.worker });
  let onStopped = () => {};
  const stopped = new Promise<void>(resolve => {
    onStopped = resolve;
  });
  const device = await startDevice({
    machine,
    host: options.host,
    bundle,
    config: options.config,
    onEvent: event => {
      if (event.type === "error") {
        onStopped();
        options.onCrash(event.error);
      } else if (event.name === "status") {
        const status = event.value as AgentStatus;
        options.onStatus(status);
        if (status.type === "stopped") onStopped();
      } else if (event.name === "restart") onStopped();
    },
  });
  return {
    stop: async () => {
      await device.stop();
      await stopped;
    },
    off: () => device.close(),
  };
}
