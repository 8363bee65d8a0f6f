// Which things a job is for. Pure but for who is asked.

import { invalidJob, JobFault } from "./job-fault.js";
import { arnPrefix } from "./policy.js";

export interface Targets {
  hasThing(thing: string): boolean;
  /** Undefined when there is no such group. */
  members(group: string): readonly string[] | undefined;
  readonly thingsMax: number;
}

/**
 * Each thing once. Assumed for a snapshot that starts later: who is in a group counts when the job is made.
 *
 * @throws JobFault
 */
export function thingsOf(targets: readonly string[], asked: Targets): string[] {
  const things = new Set(targets.flatMap(target => thingsAt(target, asked)));
  if (things.size <= asked.thingsMax) return [...things];
  throw new JobFault("LimitExceeded", `A job reaches at most ${asked.thingsMax} things`);
}

function thingsAt(target: string, { hasThing, members }: Targets): readonly string[] {
  const resource = target.startsWith(arnPrefix) ? target.slice(arnPrefix.length) : "";
  const [, kind, name] = /^(thing|thinggroup)\/([a-zA-Z0-9:_-]{1,128})$/.exec(resource) ?? [];
  if (name === undefined) {
    throw invalidJob(`Target ${target} is no thing or group of this account`);
  }
  const things = kind === "thinggroup" ? members(name) : hasThing(name) ? [name] : undefined;
  if (things !== undefined) return things;
  throw new JobFault("ResourceNotFound", `Target ${target} does not exist`);
}
