// The classes of records, and how a partition is shared among them.
import { AgentError } from "../errors.js";

/** Classes, the most important first. */
export const priorities = Object.freeze({ alert: 0, telemetry: 1, bulk: 2 });

/** How much of the partition a class may take, and what happens then. */
export interface ClassPolicy {
  /** Sectors at most, from 2 on. */
  readonly sectors: number;
  readonly whenFull: "drop-oldest" | "refuse-new";
  /** For records that bring none of their own, in seconds; absent is for ever. */
  readonly ageLimitSeconds?: number | undefined;
}

/** A quarter for alerts, half for telemetry, a quarter for bulk, of what the ledger leaves. */
export function defaultPolicies(blocks: number): readonly ClassPolicy[] {
  const share = Math.max(2, Math.floor((blocks - 3) / 4));
  return [
    { sectors: share, whenFull: "drop-oldest" },
    { sectors: Math.max(2, blocks - 3 - 2 * share), whenFull: "drop-oldest" },
    { sectors: share, whenFull: "refuse-new" },
  ];
}

/** @throws AgentError "outbox/record" for policies that do not fit the partition */
export function checkPolicies(policies: readonly ClassPolicy[], blocks: number): void {
  const sum = policies.reduce((total, { sectors }) => total + sectors, 0);
  if (policies.length !== 3 || policies.some(({ sectors }) => sectors < 2) || sum > blocks - 3) {
    const wanted = policies.map(({ sectors }) => sectors).join(" + ");
    throw new AgentError(
      "outbox/record",
      `outbox: ${wanted} sectors for the classes, at least 2 each and ${blocks - 3} in all`,
    );
  }
}
