// AWS IoT's reserved topics. All that is AWS about names stands in this folder.
import { deepFreeze } from "../util/machine.js";

const certificate = "$aws/certificates/create-from-csr/json";

/** Replies to the two requests of provisioning by claim, accepted and rejected. */
export function provisioningFilters(template: string): readonly string[] {
  const provision = provisionTopic(template);
  return [
    `${certificate}/accepted`,
    `${certificate}/rejected`,
    `${provision}/accepted`,
    `${provision}/rejected`,
  ];
}

export const createCertificateTopic = certificate;

export function provisionTopic(template: string): string {
  return `$aws/provisioning-templates/${template}/provision/json`;
}

export function shadowTopic(thingName: string, suffix: string): string {
  return `$aws/things/${thingName}/shadow/${suffix}`;
}

const shadowReplies = deepFreeze([
  "get/accepted",
  "get/rejected",
  "update/accepted",
  "update/rejected",
  "update/delta",
]);

export function shadowFilters(thingName: string): readonly string[] {
  return shadowReplies.map(suffix => shadowTopic(thingName, suffix));
}
