// The local cloud, put together: authority, registry, broker, provisioning, shadows and jobs in one process.

import { Authority } from "./authority.js";
import { Broker, type DeleteConnectionOptions } from "./broker.js";
import type { Acceptor, BrokerEvent, BrokerOptions, Link, Peer } from "./broker-types.js";
import { Certificates } from "./certificates.js";
import type { CodeSigning } from "./code-signing.js";
import { installDefaults } from "./defaults.js";
import {
  type Clock,
  PendingWork,
  type Random,
  systemClock,
  systemRandom,
  systemTimer,
  type Timer,
} from "./environment.js";
import { CloudError } from "./errors.js";
import {
  type FileEvent,
  FileServices,
  type FileStorage,
  fileSchemas,
  type ObjectStorageOptions,
  openFileStorage,
} from "./file-services.js";
import { Front } from "./front.js";
import type { Hook } from "./hook.js";
import { Ingress, type MessageEvent } from "./ingress.js";
import type { JobObjects } from "./job-document.js";
import type { JobRequest } from "./job-types.js";
import { type JobEvent, Jobs, type JobsOptions, jobSchemas } from "./jobs.js";
import type { JsonObject } from "./json.js";
import { type AuthorityRegistration, JustInTime, type JustInTimeEvent } from "./just-in-time.js";
import { brokerLimits } from "./limits.js";
import { jobArn, type OtaJobs, type OtaUpdates } from "./ota-updates.js";
import { Provisioning, type ProvisioningEvent } from "./provisioning.js";
import {
  type CertificateRefusal,
  Registry,
  registrySchemas,
  type SettableStatus,
  type Thing,
} from "./registry.js";
import { Rest } from "./rest.js";
import type { RestServices } from "./rest-routes.js";
import type { CertificateRetired } from "./rotation.js";
import type { Message } from "./session.js";
import type { ShadowErrorName } from "./shadow-request.js";
import { type ShadowChange, Shadows, type ShadowsOptions, shadowSchemas } from "./shadows.js";
import { Store } from "./store.js";
import { type TemporaryClaim, TemporaryClaims } from "./temporary-claims.js";

export type CloudEvent =
  | BrokerEvent
  | ProvisioningEvent
  | JustInTimeEvent
  | CertificateRetired
  | { readonly type: "listening"; readonly host: string; readonly port: number }
  | { readonly type: "restListening"; readonly host: string; readonly port: number }
  | ({ readonly type: "shadowUpdated" } & ShadowChange)
  | JobEvent
  | MessageEvent
  | FileEvent
  | { readonly type: "storeFailed"; readonly error: CloudError };

export interface CloudOptions {
  /** Where certificates, registry and shadows live; made on the first run. Absent: in memory only. */
  readonly directory?: string;
  /** Absent: no TLS listener, only `accept`. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** The REST planes, without TLS and for this machine only. Absent: none. */
  readonly rest?: RestListen;
  /** Where objects are put and got; absent: programmatically, and over links. */
  readonly objects?: ObjectStorageOptions;
  /** What makes the jobs of OTA updates; absent: the cloud's own jobs service. */
  readonly otaJobs?: OtaJobs;
  /** Names and addresses for the server certificate beside localhost and 127.0.0.1. */
  readonly serverNames?: readonly string[];
  /** Serial numbers that the pre-provisioning hook lets in. */
  readonly allow: readonly string[];
  /** Another hook than the list of serial numbers; it is asked for every template. */
  readonly hook?: Hook;
  readonly clock?: Clock;
  readonly timer?: Timer;
  readonly random?: Random;
  readonly limits?: BrokerOptions["limits"];
  readonly subscribeDenial?: BrokerOptions["subscribeDenial"];
  readonly shadowLimits?: ShadowsOptions["limits"];
  /** Whether only registered things have shadows; others get 404 `Thing not found`. Default false. */
  readonly shadowsNeedThings?: boolean;
  readonly jobLimits?: JobsOptions["limits"];
  /** Where jobs find documents and URLs of objects. Absent: jobs that need them are refused. */
  readonly jobObjects?: JobObjects;
  /** Whether job events are published from the start; they are off on AWS until enabled. Default false. */
  readonly jobEvents?: boolean;
  onEvent?(event: CloudEvent): void;
}

export interface RestListen {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
  /** Whether any free port will do when that one is in use. */
  readonly orAny?: boolean;
}

/** What goes into firmware for its first contact. */
export interface Claim {
  readonly certificate: string;
  /** PKCS#8. */
  readonly key: string;
  readonly trustAnchor: string;
}

/** A claim that a trusted user asked for. */
export type ProvisioningClaim = TemporaryClaim & Pick<Claim, "trustAnchor">;

