// The parts of the agent, wired together: one link, the provisioner, the follower of the shadow, the telemetry queue.
// Everything that a host or the product starts passes through one door here. The core is the owner of every part, so that
// no part needs functions of its own made for it: on XS each takes as much memory as a small object.
import { isProvisioningTopic } from "./cloud/topics.js";
import { type Json, writeJson } from "./codec/json.js";
import { type Endpoint, Endpoints } from "./connection/endpoints.js";
import { Link, type LinkIdentity, type LinkOwner, type LinkStatus } from "./connection/link.js";
import { WallTime } from "./connection/wall-time.js";
import { AgentError } from "./errors.js";
import type { Host, KeyValue, TimerHandle } from "./host.js";
import type { JobsWiring } from "./jobs/desk.js";
import type { JobHandler } from "./jobs/job.js";
import { limits } from "./limits.js";
import type { Will } from "./mqtt/packet.js";
import { Session, type SessionHandlers } from "./mqtt/session.js";
import type { CheckedOptions } from "./options.js";
import { Jobs, operationHandler } from "./parts/jobs.js";
import { Outgoing } from "./parts/outbox.js";
import { Provisioner } from "./parts/provisioning.js";
import { DeviceState, Shadows } from "./parts/shadow.js";
import { Health, Updater } from "./parts/updates.js";
import type { Follower } from "./shadow/follower.js";
import type { FlatValues } from "./shadow/schema.js";
import type { AgentStatus } from "./status.js";
import type { CycleAgent } from "./telemetry/cycle.js";
import { Sender, type SendOptions } from "./telemetry/sender.js";
import type { Readings } from "./telemetry/telemetry.js";
import { topicOf } from "./telemetry/topics.js";
import type { Waiting, WaitingBound } from "./telemetry/waiting.js";
import { anchorsOf, credentialsOf } from "./trust/credentials.js";
import { toUtf8 } from "./util/bytes.js";
import type { Observer } from "./wiring.js";

export class Core implements LinkOwner, SessionHandlers, JobsWiring, CycleAgent {
  #shadows: Shadows | undefined;
  readonly #deviceState: DeviceState | undefined;
  /** The cycle of a device that sleeps. Not a field: whoever has none takes no memory for it. */
  declare observer?: Observer;
  /** As above. */
  declare jobs?: Jobs;
  /** As above. */
  declare updater?: Updater;
  declare health?: Health;
  /** What `onStatus` threw last. */
  observerFault: unknown;
  readonly #options: CheckedOptions;
  readonly #time: WallTime;
  readonly #endpoints: Endpoints;
  readonly #link: Link;
  #store: KeyValue | undefined;
  readonly #sender: Sender;
  #provisioner: Provisioner | undefined;
  #thingName: string | undefined;
  #identity: LinkIdentity | undefined;
  #identityName = "";
  #tokenPrefix = "";
  #tokens = 0;
  /** Filters refused to the identity in force. */
  #denied: readonly string[] = [];
  #isOpen = false;
  #isWanted = false;
  #retry: TimerHandle | undefined;

