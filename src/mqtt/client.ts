// MQTT client, 3.1.1 and 5, with the shape of ECMA-419's: one link, from dialing to its end. What survives it is the session's.
// Beyond ECMA-419: what CONNACK says reaches `onControl`, acknowledging is left to the caller.
import { AgentError } from "../errors.js";
import type {
  Clock,
  Provider,
  Resolver,
  ResolverConstructor,
  SecureOptions,
  Timer,
  TimerHandle,
  TLSSocket,
  TLSSocketConstructor,
} from "../host.js";
import { limits } from "../limits.js";
import { concat } from "../util/bytes.js";
import { asLinkError } from "./link-error.js";
import {
  encodeConnect,
  encodeEmpty,
  encodePuback,
  encodePublishHeader,
  encodeSubscribe,
  encodeUnsubscribe,
  operation,
  type ProtocolVersion,
  type QoS,
  type SubscribeItem,
  type Will,
} from "./packet.js";
import {
  type Acknowledgement,
  type Connack,
  type Disconnect,
  PacketParser,
  type Payload,
  type Pingresp,
  type Publish,
} from "./parser.js";
import type { Properties } from "./properties.js";
import { reasonError } from "./reasons.js";

export type ControlMessage = Connack | Acknowledgement;

/** What `onReadable` is told; all but `more` come with the first piece only. */
export interface ReadableInfo {
  readonly topic?: string;
  readonly byteLength?: number;
  readonly QoS?: QoS;
  /** Absent from a client that acknowledges by itself. */
  readonly id?: number | undefined;
  readonly duplicate?: boolean;
  readonly retain?: boolean;
  /** Of MQTT 5. */
  readonly properties?: Properties | undefined;
  /** More of this payload follows. */
  readonly more: boolean;
}

export interface WriteOptions {
  /** Default PUBLISH. */
  readonly operation?: number;
  readonly id?: number;
  readonly topic?: string;
  readonly QoS?: QoS;
  readonly retain?: boolean;
  readonly duplicate?: boolean;
  /** Length of the whole payload, when this write has only its first piece. */
  readonly byteLength?: number;
  readonly items?: readonly SubscribeItem[];
  /** Of PUBLISH in MQTT 5. */
  readonly properties?: Properties | undefined;
}

export interface MQTTClientOptions {
  readonly host: string;
  readonly port: number;
  readonly id: string;
  readonly clean: boolean;
  /** Milliseconds, above 0. */
  readonly keepAlive: number;
  readonly user?: string;
  readonly password?: Uint8Array;
  readonly will?: Will | undefined;
  /** Default 4, which is MQTT 3.1.1. */
  readonly protocolVersion?: ProtocolVersion;
  /** Of CONNECT in MQTT 5. */
  readonly properties?: Properties;
  readonly socket: Provider<TLSSocketConstructor> & { readonly secure: SecureOptions };
  readonly dns: Provider<ResolverConstructor>;
  readonly clock: Clock;
  readonly timer: Timer;
  onControl(message: ControlMessage): void;
  onReadable(count: number, info: ReadableInfo): void;
  onWritable(count: number): void;
  /** The link is over; only `close` is left. */
  onError(error?: unknown): void;
}

/** What the session asks of a client: ECMA-419's MQTT client, Moddable's as well as ours. */
export interface MQTTClientLike {
  /** @returns bytes of payload that can be written now. @throws when more than that is given. */
  write(bytes: Uint8Array | undefined, options?: WriteOptions): number;
  /** @returns up to `count` bytes (all when absent) of the piece announced last. */
  read(count?: number): ArrayBuffer | undefined;
  close(): void;
}

export type MQTTClientConstructor = new (options: MQTTClientOptions) => MQTTClientLike;

