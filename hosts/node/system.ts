// The machine itself on Node: its name, its heap, and an end of the process in place of a restart.

import { getHeapStatistics } from "node:v8";
import { AgentError } from "../../src/errors.js";
import type { System } from "../../src/host.js";

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** @param restart what a restart does; default ends the process, so that whoever supervises it starts it again. */
export function createSystem(id: string, restart: () => void = () => process.exit(0)): System {
  if (!idPattern.test(id)) {
    throw new AgentError("agent/options", `system: id "${id}" is not 1 to 64 of [A-Za-z0-9_-]`);
  }
  return { id, restart, freeHeapBytes };
}

/** A text a machine already has (its host name), with what an id cannot hold replaced. */
export function toSystemId(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "-").slice(0, 64) || "node";
}

function freeHeapBytes(): number {
  const heap = getHeapStatistics();
  return Math.max(0, heap.heap_size_limit - heap.used_heap_size);
}
