// Slots for firmware on Node: three partitions in the host's directory. The program is this process, whatever is in a slot.

import { AgentError } from "../../src/errors.js";
import type { Crypto, System } from "../../src/host.js";
import { EmulatedSlots } from "../emulation/slots.js";
import { createFlash, type Partitions } from "./flash.js";

export interface UpdateOptions {
  readonly directory: string;
  readonly partitions?: Partitions;
  readonly slotBlocks?: number;
  readonly isBooted?: boolean;
}

/** 2 MB. */
const defaultSlotBlocks = 512;
const taken = ["ota_0", "ota_1", "otadata", "nextota"];

/** @throws AgentError "agent/options" for slots that cannot be, and for a partition that has one of their names */
export function createUpdate(
  options: UpdateOptions,
  crypto: Crypto,
  system: System,
): EmulatedSlots {
  const wrong = taken.find(label => Object.hasOwn(options.partitions ?? {}, label));
  if (wrong !== undefined) throw new AgentError("agent/options", `flash: ${wrong} is the host's`);
  const { directory, slotBlocks = defaultSlotBlocks, isBooted = false } = options;
  const slot = { blocks: slotBlocks };
  return new EmulatedSlots({
    flash: createFlash(directory, { ota_0: slot, ota_1: slot, otadata: { blocks: 2 } }),
    crypto,
    restart: () => system.restart(),
    isProgramElsewhere: true,
    isBooted,
  });
}
