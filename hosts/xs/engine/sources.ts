// Where the XS sources and our own C file are, which flags compile them, and the hash that names one build.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export type EngineBits = 32 | 64;

/** One C file and what only it is compiled with. */
export interface Unit {
  readonly file: string;
  readonly flags: readonly string[];
}

export interface EngineSources {
  readonly units: readonly Unit[];
  readonly flags: readonly string[];
  readonly libraries: readonly string[];
  /** Names the build: sources, flags and the place's architecture, not the time. */
  readonly hash: string;
}

/** The folder that holds Skerry's package.json, seen from the source tree and from `dist` alike. */
export function packageRoot(): string {
  return ancestorWith(dirname(fileURLToPath(import.meta.url)), "package.json") ?? process.cwd();
}

/** @returns the folder of the package that carries XS, or undefined when it is not installed. */
export function findCarrier(root: string): string | undefined {
  const relative = join("node_modules", "@agoric", "xsnap");
  const owner = ancestorWith(root, join(relative, "moddable", "xs", "sources", "xsAll.h"));
  return owner === undefined ? undefined : join(owner, relative);
}

export function readSources(root: string, carrier: string, bits: EngineBits): EngineSources {
  const engine = join(carrier, "moddable", "xs");
  const data = join(carrier, "moddable", "modules", "data");
  const worker = join(carrier, "xsnap-native", "xsnap", "sources");
  const own = join(root, "hosts", "xs", "engine", "counters.c");
  const folders = [
    join(engine, "includes"),
    join(engine, "platforms"),
    join(engine, "sources"),
    worker,
  ];
  const files = [
    ...filesIn(join(engine, "sources"), ".c"),
    join(data, "text", "decoder", "textdecoder.c"),
    join(data, "text", "encoder", "textencoder.c"),
    join(data, "base64", "modBase64.c"),
    join(worker, "xsnapPlatform.c"),
    join(worker, "xsnap-worker.c"),
    own,
  ];
  const units = files.map(file => ({ file, flags: unitFlags[basename(file)] ?? [] }));
  const common = [...baseFlags, ...(bits === 32 ? ["-m32"] : [])];
  const headers = folders.flatMap(folder => filesIn(folder, ".h"));
  return {
    units,
    flags: [...common, ...folders.map(folder => `-I${folder}`)],
    libraries: ["-ldl", "-lm", "-lpthread"],
    hash: hashOf([...files, ...headers], [...common, JSON.stringify(unitFlags), process.arch]),
  };
}

// mxDebug keeps names and line numbers in errors; mxMetering counts computrons; the others choose the platform and the language.
const baseFlags: readonly string[] = [
  "-O2",
  "-w",
  "-fno-common",
  "-DINCLUDE_XSPLATFORM",
  '-DXSPLATFORM="xsnapPlatform.h"',
  '-DXSNAP_VERSION="skerry"',
  "-DXSNAP_TEST_RECORD=0",
  "-DmxBoundsCheck=1",
  "-DmxDebug=1",
  "-DmxLockdown=1",
  "-DmxMetering=1",
  "-DmxMinusZero=1",
  "-DmxNoConsole=1",
  "-DmxParse=1",
  "-DmxRegExpUnicodePropertyEscapes=1",
  "-DmxRun=1",
  "-DmxSloppy=1",
  "-DmxSnapshot=1",
  "-DmxStress=1",
  "-DmxStringNormalize=1",
];

/** The worker's main file calls our two functions in place of XS's (counters.c), and asks for a macro gcc 9 lacks. */
const unitFlags: Readonly<Record<string, readonly string[]>> = Object.freeze({
  "xsnap-worker.c": [
    "-DmodInstallBase64=skerryInstall",
    "-DfxCreateMachine=skerryCreateMachine",
    "-D__has_builtin(x)=1",
  ],
});

function filesIn(folder: string, extension: string): string[] {
  return readdirSync(folder)
    .filter(name => name.endsWith(extension))
    .sort()
    .map(name => join(folder, name));
}

function hashOf(files: readonly string[], words: readonly string[]): string {
  const hash = createHash("sha256").update(words.join("\0"));
  for (const file of files) hash.update(`\0${basename(file)}\0`).update(readFileSync(file));
  return hash.digest("hex").slice(0, 24);
}

function ancestorWith(start: string, relative: string): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, relative))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
