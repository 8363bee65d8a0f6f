// Lifecycle events on `$aws/events/...` (developer guide "life-cycle-events"): bodies and version numbers.

import type { DisconnectReason } from "./broker-types.js";
import type { Connection } from "./connection.js";
import { type Clock, type Random, randomHex } from "./environment.js";
import type { BrokerLimits } from "./limits.js";

interface Entry {
  versionNumber: number;
  sessionIdentifier: string;
  offlineSince: number | undefined;
}

/** The version starts again after about this long offline. */
const forgottenAfterMs = 3_600_000;

function uuid(random: Random): string {
  const hex = randomHex(random, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Presence {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: BrokerLimits;
  readonly #publish: (topic: string, payload: Uint8Array) => void;
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(
    environment: { readonly clock: Clock; readonly random: Random },
    limits: BrokerLimits,
    publish: (topic: string, payload: Uint8Array) => void,
  ) {
    this.#clock = environment.clock;
    this.#random = environment.random;
    this.#limits = limits;
    this.#publish = publish;
  }

  connected(connection: Connection): void {
    const entry = this.#begin(connection.clientId);
    this.#send("presence/connected", connection, {
      ...this.#body(connection, "connected", entry),
      ipAddress: connection.peer.address,
    });
  }

  disconnected(connection: Connection, disconnectReason: DisconnectReason): void {
    const entry = this.#entries.get(connection.clientId);
    if (entry === undefined) return;
    entry.offlineSince = this.#clock.now();
    this.#send("presence/disconnected", connection, {
      ...this.#body(connection, "disconnected", entry),
      clientInitiatedDisconnect: disconnectReason === "CLIENT_INITIATED_DISCONNECT",
      disconnectReason,
    });
  }

  connectFailed(connection: Connection): void {
    const entry: Entry = {
      versionNumber: this.#entries.get(connection.clientId)?.versionNumber ?? 0,
      sessionIdentifier: uuid(this.#random),
      offlineSince: undefined,
    };
    this.#send("presence/connect_failed", connection, {
      ...this.#body(connection, "connect_failed", entry),
      connectFailureReason: "AUTHORIZATION_FAILED",
    });
  }

  subscriptions(connection: Connection, subscribed: boolean, topics: readonly string[]): void {
    const eventType = subscribed ? "subscribed" : "unsubscribed";
    this.#send(`subscriptions/${eventType}`, connection, {
      clientId: connection.clientId,
      timestamp: this.#clock.now(),
      eventType,
      sessionIdentifier: this.#entries.get(connection.clientId)?.sessionIdentifier,
      principalIdentifier: connection.peer.certificateId,
      topics,
    });
  }

  close(): void {
    this.#isClosed = true;
  }

  #begin(clientId: string): Entry {
    const before = this.#entries.get(clientId);
    const isFresh =
      before?.offlineSince !== undefined &&
      this.#clock.now() - before.offlineSince > forgottenAfterMs;
    const entry: Entry = {
      versionNumber: before === undefined || isFresh ? 0 : before.versionNumber + 1,
      sessionIdentifier: uuid(this.#random),
      offlineSince: undefined,
    };
    this.#entries.delete(clientId);
    this.#entries.set(clientId, entry);
    this.#trim();
    return entry;
  }

  /** Forgets the client that connected longest ago. */
  #trim(): void {
    if (this.#entries.size <= this.#limits.presenceEntries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  #body(connection: Connection, eventType: string, entry: Entry): object {
    const thingName = connection.identity.exclusiveThing;
    return {
      clientId: connection.clientId,
      ...(thingName === undefined ? {} : { thingName }),
      timestamp: this.#clock.now(),
      eventType,
      sessionIdentifier: entry.sessionIdentifier,
      principalIdentifier: connection.peer.certificateId,
      versionNumber: entry.versionNumber,
    };
  }

  /** Client ids with `#` or `+` get no events. */
  #send(kind: string, connection: Connection, body: object): void {
    const { clientId } = connection;
    if (this.#isClosed || clientId.includes("#") || clientId.includes("+")) return;
    this.#publish(`$aws/events/${kind}/${clientId}`, Buffer.from(JSON.stringify(body)));
  }
}
