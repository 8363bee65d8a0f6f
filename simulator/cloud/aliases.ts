// Topic aliases of one MQTT 5 connection, both ways ("mqtt", MQTT 5 3.3.2.3.4).

import { MalformedPacket, reason } from "./reasons.js";

/** What the client's aliases stand for. */
export class InboundAliases {
  readonly #maximum: number;
  readonly #topics = new Map<number, string>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** @returns the topic that is meant. @throws MalformedPacket with 0x94; for an alias without a topic that is assumed */
  resolve(topic: string, alias: number | undefined): string {
    if (alias === undefined) return topic;
    if (alias < 1 || alias > this.#maximum) {
      const detail = `topic alias ${alias}, 1 to ${this.#maximum}`;
      throw new MalformedPacket(detail, reason.aliasInvalid);
    }
    if (topic !== "") {
      this.#topics.set(alias, topic);
      return topic;
    }
    const known = this.#topics.get(alias);
    if (known !== undefined) return known;
    throw new MalformedPacket(`topic alias ${alias} stands for nothing`, reason.aliasInvalid);
  }
}

/** The first topics sent get an alias each, which is kept; whether AWS uses the ones it is offered is assumed. */
export class OutboundAliases {
  readonly #maximum: number;
  readonly #aliases = new Map<string, number>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Undefined when the client does not know one for this topic. */
  known(topic: string): number | undefined {
    return this.#aliases.get(topic);
  }

  /** The alias that the next message on a new topic would introduce. */
  get next(): number | undefined {
    return this.#aliases.size < this.#maximum ? this.#aliases.size + 1 : undefined;
  }

  /** The client has been sent topic and alias together. */
  learned(topic: string, alias: number): void {
    this.#aliases.set(topic, alias);
  }
}
