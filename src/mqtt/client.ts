// MQTT 3.1.1 client with the shape of ECMA-419's: one link, from dialing to its end. What survives the link is the session's.
// Beyond ECMA-419: session-present and return code reach `onControl`, acknowledging is left to the caller.
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
import {
  encodeConnect,
  encodeEmpty,
  encodePuback,
  encodePublishHeader,
  encodeSubscribe,
  encodeUnsubscribe,
  operation,
  type QoS,
  type SubscribeItem,
  type Will,
} from "./packet.js";
import {
  type Acknowledgement,
  type Connack,
  PacketParser,
  type Payload,
  type Publish,
} from "./parser.js";

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
  readonly #parser = new PacketParser();
  #resolver: Resolver | undefined;
  #socket: TLSSocket | undefined;
  #keepAlive: TimerHandle | undefined;
  #resume: TimerHandle | undefined;
  #state: "dialing" | "connecting" | "connected" | "closed" = "dialing";
  #writable = 0;
  /** Payload bytes of the PUBLISH being written that are still owed. */
  #owed = 0;
  #publish: Publish | undefined;
  #payload: Uint8Array | undefined;
  #receiving = false;
  #receivedAt: number;

  constructor(options: MQTTClientOptions) {
    this.#options = options;
    this.#receivedAt = options.clock.ticks();
    this.#resolver = new options.dns.io(options.dns);
    this.#resolver.resolve({
      host: options.host,
      onResolved: (_host, address) => this.#guard(() => this.#dial(address)),
      onError: (host, cause) =>
        this.#fail(new AgentError("connection/resolve", `${host}: no address`, { cause })),
    });
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { timer } = this.#options;
    timer.clear(this.#keepAlive);
    timer.clear(this.#resume);
    this.#resolver?.close();
    this.#socket?.close();
    this.#payload = undefined;
  }

  write(bytes: Uint8Array | undefined, options?: WriteOptions): number {
    if (this.#state !== "connected")
      throw new AgentError("mqtt/closed", "MQTT: write without a connection");
    if (!options) return this.#send(bytes!, bytes!.length);
    switch (options.operation ?? operation.PUBLISH) {
      case operation.PUBLISH:
        return this.#sendPublish(bytes ?? new Uint8Array(0), options);
      case operation.PUBACK:
        return this.#send(encodePuback(options.id!));
      case operation.SUBSCRIBE:
        return this.#send(encodeSubscribe(options.id!, options.items!));
      case operation.UNSUBSCRIBE:
        return this.#send(encodeUnsubscribe(options.id!, options.items!));
      case operation.PINGREQ:
      case operation.DISCONNECT:
        return this.#send(encodeEmpty(options.operation!));
      default:
        throw new AgentError("mqtt/limit", `MQTT: operation ${options.operation} cannot be sent`);
    }
  }

  read(count = this.#payload?.length ?? 0): ArrayBuffer | undefined {
    const payload = this.#payload;
    if (!payload) return undefined;
    const result = payload.slice(0, count).buffer as ArrayBuffer;
    this.#payload = count < payload.length ? payload.subarray(count) : undefined;
    if (!this.#payload && !this.#receiving) {
      this.#options.timer.clear(this.#resume);
      this.#resume = this.#options.timer.set(() => this.#guard(() => this.#receive()), 0);
    }
    return result;
  }

  #sendPublish(bytes: Uint8Array, options: WriteOptions): number {
    const byteLength = options.byteLength ?? bytes.length;
    const header = encodePublishHeader(
      {
        topic: options.topic!,
        QoS: options.QoS ?? 0,
        duplicate: options.duplicate ?? false,
        retain: options.retain ?? false,
        ...(options.id === undefined ? {} : { id: options.id }),
      },
      byteLength,
    );
    const writable = this.#send(concat([header, bytes]));
    this.#owed = byteLength - bytes.length;
    return writable;
  }

  /** @param payload bytes of an open PUBLISH that `bytes` continues */
  #send(bytes: Uint8Array, payload = 0): number {
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

  #dial(address: string): void {
    if (this.#state === "closed") return;
    const { host, port, socket } = this.#options;
    this.#resolver?.close();
    this.#resolver = undefined;
    this.#socket = new socket.io({
      ...socket,
      address,
      host,
      port,
      onReadable: () => this.#guard(() => this.#receive()),
      onWritable: count => this.#guard(() => this.#onWritable(count)),
      onError: cause =>
        this.#fail(
          new AgentError("connection/lost", `connection lost: ${reasonOf(cause)}`, { cause }),
        ),
    });
  }

  #onWritable(count: number): void {
    this.#writable = count;
    if (this.#state === "dialing") {
      this.#state = "connecting";
      this.#writable = this.#socket!.write(encodeConnect(this.#options));
    } else if (this.#state === "connected") this.#options.onWritable(count);
  }

  #receive(): void {
    if (this.#receiving || this.#state === "closed") return;
    this.#receiving = true;
    try {
      while (this.#state !== ("closed" as string) && !this.#payload) {
        const event = this.#parser.next();
        if (event) this.#handle(event);
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

  #handle(event: Publish | Payload | Connack | Acknowledgement | { readonly operation: 13 }): void {
    if (event.operation === 13) return;
    if (event.operation === 2) this.#connack(event);
    else if (this.#state !== "connected") {
      throw new AgentError("mqtt/packet", `MQTT: packet type ${event.operation} before CONNACK`);
    } else if (event.operation === 3) this.#publish = event;
    else if (event.operation === 0) this.#offer(event);
    else this.#options.onControl(event);
  }

  #connack(message: Connack): void {
    if (this.#state !== "connecting")
      throw new AgentError("mqtt/packet", "MQTT: CONNACK out of place");
    if (message.returnCode !== 0) {
      this.#fail(new AgentError("mqtt/refused", `MQTT: CONNACK return code ${message.returnCode}`));
      return;
    }
    this.#state = "connected";
    const { keepAlive, timer } = this.#options;
    this.#keepAlive = timer.repeat(
      () => this.#guard(() => this.#checkAlive()),
      Math.ceil(keepAlive / 2),
    );
    this.#options.onControl(message);
    if (this.#state === "connected") this.#options.onWritable(this.#writable);
  }

  /** Passes one piece of a payload on; what is not read at once holds back everything behind it. */
  #offer(payload: Payload): void {
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
          more,
        }
      : { more };
    this.#options.onReadable(payload.bytes.length, info);
  }

  /** Every half keep-alive: ask for a sign of life, and give up after one and a half without any. */
  #checkAlive(): void {
    const { clock, keepAlive } = this.#options;
    const silentMs = clock.ticks() - this.#receivedAt;
    if (silentMs >= keepAlive * 1.5) {
      this.#fail(
        new AgentError("mqtt/keep-alive", `MQTT: nothing received for ${Math.round(silentMs)} ms`),
      );
    } else if (this.#owed === 0 && this.#writable >= 2) {
      this.write(undefined, { operation: operation.PINGREQ });
      this.#options.onWritable(this.#writable);
    }
  }

  /** The one door from the host: an exception that left it would restart the device. */
  #guard(work: () => void): void {
    if (this.#state === "closed") return;
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state === "closed") return;
    const wasAsked = this.#state === "connecting" && isLost(error);
    this.close();
    // How AWS answers a certificate or policy it does not accept.
    const unanswered = () =>
      new AgentError("mqtt/unanswered", "MQTT: closed instead of a CONNACK", { cause: error });
    this.#options.onError(wasAsked ? unanswered() : error);
  }
}

function isLost(error: unknown): boolean {
  return error instanceof AgentError && error.code === "connection/lost";
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  return cause === undefined ? "closed by the peer" : String(cause);
}
