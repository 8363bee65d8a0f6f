// The broker that examines a device: does what AWS IoT does unless a case tells it otherwise, and remembers all it saw.
// Knows no sockets and no real time: links and time are handed in. Parses with mqtt-packet, an implementation that is not ours.
import mqtt, { type IConnectPacket, type Packet } from "mqtt-packet";
import { jobSchemas } from "../cloud/jobs.js";
import { Shadows, shadowSchemas } from "../cloud/shadows.js";
import { Store } from "../cloud/store.js";
import type { Accept, ServerLink } from "../world/network.js";
import type { ServerName } from "./certificates.js";
import type { Handshake } from "./front.js";
import { JobService } from "./job-service.js";
import type { Time } from "./time.js";

export type Version = 4 | 5;
export type Answer = "connack" | "puback" | "suback" | "pingresp";

/** A byte stream to the device. */
export interface DeviceLink extends ServerLink {
  /** Ends as a pulled cable would; absent: `close`. */
  abort?(): void;
}

export interface Sent {
  readonly at: number;
  readonly packet: Packet;
}

/** A message to the device. */
export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly id: number;
  /** Written at least once. */
  isSent: boolean;
  isAcknowledged: boolean;
}

interface Session {
  readonly filters: Map<string, number>;
  deliveries: Delivery[];
}

/** One link, from its beginning to its end. */
export class Conversation {
  readonly index: number;
  readonly openedAt: number;
  /** What the device sent, in order. */
  readonly packets: Sent[] = [];
  connect: IConnectPacket | undefined;
  /** CONNACK was sent. */
  isAccepted = false;
  closedAt: number | undefined;
  closedBy: "device" | "examiner" | undefined;
  version: Version = 4;
  readonly link: DeviceLink;

  constructor(index: number, openedAt: number, link: DeviceLink) {
    this.index = index;
    this.openedAt = openedAt;
    this.link = link;
  }

  get isOpen(): boolean {
    return this.closedAt === undefined;
  }

  /** Packets of one kind, in order. */
  all<C extends Packet["cmd"]>(
    cmd: C,
  ): readonly (Sent & { packet: Extract<Packet, { cmd: C }> })[] {
    return this.packets.filter(({ packet }) => packet.cmd === cmd) as never;
  }
}

export interface ExaminerOptions {
  readonly time: Time;
  /** 4: only MQTT 3.1.1 is taken. Undefined: both, as AWS does. */
  readonly version?: Version | undefined;
  /** What the server's certificate is, where there is TLS; default "good". */
  readonly presents?: ServerName | undefined;
  /** Where messages for the device go; default one of the topics it subscribed to. */
  readonly topic?: string | undefined;
  /** What the shadow case asks for; default what was reported, with other numbers and truth values. */
  readonly desired?: object | undefined;
  /** The document of jobs that the device can do; default one for the sensor node. */
  readonly job?: object | undefined;
}

export class Examiner {
  readonly time: Time;
  readonly desired: object | undefined;
  readonly job: object | undefined;
  readonly jobs: JobService;
  /** Links whose CONNECT has a version that is taken, and those without a CONNECT yet. */
  readonly conversations: Conversation[] = [];
  /** Of real sockets; none in a virtual network. */
  readonly handshakes: Handshake[] = [];
  /** What a device must never send. */
  readonly faults: string[] = [];
  /** Answers that are not given. */
  readonly withheld = new Set<Answer>();
  presents: ServerName;
  /** Closes every link at once, as a server that cannot be reached. */
  isAway = false;
  /** Says "session present" 0 and forgets, once. */
  forgets = false;
  /** Answers to QoS 1 come this late. */
  delayMs = 0;
  readonly #version: Version | undefined;
  readonly #topic: string | undefined;
  readonly #shadows: Shadows;
  readonly #sessions = new Map<string, Session>();
  #links = 0;
  #ids = 0;

  private constructor(options: ExaminerOptions, store: Store) {
    this.time = options.time;
    this.desired = options.desired;
    this.job = options.job;
    this.presents = options.presents ?? "good";
    this.#version = options.version;
    this.#topic = options.topic;
    const clock = { now: () => Date.UTC(2026, 0, 1) + Math.round(this.time.ticks()) };
    const publish = (topic: string, payload: Uint8Array) => {
      this.publish(topic, payload);
    };
    this.#shadows = new Shadows({ store, clock, publish, onChange: () => undefined });
    this.jobs = new JobService({ store, clock, publish });
  }

  static async open(options: ExaminerOptions): Promise<Examiner> {
    return new Examiner(options, await Store.open({ schemas, onFailure: inMemory }));
  }

  /** The link that is open and accepted, the newest if several are. */
  get online(): Conversation | undefined {
    return this.conversations.filter(({ isOpen, isAccepted }) => isOpen && isAccepted).at(-1);
  }

  /** Links that got as far as CONNECT, oldest first. */
  get connects(): readonly Conversation[] {
    return this.conversations.filter(({ connect }) => connect);
  }

