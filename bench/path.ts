// What path validation keeps in memory at its peak, garbage left out.
import { fileURLToPath } from "node:url";
import { fromBase64 } from "../src/util/bytes.js";
import { anchor, intermediate, leaf } from "./certificates.js";
import { measure } from "./measure.js";

const guest = fileURLToPath(new URL("./path-guest.js", import.meta.url));
const certificateBytes = [leaf, intermediate, anchor]
  .map(text => fromBase64(text)!.length)
  .reduce((sum, length) => sum + length);

/** @returns bytes, the certificates themselves included */
export function pathPeak(worker: string): Promise<number> {
  return measure(worker, guest, async program => {
    // Once before, so that nothing is counted that stays.
    await program.send("read");
    await program.send("validate");
    const peak = await program.peakOf("validate");
    const { told } = program;
    if (told.join() !== "ec,ec") throw new Error(`path: ${told.join()}`);
    return peak + certificateBytes;
  });
}
