// Virtual time and an MQTT client over an in-memory link or a socket, for the tests of this folder.

import { EventEmitter, once } from "node:events";
import { generate, type IPublishPacket, type Packet, parser } from "mqtt-packet";
import type { Acceptor, Link, Peer } from "../../../simulator/cloud/broker-types.js";
import { Cloud, type CloudEvent, type CloudOptions } from "../../../simulator/cloud/cloud.js";
import type { Clock, Timer } from "../../../simulator/cloud/environment.js";

/** Time that moves only when told to. */
export class VirtualTime implements Clock, Timer {
  #now = Date.parse("2026-01-01T00:00:00Z");
  readonly #due = new Map<object, { at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  set(callback: () => void, delayMs: number): object {
    const handle = {};
    this.#due.set(handle, { at: this.#now + delayMs, callback });
    return handle;
  }

  clear(handle: object): void {
    this.#due.delete(handle);
  }

  /** Fires everything that falls due on the way, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = [...this.#due].sort((a, b) => a[1].at - b[1].at);
      if (next === undefined || next[1].at > until) break;
      this.#due.delete(next[0]);
      this.#now = Math.max(this.#now, next[1].at);
      next[1].callback();
    }
    this.#now = until;
  }
}

/** One MQTT client; what it received is in `packets`. */
export class TestClient {
  readonly packets: Packet[] = [];
  closed = false;
  readonly #arrivals = new EventEmitter();
  #acceptor: Acceptor | undefined;
  #messageId = 0;
  readonly link: Link;
  readonly #version: 4 | 5;

  constructor(version: 4 | 5 = 4) {
    this.#version = version;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", packet => {
      this.packets.push(packet);
      this.#arrivals.emit("arrival");
    });
    this.link = {
      write: bytes => void reader.parse(Buffer.from(bytes)),
      close: () => {
        this.closed = true;
        this.#arrivals.emit("arrival");
      },
    };
  }

  attach(acceptor: Acceptor): this {
    this.#acceptor = acceptor;
    return this;
  }

  send(packet: Packet): this {
    return this.sendBytes(generate(packet, { protocolVersion: this.#version }));
  }

  sendBytes(bytes: Uint8Array): this {
    this.#acceptor?.receive(bytes);
    return this;
  }

  /** The network is gone, without a word. */
  lose(): void {
    this.#acceptor?.closed();
  }

  connect(clientId: string, more: Partial<Extract<Packet, { cmd: "connect" }>> = {}): this {
    const protocolVersion = this.#version;
    return this.send({
      cmd: "connect",
      clientId,
      clean: true,
      keepalive: 60,
      protocolVersion,
      ...more,
    });
  }

  subscribe(...topics: string[]): this {
    return this.subscribeAt(1, ...topics);
  }

  subscribeAt(qos: 0 | 1 | 2, ...topics: string[]): this {
    const subscriptions = topics.map(topic => ({ topic, qos }));
    return this.send({ cmd: "subscribe", messageId: ++this.#messageId, subscriptions });
  }

  publish(topic: string, payload: string | object, qos: 0 | 1 = 0, retain = false): this {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    const packet: Packet = { cmd: "publish", topic, payload: text, qos, retain, dup: false };
    return this.send(qos === 0 ? packet : { ...packet, messageId: ++this.#messageId });
  }

  commands(): string[] {
    return this.packets.map(packet => packet.cmd);
  }

  messages(): IPublishPacket[] {
    return this.packets.filter(packet => packet.cmd === "publish");
  }

  topics(): string[] {
    return this.messages().map(({ topic }) => topic);
  }

  /** The JSON of the newest message on `topic`; undefined when there is none. */
  json(topic: string): Record<string, unknown> | undefined {
    const found = this.messages()
      .filter(message => message.topic === topic)
      .at(-1);
    return found && (JSON.parse(found.payload.toString()) as Record<string, unknown>);
  }

  /** Waits for a packet, also one that came before. */
  async until<T>(find: (client: this) => T | undefined | false): Promise<T> {
    for (;;) {
      const found = find(this);
      if (found !== undefined && found !== false) return found;
      await once(this.#arrivals, "arrival", { signal: AbortSignal.timeout(20_000) });
    }
  }
}

export interface TestCloud {
  readonly cloud: Cloud;
  readonly time: VirtualTime;
  readonly events: CloudEvent[];
  client(certificateId: string | undefined, version?: 4 | 5): TestClient;
  /** Events of one type, oldest first. */
  eventsOf<T extends CloudEvent["type"]>(type: T): Extract<CloudEvent, { type: T }>[];
}

/** A cloud on virtual time, in memory unless `directory` is given. */
export async function openCloud(options: Partial<CloudOptions> = {}): Promise<TestCloud> {
  const time = new VirtualTime();
  const events: CloudEvent[] = [];
  const onEvent = (event: CloudEvent): void => void events.push(event);
  const cloud = await Cloud.open({
    allow: ["1", "2"],
    clock: time,
    timer: time,
    onEvent,
    ...options,
  });
  return {
    cloud,
    time,
    events,
    client: (certificateId, version) =>
      connectTo(cloud, { certificateId, address: "10.0.0.1" }, version),
    eventsOf: type =>
      events.filter(
        (event): event is Extract<CloudEvent, { type: typeof type }> => event.type === type,
      ),
  };
}

export function connectTo(
  cloud: { accept(link: Link, peer: Peer): Acceptor },
  peer: Peer,
  version: 4 | 5 = 4,
): TestClient {
  const client = new TestClient(version);
  return client.attach(cloud.accept(client.link, peer));
}
