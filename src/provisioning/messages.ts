// Fleet provisioning's messages and the stored record, as bytes.
import { readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { KeyPair } from "../host.js";
import { parsePem, toPem } from "../trust/pem.js";
import { fromBase64, isEqual, toBase64, toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import type { ProvisioningEvent, ProvisioningRecord } from "./provisioning.js";
import { type ProvisioningState, provisioningTable } from "./table.js";

export function certificateRequest(csr: Uint8Array): Uint8Array {
  return toUtf8(writeJson({ certificateSigningRequest: toPem(csr, "CERTIFICATE REQUEST") }));
}

export function registerRequest(
  ownershipToken: string,
  parameters: { readonly [name: string]: string },
): Uint8Array {
  return toUtf8(writeJson({ certificateOwnershipToken: ownershipToken, parameters }));
}

const certifiedShape = deepFreeze({
  certificateId: "string",
  certificatePem: "string",
  certificateOwnershipToken: "string",
} as const);

/** CreateCertificateFromCsr, accepted. @throws AgentError "provisioning/response", "codec/json", "trust/pem" */
export function parseCertified(payload: Uint8Array, keyPair: KeyPair): ProvisioningEvent {
  const reply = readJson(payload, certifiedShape, "create-from-csr/accepted");
  const { certificateId, certificatePem, certificateOwnershipToken } = reply;
  if (!certificateId || !certificatePem || !certificateOwnershipToken) {
    throw new AgentError("provisioning/response", "create-from-csr/accepted: a member is missing");
  }
  const certificates = parsePem(certificatePem, "CERTIFICATE", "create-from-csr/accepted");
  if (!includes(certificates[0]!, keyPair.publicKey)) {
    throw new AgentError(
      "provisioning/response",
      "create-from-csr/accepted: the certificate is not for this device's key",
    );
  }
  return {
    type: "certified",
    certificates,
    certificateId,
    ownershipToken: certificateOwnershipToken,
  };
}

/** Whether `part` stands anywhere in `bytes`. */
function includes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (isEqual(bytes.subarray(at, at + part.length), part)) return true;
  }
  return false;
}

const registeredShape = deepFreeze({ thingName: "string" } as const);

/** RegisterThing, accepted. @throws AgentError "provisioning/response", "codec/json" */
export function parseRegistered(payload: Uint8Array): ProvisioningEvent {
  const { thingName } = readJson(payload, registeredShape, "provision/accepted");
  if (!thingName || !/^[a-zA-Z0-9:_-]{1,128}$/.test(thingName)) {
    throw new AgentError(
      "provisioning/response",
      `provision/accepted: thing name ${writeJson(thingName?.slice(0, 64) ?? null)}`,
    );
  }
  return { type: "registered", thingName };
}

const rejectedShape = deepFreeze({
  statusCode: "number",
  errorCode: "string",
  errorMessage: "string",
} as const);

export function parseRejected(payload: Uint8Array, request: string): ProvisioningEvent {
  const { statusCode, errorCode, errorMessage } = readJson(
    payload,
    rejectedShape,
    `${request}/rejected`,
  );
  const reason = `${statusCode ?? "?"} ${errorCode ?? "?"}: ${errorMessage?.slice(0, 200) ?? "no reason given"}`;
  return {
    type: "rejected",
    error: new AgentError("provisioning/rejected", `${request}: ${reason}`),
  };
}

const recordShape = deepFreeze({
  state: "string",
  privateKey: "string",
  publicKey: "string",
  certificate: "string",
  certificateId: "string",
  token: "string",
  thingName: "string",
  refusals: "integer",
} as const);

/** The record as stored. */
export function encodeRecord(record: ProvisioningRecord): Uint8Array {
  return toUtf8(
    writeJson({
      state: record.state,
      privateKey: record.keyPair && toBase64(record.keyPair.privateKey),
      publicKey: record.keyPair && toBase64(record.keyPair.publicKey),
      certificate: record.certificates?.map(toBase64).join(" "),
      certificateId: record.certificateId,
      token: record.ownershipToken,
      thingName: record.thingName,
      refusals: record.refusals,
    }),
  );
}

/** @throws AgentError "storage/damaged" when the bytes are no record, or one that lacks what its state needs */
export function parseRecord(bytes: Uint8Array): ProvisioningRecord {
  try {
    const stored = readJson(bytes, recordShape, "identity");
    const state = (Object.keys(provisioningTable) as ProvisioningState[]).find(
      name => name === stored.state,
    );
    if (!state)
      throw new AgentError("storage/damaged", `identity: state ${writeJson(stored.state ?? null)}`);
    if (state === "blank") return { state };
    const keyPair = {
      privateKey: bytesOf(stored.privateKey, "privateKey"),
      publicKey: bytesOf(stored.publicKey, "publicKey"),
    };
    if (state === "keyed") return { state, keyPair };
    const certificates = textOf(stored.certificate, "certificate")
      .split(" ")
      .map(text => bytesOf(text, "certificate"));
    const record = {
      state,
      keyPair,
      certificates,
      certificateId: textOf(stored.certificateId, "certificateId"),
    };
    const refusals = stored.refusals ?? 0;
    if (state !== "certified") {
      return { ...record, thingName: textOf(stored.thingName, "thingName"), refusals };
    }
    return {
      ...record,
      ownershipToken: textOf(stored.token, "token"),
      refusals: stored.refusals ?? 0,
    };
  } catch (cause) {
    throw new AgentError(
      "storage/damaged",
      `the stored identity cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function textOf(text: string | undefined, member: string): string {
  if (!text) throw new AgentError("storage/damaged", `identity: ${member} is missing`);
  return text;
}

function bytesOf(text: string | undefined, member: string): Uint8Array {
  const bytes = fromBase64(textOf(text, member));
  if (!bytes) throw new AgentError("storage/damaged", `identity: ${member} is not base64`);
  return bytes;
}
