// Builds the XS worker from the sources that `@agoric/xsnap` carries, once per sources and flags, into a cache folder.

import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import {
  type EngineBits,
  type EngineSources,
  findCarrier,
  packageRoot,
  readSources,
} from "./sources.js";

export type EngineBuild =
  | {
      readonly ok: true;
      readonly worker: string;
      readonly seconds: number;
      readonly cached: boolean;
    }
  /** One line that says what is missing and how to get it. */
  | { readonly ok: false; readonly missing: string };

export interface EngineOptions {
  /** 32 has the slot size of an ESP32 and needs the compiler's 32-bit headers; default 64. */
  readonly bits?: EngineBits;
  /** C compiler; default the environment's CC, else `cc`. */
  readonly compiler?: string;
  /** Folder for finished builds; default `node_modules/.cache/skerry-xs`. */
  readonly cache?: string;
}

/**
 * Finds or builds the worker. Safe in several processes at once: each builds in a folder of its own and renames it into
 * place; the lock only saves the others the work.
 */
export async function buildEngine(options: EngineOptions = {}): Promise<EngineBuild> {
  const bits = options.bits ?? 64;
  const compiler = options.compiler ?? process.env.CC ?? "cc";
  const root = packageRoot();
  const carrier = findCarrier(root);
  if (carrier === undefined) {
    return missing(
      "no XS sources: the optional package @agoric/xsnap is not installed (npm install)",
    );
  }
  const sources = readSources(root, carrier, bits);
  const cache = options.cache ?? join(root, "node_modules", ".cache", "skerry-xs");
  const place = join(cache, `${sources.hash}-${bits}`);
  const worker = join(place, "worker");
  if (existsSync(worker)) return { ok: true, worker, seconds: 0, cached: true };
  const lack = await probe(compiler, bits);
  if (lack !== undefined) return missing(lack);
  const started = performance.now();
  try {
    mkdirSync(cache, { recursive: true });
    const unlock = await lock(`${place}.lock`, () => existsSync(worker));
    try {
      if (existsSync(worker)) return { ok: true, worker, seconds: 0, cached: true };
      await build(sources, compiler, cache, place);
    } finally {
      unlock();
    }
  } catch (error) {
    return missing(`XS could not be built: ${firstLine(error)}`);
  }
  return { ok: true, worker, seconds: (performance.now() - started) / 1000, cached: false };
}

async function build(sources: EngineSources, compiler: string, cache: string, place: string) {
  const folder = mkdtempSync(join(cache, "building-"));
  try {
    const objects = await compileAll(sources, compiler, folder);
    const output = ["-o", join(folder, "worker")];
    await run(compiler, [
      ...sources.flags,
      "-rdynamic",
      ...objects,
      ...sources.libraries,
      ...output,
    ]);
    for (const object of objects) rmSync(object);
    publish(folder, place);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Largest files first, so that the last ones to finish are short. */
async function compileAll(sources: EngineSources, compiler: string, folder: string) {
  const bySize = sources.units
    .map(unit => ({ ...unit, bytes: readFileSync(unit.file).length }))
    .sort((left, right) => right.bytes - left.bytes);
  const objects = bySize.map(unit => join(folder, `${basename(unit.file, ".c")}.o`));
  let next = 0;
  const compileNext = async () => {
    for (let index = next++; index < bySize.length; index = next++) {
      const unit = bySize[index]!;
      const output = ["-c", unit.file, "-o", objects[index]!];
      await run(compiler, [...sources.flags, ...unit.flags, ...output]);
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, compileNext));
  return objects;
}

/** A folder that is already there was put by another process from the same sources. */
function publish(folder: string, place: string): void {
  try {
    renameSync(folder, place);
  } catch (error) {
    if (!existsSync(join(place, "worker"))) throw error;
  }
}

/** @returns what the compiler lacks, or undefined when it makes programs of this size. */
async function probe(compiler: string, bits: EngineBits): Promise<string | undefined> {
  const source = "#include <stdio.h>\nint main(void) { return 0; }\n";
  const size = bits === 32 ? ["-m32"] : [];
  const flags = [...size, "-x", "c", "-", "-o", "/dev/null"];
  try {
    await run(compiler, ["--version"]);
  } catch (error) {
    return `no C compiler: ${compiler} does not run (${firstLine(error)}); install gcc or set CC`;
  }
  try {
    await run(compiler, flags, source);
  } catch (error) {
    const name =
      bits === 32
        ? "32-bit C headers and libraries (Debian: gcc-multilib)"
        : "C headers (Debian: libc6-dev)";
    return `no ${name}: ${[compiler, ...size].join(" ")} fails (${firstLine(error)})`;
  }
  return undefined;
}

async function lock(file: string, done: () => boolean): Promise<() => void> {
  while (!done()) {
    try {
      const descriptor = openSync(file, "wx");
      writeSync(descriptor, String(process.pid));
      closeSync(descriptor);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (!isHeld(file)) rmSync(file, { force: true });
    await wait(100);
  }
  return () => undefined;
}

/** Whether the process that wrote the lock still lives; one that has no number yet is being written. */
function isHeld(file: string): boolean {
  try {
    const owner = Number(readFileSync(file, "utf8"));
    if (owner > 0) process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function run(command: string, args: readonly string[], input?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "ignore", "pipe"] });
    let text = "";
    // A program that never reads its input ends with a code of its own: that one is reported.
    child.stdin.on("error", error => {
      text ||= error.message;
    });
    child.stdin.end(input);
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", code => {
      if (code === 0) resolve();
      else reject(new Error(text.trim() || `${command} ended with ${code}`));
    });
  });
}

function missing(line: string): EngineBuild {
  return { ok: false, missing: line };
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").find(line => line.includes("error")) ?? text.split("\n")[0]!;
}
