// All shadows of the device: who is told what, and whose topics are granted.
import { shadowFilters, shadowPrefix, shadowsFilters } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import type { Session } from "../mqtt/session.js";
import type { Wiring } from "../wiring.js";
import type { Follower } from "./follower.js";
import { Turns } from "./turns.js";

export class Shadows {
  readonly #followers: Follower[] = [];
  #turns: Turns | undefined;
  #thingName = "";

  /** @throws AgentError "agent/options" for a name that is taken or cannot be, alone or beside another, and when there are too many */
  add(follower: Follower): void {
    const { shadow } = follower;
    const name = shadow === undefined ? "the classic shadow" : `"${shadow}"`;
    if (this.#followers.some(other => other.shadow === shadow)) fail(`${name} is declared twice`);
    if (shadow !== undefined) {
      if (!/^[a-zA-Z0-9:_-]{1,64}$/.test(shadow)) fail(`${name} cannot be a shadow's name`);
      if (this.named.length >= limits.namedShadows)
        fail(`${name}: at most ${limits.namedShadows} named shadows are followed`);
    }
    for (const other of this.#followers)
      if (other.key === follower.key)
        fail(`"${other.shadow}" and ${name} would be stored under the same key, rename one`);
    this.#followers.push(follower);
  }

  /** @param shadow undefined for the classic one */
  follower(shadow: string | undefined): Follower | undefined {
    return this.#followers.find(follower => follower.shadow === shadow);
  }

  private get named(): readonly Follower[] {
    return this.#followers.filter(({ shadow }) => shadow !== undefined);
  }

  open(wiring: Wiring): void {
    this.#turns ??= new Turns(wiring);
    for (const follower of this.#followers) follower.open(wiring, this.#turns);
  }

  /** Each its own; one set for all the named ones when they are many, because a connection has 50 at most. */
  filters(thingName: string): readonly string[] {
    this.#thingName = thingName;
    const classic = this.#followers.filter(({ shadow }) => shadow === undefined);
    const own = (this.isWild ? classic : this.#followers).flatMap(follower =>
      shadowFilters(thingName, follower.shadow),
    );
    return this.isWild ? [...own, ...shadowsFilters(thingName)] : own;
  }

  private get isWild(): boolean {
    return this.named.length > limits.shadowsWithFilters;
  }

  /** Follows those whose answers can be heard. */
  subscribed(session: Session): void {
    for (const follower of this.#followers) {
      const filters = this.filtersOf(follower);
      // Without word of a deletion it goes on, until the next connect.
      const needed = filters.filter(filter => !filter.endsWith("/delete/accepted"));
      if (session.isGranted(needed)) follower.subscribed();
    }
  }

  /** All are read and reported but those whose topics are denied. */
  isSettled(denied: readonly string[]): boolean {
    const isDenied = (follower: Follower) =>
      this.filtersOf(follower).some(filter => denied.includes(filter));
    return this.#followers.every(follower => follower.isSettled || isDenied(follower));
  }

  private filtersOf({ shadow }: Follower): readonly string[] {
    const isOwn = shadow === undefined || !this.isWild;
    return isOwn ? shadowFilters(this.#thingName, shadow) : shadowsFilters(this.#thingName);
  }

  lost(): void {
    this.#turns?.reset();
    for (const follower of this.#followers) follower.lost();
  }

  /** @returns as `Follower.onMessage` */
  onMessage(topic: string, payload: Uint8Array): (() => void) | undefined {
    const found = this.find(topic);
    return found?.follower.onMessage(found.suffix, payload);
  }

  /** @returns false for a topic that is no shadow's */
  onOversize(topic: string, error: AgentError): boolean {
    const found = this.find(topic);
    if (found) found.follower.unreadable(found.suffix, error);
    return found !== undefined;
  }

  private find(
    topic: string,
  ): { readonly follower: Follower; readonly suffix: string } | undefined {
    for (const follower of this.#followers) {
      const prefix = shadowPrefix(this.#thingName, follower.shadow);
      if (!topic.startsWith(prefix)) continue;
      const suffix = topic.slice(prefix.length);
      if (follower.shadow !== undefined || !suffix.startsWith("name/")) return { follower, suffix };
    }
    return undefined;
  }
}

function fail(reason: string): never {
  throw new AgentError("agent/options", `settings: ${reason}`);
}
