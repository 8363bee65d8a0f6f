// One client's link: CONNECT, packets by type, keep-alive, and how it ends. MQTT 3.1.1 as AWS speaks it
// (developer guide "mqtt"). Sessions and routing are the broker's.

import type {
  IConnectPacket,
  IPublishPacket,
  ISubscribePacket,
  IUnsubscribePacket,
  Packet,
} from "mqtt-packet";
import type {
  Acceptor,
  Client,
  ConnectionHost,
  DisconnectReason,
  Link,
  Peer,
  RefusalReason,
} from "./broker-types.js";
import { messageOf } from "./errors.js";
import { encode, FrameReader, MalformedPacket, PacketDecoder, packetIdOf } from "./frames.js";
import { checkPublish, checkSubscribe, isClientId, willOf } from "./packet-rules.js";
import type { Identity } from "./registry.js";
import type { Message, Session } from "./session.js";

/** Ends the connection from inside a handler, with the reason that goes into the lifecycle event. */
class Disconnect extends Error {
  readonly reason: DisconnectReason;
  constructor(reason: DisconnectReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** CONNACK return codes of MQTT 3.1.1 3.2.2.3. */
const connack = { version: 1, identifier: 2, notAuthorized: 5 } as const;
/** CONNACK reason for MQTT 5 clients, which are not served yet: unsupported protocol version. */
const unsupportedVersion5 = 0x84;

export class Connection implements Acceptor, Client {
  readonly peer: Peer;
  readonly #host: ConnectionHost;
  readonly #link: Link;
  readonly #reader: FrameReader;
  readonly #decoder = new PacketDecoder();
  #state: "connecting" | "open" | "closed" = "connecting";
  #identity: Identity | undefined;
  #session: Session | undefined;
  #clientId: string | undefined;
  #will: Message | undefined;
  #keepAliveMs: number;
  #heardAt: number;
  #timer: object | undefined;
  #inbox: Uint8Array[] | undefined;
  #inboxBytes = 0;

  constructor(host: ConnectionHost, link: Link, peer: Peer) {
    this.#host = host;
    this.#link = link;
    this.peer = peer;
    this.#reader = new FrameReader(host.limits.packetBytes);
    this.#keepAliveMs = host.limits.connectTimeoutMs;
    this.#heardAt = host.clock.now();
    this.#watch(this.#keepAliveMs);
  }

  get clientId(): string {
    return this.#clientId ?? "";
  }

  get identity(): Identity {
    if (this.#identity === undefined) throw new Error("the client has not connected yet");
    return this.#identity;
  }

  /** Undefined before CONNECT. */
  get session(): Session | undefined {
    return this.#session;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  receive(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    if (this.#inbox !== undefined) return this.#keepForLater(bytes, this.#inbox);
    this.#inbox = [];
    this.#guard(() => this.#drain(bytes, this.#inbox ?? []));
    this.#inbox = undefined;
    this.#inboxBytes = 0;
  }

  closed(): void {
    this.close("CONNECTION_LOST", "");
  }

  reply(topic: string, payload: Uint8Array): void {
    this.sendMessage({ topic, payload, qos: 0, retain: false });
  }

  /** QoS 0, and QoS 1 with the packet id it was given. */
  sendMessage(message: Message, packetId?: number): void {
    if (this.#state !== "open") return;
    if (message.qos === 0 && this.#link.congested?.()) return;
    const { topic, qos, retain } = message;
    const payload = Buffer.from(
      message.payload.buffer,
      message.payload.byteOffset,
      message.payload.length,
    );
    const packet: IPublishPacket = { cmd: "publish", topic, payload, qos, retain, dup: false };
    this.#write(packetId === undefined ? packet : { ...packet, messageId: packetId });
  }

  /** Ends the link once; the session hears of it, and the will is published unless the client said goodbye. */
  close(reason: DisconnectReason, detail: string, how: "close" | "abort" = "close"): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    if (this.#timer !== undefined) this.#host.timer.clear(this.#timer);
    if (how === "abort" && this.#link.abort) this.#link.abort();
    else this.#link.close();
    if (wasOpen) this.#host.ended(this, reason, detail);
    else this.#host.refused(this, refusalOf(reason, detail), detail);
  }

  /** The will, once; undefined after a DISCONNECT. */
  takeWill(): Message | undefined {
    const will = this.#will;
    this.#will = undefined;
    return will;
  }

  /** An in-memory peer may answer from inside our write: its bytes wait for their turn. */
  #keepForLater(bytes: Uint8Array, inbox: Uint8Array[]): void {
    this.#inboxBytes += bytes.length;
    if (this.#inboxBytes > this.#host.limits.inboxBytes) {
      return this.close("CLIENT_ERROR", "too many bytes while a packet is being handled");
    }
    inbox.push(bytes);
  }

  #drain(first: Uint8Array, inbox: Uint8Array[]): void {
    let bytes: Uint8Array | undefined = first;
    while (bytes !== undefined) {
      this.#reader.push(bytes, frame => {
        if (this.#state !== "closed") this.#handle(this.#decoder.decode(frame));
      });
      bytes = inbox.shift();
      this.#inboxBytes -= bytes?.length ?? 0;
    }
  }

  /** No byte sequence and no fault in a handler gets past this. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof Disconnect) this.close(error.reason, error.message);
      else if (error instanceof MalformedPacket) this.close("CLIENT_ERROR", error.message);
      else this.close("SERVER_ERROR", messageOf(error));
    }
  }

  #handle(packet: Packet): void {
    this.#heardAt = this.#host.clock.now();
    if (this.#state === "connecting") {
      if (packet.cmd !== "connect") throw new MalformedPacket(`${packet.cmd} before CONNECT`);
      return this.#connect(packet);
    }
    switch (packet.cmd) {
      case "publish":
        return this.#publish(packet);
      case "puback":
        this.#session?.acknowledge(packetIdOf(packet));
        return this.pump();
      case "subscribe":
        return this.#subscribe(packet);
      case "unsubscribe":
        return this.#unsubscribe(packet);
      case "pingreq":
        return this.#write({ cmd: "pingresp" });
      case "disconnect":
        this.#will = undefined;
        return this.close("CLIENT_INITIATED_DISCONNECT", "");
      default:
        throw new MalformedPacket(`${packet.cmd} is not for a client to send`);
    }
  }

  #connect(packet: IConnectPacket): void {
    const refusal = this.#host.refusal(this.peer);
    // A certificate that is not accepted fails in TLS, so there is no CONNACK for it ("cwl-format").
    if (refusal !== undefined) return this.#refuse(refusal, undefined);
    if (packet.protocolVersion !== 4 || packet.protocolId !== "MQTT")
      return this.#refuseVersion(packet);
    const { clientId } = packet;
    this.#clientId = clientId;
    if (!isClientId(clientId, this.#host.limits))
      return this.#refuse("IDENTIFIER_REJECTED", connack.identifier);
    const identity = this.#host.identify(
      this.peer.certificateId ?? "",
      clientId,
      this.peer.address,
    );
    this.#identity = identity;
    this.#will = willOf(packet, this.#host.limits);
    if (!identity.allows("iot:Connect", `client/${clientId}`) || !this.#mayLeave(this.#will)) {
      return this.#refuse("AUTHORIZATION_FAILED", connack.notAuthorized);
    }
    this.#accept(packet.clean ?? true, packet.keepalive ?? 0);
  }

  #accept(clean: boolean, keepAliveSeconds: number): void {
    const { session, present } = this.#host.open(this, clean);
    this.#session = session;
    this.#state = "open";
    const { keepAliveMinSeconds, keepAliveMaxSeconds } = this.#host.limits;
    // 0 and more than 1200 count as 1200, less than 30 as 30; the limit is 1.5 times that ("mqtt").
    const wanted = keepAliveSeconds === 0 ? keepAliveMaxSeconds : keepAliveSeconds;
    const seconds = Math.min(Math.max(wanted, keepAliveMinSeconds), keepAliveMaxSeconds);
    this.#keepAliveMs = seconds * 1500;
    this.#write({ cmd: "connack", sessionPresent: present, returnCode: 0 });
    this.#rearm(this.#keepAliveMs);
    this.#host.opened(this, present);
  }

  #refuseVersion(packet: IConnectPacket): void {
    if (packet.protocolVersion === 5) {
      const answer = {
        cmd: "connack",
        sessionPresent: false,
        reasonCode: unsupportedVersion5,
      } as const;
      this.#link.write(encode(answer, 5));
      return this.#refuse("UNACCEPTABLE_PROTOCOL_VERSION", undefined);
    }
    this.#refuse("UNACCEPTABLE_PROTOCOL_VERSION", connack.version);
  }

  /** Code 5 on a denied CONNECT follows the standard; an older AWS text says 7. */
  #refuse(reason: RefusalReason, returnCode: number | undefined): void {
    if (returnCode !== undefined)
      this.#write({ cmd: "connack", sessionPresent: false, returnCode });
    this.#state = "closed";
    if (this.#timer !== undefined) this.#host.timer.clear(this.#timer);
    this.#link.close();
    this.#host.refused(this, reason, "");
  }

  /** A denied will fails the CONNECT ("life-cycle-events"). */
  #mayLeave(will: Message | undefined): boolean {
    return will === undefined || this.#mayPublish(will.topic, will.retain);
  }

  #mayPublish(topic: string, retain: boolean): boolean {
    const resource = `topic/${topic}`;
    if (!this.identity.allows("iot:Publish", resource)) return false;
    return !retain || this.identity.allows("iot:RetainPublish", resource);
  }

  #publish(packet: IPublishPacket): void {
    const { topic, retain } = packet;
    checkPublish(packet, this.#host.limits);
    const qos = packet.qos === 1 ? 1 : 0;
    const packetId = qos === 1 ? packetIdOf(packet) : undefined;
    if (!this.#mayPublish(topic, retain)) {
      throw new Disconnect("AUTH_ERROR", `not allowed to publish to ${topic}`);
    }
    const message: Message = { topic, payload: Buffer.from(packet.payload), qos, retain };
    if (this.#host.publish(this, message) === "undefined-topic") {
      throw new Disconnect("CLIENT_ERROR", `there is no reserved topic ${topic} to publish to`);
    }
    if (packetId !== undefined) this.#write({ cmd: "puback", messageId: packetId });
  }

  #subscribe(packet: ISubscribePacket): void {
    const messageId = packetIdOf(packet);
    checkSubscribe(packet, this.#host.limits);
    const granted = packet.subscriptions.map(({ topic, qos }) =>
      this.#grant(topic, qos === 1 ? 1 : 0),
    );
    this.#write({ cmd: "suback", messageId, granted });
    const accepted = packet.subscriptions.filter((_, index) => granted[index] !== 0x80);
    for (const { topic, qos } of accepted) this.#host.subscribe(this, topic, qos === 1 ? 1 : 0);
    if (accepted.length > 0) {
      this.#host.subscriptionsChanged(
        this,
        true,
        accepted.map(({ topic }) => topic),
      );
    }
  }

