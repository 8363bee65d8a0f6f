// Every case Device Advisor documents, in its order, and two of ours about jobs behind its own.
import { backoffCases } from "./backoff-cases.js";
import type { Case } from "./case.js";
import { jobCases } from "./job-cases.js";
import { longCase } from "./long-case.js";
import { mqttCases } from "./mqtt-cases.js";
import { shadowCases } from "./shadow-cases.js";
import { tlsCases } from "./tls-cases.js";

export const linkCases: readonly Case[] = Object.freeze([
  ...tlsCases,
  ...mqttCases.slice(0, 3),
  ...backoffCases,
  ...mqttCases.slice(3),
  ...shadowCases,
  ...jobCases,
]);

export { longCase };
export const policyCase = "Security_Device_Policies";

/** What `--case` takes. */
export const caseNames: readonly string[] = Object.freeze([
  ...linkCases.map(({ name }) => name),
  policyCase,
  longCase.name,
]);
