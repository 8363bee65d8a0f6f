// Performs what the connection decides: one MQTT client at a time, its deadlines, and the waits between.
import { AgentError } from "../errors.js";
import type { Host, SecureOptions, TimerHandle, TLSSocketConstructor } from "../host.js";
import { limits } from "../limits.js";
import { MQTTClient, type MQTTClientLike, type MQTTClientOptions } from "../mqtt/client.js";
import { asLinkError } from "../mqtt/link-error.js";
import { operation, type ProtocolVersion, type Will } from "../mqtt/packet.js";
import type { Connack } from "../mqtt/parser.js";
import type { Session } from "../mqtt/session.js";
import type { CheckedOptions } from "../options.js";
import { chanceFrom } from "../util/backoff.js";
import {
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionRecord,
  connectionAtRest,
  step,
} from "./connection.js";
import type { Endpoint, Endpoints } from "./endpoints.js";
import { nextKeepAlive } from "./keep-alive.js";
import type { ConnectionState } from "./table.js";
import { type VersionRecord, versionStep, versionToDial, versionUnknown } from "./version.js";
import type { WallTime } from "./wall-time.js";

/** Who connects, and the session that goes with it. */
export interface LinkIdentity {
  readonly as: "claim" | "device";
  readonly clientId: string;
  /** MQTT clean session. */
  readonly clean: boolean;
  readonly session: Session;
  readonly will?: Will | undefined;
}

/** What a link asks and tells. */
export interface LinkOwner {
  /** Asked anew before every dial. */
  identity(): LinkIdentity;
  /** Trust anchors, and certificates and key of that identity; asked for each address that is dialed, and not kept. */
  credentials(): Pick<SecureOptions, "trustAnchors" | "clientCertificates" | "clientKey">;
  /** Runs work that a host's callback started; an exception in it must not leave. */
  enter(work: () => void): void;
  onWaiting(inMs: number): void;
  onDialing(identity: LinkIdentity, attempt: number): void;
  onOnline(identity: LinkIdentity, sessionPresent: boolean): void;
  onLost(error: AgentError, retryInMs: number, wasOnline: boolean): void;
  onStopped(): void;
  /** Something is wrong that does not end the link. */
  onFault(error: AgentError): void;
}

/** The link at a glance. */
export interface LinkStatus {
  readonly state: ConnectionState;
  readonly endpoint: Endpoint;
  /** Failures since the last stable success. */
  readonly attempt: number;
  /** While online. */
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly keepAliveMs: number;
  /** Why the link before this one ended; undefined before the first end. */
  readonly error: AgentError | undefined;
}

export class Link {
  readonly #options: CheckedOptions;
  readonly #owner: LinkOwner;
  readonly #time: WallTime;
  readonly #endpoints: Endpoints;
  #record: ConnectionRecord = connectionAtRest;
  #version: VersionRecord = versionUnknown;
  #dialed: ProtocolVersion = 4;
  #keepAliveMs: number;
  #client: MQTTClientLike | undefined;
  #identity: LinkIdentity | undefined;
  #timer: TimerHandle | undefined;
  #error: AgentError | undefined;
  /** An end that the owner has not been told of. */
  #end: { readonly wasOnline: boolean } | undefined;
  #dials = 0;
  /** Epoch ms the server's certificates were judged at. */
  #judgedAt = 0;

  constructor(options: CheckedOptions, owner: LinkOwner, time: WallTime, endpoints: Endpoints) {
    this.#options = options;
    this.#owner = owner;
    this.#time = time;
    this.#endpoints = endpoints;
    this.#keepAliveMs = options.keepAliveMs;
  }

  get isOnline(): boolean {
    return this.#record.state === "online";
  }

  get status(): LinkStatus {
    const { state, attempt } = this.#record;
    return {
      state,
      endpoint: this.#endpoints.toDial,
      attempt,
      protocolVersion: this.isOnline ? this.#dialed : undefined,
      keepAliveMs: this.#keepAliveMs,
      error: this.#error,
    };
  }

