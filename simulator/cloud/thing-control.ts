// Things, their groups, the endpoint and the switches of events over REST, as far as jobs need them (reference 12.2).

import { createHash } from "node:crypto";
import * as v from "valibot";
import { type ControlRoute, type ControlServices, pageOf } from "./control-request.js";
import { checked } from "./job-data.js";
import { invalidJob, JobFault } from "./job-fault.js";
import type { JsonObject } from "./json.js";
import { arnPrefix } from "./policy.js";
import type { Thing } from "./registry.js";
import type { ThingGroup } from "./thing-groups.js";

const name = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9:_-]{1,128}$/));
const attributes = v.exactOptional(v.record(v.string(), v.pipe(v.string(), v.maxLength(800))), {});
const attributePayload = v.exactOptional(v.object({ attributes }), { attributes: {} });
const createThing = v.object({ thingTypeName: v.exactOptional(v.string()), attributePayload });
const createGroup = v.object({
  parentGroupName: v.exactOptional(v.string()),
  thingGroupProperties: v.exactOptional(
    v.object({
      thingGroupDescription: v.exactOptional(v.pipe(v.string(), v.maxLength(2028))),
      attributePayload,
    }),
    { attributePayload: { attributes: {} } },
  ),
});
const membership = v.object({
  thingGroupName: v.exactOptional(name),
  thingGroupArn: v.exactOptional(v.string()),
  thingName: v.exactOptional(name),
  thingArn: v.exactOptional(v.string()),
});
const eventConfigurations = v.object({
  eventConfigurations: v.exactOptional(
    v.record(v.string(), v.object({ Enabled: v.exactOptional(v.boolean(), false) })),
    {},
  ),
});

const thingPath = /^\/things\/([^/]+)$/;
const groupPath = /^\/thing-groups\/([^/]+)$/;
const eventsPath = /^\/event-configurations$/;

export const thingControlRoutes: readonly ControlRoute[] = [
  {
    /** The host alone, as on AWS; ports are the person's to know. */
    method: "GET",
    path: /^\/endpoint$/,
    perform: () => ({ endpointAddress: "localhost" }),
  },
  {
    method: "GET",
    path: /^\/things$/,
    perform: ({ query }, { things }) =>
      pageOf("things", things(), each => each.name, thingSummary, query),
  },
  {
    method: "GET",
    path: thingPath,
    perform: ({ names: [thing = ""] }, services) => {
      const found = knownThing(services, thing);
      return { defaultClientId: thing, ...thingSummary(found), thingId: idOf(thing) };
    },
  },
  {
    method: "POST",
    path: thingPath,
    perform: ({ names: [thing = ""], body }, services) => {
      const { thingTypeName, attributePayload: payload } = checked(createThing, body);
      checkName(thing);
      if (thingTypeName !== undefined) throw notFound(`Thing type ${thingTypeName}`);
      const made = services.createThing(thing, payload.attributes);
      if (!isSame(made.attributes, payload.attributes)) {
        throw existing(`Thing ${thing}`, `thing/${thing}`);
      }
      return { thingName: thing, thingArn: `${arnPrefix}thing/${thing}`, thingId: idOf(thing) };
    },
  },
  {
    method: "PUT",
    path: /^\/thing-groups\/addThingToThingGroup$/,
    perform: ({ body }, { jobs }) => {
      const { group, thing } = memberOf(body);
      jobs.groups.add(group, thing);
      return {};
    },
  },
  {
    method: "PUT",
    path: /^\/thing-groups\/removeThingFromThingGroup$/,
    perform: ({ body }, { jobs }) => {
      const { group, thing } = memberOf(body);
      jobs.groups.remove(group, thing);
      return {};
    },
  },
  {
    method: "POST",
    path: groupPath,
    perform: ({ names: [group = ""], body }, { jobs }) => {
      const { parentGroupName, thingGroupProperties } = checked(createGroup, body);
      if (parentGroupName !== undefined) throw invalidJob("Groups inside groups are not served");
      const { thingGroupDescription: description, attributePayload: payload } =
        thingGroupProperties;
      const { attributes: given } = payload;
      const properties = description === undefined ? {} : { description };
      jobs.groups.create(group, { ...properties, attributes: given });
      return groupNames(group);
    },
  },
  {
    method: "GET",
    path: groupPath,
    perform: ({ names: [group = ""] }, services) => groupDetails(knownGroup(services, group)),
  },
  {
    method: "GET",
    path: /^\/thing-groups\/([^/]+)\/things$/,
    perform: ({ names: [group = ""], query }, services) => {
      const { things } = knownGroup(services, group);
      return pageOf(
        "things",
        things,
        each => each,
        each => each,
        query,
      );
    },
  },
  {
    method: "GET",
    path: /^\/things\/([^/]+)\/thing-groups$/,
    perform: ({ names: [thing = ""], query }, services) => {
      knownThing(services, thing);
      const toJson = ({ name: groupName }: ThingGroup): JsonObject => ({
        groupName,
        groupArn: `${arnPrefix}thinggroup/${groupName}`,
      });
      const groups = services.jobs.groups.groupsOf(thing);
      return pageOf("thingGroups", groups, each => each.name, toJson, query);
    },
  },
  {
    method: "PATCH",
    path: eventsPath,
    perform: ({ body }, { jobs }) => {
      const asked = Object.entries(checked(eventConfigurations, body).eventConfigurations);
      for (const [kind, { Enabled }] of asked) {
        if (kind !== "JOB" && kind !== "JOB_EXECUTION" && Enabled) {
          throw invalidJob(`${kind} events are not served here`);
        }
      }
      for (const [kind, { Enabled }] of asked) {
        if (kind === "JOB" || kind === "JOB_EXECUTION") jobs.enableEvents(kind, Enabled);
      }
      return {};
    },
  },
  {
    method: "GET",
    path: eventsPath,
    perform: (_, { jobs }) => ({
      eventConfigurations: Object.fromEntries(
        ["JOB", "JOB_EXECUTION"].map(kind => [kind, { Enabled: jobs.isEventEnabled(kind) }]),
      ),
    }),
  },
];

