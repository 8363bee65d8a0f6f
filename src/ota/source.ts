// What sources of an image's blocks have in common. Types only.
import type { AgentError } from "../errors.js";
import type { Host } from "../host.js";
import type { Session } from "../mqtt/session.js";
import type { Door } from "../wiring.js";
import type { Staging } from "./staging.js";

/** Where blocks come from: one at a time, each in any order, between any other blocks. */
export interface Source {
  /** Begins to fetch what is missing. */
  start(): void;
  /** Ends everything; nothing is called back any more. */
  stop(): void;
  /** A message of the streams' topics. */
  onMessage(topic: string, payload: Uint8Array): void;
}

export interface SourceOwner extends Door {
  readonly host: Host;
  readonly session: Session;
  readonly thingName: string | undefined;
  /** Epoch ms at which a server's certificates are judged; undefined while nothing is known of the time. */
  readonly judgedAt: number | undefined;
  readonly staging: Staging;
  readonly trustAnchors: readonly Uint8Array[];
  newToken(): string;
  /** A block that was missing. After the last one, or when flash does not take it, the source has been stopped on return. */
  onBlock(index: number, bytes: Uint8Array): void;
  /** Something came that was not asked for, or no block of this file; it was passed over. */
  onStray(): void;
  /** The source has stopped. */
  onEnd(end: SourceEnd): void;
}

export interface SourceEnd {
  readonly error: AgentError;
  /**
   * "expired": another link to the same file may work; "refused": the same again will be answered the same; "lost": it may
   * work later.
   */
  readonly why: "expired" | "refused" | "lost";
}
