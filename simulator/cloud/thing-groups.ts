// Static thing groups, as far as jobs need them: who is in which. Groups inside groups are refused.

import * as v from "valibot";
import type { Clock } from "./environment.js";
import { JobFault } from "./job-fault.js";
import type { Store } from "./store.js";

const groupSchema = v.object({
  name: v.string(),
  description: v.exactOptional(v.string()),
  attributes: v.record(v.string(), v.string()),
  things: v.array(v.string()),
  createdAt: v.number(),
  version: v.number(),
});

export type ThingGroup = Readonly<v.InferOutput<typeof groupSchema>>;
export type ThingGroupProperties = Pick<ThingGroup, "attributes"> &
  Partial<Pick<ThingGroup, "description">>;

/** Kinds of record that groups keep in the store. */
export const thingGroupSchemas = { thingGroup: groupSchema } as const;

export interface ThingGroupsOptions {
  readonly store: Store;
  readonly clock: Clock;
  hasThing(thing: string): boolean;
  onJoined(group: string, thing: string): void;
  onLeft(group: string, thing: string): void;
}

const groupsMax = 500;
/** Quotas, device management. */
const groupsPerThing = 10;

export class ThingGroups {
  readonly #options: ThingGroupsOptions;
  readonly #groups: Map<string, ThingGroup>;

  constructor(options: ThingGroupsOptions) {
    this.#options = options;
    this.#groups = new Map(options.store.list("thingGroup", groupSchema));
  }

  group(name: string): ThingGroup | undefined {
    return this.#groups.get(name);
  }

  groups(): readonly ThingGroup[] {
    return [...this.#groups.values()];
  }

  /** The same again is no change. @throws JobFault */
  create(name: string, { description, attributes }: ThingGroupProperties): ThingGroup {
    if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(name)) {
      throw new JobFault("InvalidRequest", "Invalid thing group name");
    }
    const known = this.#groups.get(name);
    if (known !== undefined) {
      const isSame =
        known.description === description &&
        JSON.stringify(known.attributes) === JSON.stringify(attributes);
      if (isSame) return known;
      const message = `Thing group ${name} already exists`;
      throw new JobFault("ResourceAlreadyExists", message, { resource: `thinggroup/${name}` });
    }
    if (this.#groups.size >= groupsMax) {
      throw new JobFault("LimitExceeded", `There are ${groupsMax} thing groups already`);
    }
    return this.#put({
      name,
      ...(description === undefined ? {} : { description }),
      attributes,
      things: [],
      createdAt: this.#options.clock.now(),
      version: 1,
    });
  }

  /** Harmless when it is in already. @throws JobFault */
  add(name: string, thing: string): void {
    const group = this.#known(name);
    this.#checkThing(thing);
    if (group.things.includes(thing)) return;
    if (this.groupsOf(thing).length >= groupsPerThing) {
      const message = `${thing} is in ${groupsPerThing} thing groups already`;
      throw new JobFault("InvalidRequest", message);
    }
    this.#put({ ...group, things: [...group.things, thing] });
    this.#options.onJoined(name, thing);
  }

  /** Harmless when it is not in it. @throws JobFault */
  remove(name: string, thing: string): void {
    const group = this.#known(name);
    this.#checkThing(thing);
    if (!group.things.includes(thing)) return;
    this.#put({ ...group, things: group.things.filter(each => each !== thing) });
    this.#options.onLeft(name, thing);
  }

  groupsOf(thing: string): readonly ThingGroup[] {
    return this.groups().filter(({ things }) => things.includes(thing));
  }

  #known(name: string): ThingGroup {
    const group = this.#groups.get(name);
    if (group !== undefined) return group;
    throw new JobFault("ResourceNotFound", `Thing group ${name} does not exist`);
  }

  #checkThing(thing: string): void {
    if (this.#options.hasThing(thing)) return;
    throw new JobFault("ResourceNotFound", `Thing ${thing} does not exist`);
  }

  #put(group: ThingGroup): ThingGroup {
    this.#groups.set(group.name, group);
    this.#options.store.put("thingGroup", group.name, group);
    return group;
  }
}
