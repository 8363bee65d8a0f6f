// What a claim may do: provision with one template, and nothing else.

import { arnPrefix, type PolicyDocument } from "./policy.js";

/**
 * Exactly what "provision-wo-cert" asks for, with the CSR path that its sample leaves out.
 * A trusted user's claim has the same rights for its template: assumed, the guide shows no policy of it.
 */
export function provisioningPolicy(templateName: string): PolicyDocument {
  const topics = [
    "$aws/certificates/create/*",
    "$aws/certificates/create-from-csr/*",
    `$aws/provisioning-templates/${templateName}/provision/*`,
  ];
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: "iot:Connect", Resource: `${arnPrefix}client/*` },
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
}
