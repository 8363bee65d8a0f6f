// Topic names and filters: what is well formed, within AWS limits, and what matches what. Pure.

import type { BrokerLimits } from "./limits.js";

/** U+FFFD is what ill-formed UTF-8 decodes to; it is refused along with U+0000 (MQTT 3.1.1 1.5.3). */
export function isText(text: string): boolean {
  return text.length > 0 && !text.includes("\u0000") && !text.includes("\uFFFD");
}

export function isTopicName(topic: string): boolean {
  return isText(topic) && !topic.includes("+") && !topic.includes("#");
}

/** `#` only alone in the last level, `+` only alone in a level (MQTT 3.1.1 4.7.1). */
export function isTopicFilter(filter: string): boolean {
  if (!isText(filter)) return false;
  const levels = filter.split("/");
  return levels.every((level, index) => {
    if (level.includes("#")) return level === "#" && index === levels.length - 1;
    return !level.includes("+") || level === "+";
  });
}

/** Within 256 bytes and 7 slashes; service topics are exempt from the slashes (quota page). */
export function isWithinLimits(topic: string, limits: BrokerLimits): boolean {
  if (Buffer.byteLength(topic) > limits.topicBytes) return false;
  return topic.startsWith("$aws/") || topic.split("/").length - 1 <= limits.topicSlashes;
}

export function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}

/** What a subscriber was granted for one filter. */
export interface Grant {
  readonly qos: 0 | 1;
  /** Not to the client that published. */
  readonly noLocal: boolean;
}

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  /** Subscribers of the filter that ends here, with what they asked for. */
  readonly values: Map<T, Grant>;
}

function newNode<T>(): Node<T> {
  return { children: new Map(), values: new Map() };
}

/** Subscriptions of many subscribers; matching costs by levels, not by subscribers. */
export class TopicTree<T> {
  readonly #root: Node<T> = newNode();

  add(filter: string, subscriber: T, grant: Grant): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      let next = node.children.get(level);
      if (next === undefined) {
        next = newNode();
        node.children.set(level, next);
      }
      node = next;
    }
    node.values.set(subscriber, grant);
  }

  remove(filter: string, subscriber: T): void {
    const path: [Node<T>, string][] = [];
    let node = this.#root;
    for (const level of filter.split("/")) {
      const next = node.children.get(level);
      if (next === undefined) return;
      path.push([node, level]);
      node = next;
    }
    node.values.delete(subscriber);
    for (const [parent, level] of path.reverse()) {
      const child = parent.children.get(level);
      if (child === undefined || child.children.size > 0 || child.values.size > 0) return;
      parent.children.delete(level);
    }
  }

  /**
   * Each subscriber once, with the highest QoS among its matching filters and no-local only when all say so.
   *
   * @see developer guide "mqtt": `a/#` does not match `a`; MQTT 3.1.1 4.7.2: a leading wildcard does not match `$`
   */
  match(topic: string): Map<T, Grant> {
    const found = new Map<T, Grant>();
    collect(this.#root, topic.split("/"), 0, topic.startsWith("$"), found);
    return found;
  }
}

function collect<T>(
  node: Node<T>,
  levels: readonly string[],
  index: number,
  reserved: boolean,
  found: Map<T, Grant>,
): void {
  const level = levels[index];
  if (level === undefined) return gather(node.values, found);
  const exact = node.children.get(level);
  if (exact !== undefined) collect(exact, levels, index + 1, reserved, found);
  if (index === 0 && reserved) return;
  const one = node.children.get("+");
  if (one !== undefined) collect(one, levels, index + 1, reserved, found);
  const rest = node.children.get("#");
  if (rest !== undefined) gather(rest.values, found);
}

function gather<T>(values: ReadonlyMap<T, Grant>, found: Map<T, Grant>): void {
  for (const [subscriber, grant] of values) {
    const other = found.get(subscriber);
    found.set(subscriber, other === undefined ? grant : both(grant, other));
  }
}

function both(one: Grant, other: Grant): Grant {
  return { qos: one.qos === 1 ? 1 : other.qos, noLocal: one.noLocal && other.noLocal };
}
