// What the outbox takes on a 32-bit XS engine: memory at rest and at its peak, work for a record in and out.
import { fileURLToPath } from "node:url";
import { type Measured, measure } from "./measure.js";

const guest = fileURLToPath(new URL("./outbox-guest.js", import.meta.url));
const rounds = 100;

export interface OutboxCost {
  /** Bytes of slots and chunks, for a partition of 1 MB, mounted and used. */
  readonly atRest: number;
  /** Bytes beyond that while a record of 64 bytes goes in, and while one goes out. */
  readonly appendPeak: number;
  readonly drainPeak: number;
  /** Computrons for each record, its share of topics, headers and erases included. */
  readonly append: number;
  readonly drain: number;
  /** Computrons for a blank partition of 1 MB. */
  readonly mount: number;
}

export function outboxCost(worker: string): Promise<OutboxCost> {
  return measure(worker, guest, async program => {
    // Once before, so that names and what else stays is not counted; then everything again on a new outbox.
    for (const name of ["mount", "append", "drain", "one", "drainOne"]) await program.send(name);
    const appendPeak = await program.peakOf("one");
    const drainPeak = await program.peakOf("drainOne");
    const mount = await program.send("mount");
    const append = (await program.send("append")) / rounds;
    const drain = (await program.send("drain")) / rounds;
    const atRest = await restOf(program);
    const { told } = program;
    if (told.some(value => value !== 0)) throw new Error(`outbox: ${told.join()}`);
    return { atRest, appendPeak, drainPeak, append, drain, mount };
  });
}

/** What one outbox more takes. */
async function restOf(program: Measured): Promise<number> {
  const made = async () => {
    for (const name of ["keep", "one", "drainOne"]) await program.send(name);
    return program.ram();
  };
  await made();
  const one = await made();
  const two = await made();
  // To count adds a slot and a name each time.
  return two - one - ((await program.ram()) - two);
}
