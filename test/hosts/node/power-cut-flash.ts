// Files of flash that lose power at one call: of what was not synced some bytes are there and some are not, and nothing works
// afterwards.

import * as files from "node:fs";
import type { FlashFiles } from "../../../hosts/node/flash.js";
import { PowerCut } from "./power-cut-files.js";

export interface PowerCutFlash extends FlashFiles {
  isCut(): boolean;
}

interface Pending {
  path: string;
  readonly at: number;
  readonly old: Buffer;
  /** How many bytes were written: more than there were before at a file's end. */
  readonly length: number;
}

/** @param cutAt the call that does not happen any more, 0 for the first */
export function powerCutFlash(cutAt: number): PowerCutFlash {
  const paths = new Map<number, string>();
  let pending: Pending[] = [];
  let renamed: string | undefined;
  let calls = 0;
  let isOff = false;

  /** The disk as it is found again: of what was not synced every third byte is as it was, and a file no longer than it was. */
  const losePower = () => {
    for (const { path, at, old, length } of pending.reverse()) {
      if (old.length < length) {
        files.truncateSync(path, at + old.length);
        continue;
      }
      const descriptor = files.openSync(path, "r+");
      old.forEach((byte, i) => {
        if ((at + i) % 3 === 0) files.writeSync(descriptor, Uint8Array.of(byte), 0, 1, at + i);
      });
      files.closeSync(descriptor);
    }
    if (renamed !== undefined) files.rmSync(renamed);
    isOff = true;
  };
  const step = <T>(work: () => T): T => {
    if (calls++ >= cutAt) {
      if (!isOff) losePower();
      throw new PowerCut();
    }
    return work();
  };
  const synced = (descriptor: number) => {
    pending = pending.filter(({ path }) => path !== paths.get(descriptor));
  };
  return {
    ...files,
    isCut: () => calls > cutAt,
    openSync: (path, flags, mode) =>
      step(() => {
        const descriptor = files.openSync(path, flags, mode);
        paths.set(descriptor, String(path));
        return descriptor;
      }),
    // Closing writes nothing, and an open descriptor must not outlive the test.
    closeSync: descriptor => files.closeSync(descriptor),
    fstatSync: ((descriptor: number) =>
      step(() => files.fstatSync(descriptor))) as typeof files.fstatSync,
    readSync: ((descriptor: number, into: Uint8Array, from: number, count: number, at: number) =>
      step(() => files.readSync(descriptor, into, from, count, at))) as typeof files.readSync,
    writeSync: ((descriptor: number, bytes: Uint8Array, from: number, count: number, at: number) =>
      step(() => {
        // Not all at once, as a full disk would.
        const part = Math.min(count, Math.max(100, Math.ceil(count / 2)));
        const path = paths.get(descriptor)!;
        const old = files.readFileSync(path).subarray(at, at + part);
        pending.push({ path, at, old, length: part });
        return files.writeSync(descriptor, bytes, from, part, at);
      })) as typeof files.writeSync,
    fdatasyncSync: descriptor =>
      step(() => {
        files.fdatasyncSync(descriptor);
        synced(descriptor);
      }),
    fsyncSync: descriptor =>
      step(() => {
        files.fsyncSync(descriptor);
        if (files.fstatSync(descriptor).isDirectory()) renamed = undefined;
        synced(descriptor);
      }),
    mkdirSync: ((path: string, options: files.MakeDirectoryOptions) =>
      step(() => files.mkdirSync(path, options))) as typeof files.mkdirSync,
    // Durable once its directory is.
    renameSync: (from, to) =>
      step(() => {
        files.renameSync(from, to);
        for (const entry of pending) if (entry.path === from) entry.path = String(to);
        renamed = String(to);
      }),
    rmSync: (path, options) => step(() => files.rmSync(path, options)),
  };
}
