// Runs the portable checks (test/portable/cases) on this Node and on the XS engine, and says for each how it went.

import { pathToFileURL } from "node:url";
import { bundleText } from "./bundle.js";
import { Machine } from "./machine.js";

/** What a harness module exports as `cases`: the checks of all case modules imported so far. */
export interface PortableCase {
  readonly name: string;
  readonly run: () => void;
}

export interface CaseResult {
  readonly name: string;
  /** Undefined when it passed. */
  readonly failure: string | undefined;
}

export interface PortableModules {
  /** Compiled module that exports `cases`. */
  readonly harness: string;
  /** Compiled modules that fill it when imported. */
  readonly modules: readonly string[];
}

/** @throws what a case module throws at import. */
export async function runOnNode({ harness, modules }: PortableModules): Promise<CaseResult[]> {
  for (const module of modules) await import(pathToFileURL(module).href);
  const { cases } = (await import(pathToFileURL(harness).href)) as { cases: PortableCase[] };
  return cases.map(({ name, run }) => ({ name, failure: failureOf(run) }));
}

/** One machine for all; each check is a command of its own, with a budget of its own. */
export async function runOnXS(worker: string, portable: PortableModules): Promise<CaseResult[]> {
  const { harness, modules } = portable;
  const bundle = await bundleText(
    [
      ...modules.map(module => `import ${JSON.stringify(module)};`),
      `import { cases } from ${JSON.stringify(harness)};`,
      guestRunner,
    ].join("\n"),
  );
  const machine = await Machine.start({ worker });
  try {
    await machine.runBundle(bundle);
    const names = JSON.parse(await commandText(machine, "names")) as string[];
    const results: CaseResult[] = [];
    for (const [index, name] of names.entries()) {
      results.push({ name, failure: await runGuestCase(machine, index) });
    }
    return results;
  } finally {
    await machine.close();
  }
}

const guestRunner = `
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const failureOf = run => {
  try { run(); return ""; } catch (error) { return String(error) + "\\n" + (error?.stack ?? ""); }
};
globalThis.handleCommand = command => {
  const text = decoder.decode(command);
  const answer = text === "names" ? JSON.stringify(cases.map(({ name }) => name)) : failureOf(cases[Number(text)].run);
  return { result: encoder.encode(answer).buffer };
};`;

async function commandText(machine: Machine, text: string): Promise<string> {
  return (await machine.command(Buffer.from(text))).result.toString();
}

async function runGuestCase(machine: Machine, index: number): Promise<string | undefined> {
  try {
    return (await commandText(machine, String(index))) || undefined;
  } catch (error) {
    return String(error);
  }
}

function failureOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
