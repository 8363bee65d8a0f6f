// What survives the restart into another image, as bytes: written by one version of the firmware, read by another.
import { readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import type { Install } from "./update.js";

const shape = deepFreeze({
  phase: "string",
  jobId: "string",
  executionNumber: "integer",
  slot: "string",
  from: "string",
  to: "string",
  identity: "string",
  digest: "string",
  minimumVersion: "string",
  cause: "string",
  revertedAt: "number",
  isAfterRevert: "boolean",
} as const);

export function encodeInstall(install: Install): Uint8Array {
  return toUtf8(writeJson({ ...install }));
}

/** Members that a later version knows are passed over. @throws AgentError "storage/damaged" */
export function decodeInstall(bytes: Uint8Array): Install {
  const read = readJson(bytes, shape, "update");
  const { phase, jobId, executionNumber, slot, from } = read;
  const isPhase = phase === "switching" || phase === "confirmed" || phase === "reverted";
  if (
    !isPhase ||
    jobId === undefined ||
    executionNumber === undefined ||
    slot === undefined ||
    from === undefined
  )
    throw new AgentError("storage/damaged", "update: the record is not whole");
  return {
    phase,
    jobId,
    executionNumber,
    slot,
    from,
    to: read.to ?? "",
    identity: read.identity ?? "",
    digest: read.digest ?? "",
    minimumVersion: read.minimumVersion ?? "",
    cause: read.cause ?? "",
    revertedAt: read.revertedAt ?? 0,
    isAfterRevert: read.isAfterRevert ?? false,
  };
}
