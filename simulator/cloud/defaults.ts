// What a fresh local cloud holds: the claim policy, the device policy and the `sensor-node` template.

import { X509Certificate } from "node:crypto";
import { certificateId } from "./authority.js";
import { arnPrefix, type PolicyDocument } from "./policy.js";
import { provisioningPolicy } from "./provisioning-policy.js";
import type { Registry } from "./registry.js";
import type { TemplateBody } from "./template.js";

export const claimPolicyName = "skerry-claim";
export const devicePolicyName = "skerry-device";
export const defaultTemplateName = "sensor-node";

export const claimPolicy: PolicyDocument = provisioningPolicy(defaultTemplateName);

/** One's next certificate: by CSR only, the key stays on the device. */
const rotationTopics = [
  "$aws/certificates/create-from-csr/*",
  `$aws/provisioning-templates/${defaultTemplateName}/provision/*`,
];

const thing = "${" + "iot:Connection.Thing.ThingName}";
const deviceTopics = [
  `$aws/things/${thing}/shadow/*`,
  `$aws/things/${thing}/jobs/*`,
  `$aws/things/${thing}/streams/*`,
  `$aws/things/${thing}/defender/metrics/*`,
  `dt/${thing}/*`,
];
const topics = [...deviceTopics, ...rotationTopics];

/** A device speaks for its own thing only, under a client id that is the thing's name ("thing-policy-variables"). */
export const devicePolicy: PolicyDocument = {
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Action: "iot:Connect",
      Resource: `${arnPrefix}client/${thing}`,
      Condition: { Bool: { "iot:Connection.Thing.IsAttached": "true" } },
    },
    {
      Effect: "Allow",
      Action: ["iot:Publish", "iot:Receive"],
      Resource: topics.map(topic => `${arnPrefix}topic/${topic}`),
    },
    {
      Effect: "Allow",
      Action: "iot:Subscribe",
      Resource: topics.map(topic => `${arnPrefix}topicfilter/${topic}`),
    },
  ],
};

/** Names the thing after its serial number and makes the certificate its own. */
export const defaultTemplate: TemplateBody = {
  Parameters: {
    SerialNumber: { Type: "String" },
    "AWS::IoT::Certificate::Id": { Type: "String" },
  },
  Resources: {
    certificate: {
      Type: "AWS::IoT::Certificate",
      Properties: {
        CertificateId: { Ref: "AWS::IoT::Certificate::Id" },
        Status: "Active",
        ThingPrincipalType: "EXCLUSIVE_THING",
      },
    },
    thing: {
      Type: "AWS::IoT::Thing",
      Properties: {
        ThingName: { "Fn::Join": ["", ["node-", { Ref: "SerialNumber" }]] },
        AttributePayload: { serialNumber: { Ref: "SerialNumber" } },
      },
      OverrideSettings: { AttributePayload: "MERGE" },
    },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: devicePolicyName } },
  },
  DeviceConfiguration: {},
};

/** The claim certificate, its policy, the device policy and the template: written when they are missing. */
export function installDefaults(registry: Registry, claimPem: string, now: number): void {
  if (!registry.hasPolicy(claimPolicyName)) registry.putPolicy(claimPolicyName, claimPolicy);
  if (!registry.hasPolicy(devicePolicyName)) registry.putPolicy(devicePolicyName, devicePolicy);
  if (registry.template(defaultTemplateName) === undefined) {
    registry.putTemplate(defaultTemplateName, defaultTemplate);
  }
  const id = certificateId(new X509Certificate(claimPem).raw);
  if (registry.certificate(id) !== undefined) return;
  registry.putCertificate({
    id,
    pem: claimPem,
    kind: "claim",
    status: "ACTIVE",
    createdAt: now,
    exclusive: false,
    policies: [claimPolicyName],
  });
}
