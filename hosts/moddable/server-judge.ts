// The validator's verdict on a server, in the terms of the TLS session: an alert for a refusal, the SDK's form for a key.
import Curve from "curve";
import { AgentError, type ErrorCode } from "../../src/errors.js";
import type { PublicKey } from "../../src/trust/algorithm.js";
import { type PathQuestion, validatePath } from "../../src/trust/path.js";
import { isSignature } from "../../src/trust/signature.js";
import { NativeCrypto } from "./crypto.js";
import { isOnCurve, toPoint } from "./curve-point.js";
import { scalarBytes, toBigInt } from "./p256.js";
import { type AlertName, TLSError } from "./tls-error.js";

export type ServerQuestion = Omit<
  Extract<PathQuestion, { purpose: "server" }>,
  "purpose" | "crypto"
>;

/** @returns the server's key. @throws TLSError with the alert that fits */
export function judgeServer(question: ServerQuestion): PublicKey {
  const key = validate(question);
  // The SDK's handshake code calculates with any point.
  if (key.kind === "ec" && !isOnCurve(new Curve("secp256r1").ec, scalarBytes, key.point)) {
    throw new TLSError("badCertificate", "certificate 0: key is not a point of P-256");
  }
  return key;
}

function validate(question: ServerQuestion): PublicKey {
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

/** RSA PKCS#1 v1.5 over SHA-256 with a key that has been judged. */
export function isRsaSignature(
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const scheme = { kind: "pkcs1", hash: "SHA-256" } as const;
  return isSignature(new NativeCrypto(), { key, scheme, message, signature });
}

/** The form in which the SDK's handshake code takes a server's key: P-256 or RSA. */
export function nativeKey(key: PublicKey): object {
  if (key.kind === "ec") return { pub: toPoint(key.point), curve: new Curve("secp256r1") };
  return { modulus: toBigInt(key.modulus), exponent: toBigInt(key.exponent) };
}
