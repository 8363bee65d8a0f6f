// Owns the parts: one link, the provisioner, the follower of the shadow, the telemetry queue. Everything that a host or
// the product starts passes through one door here.
import { provisioningFilters, shadowFilters } from "./cloud/topics.js";
import { Link, type LinkIdentity, type LinkOwner } from "./connection/link.js";
import { WallTime } from "./connection/wall-time.js";
import { AgentError } from "./errors.js";
import type { KeyValue, TimerHandle } from "./host.js";
import { limits } from "./limits.js";
import type { QoS } from "./mqtt/packet.js";
import { Session } from "./mqtt/session.js";
import {
  type AgentOptions,
  type CheckedOptions,
  type Credentials,
  checkOptions,
  topicOf,
} from "./options.js";
import { Provisioner } from "./provisioning/provisioner.js";
import { hasIdentity } from "./provisioning/provisioning.js";
import { Requests } from "./requests.js";
import { Settings } from "./settings.js";
import { Follower } from "./shadow/follower.js";
import { checkSchema, type Schema } from "./shadow/schema.js";
import type { AgentStatus } from "./status.js";
import { encodeSample, type Readings, TelemetryQueue } from "./telemetry/telemetry.js";

export class Agent {
  readonly telemetry: {
    /**
     * Sends readings as one JSON message, with the time of this call; kept in memory, within bounds, until the link takes it.
     *
     * @throws AgentError "telemetry/limit" or "codec/json" for what cannot be sent
     */
    send(channel: string, readings: Readings, options?: { readonly QoS?: QoS }): void;
  };
  readonly #options: CheckedOptions;
  readonly #time: WallTime;
  readonly #link: Link;
  readonly #requests: Requests;
  /** The PUBACK of the telemetry that is in flight. */
  readonly #delivery: Requests;
  #store: KeyValue | undefined;
  readonly #queue = new TelemetryQueue();
  #provisioner: Provisioner | undefined;
  #follower: Follower | undefined;
  #identity: LinkIdentity | undefined;
  #isOpen = false;
  #isWanted = false;
  #retry: TimerHandle | undefined;
  #observerFault: unknown;

  /** @throws AgentError "agent/options" or "trust/pem" */
  constructor(options: AgentOptions) {
    const checked = checkOptions(options);
    const enter = (work: () => void) => this.#enter(work);
    this.#options = checked;
    this.#requests = new Requests(checked.host.timer, enter);
    this.#delivery = new Requests(checked.host.timer, enter);
    this.telemetry = {
      send: (channel, readings, more) => this.#send(channel, readings, more?.QoS ?? 1),
    };
    this.#time = new WallTime(checked.host.clock, checked.builtAt);
    const owner: LinkOwner = {
      enter,
      identity: () => this.#identityToUse(),
      onDialing: ({ as }, attempt) => {
        this.#endLink();
        this.#emit({ type: "connecting", as, attempt });
      },
      onOnline: ({ as, clientId }, sessionPresent) => {
        this.#requests.expect(() => this.#link.drop(notSubscribed()));
        this.#emit({ type: "online", as, clientId, sessionPresent });
      },
      onLost: (error, retryInMs) => this.#onLost(error, retryInMs),
      onStopped: () => {
        this.#endLink();
        this.#emit({ type: "stopped" });
      },
      onFault: error => this.#fault(error),
    };
    this.#link = new Link(checked, owner, this.#time);
  }

  /** Name of this device in the registry; undefined until it has been provisioned. */
  get thingName(): string | undefined {
    return this.#options.own?.thingName ?? this.#provisioner?.record.thingName;
  }

  /** What `onStatus` threw last, for a debugger: the agent goes on without it. */
  get observerFault(): unknown {
    return this.#observerFault;
  }

  /**
   * Declares the settings the device's classic shadow holds. Once, before `start`.
   *
   * @throws AgentError "agent/options" for a name or default that cannot be
   */
  settings<const S extends Schema>(schema: S): Settings<S> {
    if (this.#follower || this.#isOpen) {
      throw new AgentError("agent/options", "settings are declared once, before start");
    }
    checkSchema(schema);
    const follower = new Follower(schema, changed =>
      settings.onChange?.(changed as Partial<typeof settings.values>),
    );
    const settings = new Settings<S>(
      schema,
      () => follower.values,
      values => {
        if (!follower.isOpen) throw new AgentError("agent/options", "settings are set after start");
        this.#enter(() => follower.event({ type: "changed", values }));
      },
    );
    this.#follower = follower;
    return settings;
  }

