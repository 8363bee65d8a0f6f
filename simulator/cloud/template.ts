// Fleet provisioning templates: their shape, and what one comes to for given parameters. Pure.

import { createHash } from "node:crypto";
import * as v from "valibot";
import { CloudError } from "./errors.js";
import { provisioningLimits } from "./limits.js";
import { type PolicyDocument, parsePolicy } from "./policy.js";

const override = v.picklist(["DO_NOTHING", "REPLACE", "FAIL", "MERGE"]);
const resourceSchema = v.object({
  Type: v.picklist(["AWS::IoT::Thing", "AWS::IoT::Certificate", "AWS::IoT::Policy"]),
  Properties: v.record(v.string(), v.unknown()),
  OverrideSettings: v.exactOptional(v.record(v.string(), override)),
});

export const templateSchema = v.object({
  Parameters: v.record(
    v.string(),
    v.object({ Type: v.literal("String"), Default: v.exactOptional(v.string()) }),
  ),
  Mappings: v.exactOptional(
    v.record(v.string(), v.record(v.string(), v.record(v.string(), v.string()))),
  ),
  Resources: v.record(v.string(), resourceSchema),
  DeviceConfiguration: v.exactOptional(v.record(v.string(), v.unknown())),
});

export type TemplateBody = v.InferOutput<typeof templateSchema>;
type Resource = TemplateBody["Resources"][string];
type Parameters = ReadonlyMap<string, string>;

/** One that exists, or with its document, one to be made. */
export interface PlannedPolicy {
  readonly name: string;
  readonly document?: PolicyDocument;
}

/** What RegisterThing has to do. */
export interface ProvisioningPlan {
  readonly certificate: { readonly active: boolean; readonly exclusive: boolean };
  readonly thing: {
    readonly name: string;
    readonly attributes: Readonly<Record<string, string>>;
    readonly attributesOverride: "DO_NOTHING" | "REPLACE" | "FAIL" | "MERGE";
  };
  readonly policies: readonly PlannedPolicy[];
  readonly deviceConfiguration: Readonly<Record<string, string>>;
}

