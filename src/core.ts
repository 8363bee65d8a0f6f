// The parts of the agent, wired together: one link, the provisioner, the follower of the shadow, the telemetry queue.
// Everything that a host or the product starts passes through one door here. The core is the owner of every part, so that
// no part needs functions of its own made for it: on XS each takes as much memory as a small object.
import { provisioningFilters, shadowFilters } from "./cloud/topics.js";
import { type Endpoint, Endpoints } from "./connection/endpoints.js";
import { Link, type LinkIdentity, type LinkOwner, type LinkStatus } from "./connection/link.js";
import { WallTime } from "./connection/wall-time.js";
import { AgentError } from "./errors.js";
import type { Host, KeyValue, TimerHandle } from "./host.js";
import { limits } from "./limits.js";
import type { QoS, Will } from "./mqtt/packet.js";
import { Session, type SessionHandlers } from "./mqtt/session.js";
import { type CheckedOptions, type Credentials, topicOf } from "./options.js";
import { Provisioner } from "./provisioning/provisioner.js";
import { hasIdentity } from "./provisioning/provisioning.js";
import { Requests } from "./requests.js";
import type { Follower } from "./shadow/follower.js";
import type { Values } from "./shadow/schema.js";
import type { AgentStatus } from "./status.js";
import { encodeSample, type Readings, type Sample, TelemetryQueue } from "./telemetry/telemetry.js";
import { toUtf8 } from "./util/bytes.js";
import type { Wiring } from "./wiring.js";

export class Core implements LinkOwner, SessionHandlers, Wiring {
  readonly requests: Requests;
  follower: Follower | undefined;
  /** What `onStatus` threw last. */
  observerFault: unknown;
  readonly #options: CheckedOptions;
  readonly #time: WallTime;
  readonly #endpoints: Endpoints;
  readonly #link: Link;
  #store: KeyValue | undefined;
  readonly #queue = new TelemetryQueue();
  #provisioner: Provisioner | undefined;
  #identity: LinkIdentity | undefined;
  #tokenPrefix = "";
  #isOpen = false;
  #isWanted = false;
  #retry: TimerHandle | undefined;

  constructor(options: CheckedOptions) {
    this.#options = options;
    this.requests = new Requests(options.host.timer, this);
    this.#time = new WallTime(options.host.clock, options.builtAt);
    this.#endpoints = new Endpoints(options.endpoint);
    this.#link = new Link(options, this, this.#time, this.#endpoints);
  }

  // -- what the product asks --

  get thingName(): string | undefined {
    return this.#options.own?.thingName ?? this.#provisioner?.record.thingName;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get linkStatus(): LinkStatus {
    return this.#link.status;
  }

