// Jobs that other parts of the agent do: the settings of the product, and another certificate.

import type { AgentHandler } from "./jobs/desk.js";
import type { Job } from "./jobs/job.js";
import type { Follower } from "./shadow/follower.js";
import { readValues } from "./shadow/messages.js";
import { type FlatValues, faultOf, faultOfSize, type Value } from "./shadow/schema.js";
import type { AgentStatus } from "./status.js";
import { fromUtf8, toUtf8 } from "./util/bytes.js";

/** What these jobs ask of the agent. */
export interface Operator {
  follower(shadow: string | undefined): Follower | undefined;
  rotate(via: "identity"): void;
  /** @throws AgentError "agent/options" when another identity cannot be asked for */
  checkRotation(): void;
  readonly certificateId: string | undefined;
}

export function operationHandler(operation: string, operator: Operator): AgentHandler | undefined {
  if (operation === "settings") return new SettingsOperation(operator);
  return operation === "rotate-certificate" ? new RotateOperation(operator) : undefined;
}

const shadowShape = Object.freeze({ shadow: "string" } as const);

/** `{"operation":"settings","shadow":"config","values":{…}}`: all of it is in force, or what is not is told by its path. */
class SettingsOperation implements AgentHandler {
  readonly #operator: Operator;

  constructor(operator: Operator) {
    this.#operator = operator;
  }

  private follower(job: Job): Follower | undefined {
    const follower = this.#operator.follower(job.read(shadowShape)?.shadow);
    return follower && Object.keys(follower.leaves).length > 0 ? follower : undefined;
  }

  check(job: Job): string | undefined {
    const follower = this.follower(job);
    if (!follower) return "there are no settings of this name";
    const { verdicts } = judged(job, follower);
    return verdicts.length > 0 ? verdicts.join("; ") : undefined;
  }

  run(job: Job): void {
    const follower = this.follower(job);
    if (!follower) return job.fail("there are no settings of this name");
    const failed = follower.take(judged(job, follower).values);
    if (!failed || failed.size === 0) return job.succeed();
    const details: Record<string, string> = {};
    for (const [path, verdict] of failed) details[path.replaceAll(".", ":")] = verdict;
    job.fail("not all of it is in force", details);
  }
}

function judged(
  job: Job,
  { leaves, values: inForce }: Follower,
): { readonly values: FlatValues; readonly verdicts: readonly string[] } {
  const { members, others, moreOthers } = readValues(job.document, leaves);
  const values: Record<string, Value> = {};
  const verdicts: string[] = [];
  for (const path of Object.keys(members)) {
    const fault = faultOf(leaves[path]!, members[path]!);
    if (fault === undefined) values[path] = members[path] as Value;
    else verdicts.push(`${path}: ${fault}`);
  }
  for (const [path, verdict] of others) verdicts.push(`${path}: ${verdict}`);
  if (moreOthers > 0) verdicts.push(`${moreOthers} more`);
  const size = faultOfSize({ ...inForce, ...values });
  if (size !== undefined) verdicts.push(`settings ${size}`);
  if (Object.keys(values).length === 0 && verdicts.length === 0)
    verdicts.push("there are no values");
  return { values, verdicts };
}

/** Another key and certificate; kept is the name of the certificate before. */
class RotateOperation implements AgentHandler {
  readonly #operator: Operator;

  constructor(operator: Operator) {
    this.#operator = operator;
  }

  check(): string | undefined {
    this.#operator.checkRotation();
    return undefined;
  }

  run(job: Job): void {
    const { certificateId = "" } = this.#operator;
    if (job.kept === undefined) job.keep(toUtf8(certificateId));
    else if (fromUtf8(job.kept) !== certificateId) return job.succeed({ certificateId });
    // One that is asked for already goes on.
    this.#operator.rotate("identity");
  }

  onStatus(job: Job, status: AgentStatus): void {
    if (status.type === "rotated") job.succeed({ certificateId: status.certificateId });
    else if (status.type === "rotationFailed") job.fail(status.error.message);
  }
}
