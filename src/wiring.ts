// What the parts of the agent ask of the whole.
import type { Json } from "./codec/json.js";
import type { AgentError } from "./errors.js";
import type { Host, KeyValue } from "./host.js";
import type { Session } from "./mqtt/session.js";
import type { AgentStatus } from "./status.js";

/** Runs work that a host's callback started; an exception in it must not leave. */
export interface Door {
  enter(work: () => void): void;
}

/** Hears what becomes of the telemetry and of the link. */
export interface Observer {
  /** A record is on flash; 0 is alert, 1 telemetry, 2 bulk. */
  onKept(priority: number, bytes: number): void;
  onStatus(status: AgentStatus): void;
}

export interface Wiring extends Door {
  readonly host: Host;
  readonly store: KeyValue;
  /** Of the identity that is connected, or was last. */
  readonly session: Session;
  readonly thingName: string | undefined;
  /** Where there is one. */
  readonly observer?: Observer;
  /** A client token; tells the answers to this boot from those to the one before. */
  newToken(): string;
  emit(status: AgentStatus): void;
  /** Ends the link for a reason of a part's; it is dialed again after a backoff. */
  drop(error: AgentError): void;
  /** Epoch ms, or undefined while the wall clock is not set. */
  readonly now: number | undefined;
  /** Epoch ms that are known to be past, or undefined when nothing is known. */
  readonly timeFloor: number | undefined;
  /** Of one of the product's channels. */
  topicOf(channel: string): string;
  /** Another identity is the one to dial with: dial again. */
  adopt(): void;
  /** The provisioner has nothing to do any more: it may be let go. */
  rest(): void;
  /** Asks for another identity, over the link there is. */
  renew(): void;
  /** Publishes JSON at QoS 1 on one of the product's channels; forgotten when the link ends before the acknowledgement. */
  publish(
    channel: string,
    message: Json,
    onAcknowledged: () => void,
    onRefused: (error: AgentError) => void,
  ): void;
}
