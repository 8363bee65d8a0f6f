// The XS engine for tests, or the one line that says why there is none.

import type { TestFn } from "ava";
import { buildEngine, type EngineBuild } from "../../hosts/xs/engine/build.js";

/** Both sizes of the engine. Awaited before a file declares its first test: AVA takes none after a pause. */
export async function buildForTests(): Promise<{ worker64: EngineBuild; worker32: EngineBuild }> {
  return { worker64: await buildEngine(), worker32: await buildEngine({ bits: 32 }) };
}

/**
 * @returns the worker's path. Without one, registers a single test in the place of the others: it says what is missing, and
 *   fails where CI is set, since there nothing may be missing.
 */
export function workerOrReport(test: TestFn, engine: EngineBuild, bits: 32 | 64) {
  if (engine.ok) return engine.worker;
  test(`the ${bits}-bit XS engine is there, or a line says what is missing`, t => {
    t.log(`XS tests left out: ${engine.missing}`);
    if (process.env.CI === "true") t.fail(engine.missing);
    else t.pass();
  });
  return undefined;
}
