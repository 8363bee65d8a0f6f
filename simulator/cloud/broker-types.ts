// The words the broker shares with what surrounds it: links, peers, clients, events.

import type { ConnectRequest } from "./connect-rules.js";
import type { Connection } from "./connection.js";
import type { Clock, Random, Timer } from "./environment.js";
import type { ProtocolVersion } from "./frames.js";
import type { BrokerLimits } from "./limits.js";
import type { CertificateRefusal, Identity } from "./registry.js";
import type { Message, Session } from "./session.js";
import type { Grant } from "./topics.js";

/** The byte stream to one client, TLS or memory. */
export interface Link {
  write(bytes: Uint8Array): void;
  /** Ends the stream after what was written. May be called twice. */
  close(): void;
  /** Ends the stream as a pulled cable would; absent: `close`. */
  abort?(): void;
  /** True while the client reads too slowly: QoS 0 messages to it are dropped. */
  congested?(): boolean;
}

export interface Peer {
  readonly certificateId: string | undefined;
  readonly address: string;
  /** Needed where the cloud may see the certificate for the first time. */
  readonly certificatePem?: string;
}

/** The broker's end of a link. */
export interface Acceptor {
  /** Takes bytes of any length; never throws. */
  receive(bytes: Uint8Array): void;
  /** The link is gone. Harmless when it was the broker who closed it. */
  closed(): void;
}

/** Developer guide "life-cycle-events". */
export type DisconnectReason =
  | "CLIENT_INITIATED_DISCONNECT"
  | "AUTH_ERROR"
  | "CLIENT_ERROR"
  | "CONNECTION_LOST"
  | "DUPLICATE_CLIENTID"
  | "FORBIDDEN_ACCESS"
  | "MQTT_KEEP_ALIVE_TIMEOUT"
  | "SERVER_ERROR"
  | "SERVER_INITIATED_DISCONNECT"
  | "API_INITIATED_DISCONNECT"
  | "THROTTLED";

/** Why a client never got as far as a session. */
export type RefusalReason =
  | CertificateRefusal
  | "TLS_HANDSHAKE_FAILED"
  | "AUTHORIZATION_FAILED"
  | "IDENTIFIER_REJECTED"
  | "UNACCEPTABLE_PROTOCOL_VERSION"
  | "PROTOCOL_ERROR"
  | "CONNECT_TIMEOUT"
  | "CLOSED_BEFORE_CONNECT"
  | "REFUSING_CONNECTIONS";

/** A connected client, as services see it. */
export interface Client {
  readonly clientId: string;
  readonly identity: Identity;
  /** Delivers past the broker and without a subscription, QoS 0; nothing when the client is gone. */
  reply(topic: string, payload: Uint8Array): void;
}

/** What became of a publish: `route` to subscribers, `consumed` by a service, or not a topic one may publish to. */
export type PublishOutcome = "route" | "consumed" | "undefined-topic";

export type BrokerEvent =
  | {
      readonly type: "clientConnected";
      readonly clientId: string;
      readonly address: string;
      readonly certificateId: string;
      readonly certificate: "claim" | "device";
      readonly thingName: string | undefined;
      readonly sessionPresent: boolean;
      /** 4 is MQTT 3.1.1, as on the wire. */
      readonly protocolVersion: ProtocolVersion;
    }
  | {
      readonly type: "clientDisconnected";
      readonly clientId: string;
      readonly reason: DisconnectReason;
      /** What exactly, in words; empty when the reason says it all. */
      readonly detail: string;
    }
  | {
      readonly type: "connectionRefused";
      readonly reason: RefusalReason;
      readonly detail: string;
      readonly address: string;
      readonly clientId: string | undefined;
      readonly certificateId: string | undefined;
    };

export interface BrokerOptions {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  refusal(certificateId: string | undefined): CertificateRefusal | undefined;
  identify(certificateId: string, clientId: string, address: string): Identity;
  /** Sees every allowed publish before subscribers do. */
  onPublish(message: Message, client: Client): PublishOutcome;
  onEvent(event: BrokerEvent): void;
  readonly limits?: Partial<BrokerLimits>;
  /**
   * A denied SUBSCRIBE in MQTT 3.1.1: `close` the socket (field reports, the default), or `answer` with
   * SUBACK 0x80 (the guide names it too).
   */
  readonly subscribeDenial?: "close" | "answer";
}

/** What becomes of a client's message; `throttled` when nothing more is retained. */
export type PublishVerdict = "accepted" | "undefined-topic" | "throttled";

/** What a connection needs from its broker. */
export interface ConnectionHost {
  readonly limits: BrokerLimits;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly answersDeniedSubscribe: boolean;
  refusal(peer: Peer): RefusalReason | undefined;
  identify(certificateId: string, clientId: string, address: string): Identity;
  /** Random, and so nobody's. */
  newClientId(): string;
  /** Takes over any older connection and finds or makes the session. */
  open(connection: Connection, request: ConnectRequest): { session: Session; present: boolean };
  /** After CONNACK: what was stored goes out. */
  opened(connection: Connection, request: ConnectRequest, present: boolean): void;
  /** Whether the quotas of shared subscriptions leave room for this filter; others always have. */
  hasRoom(filter: string): boolean;
  /** @param sendRetained whether a retained message goes out at once */
  subscribe(connection: Connection, filter: string, grant: Grant, sendRetained: boolean): void;
  unsubscribe(connection: Connection, filter: string): void;
  subscriptionsChanged(connection: Connection, subscribed: boolean, topics: string[]): void;
  publish(connection: Connection, message: Message): PublishVerdict;
  refused(connection: Connection, reason: RefusalReason, detail: string): void;
  ended(connection: Connection, reason: DisconnectReason, detail: string): void;
}
