// Files that lose power at one call: what was not synced is lost or torn, and nothing works afterwards.

import * as files from "node:fs";
import type { Files } from "../../../hosts/node/key-value.js";

export class PowerCut extends Error {
  override readonly message = "power cut";
}

export interface PowerCutFiles extends Files {
  isCut(): boolean;
  /** Whether the new bytes had been synced: only then may they be found. */
  isWritten(): boolean;
}

interface Renamed {
  readonly target: string;
  readonly old: Buffer;
}

/**
 * @param cutAt      the call that does not happen any more, 0 for the first
 * @param undoRename whether a rename whose directory was not synced is lost with the power
 */
export function powerCutFiles(cutAt: number, undoRename: boolean): PowerCutFiles {
  const paths = new Map<number, string>();
  const unsynced = new Set<string>();
  let renamed: Renamed | undefined;
  let calls = 0;
  let written = false;

  /** The disk as it is found again. */
  const losePower = () => {
    for (const path of unsynced)
      files.truncateSync(path, Math.floor(files.statSync(path).size / 2));
    if (renamed !== undefined && undoRename) files.writeFileSync(renamed.target, renamed.old);
    unsynced.clear();
    renamed = undefined;
  };
  const step = <T>(work: () => T): T => {
    if (calls++ >= cutAt) {
      losePower();
      throw new PowerCut();
    }
    return work();
  };
  return {
    ...files,
    isCut: () => calls > cutAt,
    isWritten: () => written,
    openSync: (path, flags, mode) =>
      step(() => {
        const descriptor = files.openSync(path, flags, mode);
        paths.set(descriptor, String(path));
        if (flags === "w") unsynced.add(String(path));
        return descriptor;
      }),
    // Closing writes nothing, and an open descriptor must not outlive the test.
    closeSync: descriptor => files.closeSync(descriptor),
    writeSync: ((descriptor: number, bytes: Uint8Array, offset: number) =>
      // A few bytes at a time, as a full pipe or disk would.
      step(() =>
        files.writeSync(descriptor, bytes, offset, Math.min(3, bytes.length - offset)),
      )) as typeof files.writeSync,
    fsyncSync: descriptor =>
      step(() => {
        files.fsyncSync(descriptor);
        if (unsynced.delete(paths.get(descriptor) ?? "")) written = true;
        else renamed = undefined;
      }),
    renameSync: (from, to) =>
      step(() => {
        renamed = { target: String(to), old: files.readFileSync(to) };
        files.renameSync(from, to);
      }),
    rmSync: (path, options) => step(() => files.rmSync(path, options)),
  };
}