const notFound = (what: string): JobFault =>
  new JobFault("ResourceNotFound", `${what} does not exist`);

function existing(what: string, resource: string): JobFault {
  const message = `${what} already exists with other attributes`;
  return new JobFault("ResourceAlreadyExists", message, { resource });
}

function checkName(text: string): void {
  if (!v.is(name, text)) throw invalidJob("Invalid thing name");
}

function knownThing({ things }: ControlServices, thing: string): Thing {
  const found = things().find(each => each.name === thing);
  if (found === undefined) throw notFound(`Thing ${thing}`);
  return found;
}

function knownGroup({ jobs }: ControlServices, group: string): ThingGroup {
  const found = jobs.groups.group(group);
  if (found === undefined) throw notFound(`Thing group ${group}`);
  return found;
}

/** By name or by ARN. */
function memberOf(body: JsonObject): { readonly group: string; readonly thing: string } {
  const { thingGroupName, thingGroupArn, thingName, thingArn } = checked(membership, body);
  const group = thingGroupName ?? resourceOf(thingGroupArn, "thinggroup/");
  const thing = thingName ?? resourceOf(thingArn, "thing/");
  if (group === undefined || thing === undefined) {
    throw invalidJob("A thing and a thing group are needed");
  }
  return { group, thing };
}

function resourceOf(arn: string | undefined, kind: string): string | undefined {
  return arn?.startsWith(arnPrefix + kind) ? arn.slice((arnPrefix + kind).length) : undefined;
}

/** Assumed: nothing here changes a thing after it was made. */
function thingSummary({ name: thing, attributes: given }: Thing): JsonObject {
  const attributes = { ...given };
  return { thingName: thing, thingArn: `${arnPrefix}thing/${thing}`, attributes, version: 1 };
}

function groupNames(group: string): JsonObject {
  return {
    thingGroupName: group,
    thingGroupArn: `${arnPrefix}thinggroup/${group}`,
    thingGroupId: idOf(`group ${group}`),
  };
}

function groupDetails({ name: group, version, createdAt, ...properties }: ThingGroup): JsonObject {
  const { description, attributes: given } = properties;
  return {
    ...groupNames(group),
    version,
    thingGroupProperties: {
      ...(description === undefined ? {} : { thingGroupDescription: description }),
      attributePayload: { attributes: { ...given } },
    },
    thingGroupMetadata: { creationDate: createdAt / 1000 },
  };
}

/** The same for the same name: nothing of it is kept. */
function idOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [8, 12, 16, 20, 32].map((end, i, ends) => hex.slice(ends[i - 1] ?? 0, end)).join("-");
}

type Attributes = Readonly<Record<string, string>>;

function isSame(one: Attributes, other: Attributes): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length && names.every(each => one[each] === other[each])
  );
}
