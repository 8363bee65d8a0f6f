// AWS IoT's reserved topics. All that is AWS about names stands in this folder.
import { deepFreeze } from "../util/machine.js";

/** By a request that proves a key of the device's own, or with a key that the cloud makes. */
export type Operation = "create-from-csr" | "create";

/** What a template's topics are made of. */
interface Template {
  readonly template: string;
  readonly format: "json" | "cbor";
}

/** Replies to the two requests of fleet provisioning, accepted and rejected. */
export function provisioningFilters(
  { template, format }: Template,
  operation: Operation,
): readonly string[] {
  const requests = [createCertificateTopic(operation, format), provisionTopic(template, format)];
  return requests.flatMap(topic => [`${topic}/accepted`, `${topic}/rejected`]);
}

export function createCertificateTopic(operation: Operation, format: Template["format"]): string {
  return `$aws/certificates/${operation}/${format}`;
}

export function provisionTopic(template: string, format: Template["format"]): string {
  return `$aws/provisioning-templates/${template}/provision/${format}`;
}

/** Whether a reply belongs to provisioning. */
export function isProvisioningTopic(topic: string): boolean {
  return topic.startsWith("$aws/certificates/") || topic.startsWith("$aws/provisioning-templates/");
}

/** Of the classic shadow, or of a named one. */
export function shadowPrefix(thingName: string, shadow: string | undefined): string {
  const name = shadow === undefined ? "" : `name/${shadow}/`;
  return `$aws/things/${thingName}/shadow/${name}`;
}

export function shadowTopic(thingName: string, suffix: string, shadow: string | undefined): string {
  return shadowPrefix(thingName, shadow) + suffix;
}

const shadowReplies = deepFreeze([
  "get/accepted",
  "get/rejected",
  "update/accepted",
  "update/rejected",
  "update/delta",
  "delete/accepted",
]);

export function shadowFilters(thingName: string, shadow: string | undefined): readonly string[] {
  return shadowReplies.map(suffix => shadowTopic(thingName, suffix, shadow));
}

/** Of all named shadows at once. */
export function shadowsFilters(thingName: string): readonly string[] {
  return shadowFilters(thingName, "+");
}

/** What a device is asked to do, and what it says of it. */
export function jobsPrefix(thingName: string): string {
  return `$aws/things/${thingName}/jobs/`;
}

/** Files that the cloud sends in blocks; replies come without a subscription. */
export function streamsPrefix(thingName: string): string {
  return `$aws/things/${thingName}/streams/`;
}

/** The one that has to be subscribed: replies of the jobs service come without. */
export function jobsFilters(thingName: string): readonly string[] {
  return [`${jobsPrefix(thingName)}notify-next`];
}

export function streamTopic(thingName: string, stream: string, suffix: string): string {
  return `${streamsPrefix(thingName)}${stream}/${suffix}`;
}

/** Messages go to one rule and past the broker: cheaper, and nobody else can subscribe to them. */
export function basicIngestTopic(rule: string, topic: string): string {
  return `$aws/rules/${rule}/${topic}`;
}

/** What of a topic counts for the service's bounds on length and levels: Basic Ingest's first three levels do not. */
export function countedTopic(topic: string): string {
  return topic.startsWith("$aws/rules/") ? topic.replace(/^\$aws\/rules\/[^/]*\//, "") : topic;
}