/** A template that cannot be carried out with these parameters; the message may go to the device. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** @throws CloudError "cloud/invalid-template" */
export function parseTemplate(name: string, body: unknown): TemplateBody {
  const characters = JSON.stringify(body)?.length ?? 0;
  if (characters > provisioningLimits.templateCharacters) {
    const message = `Template ${name} has ${characters} characters, at most 10240 are allowed.`;
    throw new CloudError("cloud/invalid-template", message);
  }
  const result = v.safeParse(templateSchema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const where = v.getDotPath(issue) ?? "body";
  throw new CloudError("cloud/invalid-template", `Template ${name}: ${where}: ${issue.message}`);
}

/** @throws TemplateError */
export function evaluateTemplate(
  body: TemplateBody,
  given: Readonly<Record<string, string>>,
  certificateId: string,
): ProvisioningPlan {
  const parameters = bindParameters(body, given, certificateId);
  const value = (node: unknown): string => evaluateText(node, parameters, body);
  const thing = single(body, "AWS::IoT::Thing");
  const certificate = single(body, "AWS::IoT::Certificate");
  const { CertificateId, Status, ThingPrincipalType } = certificate.Properties;
  if (value(CertificateId) !== certificateId) {
    throw new TemplateError("Template must refer to AWS::IoT::Certificate::Id");
  }
  return {
    certificate: {
      // Samples write both ACTIVE and Active ("provision-template").
      active: Status === undefined || value(Status).toUpperCase() === "ACTIVE",
      exclusive:
        ThingPrincipalType !== undefined && value(ThingPrincipalType) === "EXCLUSIVE_THING",
    },
    thing: {
      name: checkThingName(value(thing.Properties.ThingName)),
      attributes: evaluateMap(thing.Properties.AttributePayload, value),
      attributesOverride: thing.OverrideSettings?.AttributePayload ?? "DO_NOTHING",
    },
    policies: ofType(body, "AWS::IoT::Policy").map(each => policyOf(each, value)),
    deviceConfiguration: evaluateMap(body.DeviceConfiguration, value),
  };
}

function bindParameters(
  body: TemplateBody,
  given: Readonly<Record<string, string>>,
  certificateId: string,
): Parameters {
  const bound = new Map<string, string>([["AWS::IoT::Certificate::Id", certificateId]]);
  for (const [name, { Default }] of Object.entries(body.Parameters)) {
    if (bound.has(name)) continue;
    const text = Object.hasOwn(given, name) ? given[name] : Default;
    if (text === undefined) throw new TemplateError(`Parameter ${name} is missing`);
    bound.set(name, text);
  }
  return bound;
}

function ofType(body: TemplateBody, type: Resource["Type"]): Resource[] {
  return Object.values(body.Resources).filter(resource => resource.Type === type);
}

function single(body: TemplateBody, type: Resource["Type"]): Resource {
  const [resource, ...more] = ofType(body, type);
  if (resource === undefined || more.length > 0) {
    throw new TemplateError(`Template must have exactly one ${type}`);
  }
  return resource;
}

/** By name, or written out: such a policy is named by its hash ("provision-template"); which hash is assumed. */
function policyOf(
  { Properties: { PolicyName, PolicyDocument: inline } }: Resource,
  value: (node: unknown) => string,
): PlannedPolicy {
  if ((PolicyName === undefined) === (inline === undefined)) {
    throw new TemplateError("A policy has either PolicyName or PolicyDocument");
  }
  if (inline === undefined) return { name: value(PolicyName) };
  const text = value(inline);
  const name = createHash("sha256").update(text).digest("hex");
  try {
    return { name, document: parsePolicy(name, JSON.parse(text)) };
  } catch (cause) {
    throw new TemplateError("PolicyDocument is not a policy", { cause });
  }
}

function checkThingName(name: string): string {
  if (/^[a-zA-Z0-9:_-]{1,128}$/.test(name)) return name;
  throw new TemplateError("Thing name must be 1 to 128 characters of a-z, A-Z, 0-9, : _ -");
}

function evaluateMap(
  node: unknown,
  value: (node: unknown) => string,
): Readonly<Record<string, string>> {
  if (typeof node !== "object" || node === null) return {};
  return Object.fromEntries(Object.entries(node).map(([key, each]) => [key, value(each)]));
}

type Intrinsic = (argument: unknown, parameters: Parameters, body: TemplateBody) => string;

/** Developer guide "provision-template": the intrinsic functions of a template. */
const intrinsics: Readonly<Record<string, Intrinsic>> = Object.freeze({
  Ref: reference,
  "Fn::Join": (argument, parameters, body) => {
    const [separator, parts] = pair(argument, "Fn::Join");
    return evaluateList(parts, parameters, body).join(evaluateText(separator, parameters, body));
  },
  "Fn::Select": (argument, parameters, body) => {
    const [index, parts] = pair(argument, "Fn::Select");
    const chosen = evaluateList(parts, parameters, body)[Number(index)];
    if (chosen === undefined) throw new TemplateError("Fn::Select: no such element");
    return chosen;
  },
  "Fn::FindInMap": (argument, parameters, body) => {
    const [map, top, second] = evaluateList(argument, parameters, body);
    const found = body.Mappings?.[map ?? ""]?.[top ?? ""]?.[second ?? ""];
    if (found === undefined) throw new TemplateError("Fn::FindInMap: no such entry");
    return found;
  },
  "Fn::Sub": (argument, parameters, body) => {
    const [text, own] = Array.isArray(argument) ? pair(argument, "Fn::Sub") : [argument, {}];
    if (typeof text !== "string") throw new TemplateError("Fn::Sub takes a string");
    const local = evaluateMap(own, node => evaluateText(node, parameters, body));
    return text.replace(/\$\{([^}]*)\}/g, (_, name: string) =>
      Object.hasOwn(local, name) ? (local[name] ?? "") : reference(name, parameters),
    );
  },
});

function reference(argument: unknown, parameters: Parameters): string {
  const found = typeof argument === "string" ? parameters.get(argument) : undefined;
  if (found === undefined) throw new TemplateError(`Ref: no parameter ${String(argument)}`);
  return found;
}

function pair(argument: unknown, name: string): [unknown, unknown] {
  if (Array.isArray(argument) && argument.length === 2) return [argument[0], argument[1]];
  throw new TemplateError(`${name} takes a list of two`);
}

/** A list is written out, or comes from Fn::Split. */
function evaluateList(node: unknown, parameters: Parameters, body: TemplateBody): string[] {
  if (Array.isArray(node)) return node.map(each => evaluateText(each, parameters, body));
  const split = typeof node === "object" && node !== null ? Object.entries(node)[0] : undefined;
  if (split?.[0] !== "Fn::Split") throw new TemplateError("A list or Fn::Split is expected");
  const [separator, text] = pair(split[1], "Fn::Split");
  return evaluateText(text, parameters, body).split(evaluateText(separator, parameters, body));
}

/** Templates are at most 10,240 characters, so recursion is too. */
function evaluateText(node: unknown, parameters: Parameters, body: TemplateBody): string {
  if (typeof node === "string") return node;
  const entries = typeof node === "object" && node !== null ? Object.entries(node) : [];
  const [name, argument] = entries[0] ?? [];
  const intrinsic = name !== undefined && Object.hasOwn(intrinsics, name) && intrinsics[name];
  if (!intrinsic || entries.length !== 1) {
    throw new TemplateError("A string, Ref or intrinsic function is expected");
  }
  return intrinsic(argument, parameters, body);
}
