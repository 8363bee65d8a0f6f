// One script out of compiled modules. The options never change with the place: what a program costs depends on its text.

import { type BuildOptions, build } from "esbuild";
import { packageRoot } from "./sources.js";

export interface Bundle {
  readonly code: string;
  readonly bytes: number;
}

/** @param entry compiled module (`dist/….js`). */
export function bundleModule(entry: string): Promise<Bundle> {
  return bundle({ entryPoints: [entry] });
}

/** @param source text of a module that imports others by absolute path or relative to the package root. */
export function bundleText(source: string): Promise<Bundle> {
  return bundle({ stdin: { contents: source, resolveDir: packageRoot(), sourcefile: "entry.js" } });
}

/** @throws esbuild's BuildFailure, which names file and line. */
async function bundle(input: BuildOptions): Promise<Bundle> {
  const result = await build({
    ...input,
    absWorkingDir: packageRoot(),
    bundle: true,
    charset: "utf8",
    format: "iife",
    legalComments: "none",
    logLevel: "silent",
    minify: false,
    platform: "neutral",
    target: "es2022",
    write: false,
  });
  const code = result.outputFiles![0]!.text;
  return { code, bytes: Buffer.byteLength(code) };
}
