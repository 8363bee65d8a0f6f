// One client's link: CONNECT, packets by type, keep-alive, and how it ends. MQTT 3.1.1 and 5 as AWS speaks them
// (developer guide "mqtt"). Sessions and routing are the broker's.

import type {
  IConnectPacket,
  IDisconnectPacket,
  IPublishPacket,
  ISubscribePacket,
  IUnsubscribePacket,
} from "mqtt-packet";
import { InboundAliases } from "./aliases.js";
import { Answers } from "./answers.js";
import type {
  Acceptor,
  Client,
  ConnectionHost,
  DisconnectReason,
  Link,
  Peer,
  RefusalReason,
} from "./broker-types.js";
import { type ConnectRequest, readConnect, type Will } from "./connect-rules.js";
import { messageOf } from "./errors.js";
import {
  type Decoded,
  FrameReader,
  PacketDecoder,
  type ProtocolVersion,
  packetIdOf,
} from "./frames.js";
import { Outbound } from "./outbound.js";
import { checkPublish, messageFault, toMessage } from "./packet-rules.js";
import type { Properties } from "./properties.js";
import {
  ConnectRefused,
  Disconnect,
  disconnectCode,
  type Fault,
  MalformedPacket,
  reason,
} from "./reasons.js";
import type { Identity } from "./registry.js";
import type { Message, Session } from "./session.js";
import { Silence } from "./silence.js";
import { filterFault, type Judged, judgeSubscribe } from "./subscribe-rules.js";

export class Connection implements Acceptor, Client {
  readonly peer: Peer;
  readonly #host: ConnectionHost;
  readonly #link: Link;
  readonly #reader: FrameReader;
  readonly #decoder = new PacketDecoder();
  readonly #aliases: InboundAliases;
  readonly #answers: Answers;
  readonly #silence: Silence;
  #state: "connecting" | "open" | "closed" = "connecting";
  #identity: Identity | undefined;
  #session: Session | undefined;
  #outbound: Outbound | undefined;
  #clientId: string | undefined;
  #will: Will | undefined;
  #inbox: Uint8Array[] | undefined;
  #inboxBytes = 0;

  constructor(host: ConnectionHost, link: Link, peer: Peer) {
    this.#host = host;
    this.#link = link;
    this.peer = peer;
    this.#answers = new Answers(link);
    this.#reader = new FrameReader(host.limits.packetBytes);
    this.#aliases = new InboundAliases(host.limits.topicAliases);
    const { clock, timer, limits } = host;
    const onSilent = (): void => this.close("MQTT_KEEP_ALIVE_TIMEOUT", "");
    this.#silence = new Silence({ clock, timer, onSilent }, limits.connectTimeoutMs);
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

  /** QoS 0, and QoS 1 with the packet id it was given. @returns false when the client will not get it */
  sendMessage(message: Message, packetId?: number): boolean {
    if (this.#state !== "open") return false;
    if (message.qos === 0 && this.#link.congested?.()) return false;
    const bytes = this.#outbound?.encode(message, packetId, this.#host.clock.now());
    if (bytes !== undefined) this.#link.write(bytes);
    return bytes !== undefined;
  }

  /**
   * Ends the link once; the session hears of it, and the will is published unless the client said goodbye.
   *
   * @param code what an MQTT 5 client is told before; absent: what belongs to `why`
   */
  close(why: DisconnectReason, detail: string, code = disconnectCode(why)): void {
    this.#end(why, detail, code, () => this.#link.close());
  }

  /** Ends the link as a pulled cable would: not a word. */
  abort(why: DisconnectReason, detail: string): void {
    this.#end(why, detail, undefined, () => {
      if (this.#link.abort) this.#link.abort();
      else this.#link.close();
    });
  }

  /** The will as it is published now, once; undefined after a DISCONNECT. */
  takeWill(): Message | undefined {
    const will = this.#will;
    this.#will = undefined;
    return will?.messageAt(this.#host.clock.now());
  }

  /** Fills the in-flight window from what is stored. */
  pump(): void {
    while (this.#state === "open") {
      const delivery = this.#session?.next();
      if (delivery === undefined) return;
      const { message, packetId } = delivery;
      // What has expired or is too large counts as delivered (MQTT 5 3.1.2.11.4).
      if (!this.sendMessage(message, packetId)) this.#session?.acknowledge(packetId);
    }
  }

  #end(why: DisconnectReason, detail: string, code: number | undefined, cut: () => void): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    this.#silence.stop();
    if (wasOpen && code !== undefined) this.#answers.disconnect(code, detail);
    cut();
    if (wasOpen) this.#host.ended(this, why, detail);
    else this.#host.refused(this, refusalOf(why, detail), detail);
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
      if (error instanceof ConnectRefused) this.#refuse(error);
      else if (error instanceof Disconnect) this.close(error.reason, error.message, error.code);
      else this.close("SERVER_ERROR", messageOf(error));
    }
  }

  #handle(decoded: Decoded): void {
    this.#silence.heard();
    const { packet, own } = decoded;
    switch (packet.cmd) {
      case "connect":
        return this.#connect(packet, decoded);
      case "publish":
        return this.#publish(packet, own);
      case "puback":
        this.#session?.acknowledge(packetIdOf(packet));
        return this.pump();
      case "subscribe":
        return this.#subscribe(packet, own);
      case "unsubscribe":
        return this.#unsubscribe(packet);
      case "pingreq":
        return this.#answers.pingresp();
      case "disconnect":
        return this.#disconnect(packet, own);
      default:
        throw new MalformedPacket(`${packet.cmd} is not for a client to send`);
    }
  }

