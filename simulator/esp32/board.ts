// build, flash, monitor: what is checked before, and which call of the SDK's tools each of them is.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { makeFolder } from "../folder.js";
import { checkBuilt } from "./built.js";
import { gather, writeFragment } from "./configuration.js";
import { examineManifest } from "./manifest.js";
import { choosePort } from "./port.js";
import { type Problem, refuse } from "./problem.js";
import { checkIdf, type Environment, findSdk, type Tools } from "./tools.js";

export interface BoardFlags {
  readonly config: string;
  readonly subplatform: string;
  readonly manifest: string;
  readonly out: string;
  /** MB. */
  readonly flash: string;
  readonly firmware: string;
  readonly serial?: string;
  readonly port?: string;
  readonly debug?: boolean;
}

export type Step = "build" | "flash" | "monitor";

export interface Surroundings {
  /** Skerry's own folder. */
  readonly root: string;
  readonly environment: Environment;
  /** Where ports are; default /dev. */
  readonly devices?: string;
  /** Epoch ms; goes into the firmware as the least time there can be. */
  now(): number;
  say(line: string): void;
}

/** One call: the program, its words, and what it finds in its environment beside what is there. */
export interface Call {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly makesImage: boolean;
}

const sdkFolder = join("hosts", "moddable", "esp32");

/**
 * Checks everything, writes the fragment and the settings, and calls the tools.
 *
 * @throws Problems, all that there are; Error when a call ends with something else than 0, or without an image
 */
export async function runStep(step: Step, flags: BoardFlags, place: Surroundings): Promise<void> {
  for (const call of prepare(step, flags, place)) {
    place.say(`$ ${[call.program, ...call.args].join(" ")}`);
    await run(call, place);
    if (call.makesImage) checkBuilt(flags);
  }
}

function prepare(step: Step, flags: BoardFlags, place: Surroundings): Call[] {
  const { root, environment, devices } = place;
  const sdk = findSdk(environment);
  const problems: (Problem | undefined)[] = [...sdk.problems];
  problems.push(...checkIdf(environment, environment["MODDABLE"]));
  const configuration = gather(flags);
  const settings = settingsOf(root, flags);
  const manifest = examineManifest(flags.manifest);
  if (step !== "monitor") {
    problems.push(
      ...builtFaults(root),
      manifest.problem,
      ...pathFaults(root, flags, environment),
      ...configuration.problems,
      settings.problem,
    );
  }
  const fragment = join(flags.out, "configuration.json");
  if (step === "monitor" && !existsSync(fragment))
    problems.push({
      what: `Nothing has been built in ${flags.out}.`,
      mend: "npm run esp32 -- flash",
    });
  const { port, problem } = step === "build" ? {} : choosePort(flags.port, devices);
  refuse([...problems, problem]);

  makePrivate(flags.out);
  if (step !== "monitor") {
    writeFragment(fragment, configuration.fragment!);
    writeSettings(root, flags);
    for (const note of manifest.notes) place.say(note);
  }
  const variables = {
    ...environment,
    PATH: sdk.tools!.path,
    SKERRY_CONFIG: fragment,
    PARTITIONS_FILE: settings.partitions,
    SDKCONFIGPATH: settingsFolder(flags.out),
    ...(port === undefined ? {} : { UPLOAD_PORT: port }),
  };
  const targets = { build: ["build"], flash: ["build", "deploy"], monitor: ["xsbug"] }[step];
  const words = [`builtAt=${Math.floor(place.now() / 1000)}`, `firmwareVersion=${flags.firmware}`];
  return targets.map(target => callOf(target, flags, sdk.tools!, words, variables));
}

/** What the SDK makes of the fragment has the claim and the password in it, for everybody to read: nobody else gets in. */
function makePrivate(out: string): void {
  makeFolder(out);
  for (const folder of ["tmp", "bin"].map(name => join(out, name))) {
    makeFolder(folder);
    chmodSync(folder, 0o700);
  }
}

