// Performs what the connection decides: one MQTT client at a time, its deadlines, and the waits between.
import { AgentError } from "../errors.js";
import type { Host, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { MQTTClient, type MQTTClientLike, type MQTTClientOptions } from "../mqtt/client.js";
import { operation } from "../mqtt/packet.js";
import type { Session } from "../mqtt/session.js";
import type { CheckedOptions, Credentials } from "../options.js";
import {
  type ConnectionEffect,
  type ConnectionEvent,
  type ConnectionRecord,
  connectionAtRest,
  step,
} from "./connection.js";
import type { WallTime } from "./wall-time.js";

/** Who connects, and the session that goes with it. */
export interface LinkIdentity {
  readonly as: "claim" | "device";
  readonly clientId: string;
  /** MQTT clean session. */
  readonly clean: boolean;
  readonly credentials: Credentials;
  readonly session: Session;
}

/** What a link asks and tells. */
export interface LinkOwner {
  /** Asked anew before every dial. */
  readonly identity: () => LinkIdentity;
  /** Runs work that a host's callback started; an exception in it must not leave. */
  readonly enter: (work: () => void) => void;
  readonly onDialing: (identity: LinkIdentity, attempt: number) => void;
  readonly onOnline: (identity: LinkIdentity, sessionPresent: boolean) => void;
  readonly onLost: (error: AgentError, retryInMs: number) => void;
  readonly onStopped: () => void;
  /** Something is wrong that does not end the link. */
  readonly onFault: (error: AgentError) => void;
}

export class Link {
  readonly #options: CheckedOptions;
  readonly #owner: LinkOwner;
  readonly #time: WallTime;
  #record: ConnectionRecord = connectionAtRest;
  #client: MQTTClientLike | undefined;
  #identity: LinkIdentity | undefined;
  #timer: TimerHandle | undefined;
  #error: AgentError | undefined;
  #dials = 0;
  /** Epoch ms the server's certificates were judged at. */
  #judgedAt = 0;

  constructor(options: CheckedOptions, owner: LinkOwner, time: WallTime) {
    this.#options = options;
    this.#owner = owner;
    this.#time = time;
  }

  get isOnline(): boolean {
    return this.#record.state === "online";
  }

  start(): void {
    const { state } = this.#record;
    if (state === "offline" || state === "draining") this.#advance({ type: "start" });
  }

  /** Ends the link in good order; `onStopped` follows. */
  stop(): void {
    this.#advance({ type: "stop" });
    if (this.#record.state === "offline") this.#owner.onStopped();
  }

  /** Ends the link in good order and dials again at once, as whoever `identity` then names. */
  switch(): void {
    this.#advance({ type: "switch" });
  }

  /** Gives the link up for a reason of the agent's; it is dialed again after a backoff. */
  drop(error: AgentError): void {
    const { state } = this.#record;
    if (state !== "offline" && state !== "waiting") this.#lost(error);
  }

  #advance(event: ConnectionEvent): void {
    const { record, effects } = step(this.#record, event);
    this.#record = record;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: ConnectionEffect): void {
    switch (effect.type) {
      case "dial":
        return this.#dial();
      case "drop":
        return this.#close();
      case "disconnect":
        return this.#disconnect();
      case "cancelWait":
        return this.#options.host.timer.clear(this.#timer);
      case "deadline":
        return this.#after(effect.delayMs, () => this.#onDeadline());
      case "wait":
        this.#after(effect.delayMs, () => this.#advance({ type: "due" }), true);
        this.#owner.onLost(this.#error!, effect.delayMs);
        this.#error = undefined;
    }
  }

  /** One timer serves all states: a deadline while connecting or draining, the backoff while waiting. */
  #after(delayMs: number, work: () => void, evenNow = false): void {
    const { timer } = this.#options.host;
    timer.clear(this.#timer);
    this.#timer = undefined;
    if (delayMs > 0 || evenNow) this.#timer = timer.set(() => this.#owner.enter(work), delayMs);
  }

  #onDeadline(): void {
    if (this.#record.state === "draining") this.#drained();
    else this.#lost(new AgentError("connection/timeout", "connection: no CONNACK in time"));
  }

  #drained(): void {
    this.#advance({ type: "drained" });
    if (this.#record.state === "offline") this.#owner.onStopped();
  }

  #dial(): void {
    const identity = this.#owner.identity();
    this.#identity = identity;
    const dial = ++this.#dials;
    this.#owner.onDialing(identity, this.#record.attempt + 1);
    // The product may have stopped the agent, or started it anew, when it was told.
    if (dial !== this.#dials || this.#record.state !== "connecting") return;
    const now = this.#time.now();
    if (now === undefined) this.#awaitClock(limits.clockMs);
    else this.#connect(now);
  }

  /** Gives the wall clock time to be set; after that the floor has to do, when there is one. */
  #awaitClock(leftMs: number): void {
    if (leftMs > 0) {
      this.#after(limits.clockCheckMs, () => {
        const now = this.#time.now();
        if (now === undefined) this.#awaitClock(leftMs - limits.clockCheckMs);
        else this.#connectLate(now);
      });
      return;
    }
    const { floor } = this.#time;
    const error = new AgentError("connection/clock", describeClock(this.#options.host, floor));
    if (floor === undefined) {
      this.#lost(error);
      return;
    }
    this.#owner.onFault(error);
    if (this.#record.state === "connecting") this.#connectLate(floor);
  }

  /** The deadline counts from here: the clock has had its own. */
  #connectLate(now: number): void {
    this.#after(limits.connectMs, () => this.#onDeadline());
    this.#connect(now);
  }

  #connect(now: number): void {
    this.#judgedAt = now;
    const Client = this.#options.mqtt ?? MQTTClient;
    try {
      this.#client = new Client(this.#clientOptions(this.#identity!, now));
    } catch (error) {
      this.#lost(asLinkError(error));
    }
  }

  #clientOptions(identity: LinkIdentity, now: number): MQTTClientOptions {
    const { host, endpoint, port, protocols, trustAnchors, keepAliveMs } = this.#options;
    const { session } = identity;
    const { certificates, key } = identity.credentials;
    return {
      host: endpoint,
      port,
      id: identity.clientId,
      clean: identity.clean,
      keepAlive: keepAliveMs,
      socket: {
        ...host.tls,
        secure: {
          trustAnchors,
          clientCertificates: certificates,
          clientKey: key,
          now,
          ...(protocols.length > 0 ? { applicationLayerProtocolNegotiation: protocols } : {}),
        },
      },
      dns: host.dns,
      clock: host.clock,
      timer: host.timer,
      onControl: message => {
        if (message.operation !== operation.CONNACK) session.onControl(message);
        else this.#accepted(identity, message.sessionPresent ?? false);
      },
      onReadable: (count, info) => session.onReadable(count, info),
      onWritable: count => session.onWritable(count),
      onError: error => this.#owner.enter(() => this.#lost(asLinkError(error))),
    };
  }

  #accepted(identity: LinkIdentity, sessionPresent: boolean): void {
    this.#advance({ type: "accepted", ticks: this.#options.host.clock.ticks() });
    this.#owner.onOnline(identity, sessionPresent);
    if (this.#record.state === "online") identity.session.attach(this.#client!, sessionPresent);
    try {
      this.#time.confirm(this.#judgedAt);
    } catch (cause) {
      this.#owner.onFault(new AgentError("storage/write", "time: not saved", { cause }));
    }
  }

  #lost(error: AgentError): void {
    if (this.#record.state === "draining") {
      this.#drained();
      return;
    }
    this.#error = error;
    const { host } = this.#options;
    this.#advance({
      type: error.kind === "refused" ? "refused" : "lost",
      ticks: host.clock.ticks(),
      chance: chanceFrom(host),
    });
  }

  /** The session lets go first: nothing may follow DISCONNECT, not even an acknowledgement. */
  #disconnect(): void {
    this.#identity?.session.detach();
    try {
      this.#client?.write(undefined, { operation: operation.DISCONNECT });
    } catch (cause) {
      this.#error = new AgentError("connection/lost", "connection: no room for DISCONNECT", {
        cause,
      });
    }
  }

  #close(): void {
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

function asLinkError(error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  return new AgentError(
    "connection/lost",
    `connection: ${error instanceof Error ? error.message : "lost"}`,
    {
      cause: error,
    },
  );
}

/** Uniform in [0, 1), from the host's generator; without it the wait is the longest, not the shortest. */
function chanceFrom(host: Host): number {
  try {
    const [a, b, c] = host.crypto.random(3);
    return (a! * 65_536 + b! * 256 + c!) / 16_777_216;
  } catch (_notReady) {
    return 1 - Number.EPSILON;
  }
}
