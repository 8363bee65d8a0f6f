// All channels a product has declared: which of their windows ends next, and what has ended.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import type { Wiring } from "../wiring.js";
import { Channel, type ChannelMessage, type ChannelOptions } from "./channel.js";
import { type Keeper, Windows } from "./windows.js";

export type ChannelsOptions = { readonly [channel: string]: ChannelOptions };

export class Channels {
  readonly #channels: readonly Channel[];

  /** @throws AgentError "agent/options" naming the option and the value */
  constructor(options: ChannelsOptions) {
    const names = Object.keys(options);
    if (names.length > limits.channels) {
      throw new AgentError(
        "agent/options",
        `options.telemetry.channels: ${names.length} channels, at most ${limits.channels} are taken`,
      );
    }
    this.#channels = names.map(name => new Channel(name, options[name]));
  }

  /** Runs their windows. */
  windows(wiring: Wiring, owner: Keeper): Windows {
    return new Windows(wiring, this, owner);
  }

  /** @returns undefined for a channel that is not declared */
  get(name: string): Channel | undefined {
    return this.#channels.find(channel => channel.name === name);
  }

  /** @returns ms until the first window ends, 0 when one is over; undefined when there is none */
  due(ticks: number): number | undefined {
    let first: number | undefined;
    for (const channel of this.#channels) {
      const due = channel.due(ticks);
      if (due !== undefined && due < (first ?? Infinity)) first = due;
    }
    return first;
  }

  /** @returns the messages of windows that are over */
  take(ticks: number, now: number | undefined): readonly ChannelMessage[] {
    return this.#channels.flatMap(channel =>
      channel.due(ticks) === 0 ? channel.flush(ticks, now) : [],
    );
  }

  /** Ends all windows: before a stop or a sleep. */
  flush(ticks: number, now: number | undefined): readonly ChannelMessage[] {
    return this.#channels.flatMap(channel => channel.flush(ticks, now));
  }
}