  constructor(options: CheckedOptions) {
    this.#options = options;
    this.#time = new WallTime(options.host.clock, options.builtAt);
    this.#endpoints = new Endpoints(options.endpoint);
    this.#link = new Link(options, this, this.#time, this.#endpoints);
    this.#sender = new Sender(this, options.channels);
    const { deviceState, firmwareVersion, host, updates } = options;
    if (updates) {
      this.updater = new Updater(this, updates, this.useHealth());
      this.useJobs().on("firmware", this.updater);
    }
    if (!deviceState) return;
    this.#deviceState = new DeviceState(deviceState, firmwareVersion, host, this);
    this.follow(this.#deviceState.follower);
  }

  // -- what the product asks --

  get thingName(): string | undefined {
    return this.#options.own?.thingName ?? this.#provisioner?.thingName ?? this.#thingName;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get linkStatus(): LinkStatus {
    return this.#link.status;
  }

  start(): void {
    const isFirst = this.#identity === undefined;
    this.#isWanted = true;
    this.open();
    this.enter(() => {
      if (!this.#isOpen) return;
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

  networkIsBack(): void {
    this.enter(() => this.#link.networkIsBack());
  }

  moveTo(endpoint: Endpoint): void {
    if (!this.#isOpen) throw new AgentError("agent/options", "the agent is moved after start");
    this.#endpoints.move(endpoint);
    this.enter(() => this.redial());
  }

  private redial(): void {
    const { state } = this.#link.status;
    if (state === "online" || state === "waiting") this.#link.switch();
  }

  rotate(via: "claim" | "identity"): void {
    if (!this.#isOpen)
      throw new AgentError("agent/options", "another identity is asked for after start");
    this.checkRenewal(via);
    this.enter(() => this.renew(via));
  }

  get deviceConfiguration(): ReadonlyMap<string, string> {
    return this.#isOpen ? (this.need()?.configuration ?? new Map()) : new Map();
  }

  follow(follower: Follower): void {
    this.#shadows ??= new Shadows();
    this.#shadows.add(follower);
  }

  /** @throws AgentError "agent/options" */
  useJobs(): Jobs {
    if (!this.jobs && this.#isOpen)
      throw new AgentError("agent/options", "jobs are asked for before start");
    this.jobs ??= new Jobs(this);
    return this.jobs;
  }

  useHealth(): Health {
    this.health ??= new Health();
    return this.health;
  }

  checkRotation(): void {
    this.checkRenewal("identity");
  }

  handlerOf(operation: string): JobHandler | undefined {
    return operationHandler(operation, this);
  }

  follower(shadow: string | undefined): Follower | undefined {
    return this.#shadows?.follower(shadow);
  }

  /** Of the identity in force; undefined for one that was given or does not exist. */
  get certificateId(): string | undefined {
    return this.need()?.record.identity?.certificateId;
  }

  restart(): void {
    this.attempt("telemetry: what was measured last is lost", () => this.#sender.flushWindows());
    this.host.system.restart();
  }

  changeSettings(follower: Follower, values: FlatValues): void {
    if (!follower.isOpen) throw new AgentError("agent/options", "settings are set after start");
    this.enter(() => follower.event({ type: "changed", values }));
  }

  retrySettings(follower: Follower): void {
    if (follower.isOpen) this.enter(() => follower.event({ type: "retry" }));
  }

  send(channel: string, readings: Readings, options: SendOptions): void {
    // What is measured before the agent starts is kept like all else.
    this.#sender.open(this.#options.outbox, Outgoing);
    this.#sender.send(channel, readings, options);
  }

  flushWindows(): void {
    this.enter(() => this.#sender.flushWindows());
  }

  // -- what a cycle asks --

  get hasOutbox(): boolean {
    return this.#options.outbox !== undefined;
  }

  get isSettled(): boolean {
    if (!this.#link.isOnline || this.isClaim) return false;
    const { jobs } = this;
    const isDenied = this.#denied.includes(jobs?.filters(this.thingName!)[0] ?? "");
    if (jobs && !jobs.isSettled && !isDenied) return false;
    return this.#shadows?.isSettled(this.#denied) ?? true;
  }

  get isDrained(): boolean {
    const isQuiet = this.#identity?.session.isQuiet ?? true;
    const isIdle = this.jobs?.isIdle ?? true;
    return isQuiet && isIdle && this.#sender.isEmpty && this.#provisioner === undefined;
  }

  get isOnTrial(): boolean {
    return this.updater?.isOnTrial === true;
  }

  get waitsInMemory(): boolean {
    return this.#sender.waitsInMemory;
  }

  waiting(bound: WaitingBound): Waiting | undefined {
    return this.#sender.waiting(bound);
  }

  /** Reads what storage holds, once. */
  open(): void {
    if (!this.#isOpen) this.enter(() => this.load());
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

  newToken(): string {
    // Of one length: whoever keeps one takes the same memory for years.
    return `${this.#tokenPrefix}-${(++this.#tokens).toString(36).padStart(4, "0")}`;
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
    this.observer?.onStatus(status);
    this.jobs?.onStatus(status);
    try {
      this.#options.onStatus(status);
    } catch (cause) {
      this.observerFault = cause;
    }
  }

  drop(error: AgentError): void {
    this.#link.drop(error);
  }

  get now(): number | undefined {
    return this.#time.now();
  }

  get timeFloor(): number | undefined {
    return this.#time.floor;
  }

  topicOf(channel: string): string {
    return topicOf(this.#options.telemetryTopic, this.thingName!, channel);
  }

  renew(via: "claim" | "identity" = "identity"): void {
    const provisioner = this.need()!;
    const { identityName } = provisioner;
    if (!provisioner.renew(via)) return;
    if (provisioner.identityName !== identityName) this.redial();
    else this.#identity?.session.add(provisioner.filters);
  }

  publish(
    channel: string,
    message: Json,
    onAcknowledged: () => void,
    onRefused: (error: AgentError) => void,
  ): void {
    const topic = this.topicOf(channel);
    const payload = toUtf8(writeJson(message));
    this.session.publish({ topic, payload, QoS: 1, onAcknowledged, onRefused });
  }

  adopt(): void {
    this.redial();
  }

  // -- what the link tells --

  /** The claim until there is an own identity; a session belongs to claim or thing, and outlives its links and its keys. */
  identity(): LinkIdentity {
    const provisioner = this.need();
    const identityName = provisioner?.identityName ?? "given";
    if (this.#identity && this.#identityName === identityName) return this.#identity;
    const { will } = this.#options;
    const as = provisioner?.isClaim ? "claim" : "device";
    const clientId = as === "claim" ? this.host.system.id : this.thingName!;
    const isSame = this.#identity?.as === as && this.#identity.clientId === clientId;
    const before = isSame ? this.#identity!.session : undefined;
    this.#identity = {
      as,
      clientId,
      clean: as === "claim",
      session: before ?? this.newSession(as),
      will: as === "claim" || !will ? undefined : willOf(will, this.thingName!),
    };
    this.#identityName = identityName;
    return this.#identity;
  }

  private newSession(as: "claim" | "device"): Session {
    const own = (as === "device" && this.filters(this.thingName!)) || [];
    const replies = this.need()?.filters ?? [];
    return new Session([...own, ...replies], this, this.host);
  }

  private filters(thingName: string): readonly string[] {
    const shadows = this.#shadows?.filters(thingName) ?? [];
    return this.jobs ? [...shadows, ...this.jobs.filters(thingName)] : shadows;
  }

  credentials() {
    const { own, trustAnchors } = this.#options;
    const { certificates, key } = this.need()?.credentials ?? credentialsOf(own!, "identity");
    return {
      trustAnchors: anchorsOf(trustAnchors),
      clientCertificates: certificates,
      clientKey: key,
    };
  }

  /** There is a provisioner while it has something to do, and for every dial. */
  private need(): Provisioner | undefined {
    if (!this.#options.enrolling || this.#provisioner) return this.#provisioner;
    this.#provisioner = new Provisioner(this, this.#options);
    if (this.#isOpen) this.#provisioner.resume();
    return this.#provisioner;
  }

  rest(): void {
    this.#thingName = this.thingName;
    this.#provisioner = undefined;
  }

  onWaiting(inMs: number): void {
    this.emit({ type: "waiting", inMs });
  }

  onDialing({ as }: LinkIdentity, attempt: number): void {
    this.unfollow();
    this.#provisioner?.quiet();
    this.emit({ type: "connecting", as, attempt });
  }

  onOnline({ as, clientId }: LinkIdentity, sessionPresent: boolean): void {
    const { protocolVersion = 4 } = this.#link.status;
    this.emit({ type: "online", as, clientId, sessionPresent, protocolVersion });
    if (as !== "device") return;
    this.#deviceState?.online(protocolVersion, this.#endpoints.toDial.host);
    this.#sender.online();
  }

  onLost(error: AgentError, retryInMs: number, wasOnline: boolean): void {
    this.unfollow();
    if (wasOnline && !this.isClaim) this.#deviceState?.lost(error);
    this.#provisioner?.onLost(error, wasOnline);
    this.emit({ type: "offline", error, retryInMs });
  }

  onStopped(): void {
    this.unfollow();
    this.#provisioner?.quiet();
    this.emit({ type: "stopped" });
  }

  onFault(error: AgentError): void {
    this.emit({ type: "fault", error });
  }

  // -- what the session tells --

  onMessage(topic: string, payload: Uint8Array): (() => void) | undefined {
    try {
      if (isProvisioningTopic(topic)) this.#provisioner?.onMessage(topic, payload);
      else if (!this.jobs?.onMessage(topic, payload))
        return this.#shadows?.onMessage(topic, payload);
    } catch (error) {
      // What cannot be read now cannot be read later: acknowledged and dropped, or it would come again with every link.
      if (!(error instanceof AgentError) || error.kind !== "protocol") throw error;
      this.onFault(error);
    }
    return undefined;
  }

  onOversize(topic: string, byteLength: number): void {
    const bound = `at most ${limits.messageBytes} are taken`;
    const error = new AgentError("mqtt/limit", `${topic}: ${byteLength} bytes, ${bound}`);
    if (this.jobs?.onOversize(topic, error)) return;
    if (!this.#shadows?.onOversize(topic, error)) this.onFault(error);
  }

  onSubscribed(): void {
    // Told to move while it was dialing.
    if (this.#endpoints.isElsewhere) return this.#link.switch();
    this.attempt("endpoint: not saved", () => this.held());
    this.#provisioner?.onSubscribed();
    if (!this.isClaim) this.followAll();
  }

  private followAll(): void {
    this.#shadows?.subscribed(this.session);
    const { jobs } = this;
    if (jobs && this.session.isGranted(jobs.filters(this.thingName!))) jobs.online();
  }

  /** Without a reply topic the claim can do nothing; a device has its telemetry. */
  onRefused(topic: string, error: AgentError): void {
    if (this.isClaim) {
      this.drop(error);
      return;
    }
    // What the identity on trial may not, the one in force may: that goes on.
    if (this.#provisioner?.isReplacing) {
      if (!this.#denied.includes(topic) && !isProvisioningTopic(topic)) this.drop(error);
      return;
    }
    if (!this.#denied.includes(topic)) this.#denied = [...this.#denied, topic];
    this.onFault(error);
  }

  /** A device that may not follow one of its shadows may follow the others, and change its identity. */
  onAnswered(): void {
    if (this.isClaim) return;
    this.followAll();
    const provisioner = this.#provisioner;
    if (!provisioner?.hasIdentity) return;
    if (this.session.isGranted(provisioner.filters)) provisioner.onSubscribed();
  }

  onRoom(): void {
    this.#sender.flush();
  }

  onUnacknowledged(error: AgentError): void {
    this.drop(error);
  }

  private get isClaim(): boolean {
    return this.#identity?.as === "claim";
  }

  private load(): void {
    const { host } = this.#options;
    this.#store ??= host.keyValue.open({ path: "skerry" });
    this.attempt("time: what is stored cannot be read", () => this.#time.open(this.store));
    this.attempt("endpoint: what is stored cannot be read", () => this.#endpoints.open(this.store));
    this.#tokenPrefix = Array.from(host.crypto.random(4), byte =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    this.#shadows?.open(this);
    this.jobs?.open();
    this.updater?.open();
    this.#sender.open(this.#options.outbox, Outgoing);
    this.need()?.event({ type: "begun" });
    this.#isOpen = true;
  }

  private checkRenewal(via: "claim" | "identity"): void {
    const { enrolling, claim } = this.#options;
    if (enrolling && (via === "identity" || claim)) return;
    throw new AgentError(
      "agent/options",
      `another identity cannot be asked for: no ${enrolling ? "claim" : "template"}`,
    );
  }

  private held(): void {
    if (!this.#endpoints.held()) return;
    const { host, port } = this.#endpoints.toDial;
    this.emit({ type: "moved", endpoint: host, port });
  }

  private unfollow(): void {
    this.#deviceState?.offline();
    this.#sender.offline();
    this.#shadows?.lost();
    this.jobs?.lost();
    this.updater?.lost();
  }

  /** What may fail without keeping the device from its link. */
  private attempt(message: string, work: () => void): void {
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
