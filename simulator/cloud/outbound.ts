// PUBLISH to one client: properties, remaining lifetime, aliases, and the size it takes.

import type { IPublishPacket, UserProperties } from "mqtt-packet";
import { OutboundAliases } from "./aliases.js";
import type { ConnectRequest } from "./connect-rules.js";
import { encode, type ProtocolVersion } from "./frames.js";
import type { UserProperty } from "./properties.js";
import { isExpired, type Message } from "./session.js";

type PublishProperties = NonNullable<IPublishPacket["properties"]>;

export class Outbound {
  readonly #version: ProtocolVersion;
  readonly #maximumBytes: number;
  readonly #aliases: OutboundAliases;

  constructor(request: ConnectRequest) {
    this.#version = request.version;
    this.#maximumBytes = request.maximumPacketSize;
    this.#aliases = new OutboundAliases(request.topicAliasMaximum);
  }

  /**
   * Is sent exactly when it is returned.
   *
   * @returns undefined when it has expired or is larger than the client takes: it is dropped (MQTT 5 3.1.2.11.4)
   */
  encode(message: Message, packetId: number | undefined, now: number): Uint8Array | undefined {
    if (isExpired(message, now)) return undefined;
    const packet = packetOf(message, packetId);
    if (this.#version === 4) return encode(packet, 4);
    const properties = propertiesOf(message, now);
    const known = this.#aliases.known(message.topic);
    if (known !== undefined) {
      return this.#fitting({
        ...packet,
        topic: "",
        properties: { ...properties, topicAlias: known },
      });
    }
    const { next } = this.#aliases;
    if (next !== undefined) {
      const withAlias = { ...packet, properties: { ...properties, topicAlias: next } };
      const bytes = this.#fitting(withAlias);
      if (bytes !== undefined) {
        this.#aliases.learned(message.topic, next);
        return bytes;
      }
    }
    return this.#fitting({ ...packet, properties });
  }

  #fitting(packet: IPublishPacket): Uint8Array | undefined {
    const bytes = encode(packet, 5);
    return bytes.length <= this.#maximumBytes ? bytes : undefined;
  }
}

function packetOf(message: Message, packetId: number | undefined): IPublishPacket {
  const { topic, qos, retain, payload: bytes } = message;
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const packet: IPublishPacket = { cmd: "publish", topic, payload, qos, retain, dup: false };
  return packetId === undefined ? packet : { ...packet, messageId: packetId };
}

function propertiesOf({ properties, expiresAt }: Message, now: number): PublishProperties {
  const { userProperties = [], correlationData, ...rest } = properties ?? {};
  return {
    ...rest,
    ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData) }),
    // Whole seconds that remain; 0 below one second ("mqtt").
    ...(expiresAt === undefined
      ? {}
      : { messageExpiryInterval: Math.floor((expiresAt - now) / 1000) }),
    ...(userProperties.length === 0 ? {} : { userProperties: inOrder(userProperties) }),
  };
}

/** The packet library writes a list in its order, which its types do not say; one object per pair keeps it. */
function inOrder(pairs: readonly UserProperty[]): UserProperties {
  return pairs.map(pair => Object.fromEntries([pair])) as unknown as UserProperties;
}