  /** @param isSpread many devices may be starting at this moment: the first dial comes at a time of its own */
  start(isSpread: boolean): void {
    const { state } = this.#record;
    if (state === "offline" && isSpread) {
      this.advance({ type: "spread", chance: chanceFrom(this.#options.host) });
    } else if (state === "offline" || state === "draining") this.advance({ type: "start" });
  }

  /** Ends the link in good order; `onStopped` follows. */
  stop(): void {
    this.advance({ type: "stop" });
    if (this.#record.state === "offline") this.#owner.onStopped();
  }

  /** Ends the link in good order and dials again at once, as whoever `identity` then names, wherever the endpoint is then. */
  switch(): void {
    this.advance({ type: "switch", ticks: this.#options.host.clock.ticks() });
  }

  /** Brings the next dial forward, where it waits for no more than the network. */
  networkIsBack(): void {
    const { host } = this.#options;
    if (this.#record.state !== "waiting") return;
    this.advance({ type: "networkBack", ticks: host.clock.ticks(), chance: chanceFrom(host) });
  }

  /** Gives the link up for a reason of the agent's; it is dialed again after a backoff. */
  drop(error: AgentError): void {
    const { state } = this.#record;
    if (state !== "offline" && state !== "waiting") this.lost(error);
  }

  private advance(event: ConnectionEvent): void {
    const { record, effects } = step(this.#record, event);
    this.#record = record;
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: ConnectionEffect): void {
    switch (effect.type) {
      case "dial":
        return this.dial();
      case "drop":
        return this.close();
      case "disconnect":
        return this.disconnect();
      case "cancelWait":
        return this.#options.host.timer.clear(this.#timer);
      case "deadline":
        return this.after(effect.delayMs, () => this.onDeadline());
      case "wait":
        this.after(effect.delayMs, () => this.advance({ type: "due" }), true);
        return this.tellWait(effect.delayMs);
    }
  }

  private tellWait(delayMs: number): void {
    const end = this.#end;
    this.#end = undefined;
    if (end) this.#owner.onLost(this.#error!, delayMs, end.wasOnline);
    else this.#owner.onWaiting(delayMs);
  }

  /** One timer serves all states: a deadline while connecting or draining, the backoff while waiting. */
  private after(delayMs: number, work: () => void, evenNow = false): void {
    const { timer } = this.#options.host;
    timer.clear(this.#timer);
    this.#timer = undefined;
    if (delayMs > 0 || evenNow) this.#timer = timer.set(() => this.#owner.enter(work), delayMs);
  }

  private onDeadline(): void {
    if (this.#record.state === "draining") this.drained();
    else this.lost(new AgentError("connection/timeout", "connection: no CONNACK in time"));
  }

  private drained(): void {
    this.advance({ type: "drained" });
    if (this.#record.state === "offline") this.#owner.onStopped();
  }

  private dial(): void {
    const identity = this.#owner.identity();
    this.#identity = identity;
    const dial = ++this.#dials;
    this.#owner.onDialing(identity, this.#record.attempt + 1);
    // The product may have stopped the agent, or started it anew, when it was told.
    if (dial !== this.#dials || this.#record.state !== "connecting") return;
    const now = this.#time.now();
    if (now === undefined) this.awaitClock(limits.clockMs);
    else this.connect(now);
  }

  /** Gives the wall clock time to be set; after that the floor has to do, when there is one. */
  private awaitClock(leftMs: number): void {
    if (leftMs > 0) {
      this.after(limits.clockCheckMs, () => {
        const now = this.#time.now();
        if (now === undefined) this.awaitClock(leftMs - limits.clockCheckMs);
        else this.connectLate(now);
      });
      return;
    }
    const { floor } = this.#time;
    const error = new AgentError("connection/clock", describeClock(this.#options.host, floor));
    if (floor === undefined) {
      this.lost(error);
      return;
    }
    this.#owner.onFault(error);
    if (this.#record.state === "connecting") this.connectLate(floor);
  }

  /** The deadline counts from here: the clock has had its own. */
  private connectLate(now: number): void {
    this.after(limits.connectMs, () => this.onDeadline());
    this.connect(now);
  }

  private connect(now: number): void {
    this.#judgedAt = now;
    this.#dialed = this.#options.protocolVersion ?? versionToDial(this.#version);
    const Client = this.#options.mqtt ?? MQTTClient;
    try {
      this.#client = new Client(this.clientOptions(this.#identity!));
    } catch (error) {
      this.lost(asLinkError(error));
    }
  }

  /** The socket class, for the client. */
  get io(): TLSSocketConstructor {
    return this.#options.host.tls.io;
  }

  /** Keys and certificates for the dial at hand: kilobytes that nobody needs once the handshake is over. */
  get secure(): SecureOptions {
    const { protocols } = this.#endpoints.dialed;
    return {
      ...this.#owner.credentials(),
      now: this.#judgedAt,
      ...(protocols.length > 0 ? { applicationLayerProtocolNegotiation: protocols } : {}),
    };
  }

  private clientOptions(identity: LinkIdentity): MQTTClientOptions {
    const { host, mqtt } = this.#options;
    const { session, will } = identity;
    const endpoint = this.#endpoints.dial();
    return {
      host: endpoint.host,
      port: endpoint.port,
      id: identity.clientId,
      clean: identity.clean,
      keepAlive: this.#keepAliveMs,
      protocolVersion: this.#dialed,
      ...(this.#dialed === 5 ? { properties: this.connectProperties(identity) } : {}),
      ...(will ? { will } : {}),
      // Our own client asks when it dials; another class gets what it may keep.
      socket: mqtt ? { ...host.tls, secure: this.secure } : this,
      dns: host.dns,
      clock: host.clock,
      timer: host.timer,
      onControl: message => {
        if (message.operation !== operation.CONNACK) session.onControl(message);
        else this.accepted(identity, message);
      },
      onReadable: (count, info) => session.onReadable(count, info),
      onWritable: count => session.onWritable(count),
      onError: error => this.#owner.enter(() => this.lost(asLinkError(error))),
    };
  }

  private connectProperties(identity: LinkIdentity) {
    const { sessionExpirySeconds, userProperties } = this.#options;
    return {
      ...(identity.clean ? {} : { sessionExpiryInterval: sessionExpirySeconds }),
      receiveMaximum: limits.queuedAcknowledgements,
      maximumPacketSize: limits.packetBytes,
      topicAliasMaximum: limits.topicAliases,
      ...(userProperties ? { userProperties } : {}),
    };
  }

  private accepted(identity: LinkIdentity, connack: Connack): void {
    const sessionPresent = connack.sessionPresent ?? false;
    if (connack.properties?.maximumQoS === 0) {
      // Nothing this agent does can do without acknowledgements, and asking for them would be a protocol error.
      this.lost(new AgentError("mqtt/refused", "MQTT: CONNACK with maximum QoS 0"));
      return;
    }
    this.#version = versionStep(this.#version, { type: "accepted", version: this.#dialed });
    this.advance({ type: "accepted", ticks: this.#options.host.clock.ticks() });
    this.#owner.onOnline(identity, sessionPresent);
    if (this.#record.state === "online") {
      const { receiveMaximum, maximumPacketSize } = connack.properties ?? {};
      identity.session.attach(this.#client!, {
        sessionPresent,
        resends: this.#dialed === 4,
        ...(receiveMaximum ? { receiveMaximum } : {}),
        ...(maximumPacketSize ? { maximumPacketSize } : {}),
      });
    }
    try {
      this.#time.confirm(this.#judgedAt);
    } catch (cause) {
      this.#owner.onFault(new AgentError("storage/write", "time: not saved", { cause }));
    }
  }

  private lost(error: AgentError): void {
    if (this.#record.state === "draining") {
      this.drained();
      return;
    }
    this.#error = error;
    this.#end = { wasOnline: this.isOnline };
    const { host, keepAliveMs } = this.#options;
    const ticks = host.clock.ticks();
    if (this.isOnline) {
      const isSilent = error.code === "mqtt/keep-alive";
      const end = { isSilent, onlineMs: ticks - this.#record.onlineAt };
      this.#keepAliveMs = nextKeepAlive(this.#keepAliveMs, keepAliveMs, end);
    }
    const givenUp = this.#endpoints.failed();
    this.advance({ type: this.eventOf(error), ticks, chance: chanceFrom(host) });
    if (givenUp) this.#owner.onFault(givenUp);
  }

  /** What the error means for the next dial, and for its version. */
  private eventOf(error: AgentError): "lost" | "refused" | "takenOver" {
    if (error.code === "mqtt/unanswered") {
      this.#version = versionStep(this.#version, { type: "unanswered" });
    }
    if (error.code === "mqtt/version" && !this.#options.protocolVersion) {
      this.#version = versionStep(this.#version, { type: "refused", version: this.#dialed });
      return "lost";
    }
    if (error.code === "mqtt/taken-over") return "takenOver";
    return error.kind === "refused" ? "refused" : "lost";
  }

  /** The session lets go first: nothing may follow DISCONNECT, not even an acknowledgement. */
  private disconnect(): void {
    this.#identity?.session.detach();
    try {
      this.#client?.write(undefined, { operation: operation.DISCONNECT });
    } catch (cause) {
      const message = "connection: no room for DISCONNECT";
      this.#error = new AgentError("connection/lost", message, { cause });
    }
  }

  private close(): void {
    this.#options.host.timer.clear(this.#timer);
    this.#identity?.session.detach();
    this.#client?.close();
    this.#client = undefined;
  }
}

function describeClock({ clock }: Host, floor: number | undefined): string {
  const now = clock.now();
  const state = now === undefined ? "is not set" : `says ${now}`;
  const what = floor === undefined ? "no time is known" : `certificates are judged at ${floor}`;
  return `connection: the clock ${state}, ${what}`;
}