  /** Reads what storage holds and connects. A second call does nothing while running. */
  start(): void {
    this.#isWanted = true;
    this.#enter(() => {
      if (!this.#isOpen) this.#open();
      if (this.#isWanted) this.#link.start();
    });
    // Storage refused: nothing can be kept, so nothing is begun, and the same is tried again later.
    const { timer } = this.#options.host;
    timer.clear(this.#retry);
    this.#retry =
      this.#isOpen || !this.#isWanted ? undefined : timer.set(() => this.start(), limits.stableMs);
  }

  /** Ends the link in good order; status "stopped" follows. `start` goes on. */
  stop(): void {
    this.#isWanted = false;
    this.#options.host.timer.clear(this.#retry);
    this.#enter(() => this.#link.stop());
  }

  /** Whatever the host or the product starts runs in here: on a device an exception that left it would be a restart. */
  #enter(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const error = asAgentError(cause);
      this.#emit({ type: "fault", error });
      this.#link.drop(error);
    }
  }

  #emit(status: AgentStatus): void {
    try {
      this.#options.onStatus(status);
    } catch (cause) {
      this.#observerFault = cause;
    }
  }

  #fault(error: AgentError): void {
    this.#emit({ type: "fault", error });
  }

  #open(): void {
    const { host, claim } = this.#options;
    this.#store ??= host.keyValue.open({ path: "skerry" });
    const store = this.#store;
    this.#time.open(store);
    const shared = {
      store,
      requests: this.#requests,
      session: () => this.#identity!.session,
      emit: (status: AgentStatus) => this.#emit(status),
      onDrop: (error: AgentError) => this.#link.drop(error),
    };
    const tokenPrefix = Array.from(host.crypto.random(4), byte =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    this.#follower?.open({ ...shared, tokenPrefix, thingName: () => this.thingName! });
    if (claim) {
      this.#provisioner ??= new Provisioner({
        ...shared,
        host,
        claim,
        onAdopt: () => this.#link.switch(),
      });
      this.#provisioner.event({ type: "begun" });
    }
    this.#isOpen = true;
  }

  /** The claim until there is an own identity; a session belongs to one of them and outlives its links. */
  #identityToUse(): LinkIdentity {
    const { own, claim, host } = this.#options;
    const isClaim = !own && !hasIdentity(this.#provisioner!.record);
    const as = isClaim ? "claim" : "device";
    if (this.#identity?.as === as) return this.#identity;
    this.#identity = {
      as,
      clientId: isClaim ? host.system.id : this.thingName!,
      clean: isClaim,
      credentials: isClaim ? claim!.credentials : (own?.credentials ?? this.#earned()),
      session: this.#newSession(isClaim),
    };
    return this.#identity;
  }

  #earned(): Credentials {
    const { keyPair, certificates } = this.#provisioner!.record;
    return { certificates: certificates!, key: keyPair!.privateKey };
  }

  #newSession(isClaim: boolean): Session {
    const filters = isClaim
      ? provisioningFilters(this.#options.claim!.template)
      : this.#follower
        ? shadowFilters(this.thingName!)
        : [];
    const part = isClaim ? this.#provisioner : this.#follower;
    const tooLong = (topic: string, length: number) =>
      new AgentError(
        "mqtt/limit",
        `${topic}: ${length} bytes, at most ${limits.messageBytes} are taken`,
      );
    return new Session(filters, {
      onMessage: (topic, payload) => part?.onMessage(topic, payload),
      onOversize: (topic, byteLength) => {
        // Its answer was too long: the shadow is not followed until the next connect, all else goes on.
        if (!isClaim) this.#unfollow();
        this.#fault(tooLong(topic, byteLength));
      },
      onSubscribed: () => this.#onSubscribed(isClaim),
      onRefused: topic => this.#onRefused(topic, isClaim),
      onRoom: () => this.#drain(),
    });
  }

  /** Without a reply topic the claim can do nothing; a device has its telemetry. */
  #onRefused(topic: string, isClaim: boolean): void {
    const error = new AgentError("mqtt/subscribe", `SUBSCRIBE ${topic}: refused`);
    if (isClaim) {
      this.#link.drop(error);
      return;
    }
    this.#unfollow();
    this.#fault(error);
  }

  #unfollow(): void {
    this.#requests.answered();
    this.#follower?.event({ type: "lost" });
  }

  #onSubscribed(isClaim: boolean): void {
    this.#requests.answered();
    if (isClaim) {
      this.#provisioner!.event({ type: "ready" });
      return;
    }
    this.#provisioner?.event({ type: "held" });
    this.#follower?.event({ type: "subscribed" });
    if (this.#identity!.session.inFlight > 0) this.#expectDelivery();
  }

  #onLost(error: AgentError, retryInMs: number): void {
    this.#endLink();
    if (this.#identity?.as === "device") this.#provisioner?.onLost(error);
    this.#emit({ type: "offline", error, retryInMs });
  }

  #endLink(): void {
    this.#delivery.answered();
    this.#unfollow();
  }

  #send(channel: string, readings: Readings, QoS: QoS): void {
    this.#queue.push(encodeSample(channel, readings, this.#time.now(), QoS));
    this.#enter(() => this.#drain());
  }

  /** Hands telemetry to the session as far as it has room: what waits longer waits in the bounded queue. */
  #drain(): void {
    const identity = this.#identity;
    if (!this.#link.isOnline || identity?.as !== "device") return;
    while (identity.session.hasRoom) {
      const sample = this.#queue.shift();
      if (!sample) return;
      const { channel, payload, QoS } = sample;
      const { telemetryTopic } = this.#options;
      const { dropped } = this.#queue;
      identity.session.publish({
        topic: topicOf(telemetryTopic, this.thingName!, channel),
        payload,
        QoS,
        keep: true,
        onAcknowledged: () => {
          this.#delivery.answered();
          if (identity.session.inFlight > 0) this.#expectDelivery();
          this.#emit({ type: "telemetry", channel, byteLength: payload.length, dropped });
        },
      });
      if (QoS === 1 && !this.#delivery.isExpecting) this.#expectDelivery();
    }
  }

  #expectDelivery(): void {
    const error = new AgentError("mqtt/unacknowledged", "MQTT: no PUBACK in time");
    this.#delivery.expect(() => this.#link.drop(error));
  }
}

/** A filter was refused or the SUBACK did not come: what waits for it would wait for ever. */
function notSubscribed(): AgentError {
  return new AgentError("connection/timeout", "MQTT: not all topics are subscribed in time");
}

function asAgentError(cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause;
  return new AgentError(
    "agent/fault",
    `agent: ${cause instanceof Error ? cause.message : "fault"}`,
    { cause },
  );
}