function callOf(
  target: string,
  { debug, subplatform, out, manifest }: BoardFlags,
  { mcconfig }: Tools,
  words: readonly string[],
  environment: Environment,
): Call {
  const mode = debug ? ["-d"] : [];
  const platform = ["-p", `esp32/${subplatform}`];
  const args = [...mode, "-m", ...platform, "-t", target, "-o", out, manifest, ...words];
  return { program: mcconfig, args, environment, makesImage: target === "build" };
}

/** What Moddable compiles is the JavaScript in `dist`. */
function builtFaults(root: string): Problem[] {
  const wanted = ["src/index.js", "hosts/moddable/host.js", "examples/sensor-node/sensor-node.js"];
  const missing = wanted
    .map(name => join("dist", name))
    .find(path => !existsSync(join(root, path)));
  if (missing === undefined) return [];
  return [{ what: `${missing} is missing: dist is not built.`, mend: "npm run build" }];
}

/** What the SDK's make files, or the shell that they call, would take apart; a word with "=" is configuration to `mcconfig`. */
const unfit = /[\s"'`$#;&|()<>*?[\]{}!\\:%=]/;

function pathFaults(
  root: string,
  { out, manifest }: BoardFlags,
  environment: Environment,
): Problem[] {
  const paths: Readonly<Record<string, string | undefined>> = {
    "Skerry is in": root,
    "--out is": out,
    "--manifest is": manifest,
    "MODDABLE is": environment["MODDABLE"],
    "IDF_PATH is": environment["IDF_PATH"],
  };
  return Object.entries(paths).flatMap(([what, path = ""]) => {
    const [sign] = unfit.exec(path) ?? [];
    if (sign === undefined) return [];
    const mend = "Take a path without spaces, quotes and other signs that a shell knows.";
    return [
      { what: `${what} ${path}: the SDK's make files do not take ${JSON.stringify(sign)}.`, mend },
    ];
  });
}

function settingsFolder(out: string): string {
  return join(out, "sdkconfig");
}

function settingsOf(
  root: string,
  { flash }: BoardFlags,
): { partitions: string; problem?: Problem } {
  const name = flash === "4" ? "partitions.csv" : `partitions-${flash}mb.csv`;
  const partitions = join(root, sdkFolder, name);
  if (existsSync(partitions)) return { partitions };
  const what = `There is no partition table for ${flash} MB of flash: ${relative(root, partitions)}.`;
  return { partitions, problem: { what, mend: "--flash 4, 8 or 16" } };
}

/** The SDK's settings have no console: a release build would say nothing to `monitor`. With the debugger the port is the debugger's. */
const consoleSettings = "CONFIG_ESP_CONSOLE_NONE=n\nCONFIG_ESP_CONSOLE_UART_DEFAULT=y\n";

/** Skerry's settings for ESP-IDF, the size of the flash, which the SDK takes for 4 MB, and a console. */
function writeSettings(root: string, { flash, out }: BoardFlags): void {
  const folder = settingsFolder(out);
  mkdirSync(folder, { recursive: true });
  const sizes = ["2", "4", "8", "16"].filter(size => size !== flash);
  const size = [
    ...sizes.map(other => `CONFIG_ESPTOOLPY_FLASHSIZE_${other}MB=n`),
    `CONFIG_ESPTOOLPY_FLASHSIZE_${flash}MB=y`,
    `CONFIG_ESPTOOLPY_FLASHSIZE="${flash}MB"`,
    "",
  ].join("\n");
  for (const [name, more] of [
    ["sdkconfig.defaults", size],
    ["sdkconfig.defaults.release", consoleSettings],
  ] as const) {
    const source = join(root, sdkFolder, name);
    if (!existsSync(source)) continue;
    const text = `${readFileSync(source, "utf8")}${more}`;
    const target = join(folder, name);
    // The SDK goes by the times of files.
    if (existsSync(target) && readFileSync(target, "utf8") === text) continue;
    writeFileSync(target, text);
  }
}

function run({ program, args, environment }: Call, { root }: Surroundings): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env: { ...environment }, stdio: "inherit" });
    child.once("error", cause => reject(new Error(`${program} cannot be run.`, { cause })));
    child.once("close", (status, signal) => {
      if (status === 0) resolve();
      else reject(new Error(`${program} has ended with ${status ?? signal}: see above.`));
    });
  });
}
