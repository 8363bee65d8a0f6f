// Files that survive a crash: written beside, synced, then renamed over the old one.

import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import { CloudError, messageOf, systemCode } from "./errors.js";

/** Creates `path` and its parents for the owner only. @throws CloudError "cloud/unusable-directory" */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const why = systemCode(cause) ?? messageOf(cause);
    throw new CloudError(
      "cloud/unusable-directory",
      `The state directory ${path} cannot be used (${why}): name a directory this user may write to.`,
      { cause },
    );
  }
}

/** @returns undefined when the file does not exist. @throws CloudError "cloud/unusable-directory" */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return undefined;
    const why = systemCode(cause) ?? messageOf(cause);
    throw new CloudError("cloud/unusable-directory", `The file ${path} cannot be read (${why}).`, {
      cause,
    });
  }
}

/** After a crash at any point the file holds the old content or the new, never a part. */
export async function writeText(path: string, text: string | Uint8Array): Promise<void> {
  const beside = `${path}.new`;
  try {
    const file = await open(beside, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    const why = systemCode(cause) ?? messageOf(cause);
    throw new CloudError("cloud/write-failed", `The file ${path} cannot be written (${why}).`, {
      cause,
    });
  }
}

/** Makes a rename durable; a platform that cannot sync a directory orders renames itself. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The sentence for a file whose content cannot be used; the file itself is never touched. */
export function damaged(path: string, what: string, cause?: unknown): CloudError {
  const message = `The file ${path} is damaged (${what}): restore it, or move the state directory away to start afresh.`;
  return new CloudError("cloud/damaged-state", message, { cause });
}

/** @throws CloudError "cloud/damaged-state" */
export function parseFile<S extends v.GenericSchema>(
  path: string,
  text: string,
  schema: S,
): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, "it is not JSON", cause);
  }
  return checkShape(path, value, schema);
}

/** @throws CloudError "cloud/damaged-state" naming the first member that is wrong */
export function checkShape<S extends v.GenericSchema>(
  path: string,
  value: unknown,
  schema: S,
  where = "",
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const member = [where, v.getDotPath(issue)].filter(Boolean).join(".") || "content";
  throw damaged(path, `${member}: ${issue.message}`);
}
