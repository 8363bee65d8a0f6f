// An owner's rule, as it would stand in a Skerry owner's account: who shows a new certificate retires the old one.
// On AWS: `SELECT *, principal() AS sender, topic(2) AS thing FROM 'dt/+/identity'`, with a Lambda that asks
// ListThingPrincipals and calls UpdateCertificate.

import * as v from "valibot";
import type { Client } from "./broker-types.js";
import { parseJson } from "./json.js";
import type { Registry } from "./registry.js";
import type { Message } from "./session.js";

export interface CertificateRetired {
  readonly type: "certificateRetired";
  readonly thingName: string;
  /** The one that took over. */
  readonly certificateId: string;
  readonly retired: string;
  readonly clientId: string;
}

const topicPattern = /^dt\/([^/]+)\/identity$/;
const bodySchema = v.object({ certificateId: v.string(), retired: v.string() });
const bodyDepth = 4;

/**
 * Sets the old certificate INACTIVE; a message that says so again changes nothing.
 *
 * It counts only when the sender speaks with the new certificate itself, for the thing of the topic, about another
 * certificate of that same thing.
 *
 * @returns what happened; undefined when nothing did
 */
export function retire(
  { topic, payload }: Message,
  { clientId, identity }: Client,
  registry: Registry,
): CertificateRetired | undefined {
  const thingName = topicPattern.exec(topic)?.[1];
  if (thingName === undefined) return undefined;
  const parsed = parseJson(payload, bodyDepth);
  const body = v.safeParse(bodySchema, parsed.ok ? parsed.value : undefined);
  if (!body.success) return undefined;
  const { certificateId, retired } = body.output;
  if (certificateId !== identity.certificateId || retired === certificateId) return undefined;
  if (registry.certificate(certificateId)?.thing !== thingName) return undefined;
  const old = registry.certificate(retired);
  if (old?.thing !== thingName || old.status !== "ACTIVE") return undefined;
  registry.setCertificateStatus(retired, "INACTIVE");
  return { type: "certificateRetired", thingName, certificateId, retired, clientId };
}
