// The validator's verdict on a server, in the terms of the TLS session: an alert for a refusal.
import { AgentError, type ErrorCode } from "../../src/errors.js";
import type { PublicKey } from "../../src/trust/algorithm.js";
import { type PathQuestion, validatePath } from "../../src/trust/path.js";
import { NativeCrypto } from "./crypto.js";
import { type AlertName, TLSError } from "./tls-error.js";

export type ServerQuestion = Omit<
  Extract<PathQuestion, { purpose: "server" }>,
  "purpose" | "crypto"
>;

/** @returns the server's key. @throws TLSError with the alert that fits */
export function judgeServer(question: ServerQuestion): PublicKey {
  try {
    return validatePath({ ...question, purpose: "server", crypto: new NativeCrypto() });
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    throw new TLSError(alertOf(cause.code), cause.message, { cause });
  }
}

function alertOf(code: ErrorCode): AlertName {
  switch (code) {
    case "trust/expired":
    case "trust/not-yet-valid":
      return "certificateExpired";
    case "trust/unknown-authority":
      return "unknownCa";
    default:
      return "badCertificate";
  }
}
