// Security_Device_Policies: what the policies on a device's certificate allow beyond the device itself. Pure.
// @see AWS IoT developer guide, "device-advisor-tests-permissions-policies"
import type { PolicyDocument } from "../cloud/policy.js";
import { counted, fail, pass, type Verdict } from "./verdict.js";

type Statement = PolicyDocument["Statement"][number];

const listOf = (value: string | readonly string[]) => (typeof value === "string" ? [value] : value);

/** Every part of a policy that allows more than one device needs, in words. */
export function broadParts({ Statement }: PolicyDocument): readonly string[] {
  return Statement.filter(({ Effect }) => Effect === "Allow").flatMap(broadPartsOf);
}

function broadPartsOf({ Action, Resource }: Statement): readonly string[] {
  const actions = listOf(Action)
    .filter(action => /[*?]/.test(action))
    .map(action => `action ${action}`);
  const resources = listOf(Resource)
    .filter(isBroad)
    .map(resource => `resource ${nameOf(resource)}`);
  return [...actions, ...resources];
}

/** What stands after the account: `topic/a/b`. */
function nameOf(resource: string): string {
  return resource.split(":").slice(5).join(":") || resource;
}

/**
 * A wildcard is broad unless a policy variable stands before it, which ties it to the device, or two fixed levels at least;
 * below `$aws/things/` only a variable does.
 */
function isBroad(resource: string): boolean {
  const name = nameOf(resource);
  // `${*}` and `${?}` are the characters themselves.
  const at = name.replaceAll(/\$\{[*?]\}/g, "____").search(/[*?]/);
  if (at < 0) return false;
  const [kind, ...levels] = name.slice(0, at).split("/");
  const before = levels.join("/");
  if (before.includes("${iot:")) return false;
  if (kind === "client" || kind === "*" || before.startsWith("$aws/things/")) return true;
  return levels.length <= 2;
}

export function judgePolicies(policies: readonly PolicyDocument[]): Verdict {
  if (policies.length === 0) return fail("no policy is attached");
  const broad = policies.flatMap(broadParts);
  if (broad.length > 0) return fail(`too broad: ${broad.join(", ")}`);
  const statements = policies.flatMap(({ Statement }) => Statement).length;
  return pass(`${counted(statements, "statement")}, no broad wildcard`);
}
