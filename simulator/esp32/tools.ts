// The SDK and ESP-IDF on this machine: whether they are there, built, and of versions that go together.
import { existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Problem } from "./problem.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the SDK's tools are called with. */
export interface Tools {
  readonly mcconfig: string;
  /** For the tools that `mcconfig` and its make files call themselves. */
  readonly path: string;
}

/** The first SDK that has what the hosts import. */
const oldest = [8, 2] as const;
const systems: Readonly<Record<string, string>> = { linux: "lin", darwin: "mac" };
const setUp =
  "https://github.com/Moddable-OpenSource/moddable/blob/public/documentation/devices/esp32.md";

/** @returns where the SDK's tools are, and what is wrong with it; `tools` is there when nothing is */
export function findSdk(
  environment: Environment,
  platform: string = process.platform,
): { readonly tools?: Tools; readonly problems: readonly Problem[] } {
  const sdk = environment["MODDABLE"];
  const fail = (what: string, mend: string) => ({ problems: [{ what, mend }] });
  if (!sdk)
    return fail(
      "MODDABLE is not set.",
      `Install the Moddable SDK (${setUp}), and name its folder: export MODDABLE=…`,
    );
  if (!isAbsolute(sdk) || !isFolder(sdk))
    return fail(
      `MODDABLE is ${sdk}, which is no folder.`,
      "Name the SDK's folder by its full path.",
    );
  const version = read(join(sdk, "tools", "VERSION"))?.trim();
  if (version === undefined)
    return fail(
      `MODDABLE is ${sdk}, which has no tools/VERSION.`,
      "Name the folder of the Moddable SDK itself: the one with modules, tools and xs in it.",
    );
  if (isOlder(version, oldest))
    return fail(
      `The Moddable SDK in ${sdk} is ${version}; ${oldest.join(".")} is the oldest that will do.`,
      "Update it, and build its tools again.",
    );
  const system = systems[platform];
  if (system === undefined)
    return fail(
      `The SDK's tools are called on Linux and macOS, not on ${platform}.`,
      "Call mcconfig yourself, with SKERRY_CONFIG naming a manifest fragment: hosts/moddable/README.md",
    );
  const bin = join(sdk, "build", "bin", system, "release");
  const mcconfig = join(bin, "mcconfig");
  if (!existsSync(mcconfig))
    return fail(
      `The Moddable SDK in ${sdk} is not built: there is no ${mcconfig}.`,
      `Build its tools: cd ${join(sdk, "build", "makefiles", system)} && make`,
    );
  const path = [bin, environment["PATH"] ?? ""].join(delimiter);
  return { tools: { mcconfig, path }, problems: [] };
}

/** What is wrong with ESP-IDF, as far as `sdk` says which one it wants. */
export function checkIdf(environment: Environment, sdk: string | undefined): readonly Problem[] {
  const idf = environment["IDF_PATH"];
  const wanted = wantedBy(sdk);
  const clone = `git clone -b ${wanted ?? "<version>"} --recursive https://github.com/espressif/esp-idf.git`;
  if (!idf)
    return [
      {
        what: "IDF_PATH is not set.",
        mend: `Install ESP-IDF${wanted === undefined ? "" : ` ${wanted}`} (${setUp}), then in this terminal: source …/esp-idf/export.sh`,
      },
    ];
  if (!isFolder(idf))
    return [
      { what: `IDF_PATH is ${idf}, which is no folder.`, mend: "source …/esp-idf/export.sh" },
    ];
  const problems: Problem[] = [];
  const found = versionOf(idf);
  if (found === undefined)
    problems.push({
      what: `IDF_PATH is ${idf}, which has no tools/cmake/version.cmake.`,
      mend: "Name the folder of ESP-IDF itself.",
    });
  else if (wanted !== undefined && !sameMinor(found, wanted))
    problems.push({
      what: `ESP-IDF in ${idf} is v${found}; this Moddable SDK builds with ${wanted}.`,
      mend: `Install that one beside it: ${clone}`,
    });
  if (found !== undefined && !existsSync(join(idf, ".git")))
    problems.push({
      what: `ESP-IDF in ${idf} is no git clone, and the SDK asks git for its version.`,
      mend: clone,
    });
  if (!isOnPath("idf.py", environment["PATH"]))
    problems.push({
      what: "idf.py is not on the PATH.",
      mend: `In this terminal: source ${join(idf, "export.sh")}`,
    });
  return problems;
}

/** As the SDK has it for its version check, such as "v6.0". */
function wantedBy(sdk: string | undefined): string | undefined {
  if (!sdk) return undefined;
  const manifest = read(join(sdk, "build", "devices", "esp32", "manifest.json"));
  return /"EXPECTED_ESP_IDF"\s*:\s*"([^"]+)"/.exec(manifest ?? "")?.[1];
}

function versionOf(idf: string): string | undefined {
  const text = read(join(idf, "tools", "cmake", "version.cmake")) ?? "";
  const part = (name: string) =>
    new RegExp(`set\\(IDF_VERSION_${name}\\s+(\\d+)\\)`).exec(text)?.[1];
  const [major, minor, patch = "0"] = [part("MAJOR"), part("MINOR"), part("PATCH")];
  return major === undefined || minor === undefined ? undefined : `${major}.${minor}.${patch}`;
}

function sameMinor(found: string, wanted: string): boolean {
  const two = (version: string) => version.replace(/^v/, "").split(".").slice(0, 2).join(".");
  return two(found) === two(wanted);
}

function isOlder(version: string, least: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(part => Number.parseInt(part, 10));
  return major < least[0] || (major === least[0] && minor < least[1]);
}

function isOnPath(name: string, path = ""): boolean {
  return path.split(delimiter).some(folder => folder !== "" && existsSync(join(folder, name)));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
