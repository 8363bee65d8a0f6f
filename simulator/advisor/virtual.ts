// Examines a device in virtual time: hours in a second, the same on every run.
import { VirtualClock } from "../world/clock.js";
import { Network } from "../world/network.js";
import { Random } from "../world/random.js";
import { type Case, judge } from "./case.js";
import { Examiner, type Version } from "./examiner.js";
import { longCase, summaryOf } from "./long-case.js";
import type { Row } from "./row.js";
import { virtualTime } from "./time.js";

export interface VirtualWorld {
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly random: Random;
}

/** Powers a device on. */
export type VirtualDevice = (world: VirtualWorld) => void;

export interface VirtualOptions {
  readonly version?: Version;
  readonly seed?: number;
  readonly desired?: object;
}

export async function examineVirtually(
  which: Case,
  device: VirtualDevice,
  { version, seed = 1, desired }: VirtualOptions = {},
): Promise<Row> {
  const clock = new VirtualClock();
  const examiner = await Examiner.open({ time: virtualTime(clock), version, desired });
  const network = new Network(clock, examiner.accept);
  network.fate = () => (examiner.isAway ? "refused" : "open");
  device({ clock, network, random: new Random(seed) });
  const verdict = await judge(which, examiner);
  const { name, isQualification } = which;
  const row = { name, isQualification, version: versionOf(examiner), verdict, ms: clock.ticks() };
  return which === longCase ? { ...row, summary: summaryOf(examiner) } : row;
}

/** What the device has spoken last. */
export function versionOf(examiner: Examiner): Version | undefined {
  return examiner.connects.at(-1)?.version;
}
