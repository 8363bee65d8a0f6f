// The faults as a person types them: a line that changes what holds, for the command line.
import { dark, type FlowFaults, type LinkFaults } from "./faults.js";

export const faultWords = `  open                     no fault any more
  cut                      reset every link there is
  refuse | silent          what becomes of new links
  dark                     black hole both ways, new links silent: a cable pulled far away
  black-hole               swallow what comes
  delay <ms> [jitter ms]   hold back what comes
  rate <bytes>             so many bytes a second
  split | split random     byte by byte, or in pieces of random size
  merge                    gather by the dozen
  reset-after <bytes>      reset a link after so many bytes
All from "black-hole" on take "up" (to the server) or "down" (to the device) at the end; without it both.`;

/** @returns what holds after `line`, or "cut" @throws Error with a sentence for a line that says nothing */
export function applyWords(faults: LinkFaults, line: string): LinkFaults | "cut" {
  const [word = "", ...rest] = line.trim().split(/\s+/);
  if (rest.length === 0) {
    if (word === "cut") return "cut";
    if (word === "open") return {};
    if (word === "dark") return dark;
    if (word === "refuse") return { ...faults, dial: "refused" };
    if (word === "silent") return { ...faults, dial: "silent" };
  }
  const way = rest.at(-1);
  const isOneWay = way === "up" || way === "down";
  const flow = flowOf(word, isOneWay ? rest.slice(0, -1) : rest);
  if (flow === undefined) throw new Error(`"${line.trim()}" is no fault; they are:\n${faultWords}`);
  return {
    ...faults,
    ...(way === "down" ? {} : { toServer: { ...faults.toServer, ...flow } }),
    ...(way === "up" ? {} : { toDevice: { ...faults.toDevice, ...flow } }),
  };
}

function flowOf(word: string, values: readonly string[]): FlowFaults | undefined {
  const numbers = values.map(toNumber);
  const [first, second] = numbers;
  const areNumbers = numbers.every(number => number !== undefined);
  if (values.length === 0) {
    if (word === "black-hole") return { swallows: true };
    if (word === "split") return { segments: "bytes" };
    if (word === "merge") return { segments: "dozen" };
  }
  if (word === "split" && values.join() === "random") return { segments: "random" };
  if (!areNumbers || first === undefined) return undefined;
  if (word === "delay" && values.length <= 2) return { delayMs: first, jitterMs: second ?? 0 };
  if (values.length > 1) return undefined;
  if (word === "rate" && first > 0) return { bytesPerSecond: first };
  return word === "reset-after" ? { resetAfterBytes: first } : undefined;
}

function toNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
