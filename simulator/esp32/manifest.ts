// The manifest of a product: what of the command's options and configuration it passes over, told before it is built.
import { existsSync, readFileSync } from "node:fs";
import type { Problem } from "./problem.js";

/** A variable that a manifest names is the manifest's, whatever the environment says, unless it is named with " ?=". */
const own: Readonly<Record<string, string>> = {
  PARTITIONS_FILE: "its partition table is built in, not the one of --flash",
  SDKCONFIGPATH:
    "ESP-IDF is not told the size of --flash, nor to bring up the console that monitor shows",
};

/** @returns why it cannot be built; lines to say, where it can */
export function examineManifest(path: string): {
  readonly problem?: Problem;
  readonly notes: readonly string[];
} {
  if (!existsSync(path))
    return {
      notes: [],
      problem: { what: `There is no manifest ${path}.`, mend: "Name one: --manifest …" },
    };
  let text: string;
  let build: Readonly<Record<string, unknown>>;
  try {
    text = readFileSync(path, "utf8");
    build = (JSON.parse(text) as { build?: Record<string, unknown> } | null)?.build ?? {};
  } catch (error) {
    const what = `${path} cannot be read as JSON: ${(error as Error).message}`;
    return { notes: [], problem: { what, mend: "Mend it, or name another: --manifest …" } };
  }
  const notes = Object.entries(own)
    .filter(([name]) => name in build)
    .map(
      ([name, what]) =>
        `${path} names ${name} itself: ${what}. "${name} ?=" leaves it to this command.`,
    );
  if (!text.includes("$(SKERRY_CONFIG)"))
    notes.push(
      `${path} does not include "$(SKERRY_CONFIG)" itself: the Wi-Fi and the cloud of --config may not be in this firmware.`,
    );
  return { notes };
}
