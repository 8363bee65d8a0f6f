// Whether a build has come to its end: the SDK's make file goes on when ESP-IDF's part of it fails, and would write the image before.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface Build {
  readonly out: string;
  readonly subplatform: string;
  readonly manifest: string;
  readonly debug?: boolean;
}

/** @throws Error when there is no image, or none of the archive that has just been linked */
export function checkBuilt({ out, subplatform, manifest, debug }: Build): void {
  const mode = debug ? "debug" : "release";
  const folder = join(out, "tmp", "esp32", subplatform, mode, nameOf(manifest));
  const project = list(folder).find(name => name.startsWith("xsProj-"));
  const made = join(folder, project ?? "xsProj-esp32", "build");
  const image = timeOf(join(made, "xs_esp32.bin"));
  const archives = list(made).filter(name => /^xs_.*\.a$/.test(name));
  const linked = Math.max(0, ...archives.map(name => timeOf(join(made, name)) ?? 0));
  if (image === undefined || image < linked)
    throw new Error(
      `ESP-IDF has made no image of this firmware: see above why. ${image === undefined ? "There is none" : "An older one lies"} in ${made}.`,
    );
}

/** As the SDK has it: `build.NAME`, or the manifest's folder. */
function nameOf(manifest: string): string {
  const { build } = JSON.parse(readFileSync(manifest, "utf8")) as { build?: { NAME?: string } };
  return build?.NAME ?? basename(dirname(manifest));
}

function timeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
