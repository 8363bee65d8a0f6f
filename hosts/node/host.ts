// The host interfaces on Node: what a product imports as "skerry/host" when it runs on a computer.

import { hostname } from "node:os";
import type { Host } from "../../src/host.js";
import { createClock } from "./clock.js";
import { createCrypto } from "./crypto.js";
import { dns } from "./dns.js";
import { createFlash } from "./flash.js";
import { createKeyValue } from "./key-value.js";
import type { Partitions } from "./partitions.js";
import { createSystem, toSystemId } from "./system.js";
import { createTimer } from "./timer.js";
import { tls } from "./tls.js";
import { createUpdate } from "./update.js";

export interface NodeHostOptions {
  /** Holds what a device holds on flash; made when something in it is opened. One process at a time. */
  readonly directory: string;
  /** As `System.id`. */
  readonly id: string;
  /** Of raw flash, by label, each a file in `directory`; default: `outbox`, 64 blocks of 4096 bytes. `ota_0`, `ota_1`, `otadata` and `nextota` are taken. */
  readonly partitions?: Partitions;
  /** Of each of the two slots for firmware, 4096 bytes each; default 512. */
  readonly slotBlocks?: number;
  /** A bootloader has started this process, and has done with the slots what is done at a start; default: the host does it. */
  readonly isBooted?: boolean;
  /** What `System.restart` does; default ends the process. */
  readonly restart?: () => void;
}

export function createHost(options: NodeHostOptions): Host {
  const crypto = createCrypto();
  const system = createSystem(options.id, options.restart);
  const update = createUpdate(options, crypto, system);
  return Object.freeze({
    clock: createClock(),
    timer: createTimer(),
    crypto,
    system,
    dns,
    tls,
    keyValue: createKeyValue(options.directory),
    flash: update.provider(createFlash(options.directory, options.partitions)),
    update,
  });
}

/** This computer as a device: `.skerry` in the working directory, named by its host name. Nothing is touched until it is used. */
export const host: Host = createHost({ directory: ".skerry", id: toSystemId(hostname()) });
