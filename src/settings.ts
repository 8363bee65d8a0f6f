// What the product holds of its settings: the values in force, and a word when the cloud changes them.
import { AgentError } from "./errors.js";
import type { Follower } from "./shadow/follower.js";
import {
  type Changes,
  type FlatValues,
  faultOfSize,
  flatten,
  nest,
  type Schema,
  type Values,
} from "./shadow/schema.js";

/** Where the values are kept. */
export interface SettingsSource {
  changeSettings(follower: Follower, values: FlatValues): void;
  retrySettings(follower: Follower): void;
}

export class Settings<S extends Schema = Schema> {
  /**
   * Called with just the values that changed: at `start` those that storage holds, then those the cloud wants, all that it
   * wants at once, before they are saved and reported. What cannot be put in force is left as it was and told to the cloud: an
   * `Outcome` returned says which and why, by the names of settings and groups; an exception stands for all of them.
   */
  onChange: ((changed: Changes<S>) => unknown) | undefined;
  readonly schema: S;
  readonly #follower: Follower;
  readonly #source: SettingsSource;

  constructor(schema: S, follower: Follower, source: SettingsSource) {
    this.schema = schema;
    this.#follower = follower;
    this.#source = source;
  }

  /** All values in force; groups are objects. */
  get values(): Values<S> {
    return nest(this.#follower.values) as Values<S>;
  }

  /** By path, why what the cloud wants is not in force: `<verdict>: <reason>`, as it is reported. */
  get verdicts(): ReadonlyMap<string, string> {
    return this.#follower.verdicts ?? new Map();
  }

  /**
   * Sets values on the device itself, saves them and reports them. Where the cloud wants another value, it wins as soon as the
   * shadow is next read, unless the setting says `wins: "device"`: then the cloud is told what to want.
   *
   * @throws AgentError "agent/options" for a name or a value the schema does not allow, or more than can be kept; nothing is
   *         changed then. The same before `start`: what storage holds is not known yet.
   */
  set(values: Changes<S>): void {
    const changed = flatten(this.#follower.leaves, values);
    const fault = faultOfSize({ ...this.#follower.values, ...changed });
    if (fault) throw new AgentError("agent/options", `settings ${fault}`);
    this.#source.changeSettings(this.#follower, changed);
  }

  /** Asks again for what was deferred or has failed; else that is done with the next connect. */
  retry(): void {
    this.#source.retrySettings(this.#follower);
  }
}