export class MQTTClient implements MQTTClientLike {
  readonly #options: MQTTClientOptions;
  readonly #parser: PacketParser;
  #resolver: Resolver | undefined;
  #addresses: readonly string[] = [];
  #socket: TLSSocket | undefined;
  #deadline: TimerHandle | undefined;
  #keepAlive: TimerHandle | undefined;
  #keepAliveMs: number;
  #resume: TimerHandle | undefined;
  #state: "dialing" | "connecting" | "connected" | "closed" = "dialing";
  #writable = 0;
  /** Payload bytes of the PUBLISH being written that are still owed. */
  #owed = 0;
  /** How many aliases the server takes, and those given. */
  #aliasMaximum = 0;
  #aliases: string[] | undefined;
  #publish: Publish | undefined;
  #payload: Uint8Array | undefined;
  #receiving = false;
  /** DISCONNECT has been written. */
  #isLeaving = false;
  #receivedAt: number;

  constructor(options: MQTTClientOptions) {
    this.#options = options;
    this.#keepAliveMs = options.keepAlive;
    this.#parser = new PacketParser(options.protocolVersion);
    this.#receivedAt = options.clock.ticks();
    this.within(limits.resolveMs, "no address");
    try {
      this.resolve(options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private resolve(options: MQTTClientOptions): void {
    this.#resolver = new options.dns.io(options.dns);
    this.#resolver.resolve({
      host: options.host,
      onResolved: (_host, address, others = []) =>
        this.guard(() => {
          this.#resolver?.close();
          this.#resolver = undefined;
          this.#addresses = others.slice(0, limits.addresses - 1);
          this.dial(address);
        }),
      onError: (host, cause) =>
        this.fail(new AgentError("connection/resolve", `${host}: no address`, { cause })),
    });
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { timer } = this.#options;
    timer.clear(this.#deadline);
    timer.clear(this.#keepAlive);
    timer.clear(this.#resume);
    this.#resolver?.close();
    this.#socket?.close();
    this.#payload = undefined;
  }

  write(bytes: Uint8Array | undefined, options?: WriteOptions): number {
    if (this.#state !== "connected" || this.#isLeaving)
      throw new AgentError("mqtt/closed", "MQTT: write without a connection");
    if (!options) return this.send(bytes!, bytes!.length);
    const { protocolVersion } = this.#options;
    switch (options.operation ?? operation.PUBLISH) {
      case operation.PUBLISH:
        return this.sendPublish(bytes ?? new Uint8Array(0), options);
      case operation.PUBACK:
        return this.send(encodePuback(options.id!));
      case operation.SUBSCRIBE:
        return this.send(encodeSubscribe(options.id!, options.items!, protocolVersion));
      case operation.UNSUBSCRIBE:
        return this.send(encodeUnsubscribe(options.id!, options.items!, protocolVersion));
      case operation.PINGREQ:
        return this.send(encodeEmpty(operation.PINGREQ));
      case operation.DISCONNECT:
        return this.leave();
      default:
        throw new AgentError("mqtt/limit", `MQTT: operation ${options.operation} cannot be sent`);
    }
  }

  /** Nothing may follow DISCONNECT. MQTT 3.1.1 and 5 section 3.14.4 */
  private leave(): number {
    this.send(encodeEmpty(operation.DISCONNECT));
    this.#options.timer.clear(this.#keepAlive);
    this.#isLeaving = true;
    return 0;
  }

  read(count = this.#payload?.length ?? 0): ArrayBuffer | undefined {
    const payload = this.#payload;
    if (!payload) return undefined;
    const result = payload.slice(0, count).buffer as ArrayBuffer;
    this.#payload = count < payload.length ? payload.subarray(count) : undefined;
    if (!this.#payload && !this.#receiving) {
      this.#options.timer.clear(this.#resume);
      this.#resume = this.#options.timer.set(() => this.guard(() => this.receive()), 0);
    }
    return result;
  }

  private sendPublish(bytes: Uint8Array, options: WriteOptions): number {
    const byteLength = options.byteLength ?? bytes.length;
    const topic = options.topic!;
    const alias = this.aliasOf(topic);
    const isKnown = alias !== undefined && alias <= this.#aliases!.length;
    const header = encodePublishHeader(
      {
        topic: isKnown ? "" : topic,
        QoS: options.QoS ?? 0,
        duplicate: options.duplicate ?? false,
        retain: options.retain ?? false,
        ...(options.id === undefined ? {} : { id: options.id }),
        properties:
          alias === undefined ? options.properties : { ...options.properties, topicAlias: alias },
      },
      byteLength,
      this.#options.protocolVersion,
    );
    const writable = this.send(concat([header, bytes]));
    if (alias !== undefined && !isKnown) this.#aliases!.push(topic);
    this.#owed = byteLength - bytes.length;
    return writable;
  }

  /** Topics get aliases in the order they come, until there are no more. @see MQTT 5 section 3.3.2.3.4 */
  private aliasOf(topic: string): number | undefined {
    if (this.#aliasMaximum === 0) return undefined;
    this.#aliases ??= [];
    const at = this.#aliases.indexOf(topic);
    if (at >= 0) return at + 1;
    return this.#aliases.length < this.#aliasMaximum ? this.#aliases.length + 1 : undefined;
  }

  /** @param payload bytes of an open PUBLISH that `bytes` continues */
  private send(bytes: Uint8Array, payload = 0): number {
    if (payload > this.#owed || (payload === 0 && this.#owed > 0)) {
      throw new AgentError(
        "mqtt/limit",
        `MQTT: ${this.#owed} bytes of a payload are due, not ${payload}`,
      );
    }
    if (bytes.length > this.#writable) {
      throw new AgentError("mqtt/limit", `MQTT: ${bytes.length} bytes, room for ${this.#writable}`);
    }
    this.#owed -= payload;
    this.#writable = this.#socket!.write(bytes);
    return this.#writable;
  }

  /** Each stage has its time; all of them together have the link's. */
  private within(delayMs: number, message: string): void {
    const { timer, host } = this.#options;
    timer.clear(this.#deadline);
    this.#deadline = timer.set(() => {
      const error = new AgentError("connection/timeout", `${host}: ${message} in ${delayMs} ms`);
      this.guard(() => this.lost(error));
    }, delayMs);
  }

  private dial(address: string): void {
    if (this.#state === "closed") return;
    const { host, port, socket } = this.#options;
    this.within(limits.handshakeMs, `no TLS with ${address}`);
    let mine: TLSSocket | undefined;
    mine = new socket.io({
      secure: socket.secure,
      address,
      host,
      port,
      onReadable: () => this.guard(() => this.receive()),
      onWritable: count => this.guard(() => this.onWritable(count)),
      onError: cause =>
        this.guard(() => {
          // Of a socket that was given up for the next address.
          if (mine === this.#socket) this.lost(asLinkError(cause));
        }),
    });
    this.#socket = mine;
  }

  /** The link broke: before the handshake is over, the name's next address is tried. */
  private lost(error: AgentError): void {
    const [next, ...others] = this.#addresses;
    if (this.#state !== "dialing" || next === undefined || this.#socket === undefined) {
      this.fail(error);
      return;
    }
    this.#socket.close();
    this.#addresses = others;
    this.dial(next);
  }

  private onWritable(count: number): void {
    this.#writable = count;
    if (this.#state === "dialing") {
      this.#state = "connecting";
      this.#addresses = [];
      this.within(limits.connackMs, "no CONNACK");
      this.#writable = this.#socket!.write(encodeConnect(this.#options));
    } else if (this.#state === "connected") this.#options.onWritable(count);
  }

  private receive(): void {
    if (this.#receiving || this.#state === "closed") return;
    this.#receiving = true;
    try {
      while (this.#state !== ("closed" as string) && !this.#payload) {
        const event = this.#parser.next();
        if (event) this.handle(event);
        else {
          const bytes = this.#socket?.read(limits.readBytes);
          if (!bytes || bytes.byteLength === 0) return;
          this.#receivedAt = this.#options.clock.ticks();
          this.#parser.push(new Uint8Array(bytes));
        }
      }
    } finally {
      this.#receiving = false;
    }
  }

  private handle(
    event: Publish | Payload | Connack | Acknowledgement | Disconnect | Pingresp,
  ): void {
    if (event.operation === 13) return;
    if (event.operation === 2) this.connack(event);
    else if (this.#state !== "connected") {
      throw new AgentError("mqtt/packet", `MQTT: packet type ${event.operation} before CONNACK`);
    } else if (event.operation === 3) this.#publish = event;
    else if (event.operation === 0) this.offer(event);
    else if (event.operation === 14) {
      this.fail(reasonError("DISCONNECT", event.reasonCode, event.properties));
    } else this.#options.onControl(event);
  }

  private connack(message: Connack): void {
    if (this.#state !== "connecting")
      throw new AgentError("mqtt/packet", "MQTT: CONNACK out of place");
    if (message.reasonCode !== 0) {
      this.fail(reasonError("CONNACK", message.reasonCode, message.properties));
      return;
    }
    this.#state = "connected";
    const { timer } = this.#options;
    timer.clear(this.#deadline);
    const { serverKeepAlive, topicAliasMaximum = 0 } = message.properties ?? {};
    // What the server says holds, whatever was asked for. MQTT 5 section 3.2.2.3.14
    if (serverKeepAlive) this.#keepAliveMs = serverKeepAlive * 1000;
    this.#aliasMaximum = Math.min(topicAliasMaximum, limits.topicAliases);
    this.#keepAlive = timer.repeat(
      () => this.guard(() => this.checkAlive()),
      Math.ceil(this.#keepAliveMs / 2),
    );
    this.#options.onControl(message);
    if (this.#state === "connected") this.#options.onWritable(this.#writable);
  }

  /** Passes one piece of a payload on; what is not read at once holds back everything behind it. */
  private offer(payload: Payload): void {
    const first = this.#publish;
    this.#publish = undefined;
    this.#payload = payload.bytes.length > 0 ? payload.bytes : undefined;
    const more = payload.remaining > 0;
    const info = first
      ? {
          topic: first.topic,
          byteLength: first.byteLength,
          QoS: first.QoS,
          id: first.id,
          duplicate: first.duplicate,
          retain: first.retain,
          properties: first.properties,
          more,
        }
      : { more };
    this.#options.onReadable(payload.bytes.length, info);
  }

  /**
   * Every half keep-alive: ask for a sign of life, and give up before one and a half have passed without any. After more than
   * a whole one this is the last moment for that.
   */
  private checkAlive(): void {
    const silentMs = this.#options.clock.ticks() - this.#receivedAt;
    if (silentMs > this.#keepAliveMs) {
      this.fail(
        new AgentError("mqtt/keep-alive", `MQTT: nothing received for ${Math.round(silentMs)} ms`),
      );
    } else if (this.#owed === 0 && this.#writable >= 2) {
      this.write(undefined, { operation: operation.PINGREQ });
      this.#options.onWritable(this.#writable);
    }
  }

  /** The one door from the host: an exception that left it would restart the device. */
  private guard(work: () => void): void {
    if (this.#state === "closed") return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (this.#state === "closed") return;
    const wasAsked = this.#state === "connecting" && isLost(error);
    this.sayWhy(error);
    this.close();
    // How AWS answers a certificate or policy it does not accept.
    const unanswered = () =>
      new AgentError("mqtt/unanswered", "MQTT: closed instead of a CONNACK", { cause: error });
    this.#options.onError(wasAsked ? unanswered() : error);
  }

  /** MQTT 5: a server that broke the rules is told so, where there is room. Section 4.13.1 */
  private sayWhy(error: unknown): void {
    const isPacket = error instanceof AgentError && error.code === "mqtt/packet";
    const isHeard = this.#state === "connected" && !this.#isLeaving;
    if (!isPacket || !isHeard || this.#options.protocolVersion !== 5) return;
    const farewell = Uint8Array.of(operation.DISCONNECT << 4, 2, protocolError, 0);
    if (this.#owed > 0 || this.#writable < farewell.length) return;
    try {
      this.#socket!.write(farewell);
    } catch (_closed) {
      // The link ends either way.
    }
  }
}

const protocolError = 0x82;

function isLost(error: unknown): boolean {
  return error instanceof AgentError && error.code === "connection/lost";
}
