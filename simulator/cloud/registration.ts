// Carries out what a template asks for: RegisterThing and just-in-time provisioning end here.

import type { Certificate, Registry } from "./registry.js";
import { denied, notFound, Rejection } from "./rejection.js";
import type { ProvisioningPlan } from "./template.js";

/**
 * All checks come first, so that a refusal changes nothing.
 *
 * @param asker  the certificate that asks; undefined when nobody does
 * @throws       Rejection
 */
export function register(
  registry: Registry,
  plan: ProvisioningPlan,
  certificate: Certificate,
  asker: Certificate | undefined,
  now: number,
): Certificate {
  const { name, attributes, attributesOverride } = plan.thing;
  const missing = plan.policies.find(each => !each.document && !registry.hasPolicy(each.name));
  if (missing !== undefined) throw notFound(`Policy ${missing.name} does not exist`);
  checkAsker(asker, name);
  const existing = registry.thing(name);
  if (existing === undefined) {
    registry.putThing({ name, attributes, createdAt: now });
  } else if (attributesOverride === "FAIL") {
    throw new Rejection(409, "ResourceConflict", `Thing ${name} exists already`);
  } else if (attributesOverride !== "DO_NOTHING") {
    const kept = attributesOverride === "MERGE" ? existing.attributes : {};
    registry.putThing({ ...existing, attributes: { ...kept, ...attributes } });
  }
  for (const policy of plan.policies) {
    if (policy.document !== undefined) registry.putPolicy(policy.name, policy.document);
  }
  const { ownership: _used, ...rest } = certificate;
  const registered: Certificate = {
    ...rest,
    status: plan.certificate.active ? "ACTIVE" : "INACTIVE",
    thing: name,
    exclusive: plan.certificate.exclusive,
    policies: plan.policies.map(each => each.name),
  };
  registry.putCertificate(registered);
  return registered;
}

/**
 * A device that changes its certificate stays the thing it is. On AWS an owner's hook says so: it is told the
 * certificate that asks, and ListPrincipalThings has its thing. Here it holds whatever the hook.
 */
function checkAsker(asker: Certificate | undefined, thingName: string): void {
  if (asker?.kind !== "device" || asker.thing === undefined || asker.thing === thingName) return;
  throw denied(`The device is thing ${asker.thing} and cannot register as another`);
}