  #connect(packet: IConnectPacket, decoded: Decoded): void {
    const { limits } = this.#host;
    this.#answers.speak(this.#version, decoded.own.requestProblemInformation);
    this.#clientId = packet.clientId;
    this.#checkCertificate();
    const request = readConnect(packet, decoded, this.#version, limits);
    const assigned = request.clientId === "" ? this.#host.newClientId() : undefined;
    const clientId = assigned ?? request.clientId;
    this.#clientId = clientId;
    const { peer } = this;
    const identity = this.#host.identify(peer.certificateId ?? "", clientId, peer.address);
    this.#identity = identity;
    // A denied will fails the CONNECT ("life-cycle-events").
    const { will } = request;
    const isDenied = !identity.allows("iot:Connect", `client/${clientId}`);
    if (isDenied || (will && this.#publishDenial(will.topic, will.retain))) {
      throw new ConnectRefused("AUTHORIZATION_FAILED", reason.notAuthorized);
    }
    this.#will = will;
    this.#accept(request, assigned);
  }

  /** A certificate that is not accepted fails in TLS, so there is no CONNACK for it ("cwl-format"). */
  #checkCertificate(): void {
    const refusal = this.#host.refusal(this.peer);
    if (refusal !== undefined) throw new ConnectRefused(refusal);
  }