  /** @returns the SUBACK code. The 51st subscription is answered 0x80, not closed (conflict 5 of the sources). */
  #grant(filter: string, qos: 0 | 1): number {
    const existing = this.#session?.subscriptions;
    const isNew = existing !== undefined && !existing.has(filter);
    if (isNew && existing.size >= this.#host.limits.subscriptionsPerConnection) return 0x80;
    if (this.identity.allows("iot:Subscribe", `topicfilter/${filter}`)) return qos;
    if (this.#host.answersDeniedSubscribe) return 0x80;
    throw new Disconnect("AUTH_ERROR", `not allowed to subscribe to ${filter}`);
  }

  #unsubscribe(packet: IUnsubscribePacket): void {
    const messageId = packetIdOf(packet);
    if (packet.unsubscriptions.length < 1)
      throw new MalformedPacket("UNSUBSCRIBE without a filter");
    for (const filter of packet.unsubscriptions) this.#host.unsubscribe(this, filter);
    this.#write({ cmd: "unsuback", messageId, granted: [] });
    this.#host.subscriptionsChanged(this, false, packet.unsubscriptions);
  }

  /** Fills the in-flight window from what is stored. */
  pump(): void {
    while (this.#state === "open") {
      const delivery = this.#session?.next();
      if (delivery === undefined) return;
      this.sendMessage(delivery.message, delivery.packetId);
    }
  }

  #write(packet: Packet): void {
    if (this.#state !== "closed") this.#link.write(encode(packet));
  }

  #rearm(delayMs: number): void {
    if (this.#timer !== undefined) this.#host.timer.clear(this.#timer);
    this.#watch(delayMs);
  }

  /** One timer per connection; traffic only moves the moment it looks at. */
  #watch(delayMs: number): void {
    this.#timer = this.#host.timer.set(() => {
      const remaining = this.#heardAt + this.#keepAliveMs - this.#host.clock.now();
      if (remaining > 0) return this.#watch(remaining);
      this.close("MQTT_KEEP_ALIVE_TIMEOUT", "");
    }, delayMs);
  }
}

function refusalOf(reason: DisconnectReason, detail: string): RefusalReason {
  if (reason === "MQTT_KEEP_ALIVE_TIMEOUT") return "CONNECT_TIMEOUT";
  return detail === "" ? "CLOSED_BEFORE_CONNECT" : "PROTOCOL_ERROR";
}