  start(): void {
    const isFirst = !this.#isOpen;
    this.#isWanted = true;
    this.enter(() => {
      if (!this.#isOpen) this.#open();
      const { resetReason } = this.host.system;
      if (this.#isWanted) this.#link.start(isFirst && resetReason === "powerOn");
    });
    // Storage refused: nothing can be kept, so nothing is begun, and the same is tried again later.
    const { timer } = this.host;
    timer.clear(this.#retry);
    this.#retry =
      this.#isOpen || !this.#isWanted ? undefined : timer.set(() => this.start(), limits.stableMs);
  }

  stop(): void {
    this.#isWanted = false;
    this.host.timer.clear(this.#retry);
    this.enter(() => this.#link.stop());
  }

  moveTo(endpoint: Endpoint): void {
    if (!this.#isOpen) throw new AgentError("agent/options", "the agent is moved after start");
    this.#endpoints.move(endpoint);
    const { state } = this.#link.status;
    if (state === "online" || state === "waiting") this.enter(() => this.#link.switch());
  }

  get settings(): Values {
    return this.follower!.values;
  }

  changeSettings(values: Values): void {
    if (!this.follower!.isOpen)
      throw new AgentError("agent/options", "settings are set after start");
    this.enter(() => this.follower!.event({ type: "changed", values }));
  }

  send(channel: string, readings: Readings, QoS: QoS): void {
    this.#queue.push(encodeSample(channel, readings, this.#time.now(), QoS));
    this.enter(() => this.onRoom());
  }

  // -- what the parts ask --

  get host(): Host {
    return this.#options.host;
  }

  get store(): KeyValue {
    return this.#store!;
  }

  get session(): Session {
    return this.#identity!.session;
  }

  get tokenPrefix(): string {
    return this.#tokenPrefix;
  }

  /** Whatever the host or the product starts runs in here: on a device an exception that left it would be a restart. */
  enter(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const error = asAgentError(cause);
      this.onFault(error);
      this.drop(error);
    }
  }

  emit(status: AgentStatus): void {
    try {
      this.#options.onStatus(status);
    } catch (cause) {
      this.observerFault = cause;
    }
  }

  drop(error: AgentError): void {
    this.#link.drop(error);
  }

  adopt(): void {
    this.#link.switch();
  }

  // -- what the link tells --

  /** The claim until there is an own identity; a session belongs to one of them and outlives its links. */
  identity(): LinkIdentity {
    const { own, claim, will } = this.#options;
    const isClaim = !own && !hasIdentity(this.#provisioner!.record);
    const as = isClaim ? "claim" : "device";
    if (this.#identity?.as === as) return this.#identity;
    const filters = isClaim
      ? provisioningFilters(claim!.template)
      : this.follower
        ? shadowFilters(this.thingName!)
        : [];
    this.#identity = {
      as,
      clientId: isClaim ? this.host.system.id : this.thingName!,
      clean: isClaim,
      credentials: isClaim ? claim!.credentials : (own?.credentials ?? this.#earned()),
      session: new Session(filters, this, this.host),
      will: isClaim || !will ? undefined : willOf(will, this.thingName!),
    };
    return this.#identity;
  }

  onWaiting(inMs: number): void {
    this.emit({ type: "waiting", inMs });
  }

  onDialing({ as }: LinkIdentity, attempt: number): void {
    this.#unfollow();
    this.emit({ type: "connecting", as, attempt });
  }

  onOnline({ as, clientId }: LinkIdentity, sessionPresent: boolean): void {
    const { protocolVersion = 4 } = this.#link.status;
    this.emit({ type: "online", as, clientId, sessionPresent, protocolVersion });
  }

  onLost(error: AgentError, retryInMs: number): void {
    this.#unfollow();
    if (this.#identity?.as === "device") this.#provisioner?.onLost(error);
    this.emit({ type: "offline", error, retryInMs });
  }

  onStopped(): void {
    this.#unfollow();
    this.emit({ type: "stopped" });
  }

  onFault(error: AgentError): void {
    this.emit({ type: "fault", error });
  }

  // -- what the session tells --

  onMessage(topic: string, payload: Uint8Array): void {
    if (this.#isClaim) this.#provisioner!.onMessage(topic, payload);
    else this.follower?.onMessage(topic, payload);
  }

  onOversize(topic: string, byteLength: number): void {
    // Its answer was too long: the shadow is not followed until the next connect, all else goes on.
    if (!this.#isClaim) this.#unfollow();
    const bound = `at most ${limits.messageBytes} are taken`;
    this.onFault(new AgentError("mqtt/limit", `${topic}: ${byteLength} bytes, ${bound}`));
  }

  onSubscribed(): void {
    // Told to move while it was dialing.
    if (this.#endpoints.isElsewhere) return this.#link.switch();
    this.#attempt("endpoint: not saved", () => this.#held());
    if (this.#isClaim) {
      this.#provisioner!.event({ type: "ready" });
      return;
    }
    this.#provisioner?.event({ type: "held" });
    this.follower?.event({ type: "subscribed" });
  }

  /** Without a reply topic the claim can do nothing; a device has its telemetry. */
  onRefused(_topic: string, error: AgentError): void {
    if (this.#isClaim) {
      this.drop(error);
      return;
    }
    this.#unfollow();
    this.onFault(error);
  }

  /** Hands telemetry to the session as far as it has room: what waits longer waits in the bounded queue. */
  onRoom(): void {
    if (!this.#link.isOnline || this.#isClaim) return;
    while (this.session.hasRoom) {
      const sample = this.#queue.shift();
      if (!sample) return;
      this.#publish(sample);
    }
  }

  onUnacknowledged(error: AgentError): void {
    this.drop(error);
  }

  get #isClaim(): boolean {
    return this.#identity?.as === "claim";
  }

  #open(): void {
    const { claim, host } = this.#options;
    this.#store ??= host.keyValue.open({ path: "skerry" });
    this.#time.open(this.#store);
    this.#attempt("endpoint: what is stored cannot be read", () =>
      this.#endpoints.open(this.store),
    );
    this.#tokenPrefix = Array.from(host.crypto.random(4), byte =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    this.follower?.open(this);
    if (claim) {
      this.#provisioner ??= new Provisioner(this, claim);
      this.#provisioner.event({ type: "begun" });
    }
    this.#isOpen = true;
  }

  #earned(): Credentials {
    const { keyPair, certificates } = this.#provisioner!.record;
    return { certificates: certificates!, key: keyPair!.privateKey };
  }

  #held(): void {
    if (!this.#endpoints.held()) return;
    const { host, port } = this.#endpoints.toDial;
    this.emit({ type: "moved", endpoint: host, port });
  }

  #unfollow(): void {
    this.requests.answered();
    this.follower?.event({ type: "lost" });
  }

  #publish({ channel, payload, QoS }: Sample): void {
    const { telemetryTopic } = this.#options;
    const { dropped } = this.#queue;
    const { byteLength } = payload;
    this.session.publish({
      topic: topicOf(telemetryTopic, this.thingName!, channel),
      payload,
      QoS,
      keep: true,
      onAcknowledged: () => this.emit({ type: "telemetry", channel, byteLength, dropped }),
      onRefused: error => this.emit({ type: "telemetryRefused", channel, error }),
    });
  }

  /** What may fail without keeping the device from its link. */
  #attempt(message: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.onFault(new AgentError("storage/write", message, { cause }));
    }
  }
}

function willOf(will: NonNullable<CheckedOptions["will"]>, thingName: string): Will {
  return { ...will, topic: topicOf(will.topic, thingName), message: toUtf8(will.message) };
}

function asAgentError(cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause;
  return new AgentError(
    "agent/fault",
    `agent: ${cause instanceof Error ? cause.message : "fault"}`,
    { cause },
  );
}
