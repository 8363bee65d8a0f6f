// What CreateOTAUpdate takes (botocore model "iot"), and what is remembered of it. Pure.

import * as v from "valibot";
import { CloudError } from "./errors.js";
import { isObject, type Json, type JsonObject } from "./json.js";
import { otaLimits, streamLimits } from "./limits.js";

const text = v.string();
const config = v.custom<JsonObject>(value => isObject(value as Json), "Expected an object");
const location = v.object({ bucket: text, key: text, version: v.exactOptional(text) });
const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(streamLimits.fileIdMax));
const base64 = v.pipe(
  text,
  v.check(value => value !== "" && canonical(value) === value, "Expected base64"),
);

const custom = v.object({
  signature: v.object({ inlineDocument: base64 }),
  certificateChain: v.exactOptional(
    v.object({ certificateName: v.exactOptional(text), inlineDocument: v.exactOptional(text) }),
  ),
  hashAlgorithm: v.picklist(["SHA256", "SHA1"]),
  signatureAlgorithm: v.picklist(["ECDSA", "RSA"]),
});
const signing = v.object({
  awsSignerJobId: v.exactOptional(text),
  startSigningJobParameter: v.exactOptional(
    v.object({
      signingProfileName: text,
      signingProfileParameter: v.exactOptional(config),
      destination: v.exactOptional(config),
    }),
  ),
  customCodeSigning: v.exactOptional(custom),
});
const file = v.object({
  fileName: v.exactOptional(text),
  fileType: v.exactOptional(byte),
  fileVersion: v.exactOptional(text),
  fileLocation: v.object({
    stream: v.exactOptional(v.object({ streamId: text, fileId: byte })),
    s3Location: v.exactOptional(location),
  }),
  codeSigning: v.exactOptional(signing),
  attributes: v.exactOptional(v.record(text, text)),
});

export const otaRequestSchema = v.object({
  targets: v.pipe(v.array(text), v.minLength(1)),
  files: v.pipe(v.array(file), v.minLength(1), v.maxLength(otaLimits.files)),
  roleArn: v.exactOptional(text),
  protocols: v.exactOptional(
    v.pipe(v.array(v.picklist(["MQTT", "HTTP"])), v.minLength(1), v.maxLength(2)),
  ),
  targetSelection: v.exactOptional(v.picklist(["SNAPSHOT", "CONTINUOUS"])),
  description: v.exactOptional(text),
  awsJobPresignedUrlConfig: v.exactOptional(
    v.object({
      expiresInSec: v.exactOptional(
        v.pipe(
          v.number(),
          v.integer(),
          v.minValue(otaLimits.presignSecondsMin),
          v.maxValue(otaLimits.presignSecondsMax),
        ),
      ),
    }),
  ),
  awsJobExecutionsRolloutConfig: v.exactOptional(config),
  awsJobAbortConfig: v.exactOptional(v.object({ abortCriteriaList: v.array(config) })),
  awsJobTimeoutConfig: v.exactOptional(config),
  additionalParameters: v.exactOptional(v.record(text, text)),
});

export type OtaRequest = v.InferOutput<typeof otaRequestSchema>;
export type OtaFile = OtaRequest["files"][number];
export type OtaFileSigning = v.InferOutput<typeof signing>;

/** @throws CloudError "cloud/invalid-update" naming the first member that is wrong */
export function parseOtaRequest(value: unknown): OtaRequest {
  const result = v.safeParse(otaRequestSchema, value);
  if (!result.success) {
    const issue = result.issues[0];
    throw invalidUpdate(`${v.getDotPath(issue) ?? "request"}: ${issue.message}.`);
  }
  const { files, protocols = [] } = result.output;
  if (new Set(protocols).size < protocols.length) throw invalidUpdate("A protocol is given twice.");
  for (const [index, { fileLocation, codeSigning }] of files.entries()) {
    checkOne(`files.${index}.fileLocation`, fileLocation);
    if (codeSigning !== undefined) checkOne(`files.${index}.codeSigning`, codeSigning);
  }
  return result.output;
}

export function invalidUpdate(message: string): CloudError {
  return new CloudError("cloud/invalid-update", message);
}

/** Its members exclude each other. */
function checkOne(where: string, choice: object): void {
  const given = Object.keys(choice);
  if (given.length === 1) return;
  throw invalidUpdate(
    `${where}: exactly one is needed, there is ${given.join(" and ") || "none"}.`,
  );
}

function canonical(value: string): string {
  return Buffer.from(value, "base64").toString("base64");
}
