// Provisioning requests and answers in the two formats of their topics: an answer is in the format that was asked in.

import * as v from "valibot";
import { encodeCbor, parseCbor } from "./cbor.js";
import { parseJson } from "./json.js";
import { provisioningLimits } from "./limits.js";
import { invalid } from "./rejection.js";

export type Format = "json" | "cbor";

const parsers = Object.freeze({ json: parseJson, cbor: parseCbor });
const names = Object.freeze({ json: "JSON", cbor: "CBOR" });

/** @throws Rejection */
export function readRequest<S extends v.GenericSchema>(
  format: Format,
  payload: Uint8Array,
  schema: S,
): v.InferOutput<S> {
  const { requestBytes, requestDepth } = provisioningLimits;
  if (payload.length > requestBytes) {
    throw invalid(`The payload has ${payload.length} bytes, at most ${requestBytes} are allowed`);
  }
  const parsed = parsers[format](payload, requestDepth);
  if (!parsed.ok) throw invalid(`The payload is not valid ${names[format]}`);
  const result = v.safeParse(schema, parsed.value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw invalid(`${v.getDotPath(issue) ?? "payload"}: ${issue.message}`);
}

export function writeAnswer(format: Format, body: object): Uint8Array {
  return format === "json" ? Buffer.from(JSON.stringify(body)) : encodeCbor(body);
}
