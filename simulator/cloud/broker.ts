// The broker core: who is connected, which sessions wait, who gets which message.
// Runs on injected time and links; knows neither TLS nor what the reserved topics mean.

import type {
  Acceptor,
  BrokerOptions,
  ConnectionHost,
  DisconnectReason,
  Link,
  Peer,
  PublishVerdict,
  RefusalReason,
} from "./broker-types.js";
import type { ConnectRequest } from "./connect-rules.js";
import { Connection } from "./connection.js";
import { randomHex } from "./environment.js";
import { type BrokerLimits, brokerLimits } from "./limits.js";
import { Presence } from "./presence.js";
import type { Identity } from "./registry.js";
import { isExpired, type Message, Session } from "./session.js";
import { SharedSubscriptions, type ShareGroup, sharedFilter } from "./shared.js";
import { type Grant, hasWildcard, TopicTree } from "./topics.js";

interface StoredSession {
  readonly session: Session;
  /** Undefined while the client is away. */
  connection: Connection | undefined;
  /** As of the last CONNECT; deliveries are checked against it. */
  identity: Identity;
  expiry: object | undefined;
}

export interface DeleteConnectionOptions {
  readonly cleanSession?: boolean;
  readonly preventWillMessage?: boolean;
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #sessions = new Map<string, StoredSession>();
  /** Also those that have not sent CONNECT yet. */
  readonly #connections = new Set<Connection>();
  readonly #tree = new TopicTree<StoredSession>();
  readonly #shared: SharedSubscriptions<StoredSession>;
  readonly #retained = new Map<string, Message>();
  readonly #presence: Presence;
  readonly #host: ConnectionHost;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#limits = { ...brokerLimits, ...options.limits };
    this.#shared = new SharedSubscriptions(this.#limits);
    this.#presence = new Presence(options, this.#limits, (topic, payload) =>
      this.publish({ topic, payload, qos: 0, retain: false }),
    );
    this.#host = this.#createHost();
  }

  /** Takes over a link; the broker writes to it and closes it. */
  accept(link: Link, peer: Peer): Acceptor {
    const connection = new Connection(this.#host, link, peer);
    this.#connections.add(connection);
    return connection;
  }

  /**
   * Delivers to every subscriber that may receive it; retains it when it says so.
   *
   * @param from client id of the publisher, for those who do not want to hear themselves
   */
  publish(message: Message, from?: string): void {
    if (message.retain) this.#retain(message);
    const live: Message = { ...message, retain: false };
    for (const [entry, { qos, noLocal }] of this.#tree.match(message.topic)) {
      if (noLocal && entry.session.clientId === from) continue;
      this.#deliver(entry, qos < live.qos ? { ...live, qos } : live);
    }
    for (const group of this.#shared.match(message.topic)) this.#share(group, live);
  }

  /** A full store throttles new topics, not deletions ("mqtt"); what has expired makes room. */
  mayRetain({ topic, payload }: Message): boolean {
    const { retainedTopics } = this.#limits;
    if (payload.length === 0 || this.#retained.has(topic)) return true;
    if (this.#retained.size < retainedTopics) return true;
    const now = this.#options.clock.now();
    for (const [kept, message] of this.#retained) {
      if (isExpired(message, now)) this.#retained.delete(kept);
    }
    return this.#retained.size < retainedTopics;
  }

  /** Client ids of the open connections. */
  clients(): string[] {
    return [...this.#connections].filter(each => each.isOpen).map(each => each.clientId);
  }

  /** Pulls the cable: no DISCONNECT, the will is published. @returns false when nobody has that id */
  cut(clientId: string): boolean {
    const connection = this.#sessions.get(clientId)?.connection;
    connection?.abort("CONNECTION_LOST", "the cable was pulled");
    return connection !== undefined;
  }

  /**
   * DeleteConnection of the data plane ("mqtt", "Disconnecting MQTT clients").
   *
   * @returns false when there is neither a connection nor a session of that client
   */
  deleteConnection(clientId: string, options: DeleteConnectionOptions = {}): boolean {
    const entry = this.#sessions.get(clientId);
    if (options.cleanSession && entry !== undefined) entry.session.expiryMs = 0;
    if (options.preventWillMessage) entry?.connection?.takeWill();
    if (entry?.connection !== undefined) entry.connection.close("API_INITIATED_DISCONNECT", "");
    else if (options.cleanSession && entry !== undefined) this.#forget(entry);
    return entry !== undefined;
  }

  /** A certificate that stops being ACTIVE ends its sessions; at once here, within minutes on AWS. */
  disconnectCertificate(certificateId: string): void {
    for (const connection of [...this.#connections]) {
      if (connection.peer.certificateId !== certificateId) continue;
      connection.close("FORBIDDEN_ACCESS", "the certificate is no longer active");
    }
  }

  /** Ends everything; sessions are forgotten. */
  close(): void {
    for (const connection of [...this.#connections]) {
      connection.close("SERVER_INITIATED_DISCONNECT", "the cloud is shutting down");
    }
    for (const entry of this.#sessions.values()) this.#cancelExpiry(entry);
    this.#sessions.clear();
    this.#presence.close();
  }

  #createHost(): ConnectionHost {
    const { clock, timer, subscribeDenial } = this.#options;
    return {
      limits: this.#limits,
      clock,
      timer,
      answersDeniedSubscribe: subscribeDenial === "answer",
      refusal: peer => this.#options.refusal(peer.certificateId),
      identify: (id, clientId, address) => this.#options.identify(id, clientId, address),
      newClientId: () => randomHex(this.#options.random, 16),
      open: (connection, request) => this.#open(connection, request),
      opened: (connection, request, present) => this.#opened(connection, request, present),
      hasRoom: filter => sharedFilter(filter) === undefined || this.#shared.hasRoom(filter),
      subscribe: (connection, filter, grant, sendRetained) =>
        this.#subscribe(connection, filter, grant, sendRetained),
      unsubscribe: (connection, filter) => this.#unsubscribe(connection, filter),
      subscriptionsChanged: (connection, subscribed, topics) =>
        this.#presence.subscriptions(connection, subscribed, topics),
      publish: (connection, message) => this.#fromClient(connection, message),
      refused: (connection, reason, detail) => this.#refused(connection, reason, detail),
      ended: (connection, reason, detail) => this.#ended(connection, reason, detail),
    };
  }

  #open(connection: Connection, request: ConnectRequest): { session: Session; present: boolean } {
    const { clientId } = connection;
    // The second CONNECT wins; the older client's will is published ("life-cycle-events").
    this.#sessions
      .get(clientId)
      ?.connection?.close("DUPLICATE_CLIENTID", "another client took over");
    const stored = this.#sessions.get(clientId);
    const isResumed = !request.cleanStart && stored?.session.version === request.version;
    if (stored !== undefined && !isResumed) this.#forget(stored);
    const entry = isResumed ? stored : this.#newEntry(connection, request);
    this.#cancelExpiry(entry);
    entry.connection = connection;
    entry.identity = connection.identity;
    entry.session.expiryMs = request.sessionExpirySeconds * 1000;
    entry.session.begin(request.receiveMaximum);
    return { session: entry.session, present: isResumed };
  }

  #newEntry(connection: Connection, { version }: ConnectRequest): StoredSession {
    const { clientId, identity } = connection;
    const session = new Session(clientId, version, this.#limits);
    const entry = { session, connection, identity, expiry: undefined };
    this.#sessions.set(clientId, entry);
    return entry;
  }

  #opened(connection: Connection, request: ConnectRequest, sessionPresent: boolean): void {
    const { identity, clientId, peer } = connection;
    this.#options.onEvent({
      type: "clientConnected",
      clientId,
      address: peer.address,
      certificateId: identity.certificateId,
      certificate: identity.kind,
      thingName: identity.attachedThing,
      sessionPresent,
      protocolVersion: request.version,
    });
    this.#presence.connected(connection);
    connection.pump();
    this.#fetchShared(connection);
  }

  #entryOf(connection: Connection): StoredSession | undefined {
    const entry = this.#sessions.get(connection.clientId);
    return entry?.connection === connection ? entry : undefined;
  }

  #subscribe(connection: Connection, filter: string, grant: Grant, sendRetained: boolean): void {
    const entry = this.#entryOf(connection);
    if (entry === undefined) return;
    entry.session.subscriptions.set(filter, grant);
    const shared = sharedFilter(filter);
    if (shared !== undefined) {
      // Shared subscriptions get no retained messages ("mqtt").
      return this.#fetch(this.#shared.join(shared, entry, grant), entry);
    }
    this.#tree.add(filter, entry, grant);
    if (!sendRetained) return;
    // Retained messages go to a filter that is their exact topic, never to a wildcard ("mqtt").
    const retained = hasWildcard(filter) ? undefined : this.#retained.get(filter);
    if (retained === undefined) return;
    this.#deliver(entry, { ...retained, qos: retained.qos === 0 ? 0 : grant.qos });
  }

  #unsubscribe(connection: Connection, filter: string): void {
    const entry = this.#entryOf(connection);
    if (entry === undefined || !entry.session.subscriptions.delete(filter)) return;
    this.#leave(entry, filter);
  }

  #fromClient(connection: Connection, message: Message): PublishVerdict {
    if (message.retain && !this.mayRetain(message)) return "throttled";
    const outcome = this.#options.onPublish(message, connection);
    if (outcome === "undefined-topic") return outcome;
    if (outcome === "route") this.publish(message, connection.clientId);
    return "accepted";
  }

  #leave(entry: StoredSession, filter: string): void {
    const shared = sharedFilter(filter);
    if (shared === undefined) this.#tree.remove(filter, entry);
    else this.#shared.leave(shared, entry);
  }

  /** To one member that is there, by chance; else QoS 1 waits when a persistent session is a member ("mqtt"). */
  #share(group: ShareGroup<StoredSession>, message: Message): void {
    const present = [...group.members].filter(([{ connection }]) => connection !== undefined);
    const [chance = 0] = this.#options.random(1);
    const chosen = present[Math.floor((chance / 256) * present.length)];
    if (chosen !== undefined) return this.#deliverShared(group, chosen, message);
    if (message.qos === 1) group.enqueue(message);
  }

  /** Assumed: Receive is granted by the topic alone or behind its share; AWS's own examples name both. */
  #deliverShared(
    { name }: ShareGroup<StoredSession>,
    [entry, { qos }]: readonly [StoredSession, Grant],
    message: Message,
  ): void {
    const granted: Message = qos < message.qos ? { ...message, qos } : message;
    const { identity } = entry;
    const { topic } = message;
    if (identity.allows("iot:Receive", `topic/$share/${name}/${topic}`)) this.#hand(entry, granted);
    else this.#deliver(entry, granted);
  }

  /** What waited for any member of the groups this client is in. */
  #fetchShared(connection: Connection): void {
    const entry = this.#entryOf(connection);
    for (const filter of entry?.session.subscriptions.keys() ?? []) {
      const group = this.#shared.get(filter);
      if (group !== undefined && entry !== undefined) this.#fetch(group, entry);
    }
  }

  #fetch(group: ShareGroup<StoredSession>, entry: StoredSession): void {
    const grant = group.members.get(entry);
    if (grant === undefined) return;
    for (const message of group.drain()) {
      this.#deliverShared(group, [entry, grant], message);
    }
  }

  #deliver(entry: StoredSession, message: Message): void {
    // Denied Receive: not delivered, the connection stays ("iot-policy-actions").
    if (!entry.identity.allows("iot:Receive", `topic/${message.topic}`)) return;
    this.#hand(entry, message);
  }

  #hand(entry: StoredSession, message: Message): void {
    if (message.qos === 0) return void entry.connection?.sendMessage(message);
    entry.session.enqueue(message);
    entry.connection?.pump();
  }

  #retain(message: Message): void {
    if (message.payload.length === 0) this.#retained.delete(message.topic);
    else if (this.mayRetain(message)) this.#retained.set(message.topic, message);
  }

  #refused(connection: Connection, reason: RefusalReason, detail: string): void {
    this.#connections.delete(connection);
    const { peer, clientId } = connection;
    this.#options.onEvent({
      type: "connectionRefused",
      reason,
      detail,
      address: peer.address,
      clientId: clientId === "" ? undefined : clientId,
      certificateId: peer.certificateId,
    });
    if (reason === "AUTHORIZATION_FAILED") this.#presence.connectFailed(connection);
  }

  #ended(connection: Connection, reason: DisconnectReason, detail: string): void {
    this.#connections.delete(connection);
    const entry = this.#entryOf(connection);
    if (entry !== undefined) this.#park(entry);
    const { clientId } = connection;
    this.#options.onEvent({ type: "clientDisconnected", clientId, reason, detail });
    const will = connection.takeWill();
    if (will !== undefined) this.#fromClient(connection, will);
    this.#presence.disconnected(connection, reason);
  }

  /** A session without an expiry ends here; another waits for its client. */
  #park(entry: StoredSession): void {
    entry.connection = undefined;
    const { expiryMs } = entry.session;
    if (expiryMs === 0 || this.#sessions.size > this.#limits.storedSessions) {
      return this.#forget(entry);
    }
    entry.expiry = this.#options.timer.set(() => this.#forget(entry), expiryMs);
  }

  #forget(entry: StoredSession): void {
    this.#cancelExpiry(entry);
    for (const filter of entry.session.subscriptions.keys()) this.#leave(entry, filter);
    const { clientId } = entry.session;
    if (this.#sessions.get(clientId) === entry) this.#sessions.delete(clientId);
  }

  #cancelExpiry(entry: StoredSession): void {
    if (entry.expiry !== undefined) this.#options.timer.clear(entry.expiry);
    entry.expiry = undefined;
  }
}
