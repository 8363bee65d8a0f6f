// Fleet provisioning's messages, in JSON or in CBOR.
import { readCbor, writeCbor } from "../codec/cbor.js";
import { type Json, type Read, readJson, type Shape, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { KeyPair } from "../host.js";
import { parsePem, toPem } from "../trust/pem.js";
import { modulusOf, toPkcs8 } from "../trust/pkcs1.js";
import { isEqual, toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";

export type Format = "json" | "cbor";

function write(format: Format, value: Json): Uint8Array {
  return format === "cbor" ? writeCbor(value) : toUtf8(writeJson(value));
}

function read<S extends Shape>(
  format: Format,
  payload: Uint8Array,
  shape: S,
  where: string,
): Read<S> {
  const read =
    format === "cbor" ? readCbor(payload, shape, where) : readJson(payload, shape, where);
  // Null stands for an object that has no members.
  return read ?? ({} as Read<S>);
}

/** CreateCertificateFromCsr. */
export function certificateRequest(format: Format, csr: Uint8Array): Uint8Array {
  return write(format, { certificateSigningRequest: toPem(csr, "CERTIFICATE REQUEST") });
}

export function registerRequest(
  format: Format,
  ownershipToken: string,
  parameters: { readonly [name: string]: string },
): Uint8Array {
  return write(format, { certificateOwnershipToken: ownershipToken, parameters });
}

const certifiedShape = deepFreeze({
  certificateId: "string",
  certificatePem: "string",
  certificateOwnershipToken: "string",
  privateKey: "string",
} as const);

export interface Certified {
  readonly certificates: readonly Uint8Array[];
  readonly certificateId: string;
  readonly ownershipToken: string;
  /** That the cloud has made. */
  readonly keyPair: KeyPair | undefined;
}

/**
 * CreateCertificateFromCsr or CreateKeysAndCertificate, accepted.
 *
 * @param publicKey  the device's own, or undefined when the cloud makes the key
 * @throws           AgentError "provisioning/response", "codec/json", "codec/cbor", "trust/pem", "trust/der"
 */
export function parseCertified(
  format: Format,
  payload: Uint8Array,
  publicKey: Uint8Array | undefined,
): Certified {
  const where = publicKey ? "create-from-csr/accepted" : "create/accepted";
  const reply = read(format, payload, certifiedShape, where);
  const { certificateId, certificatePem, certificateOwnershipToken, privateKey } = reply;
  const isWhole = certificateId && certificatePem && certificateOwnershipToken;
  if (!isWhole || (!publicKey && !privateKey)) {
    throw new AgentError("provisioning/response", `${where}: a member is missing`);
  }
  const certificates = parsePem(certificatePem, "CERTIFICATE", where);
  const made = publicKey ? undefined : parsePem(privateKey!, "RSA PRIVATE KEY", where)[0]!;
  if (!includes(certificates[0]!, publicKey ?? modulusOf(made!, where))) {
    const reason = "the certificate is not for this device's key";
    throw new AgentError("provisioning/response", `${where}: ${reason}`);
  }
  return {
    certificates,
    certificateId,
    ownershipToken: certificateOwnershipToken,
    keyPair: made && { privateKey: toPkcs8(made), publicKey: new Uint8Array(0) },
  };
}

/** Whether `part` stands anywhere in `bytes`. */
function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (isEqual(bytes.subarray(at, at + part.length), part)) return true;
  }
  return false;
}

const registeredShape = deepFreeze({
  thingName: "string",
  deviceConfiguration: "strings",
} as const);

export interface Registered {
  readonly thingName: string;
  readonly configuration: ReadonlyMap<string, string>;
}

/** RegisterThing, accepted. @throws AgentError "provisioning/response", "codec/json", "codec/cbor" */
export function parseRegistered(format: Format, payload: Uint8Array): Registered {
  const reply = read(format, payload, registeredShape, "provision/accepted");
  const { thingName, deviceConfiguration } = reply;
  if (!thingName || !/^[a-zA-Z0-9:_-]{1,128}$/.test(thingName)) {
    throw new AgentError(
      "provisioning/response",
      `provision/accepted: thing name ${writeJson(thingName?.slice(0, 64) ?? null)}`,
    );
  }
  return { thingName, configuration: deviceConfiguration ?? new Map() };
}

const rejectedShape = deepFreeze({
  statusCode: "number",
  errorCode: "string",
  errorMessage: "string",
} as const);

/** The cloud's refusal, in its own words. */
export function parseRejected(format: Format, payload: Uint8Array, request: string): AgentError {
  const where = `${request}/rejected`;
  const { statusCode, errorCode, errorMessage } = read(format, payload, rejectedShape, where);
  const reason = `${statusCode ?? "?"} ${errorCode ?? "?"}: ${errorMessage?.slice(0, 200) ?? "no reason given"}`;
  return new AgentError("provisioning/rejected", `${request}: ${reason}`);
}