  /** Ends the examination: nothing is accepted any more. */
  end(): void {
    this.isAway = true;
    for (const each of this.conversations) this.close(each);
  }

  close(conversation: Conversation, how: "close" | "abort" = "close"): void {
    if (!conversation.isOpen) return;
    this.#closed(conversation, "examiner");
    const { link } = conversation;
    if (how === "abort" && link.abort) link.abort();
    else link.close();
  }

  /** The server ends the link: with a reason in MQTT 5, without a word in 3.1.1. */
  disconnect(conversation: Conversation): void {
    if (conversation.version === 5 && conversation.isOpen) {
      this.#write(conversation, { cmd: "disconnect", reasonCode: 0x98 });
    }
    this.close(conversation);
  }

  /** A topic the device listens to, of what it subscribed to. */
  topicOf(conversation: Conversation): string | undefined {
    if (this.#topic !== undefined) return this.#topic;
    const filters = [...(this.#sessionOf(conversation)?.filters.keys() ?? [])];
    // Whatever is not the shadow's own is better; a reply that nobody waits for is harmless.
    const filter =
      filters.find(each => !each.startsWith("$aws/")) ??
      filters.find(each => each.endsWith("/update/accepted")) ??
      filters[0];
    return filter?.replace(/[+#]/g, "advisor");
  }

  isSubscribed(conversation: Conversation): boolean {
    return (this.#sessionOf(conversation)?.filters.size ?? 0) > 0;
  }

  /** Sends at QoS 1 to whoever subscribed, stores for who is away. @returns one for each session that gets it */
  publish(topic: string, payload: Uint8Array): readonly Delivery[] {
    const deliveries: Delivery[] = [];
    for (const session of this.#sessions.values()) {
      if (![...session.filters.keys()].some(filter => covers(filter, topic))) continue;
      const delivery = this.#delivery(topic, payload);
      session.deliveries.push(delivery);
      deliveries.push(delivery);
    }
    for (const each of this.conversations) if (each.isOpen && each.isAccepted) this.#deliver(each);
    return deliveries;
  }

  #delivery(topic: string, payload: Uint8Array): Delivery {
    this.#ids = (this.#ids % 0xffff) + 1;
    return { topic, payload, id: this.#ids, isSent: false, isAcknowledged: false };
  }

  /** An update of a shadow as if an application had made it. */
  updateShadow(topic: string, document: object): void {
    this.#shadows.handle(topic, Buffer.from(JSON.stringify(document)));
  }

  readonly accept: Accept = link => this.take(link);

  take(link: DeviceLink): ReturnType<Accept> {
    if (this.isAway) {
      link.close();
      return { receive: () => undefined, closed: () => undefined };
    }
    const conversation = new Conversation(this.#links++, this.time.ticks(), link);
    this.conversations.push(conversation);
    const parser = mqtt.parser();
    parser.on("packet", (packet: Packet) => this.#received(conversation, packet));
    parser.on("error", error => {
      this.faults.push(`a packet that is none: ${error.message}`);
      this.close(conversation);
    });
    return {
      receive: bytes => {
        if (conversation.isOpen) parser.parse(Buffer.from(bytes));
      },
      closed: () => this.#closed(conversation, "device"),
    };
  }

  #received(conversation: Conversation, packet: Packet): void {
    if (!conversation.isOpen) return;
    conversation.packets.push({ at: this.time.ticks(), packet });
    if (packet.cmd === "connect") this.#connected(conversation, packet);
    else if (!conversation.connect) this.#fault(conversation, `${packet.cmd} before CONNECT`);
    else if (conversation.isAccepted) this.#answer(conversation, packet);
  }

  #answer(conversation: Conversation, packet: Packet): void {
    const reply = (answer: Answer, made: Packet) => {
      if (this.withheld.has(answer)) return;
      if (this.delayMs === 0) this.#write(conversation, made);
      else this.time.set(() => this.#write(conversation, made), this.delayMs);
    };
    switch (packet.cmd) {
      case "subscribe": {
        const { subscriptions } = packet;
        if (subscriptions.length === 0 || subscriptions.some(({ qos }) => !(qos <= 2)))
          return this.#fault(conversation, "SUBSCRIBE without topics, or with a QoS there is not");
        // An answer that is withheld is a server that has heard nothing.
        if (this.withheld.has("suback")) return;
        const session = this.#sessionOf(conversation)!;
        for (const { topic, qos } of subscriptions) session.filters.set(topic, qos);
        const granted = subscriptions.map(({ qos }) => Math.min(qos, 1));
        return reply("suback", { cmd: "suback", messageId: packet.messageId!, granted });
      }
      case "unsubscribe": {
        if (packet.unsubscriptions.length === 0)
          return this.#fault(conversation, "UNSUBSCRIBE without topics");
        const { filters } = this.#sessionOf(conversation)!;
        for (const topic of packet.unsubscriptions) filters.delete(topic);
        const granted = packet.unsubscriptions.map(() => 0);
        return reply("suback", { cmd: "unsuback", messageId: packet.messageId!, granted });
      }
      case "publish":
        if (packet.qos === 2) return this.#fault(conversation, "PUBLISH with QoS 2");
        if (packet.qos === 1) reply("puback", { cmd: "puback", messageId: packet.messageId! });
        return this.#published(conversation, packet.topic, packet.payload);
      case "puback":
        return this.#acknowledged(conversation, packet.messageId!);
      case "pingreq":
        return reply("pingresp", { cmd: "pingresp" });
      case "disconnect":
        return this.#closed(conversation, "device");
    }
  }

  #published(conversation: Conversation, topic: string, payload: string | Buffer): void {
    const bytes = Buffer.from(payload);
    if (Shadows.isRequest(topic)) this.#shadows.handle(topic, bytes);
    // Answers go to who asked, subscribed or not.
    this.jobs.handle(topic, bytes, (to, answer) => {
      this.#sessionOf(conversation)?.deliveries.push(this.#delivery(to, answer));
      this.#deliver(conversation);
    });
  }

  #acknowledged(conversation: Conversation, id: number): void {
    const session = this.#sessionOf(conversation)!;
    for (const each of session.deliveries) if (each.id === id) each.isAcknowledged = true;
    session.deliveries = session.deliveries.filter(each => !each.isAcknowledged);
  }

  #connected(conversation: Conversation, packet: IConnectPacket): void {
    if (conversation.connect) return this.#fault(conversation, "a second CONNECT");
    conversation.version = packet.protocolVersion === 5 ? 5 : 4;
    if (this.#version === 4 && conversation.version === 5) {
      this.conversations.splice(this.conversations.indexOf(conversation), 1);
      // CONNACK "unacceptable protocol version", in the shape every version knows.
      conversation.link.write(Uint8Array.of(0x20, 2, 0, 1));
      this.close(conversation);
      return;
    }
    conversation.connect = packet;
    if (this.withheld.has("connack")) return;
    this.#takeOver(conversation);
    const { clientId, clean } = packet;
    if (clean || this.forgets) this.#sessions.delete(clientId);
    this.forgets = false;
    const sessionPresent = this.#sessions.has(clientId);
    if (!sessionPresent) this.#sessions.set(clientId, { filters: new Map(), deliveries: [] });
    conversation.isAccepted = true;
    this.#write(conversation, { cmd: "connack", sessionPresent, returnCode: 0, reasonCode: 0 });
    for (const each of this.#sessions.get(clientId)!.deliveries) each.isSent = false;
    this.#deliver(conversation);
  }

  /** One client id, one link. */
  #takeOver(conversation: Conversation): void {
    for (const other of this.conversations) {
      if (other === conversation || other.connect?.clientId !== conversation.connect?.clientId) {
        continue;
      }
      this.close(other);
    }
  }

  #deliver(conversation: Conversation): void {
    for (const delivery of this.#sessionOf(conversation)?.deliveries ?? []) {
      if (delivery.isSent) continue;
      delivery.isSent = true;
      const { topic, id: messageId } = delivery;
      const payload = Buffer.from(delivery.payload);
      const flags = { qos: 1 as const, dup: false, retain: false };
      this.#write(conversation, { cmd: "publish", topic, payload, messageId, ...flags });
    }
  }

  #sessionOf({ connect }: Conversation): Session | undefined {
    return connect && this.#sessions.get(connect.clientId);
  }

  #fault(conversation: Conversation, what: string): void {
    this.faults.push(what);
    this.close(conversation);
  }

  #closed(conversation: Conversation, by: "device" | "examiner"): void {
    if (!conversation.isOpen) return;
    conversation.closedAt = this.time.ticks();
    conversation.closedBy = by;
    if (conversation.connect && !outlives(conversation.connect)) {
      this.#sessions.delete(conversation.connect.clientId);
    }
  }

  #write(conversation: Conversation, packet: Packet): void {
    if (!conversation.isOpen) return;
    const { version } = conversation;
    conversation.link.write(mqtt.generate(spoken(packet, version), { protocolVersion: version }));
  }
}

const schemas = { ...shadowSchemas, ...jobSchemas };
/** Nothing is written. */
const inMemory = () => undefined;

/** `returnCode` is 3.1.1's, `reasonCode` MQTT 5's. */
function spoken(packet: Packet, version: Version): Packet {
  if (packet.cmd !== "connack" || version === 4) return packet;
  const { returnCode: _, ...rest } = packet;
  return rest;
}

/** Whether the device asked for a session that is kept while it is away. */
export function outlives({ clean, protocolVersion, properties }: IConnectPacket): boolean {
  return protocolVersion === 5 ? (properties?.sessionExpiryInterval ?? 0) > 0 : !clean;
}

/** Whether a filter covers a topic. @see MQTT 3.1.1 section 4.7 */
export function covers(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return levels.length > i;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}
