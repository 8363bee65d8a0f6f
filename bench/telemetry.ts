// What a channel costs on 32-bit XS: computrons for a reading and for a window's message, bytes while its window is open.
import { fileURLToPath } from "node:url";
import { measure } from "./measure.js";

const guest = fileURLToPath(new URL("./telemetry-guest.js", import.meta.url));

export interface TelemetryCost {
  /** For each call with three readings, two of them numbers, one with a threshold. */
  readonly addComputrons: number;
  /** The end of a window of those, until its message is handed over. */
  readonly windowComputrons: number;
  /** The message of a thousand such readings. */
  readonly windowBytes: number;
  /** A wake-up's decision: state read, judged, written. */
  readonly wakeComputrons: number;
  /** Slots and chunks of a declared channel, and of the window it has open, after one reading. */
  readonly channelRam: number;
  readonly windowRam: number;
  /** The same after a thousand readings, and then how much more it is at the peak within one of them. */
  readonly windowRamAfterThousand: number;
  readonly peakRam: number;
}

const channels = 8;

export function telemetryCost(worker: string): Promise<TelemetryCost> {
  return measure(worker, guest, async program => {
    const each = async (name: string, ...args: readonly unknown[]) => {
      for (let i = 0; i < channels; i++) await program.send(name, `channel${i}`, ...args);
    };
    // Once before, so that nothing is counted that stays: names, and what the engine makes with a first call.
    await program.send("make", channels);
    await each("add", 1);
    await each("flush");
    await program.send("wake");
    await program.send("make", 0);
    program.told.length = 0;
    const empty = await program.ram();
    await program.send("make", channels);
    const made = await program.ram();
    await each("add", 1);
    const open = await program.ram();
    await each("add", 999);
    const full = await program.ram();
    const peakRam = await program.peakOf("add", "channel0", 1);
    const one = await program.send("add", "channel1", 1);
    const hundred = await program.send("add", "channel1", 101);
    const windowComputrons = await program.send("flush", "channel2");
    await program.send("tell");
    const wakeComputrons = await program.send("wake");
    const [message, ...more] = program.told.map(String);
    if (more.length > 0 || !message?.includes('"count":1000'))
      throw new Error(`telemetry: ${program.told.join("; ")}`);
    return {
      addComputrons: (hundred - one) / 100,
      windowComputrons,
      windowBytes: message.length,
      wakeComputrons,
      channelRam: (made - empty) / channels,
      windowRam: (open - made) / channels,
      windowRamAfterThousand: (full - made) / channels,
      peakRam,
    };
  });
}
