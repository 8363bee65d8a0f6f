// The device's program on Node, and on the XS engine: there the power goes in the host, and the guest does not know.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { Agent, type AgentStatus } from "../../src/index.js";
import { schema } from "./schema.js";
import type { Engine } from "./unit.js";

const guest = fileURLToPath(new URL("./guest.js", import.meta.url));

/** What an agent is told to do. @throws what the agent throws */
function perform(agent: Agent, name: string, args: readonly string[]): void {
  if (name === "rotate") agent.rotate();
  else if (name === "provisionAgain") agent.provisionAgain();
  else if (name === "moveTo") agent.moveTo({ endpoint: args[0]! });
  else throw new Error(`no command "${name}"`);
}

export const onNode: Engine = async (host, firmware, onStatus) => {
  const agent = new Agent({ ...firmware, host, onStatus });
  agent.settings(schema);
  agent.start();
  return {
    command: (name, ...args) => {
      try {
        perform(agent, name, args);
      } catch {
        // Storage refused, as it does when the power goes.
      }
    },
    idle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
};

export async function onXs(worker: string): Promise<Engine> {
  const bundle = await bundleModule(guest);
  return async (host, firmware, onStatus) => {
    const device = await startDevice({
      machine: await Machine.start({ worker }),
      host,
      bundle,
      config: firmware,
      onEvent: event => {
        if (event.type === "error") throw event.error;
        if (event.name === "status") onStatus(event.value as AgentStatus);
      },
    });
    return {
      command: (name, ...args) => device.send(name, args),
      idle: () => device.idle(),
      close: () => device.close(),
    };
  };
}
