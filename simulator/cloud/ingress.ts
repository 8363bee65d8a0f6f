// Which service a publish is for ("reserved-topics"); everything under `$` that is not known is refused.

import type { Broker } from "./broker.js";
import type { Client, PublishOutcome } from "./broker-types.js";
import { Jobs } from "./jobs.js";
import { Provisioning } from "./provisioning.js";
import type { Registry } from "./registry.js";
import { type CertificateRetired, retire } from "./rotation.js";
import type { Message } from "./session.js";
import { Shadows } from "./shadows.js";
import { Streams } from "./streams.js";

/** Telemetry: any accepted publish outside the reserved topics, and Basic Ingest. */
export interface MessageEvent {
  readonly type: "message";
  /** Undefined for a message that came over REST. */
  readonly clientId: string | undefined;
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface IngressOptions {
  readonly broker: Broker;
  readonly shadows: Shadows;
  readonly jobs: Jobs;
  readonly provisioning: Provisioning;
  readonly streams: Streams;
  readonly registry: Registry;
  onEvent(event: MessageEvent | CertificateRetired): void;
}

/** Service topics that are accepted though nothing here serves them yet: Defender, commands. */
const unserved = /^\$aws\/(things\/[^/]+\/defender\/|commands\/)/;
const answers = /\/(accepted|rejected|delta|documents)$/;
const basicIngest = /^\$aws\/rules\/[^/]+\//;

export class Ingress {
  readonly #options: IngressOptions;

  constructor(options: IngressOptions) {
    this.#options = options;
  }

  fromClient(message: Message, client: Client): PublishOutcome {
    const { topic, payload } = message;
    if (!topic.startsWith("$")) return this.#telemetry(message, client, "route");
    if (basicIngest.test(topic)) return this.#telemetry(message, client, "consumed");
    if (Provisioning.isRequest(topic)) {
      this.#options.provisioning.handle(topic, payload, client);
      return "consumed";
    }
    if (Shadows.isRequest(topic)) {
      this.#shadow(message);
      return "consumed";
    }
    if (Streams.isRequest(topic)) {
      this.#options.streams.handle(topic, payload, client);
      return "consumed";
    }
    if (Jobs.isRequest(topic)) {
      this.#options.jobs.handle(topic, payload, client);
      return "consumed";
    }
    return unserved.test(topic) && !answers.test(topic) ? "consumed" : "undefined-topic";
  }

  /** No client and so no policy: the owner's signature stands for both, unchecked. */
  fromRest(message: Message): "accepted" | "reserved" | "throttled" {
    const { topic, payload } = message;
    const { broker, onEvent } = this.#options;
    if (message.retain && !broker.mayRetain(message)) return "throttled";
    if (Shadows.isRequest(topic)) this.#shadow(message);
    else if (topic.startsWith("$") && !basicIngest.test(topic)) return "reserved";
    else {
      if (!basicIngest.test(topic)) broker.publish(message);
      onEvent({ type: "message", clientId: undefined, topic, payload });
    }
    return "accepted";
  }

  #shadow(message: Message): void {
    this.#options.broker.publish(message);
    this.#options.shadows.handle(message.topic, message.payload);
  }

  #telemetry(message: Message, client: Client, outcome: PublishOutcome): PublishOutcome {
    const { registry, onEvent } = this.#options;
    const { topic, payload } = message;
    onEvent({ type: "message", clientId: client.clientId, topic, payload });
    const retired = retire(message, client, registry);
    if (retired !== undefined) onEvent(retired);
    return outcome;
  }
}