  #accept(request: ConnectRequest, assigned: string | undefined): void {
    const { session, present } = this.#host.open(this, request);
    this.#session = session;
    this.#outbound = new Outbound(request);
    this.#state = "open";
    this.#answers.accept(request, present, assigned, this.#host.limits);
    this.#silence.allow(request.keepAliveSeconds * 1500);
    this.#host.opened(this, request, present);
  }

  #refuse(refusal: ConnectRefused): void {
    this.#answers.refuse(refusal);
    this.#state = "closed";
    this.#silence.stop();
    this.#link.close();
    this.#host.refused(this, refusal.reason, refusal.message);
  }

  get #version(): ProtocolVersion {
    return this.#decoder.version ?? 4;
  }

  #publishDenial(topic: string, retain: boolean): Fault | undefined {
    const resource = `topic/${topic}`;
    const { identity } = this;
    if (
      identity.allows("iot:Publish", resource) &&
      (!retain || identity.allows("iot:RetainPublish", resource))
    ) {
      return undefined;
    }
    const detail = `not allowed to publish to ${topic}`;
    return { code: reason.notAuthorized, reason: "AUTH_ERROR", detail };
  }

  #publish(packet: IPublishPacket, properties: Properties): void {
    const { limits, clock } = this.#host;
    checkPublish(packet, properties, limits);
    const { retain } = packet;
    const topic = this.#aliases.resolve(packet.topic, properties.topicAlias);
    const qos = packet.qos === 1 ? 1 : 0;
    const packetId = qos === 1 ? packetIdOf(packet) : undefined;
    const fault =
      messageFault(topic, retain, properties, limits) ?? this.#publishDenial(topic, retain);
    if (fault !== undefined) return this.#refusePublish(packetId, fault);
    const payload = Buffer.from(packet.payload);
    const message = toMessage({ topic, payload, qos, retain }, properties, limits, clock.now());
    const verdict = this.#host.publish(this, message);
    if (verdict !== "accepted") return this.#refusePublish(packetId, faultOf(verdict, topic));
    // A subscriber in memory may have closed us from inside.
    if (packetId !== undefined && this.isOpen) this.#answers.puback(packetId);
  }

  /** MQTT 5 has a PUBACK for it and the connection stays; QoS 0 has no answer, so ending it is assumed. */
  #refusePublish(packetId: number | undefined, fault: Fault): void {
    if (this.#version === 5 && packetId !== undefined) return this.#answers.puback(packetId, fault);
    // Throttled: QoS 0 is lost, QoS 1 gets no PUBACK in MQTT 3.1.1; assumed.
    if (fault.reason === "THROTTLED") return;
    throw new Disconnect(fault.reason, fault.detail, fault.code);
  }

  #subscribe(packet: ISubscribePacket, properties: Properties): void {
    const messageId = packetIdOf(packet);
    const { identity } = this;
    const subscriber = {
      identity,
      existing: this.#session?.subscriptions ?? new Map(),
      hasRoom: this.#host.hasRoom,
    };
    const judged = judgeSubscribe(packet, properties, subscriber, this.#host.limits);
    const granted = judged.map(each => this.#subackCode(each));
    this.#answers.suback(messageId, granted);
    const accepted = judged.filter(({ fault }) => fault === undefined);
    for (const { filter, grant, sendRetained } of accepted) {
      this.#host.subscribe(this, filter, grant, sendRetained);
    }
    if (accepted.length === 0) return;
    const filters = accepted.map(({ filter }) => filter);
    this.#host.subscriptionsChanged(this, true, filters);
  }

  /** MQTT 3.1.1 has one code for no, and AWS mostly closes instead. */
  #subackCode({ fault, grant }: Judged): number {
    if (fault === undefined) return grant.qos;
    if (this.#version === 5) return fault.code;
    // The 51st subscription is answered, not closed (conflict 5 of the sources).
    const isAnswered = fault.reason === "THROTTLED" || this.#host.answersDeniedSubscribe;
    if (isAnswered && fault.reason !== "CLIENT_ERROR") return reason.unspecified;
    throw new Disconnect(fault.reason, fault.detail, fault.code);
  }

  #unsubscribe(packet: IUnsubscribePacket): void {
    const messageId = packetIdOf(packet);
    const { unsubscriptions } = packet;
    if (unsubscriptions.length < 1) {
      throw new MalformedPacket("UNSUBSCRIBE without a filter", reason.protocolError);
    }
    for (const filter of unsubscriptions) this.#host.unsubscribe(this, filter);
    // 0x11 for a filter without a subscription is not in the guide's list: that is a success too.
    const granted = unsubscriptions.map(
      filter => filterFault(filter, this.#host.limits)?.code ?? reason.success,
    );
    this.#answers.unsuback(messageId, granted);
    this.#host.subscriptionsChanged(this, false, unsubscriptions);
  }

  /** No will after a client's DISCONNECT ("mqtt"); that 0x04 asks for it is the standard's word, and assumed. */
  #disconnect(packet: IDisconnectPacket, { sessionExpiryInterval }: Properties): void {
    const { limits } = this.#host;
    if (this.#session !== undefined && sessionExpiryInterval !== undefined) {
      if (this.#session.expiryMs === 0 && sessionExpiryInterval > 0) {
        const detail = "a session expiry at the end of a session that has none";
        throw new MalformedPacket(detail, reason.protocolError);
      }
      this.#session.expiryMs = Math.min(sessionExpiryInterval * 1000, limits.sessionExpiryMs);
    }
    if (packet.reasonCode !== reason.withWill) this.#will = undefined;
    this.close("CLIENT_INITIATED_DISCONNECT", "");
  }
}

function faultOf(verdict: "undefined-topic" | "throttled", topic: string): Fault {
  if (verdict === "throttled") {
    const detail = "no more messages are retained";
    return { code: reason.quotaExceeded, reason: "THROTTLED", detail };
  }
  const detail = `there is no reserved topic ${topic} to publish to`;
  return { code: reason.topicInvalid, reason: "CLIENT_ERROR", detail };
}

function refusalOf(why: DisconnectReason, detail: string): RefusalReason {
  if (why === "MQTT_KEEP_ALIVE_TIMEOUT") return "CONNECT_TIMEOUT";
  return detail === "" ? "CLOSED_BEFORE_CONNECT" : "PROTOCOL_ERROR";
}
