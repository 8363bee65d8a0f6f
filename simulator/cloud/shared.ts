// Shared subscriptions, `$share/{group}/{filter}`, on both versions ("mqtt", "Shared subscriptions"):
// who is in which group, and what waits for a group of which nobody is there.

import type { BrokerLimits } from "./limits.js";
import { type Message, sizeOf } from "./session.js";
import { type Grant, TopicTree } from "./topics.js";

const prefix = "$share/";

export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/** @returns undefined for a filter that is nobody's but the subscriber's; both parts may be ill-formed */
export function sharedFilter(text: string): SharedFilter | undefined {
  if (text !== "$share" && !text.startsWith(prefix)) return undefined;
  const [group = "", ...levels] = text.slice(prefix.length).split("/");
  return { group, filter: levels.join("/") };
}

/** The share name: not empty, no wildcard, at most 128 characters. */
export function isShareName(name: string, limits: BrokerLimits): boolean {
  return name !== "" && !/[+#]/.test(name) && [...name].length <= limits.shareNameCharacters;
}

export class ShareGroup<T> {
  readonly name: string;
  readonly members = new Map<T, Grant>();
  readonly #limits: BrokerLimits;
  #queue: Message[] = [];
  #queuedBytes = 0;

  constructor(name: string, limits: BrokerLimits) {
    this.name = name;
    this.#limits = limits;
  }

  /** Keeps a QoS 1 message; when full, what was there first stays. The bounds are assumed. */
  enqueue(message: Message): void {
    const { queuedMessages, queuedBytes } = this.#limits;
    const bytes = this.#queuedBytes + sizeOf(message);
    if (this.#queue.length >= queuedMessages || bytes > queuedBytes) return;
    this.#queuedBytes = bytes;
    this.#queue.push(message);
  }

  /** All that waited, for the first member to come; at once, where AWS sends 20 a second. */
  drain(): Message[] {
    const waiting = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    return waiting;
  }
}

export class SharedSubscriptions<T> {
  readonly #limits: BrokerLimits;
  readonly #groups = new Map<string, ShareGroup<T>>();
  readonly #tree = new TopicTree<ShareGroup<T>>();

  constructor(limits: BrokerLimits) {
    this.#limits = limits;
  }

  /** Whether the quotas of groups and members leave room for one more. */
  hasRoom(text: string): boolean {
    const group = this.#groups.get(text);
    if (group === undefined) return this.#groups.size < this.#limits.shareGroups;
    return group.members.size < this.#limits.shareMembers;
  }

  join({ group: name, filter }: SharedFilter, member: T, grant: Grant): ShareGroup<T> {
    const text = `${prefix}${name}/${filter}`;
    let group = this.#groups.get(text);
    if (group === undefined) {
      group = new ShareGroup(name, this.#limits);
      this.#groups.set(text, group);
      this.#tree.add(filter, group, { qos: 1, noLocal: false });
    }
    group.members.set(member, grant);
    return group;
  }

  /** The group of nobody is forgotten, and what waited for it: so nothing waits longer than a session does. */
  leave({ group: name, filter }: SharedFilter, member: T): void {
    const text = `${prefix}${name}/${filter}`;
    const group = this.#groups.get(text);
    if (group === undefined || !group.members.delete(member) || group.members.size > 0) return;
    this.#groups.delete(text);
    this.#tree.remove(filter, group);
  }

  get(text: string): ShareGroup<T> | undefined {
    return this.#groups.get(text);
  }

  /** One message goes to each of them. */
  match(topic: string): Iterable<ShareGroup<T>> {
    return this.#tree.match(topic).keys();
  }
}
