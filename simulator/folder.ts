// The folder that everything a run keeps lives in.
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder that only its owner can read, and those above it that are missing.
 *
 * One level at a time, because Node's own recursive way does not end where a file system refuses all folders.
 *
 * @throws Error with one sentence that names the folder and the reason
 */
export function makeFolder(path: string): void {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) return accessSync(path, constants.W_OK | constants.X_OK);
    if (stat) throw new Error(`${path} is a file, a folder is needed.`);
    if (dirname(path) !== path) makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new Error(`The folder ${path} cannot be made or written to: ${cause.code}.`, { cause });
  }
}