export class Cloud {
  /** What the owner sees of certificates, and may do with them. */
  readonly certificates: Certificates;
  /** Objects, downloads, streams, code signing and OTA updates. */
  readonly files: FileServices;
  /** What the owner does with jobs and thing groups. */
  readonly jobs: Jobs;
  readonly #authority: Authority;
  readonly #registry: Registry;
  readonly #store: Store;
  readonly #broker: Broker;
  readonly #shadows: Shadows;
  readonly #provisioning: Provisioning;
  readonly #ingress: Ingress;
  readonly #temporaryClaims: TemporaryClaims;
  readonly #justInTime: JustInTime;
  readonly #pending = new PendingWork();
  readonly #clock: Clock;
  readonly #onEvent: (event: CloudEvent) => void;
  readonly #allow: Set<string>;
  #front: Front | undefined;
  #rest: Rest | undefined;
  #isRefusing = false;
  #closing: Promise<void> | undefined;

  private constructor(
    options: CloudOptions,
    authority: Authority,
    store: Store,
    storage: FileStorage,
  ) {
    const { clock = systemClock, timer = systemTimer, random = systemRandom } = options;
    this.#clock = clock;
    this.#authority = authority;
    this.#store = store;
    this.#allow = new Set(options.allow);
    this.#onEvent = event => options.onEvent?.(event);
    this.#registry = new Registry(store, clock);
    this.certificates = new Certificates(this.#registry);
    this.#broker = this.#createBroker(options, clock, timer, random);
    this.#registry.onDeactivated = id => this.#broker.disconnectCertificate(id);
    this.#shadows = this.#createShadows(options, clock);
    this.jobs = this.#createJobs(options, { clock, timer, random });
    const registry = this.#registry;
    this.#provisioning = new Provisioning({
      authority,
      registry,
      store,
      clock,
      timer,
      random,
      pending: this.#pending,
      hook: options.hook ?? (({ parameters }) => this.#isListed(parameters.SerialNumber)),
      onEvent: this.#onEvent,
    });
    this.files = new FileServices({
      ...storage,
      ...{
        storage: options.objects ?? {},
        jobs: options.otaJobs ?? this.#otaJobs(),
        server: authority.server,
      },
      ...{ store, clock, timer, random, pending: this.#pending, onEvent: this.#onEvent },
    });
    this.#ingress = new Ingress({
      broker: this.#broker,
      streams: this.files.streams,
      shadows: this.#shadows,
      jobs: this.jobs,
      provisioning: this.#provisioning,
      registry,
      onEvent: this.#onEvent,
    });
    this.#temporaryClaims = new TemporaryClaims({ authority, registry, store, clock, timer });
    this.#justInTime = new JustInTime({
      registry,
      clock,
      publish: (topic, payload) => this.#broker.publish({ topic, payload, qos: 0, retain: false }),
      onEvent: this.#onEvent,
    });
    installDefaults(registry, authority.claim.certificate, clock.now());
  }

  /**
   * Opens the state directory, or fills it on the first run, and listens.
   *
   * @throws CloudError "cloud/damaged-state", "cloud/unusable-directory", "cloud/write-failed",
   *         "cloud/port-in-use", "cloud/cannot-listen"
   */
  static async open(options: CloudOptions): Promise<Cloud> {
    const { clock = systemClock, random = systemRandom, serverNames = [], directory } = options;
    const store = await Store.open({
      ...(directory === undefined ? {} : { directory }),
      schemas: { ...registrySchemas, ...shadowSchemas, ...fileSchemas, ...jobSchemas },
      onFailure: error => options.onEvent?.({ type: "storeFailed", error }),
    });
    let cloud: Cloud | undefined;
    try {
      const authority = await Authority.open({ store, clock, random, serverNames });
      const limits = options.objects?.limits;
      const storage = await openFileStorage({ store, directory, clock, random, limits });
      cloud = new Cloud(options, authority, store, storage);
      await store.saved();
      await cloud.files.listen();
      if (options.rest !== undefined) await cloud.#listenRest(options.rest, clock, options.limits);
      if (options.listen !== undefined) await cloud.#listen(options.listen);
      return cloud;
    } catch (error) {
      if (cloud === undefined) await store.close();
      else await cloud.close();
      throw error;
    }
  }

  /** The TLS port; undefined without a listener. */
  get port(): number | undefined {
    return this.#front?.port;
  }

  /** The port of the REST planes; undefined without one. */
  get restPort(): number | undefined {
    return this.#rest?.port;
  }

  get codeSigning(): CodeSigning {
    return this.files.codeSigning;
  }

  get otaUpdates(): OtaUpdates {
    return this.files.otaUpdates;
  }

  claim(): Claim {
    return { ...this.#authority.claim, trustAnchor: this.#authority.trustAnchor };
  }

  /**
   * A certificate for one device's first contact, good for five minutes and for this template only.
   *
   * @throws CloudError "cloud/not-found"
   */
  async createProvisioningClaim(templateName: string): Promise<ProvisioningClaim> {
    const claim = await this.#pending.track(this.#temporaryClaims.create(templateName));
    return { ...claim, trustAnchor: this.#authority.trustAnchor };
  }

  /**
   * Lets the owner's own authority sign certificates that come to be known when they first connect.
   *
   * @returns the certificate id of the authority
   * @throws  CloudError "cloud/invalid-authority", "cloud/invalid-template"
   */
  registerAuthority(registration: AuthorityRegistration): string {
    const id = this.#justInTime.registerAuthority(registration);
    this.#front?.trust(this.#trustAnchors());
    return id;
  }

  /** Replaces a policy of that name; live connections follow at once. @throws CloudError "cloud/invalid-policy" */
  putPolicy(name: string, document: unknown): void {
    this.#registry.putPolicy(name, document);
  }

  /** Replaces a provisioning template of that name. @throws CloudError "cloud/invalid-template" */
  putTemplate(name: string, body: unknown): void {
    this.#registry.putTemplate(name, body);
  }

  /** Lets another serial number through the pre-provisioning hook. */
  allow(serialNumber: string): void {
    this.#allow.add(serialNumber);
  }

  /** Takes a serial number off the list again. */
  deny(serialNumber: string): void {
    this.#allow.delete(serialNumber);
  }

  /** Merges into desired. @returns the new version. @throws CloudError "cloud/shadow-rejected" */
  updateDesired(thing: string, desired: JsonObject, shadowName?: string): number {
    return this.#shadows.updateDesired(thing, desired, shadowName);
  }

  /** A shadow as `get/accepted` shows it, the classic one without a name; undefined when there is none. */
  shadow(thing: string, shadowName?: string): JsonObject | undefined {
    return this.#shadows.read(thing, shadowName);
  }

  /** From now on shadow requests of devices and over REST end in this error; undefined ends it. */
  failShadows(error: ShadowErrorName | undefined): void {
    this.#shadows.fail(error);
  }

  /** A thing without a certificate; one of that name stays as it is. */
  createThing(name: string, attributes: Readonly<Record<string, string>> = {}): Thing {
    const known = this.#registry.thing(name);
    if (known !== undefined) return known;
    const thing = { name, attributes, createdAt: this.#clock.now() };
    this.#registry.putThing(thing);
    return thing;
  }

  things(): readonly Thing[] {
    return this.#registry.things();
  }

  /** Client ids of the open connections. */
  clients(): readonly string[] {
    return this.#broker.clients();
  }

  /** Leaving ACTIVE ends the certificate's sessions. @returns false when it does not exist */
  setCertificateStatus(id: string, status: SettableStatus): boolean {
    return this.certificates.setStatus(id, status);
  }

  /** Publishes as the cloud would; policies decide who receives it. */
  publish(message: Message): void {
    this.#broker.publish(message);
  }

  /** Pulls the cable of one client: no MQTT DISCONNECT. @returns false when nobody has that id */
  disconnect(clientId: string): boolean {
    return this.#broker.cut(clientId);
  }

  /** Disconnects one client as the DeleteConnection API does. @returns false when nobody has that id */
  deleteConnection(clientId: string, options?: DeleteConnectionOptions): boolean {
    return this.#broker.deleteConnection(clientId, options);
  }

  /** While on, new connections are dropped; existing ones stay. */
  refuse(on: boolean): void {
    this.#isRefusing = on;
    this.#front?.refuse(on);
  }

  /** Connects a link that is not TLS; the peer's certificate is taken at its word. */
  accept(link: Link, peer: Peer): Acceptor {
    const isOpen = !this.#isRefusing && this.#closing === undefined;
    const refusal = isOpen ? this.#justInTimeRefusal(peer) : "REFUSING_CONNECTIONS";
    if (refusal === undefined) return this.#broker.accept(link, peer);
    this.#refused(refusal, "", peer);
    link.close();
    return { receive: () => undefined, closed: () => undefined };
  }

  /** Connects a link, on which no TLS is spoken, to the presigned downloads. */
  acceptDownload(link: Link): Acceptor {
    if (this.#closing === undefined) return this.files.downloads.accept(link);
    link.close();
    return { receive: () => undefined, closed: () => undefined };
  }

  /** Resolves when no certificate is being made and no answer waits for the disk. */
  idle(): Promise<void> {
    return this.#pending.idle();
  }

  /** Ends all connections and leaves everything on disk. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#broker.close();
    this.#stopExpiry();
    await Promise.all([this.#front?.close(), this.#rest?.close(), this.files.close()]);
    await this.#pending.idle();
    await this.#store.close();
  }

  #stopExpiry(): void {
    this.#provisioning.close();
    this.#temporaryClaims.close();
    this.jobs.close();
  }

  async #listen(listen: { readonly host: string; readonly port: number }): Promise<void> {
    this.#front = await Front.listen({
      ...listen,
      server: this.#authority.server,
      trustAnchors: this.#trustAnchors(),
      refusal: peer => this.#justInTimeRefusal(peer) ?? this.#registry.refusal(peer.certificateId),
      accept: (link, peer) => this.accept(link, peer),
      onRefused: (reason, detail, peer) => this.#refused(reason, detail, peer),
    });
    this.#onEvent({ type: "listening", host: listen.host, port: this.#front.port });
  }

  async #listenRest(
    { host, port, orAny }: RestListen,
    clock: Clock,
    limits: CloudOptions["limits"],
  ): Promise<void> {
    const services: RestServices = {
      shadows: this.#shadows,
      clock,
      limits: { ...brokerLimits, ...limits },
      publish: message => this.#ingress.fromRest(message),
      control: {
        jobs: this.jobs,
        things: () => this.things(),
        createThing: (name, attributes) => this.createThing(name, attributes),
        now: () => clock.now(),
      },
    };
    const routes = this.files.routes();
    const rest = await Rest.listen({ host, port, routes, ...services }).catch((error: unknown) => {
      const isInUse = error instanceof CloudError && error.code === "cloud/port-in-use";
      if (!isInUse || !orAny) throw error;
      return Rest.listen({ host, port: 0, routes, ...services });
    });
    this.#rest = rest;
    this.#onEvent({ type: "restListening", host, port: rest.port });
  }

  #createShadows(options: CloudOptions, clock: Clock): Shadows {
    const { shadowLimits, shadowsNeedThings } = options;
    return new Shadows({
      store: this.#store,
      clock,
      ...(shadowLimits === undefined ? {} : { limits: shadowLimits }),
      ...(shadowsNeedThings ? { hasThing: name => this.#registry.thing(name) !== undefined } : {}),
      publish: (topic, payload) => this.#broker.publish({ topic, payload, qos: 1, retain: false }),
      onChange: change => this.#onEvent({ type: "shadowUpdated", ...change }),
    });
  }

  #createJobs(
    { jobLimits: limits, jobObjects, jobEvents = false }: CloudOptions,
    environment: Pick<JobsOptions, "clock" | "timer" | "random">,
  ): Jobs {
    return new Jobs({
      ...environment,
      store: this.#store,
      ...(limits === undefined ? {} : { limits }),
      objects: jobObjects ?? {
        presign: (bucket, key, seconds) => this.files.downloads.presign({ bucket, key }, seconds),
      },
      eventsEnabled: jobEvents,
      hasThing: name => this.#registry.thing(name) !== undefined,
      publish: (topic, payload) => this.#broker.publish({ topic, payload, qos: 1, retain: false }),
      onEvent: this.#onEvent,
    });
  }

  #otaJobs(): OtaJobs {
    return {
      createJob: request => {
        const document =
          typeof request.document === "string"
            ? request.document
            : JSON.stringify(request.document);
        const { jobId } = this.jobs.create({ ...request, document } as unknown as JobRequest);
        return { jobId, jobArn: jobArn(jobId) };
      },
      deleteJob: (jobId, how) => this.jobs.delete(jobId, how),
    };
  }

  #createBroker(options: CloudOptions, clock: Clock, timer: Timer, random: Random): Broker {
    const { limits, subscribeDenial } = options;
    return new Broker({
      clock,
      timer,
      random,
      ...(limits === undefined ? {} : { limits }),
      ...(subscribeDenial === undefined ? {} : { subscribeDenial }),
      refusal: id => this.#registry.refusal(id),
      identify: (id, clientId, address) => this.#registry.identify(id, clientId, address),
      onPublish: (message, client) => this.#ingress.fromClient(message, client),
      onEvent: this.#onEvent,
    });
  }

  #trustAnchors(): string[] {
    return [this.#authority.trustAnchor, ...this.#registry.authorities().map(({ pem }) => pem)];
  }

  #isListed(serialNumber = ""): { readonly allowProvisioning: boolean } {
    return { allowProvisioning: this.#allow.has(serialNumber) };
  }

  /** The connection that makes a certificate known is dropped: it was not ACTIVE when it came ("jit-provisioning"). */
  #justInTimeRefusal(peer: Peer): CertificateRefusal | undefined {
    return this.#justInTime.arrived(peer) ? "DEVICE_CERTIFICATE_INACTIVE" : undefined;
  }

  #refused(
    reason: Extract<BrokerEvent, { type: "connectionRefused" }>["reason"],
    detail: string,
    { certificateId, address }: Peer,
  ): void {
    this.#onEvent({
      type: "connectionRefused",
      reason,
      detail,
      address,
      clientId: undefined,
      certificateId,
    });
  }
}
