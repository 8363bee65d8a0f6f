// What is known of one shadow, what may happen to it, and what is to be done then.
import type { AgentError } from "../errors.js";
import type { Desired, Members, Tried, Verdicts } from "./reconcile.js";
import type { FlatValues } from "./schema.js";
import type { ShadowState } from "./table.js";
import type { Update } from "./update.js";

export interface ShadowRecord {
  readonly state: ShadowState;
  /** In force on the device; with `local`, all that survives a restart. */
  readonly values: FlatValues;
  /** Set by the product, and to win over what the cloud wants, which has not been told yet. */
  readonly local: readonly string[];
  /** What the cloud is known to have as reported. */
  readonly reported: Members;
  /** Verdicts that the cloud is known to have. */
  readonly told?: Verdicts | undefined;
  /** Why what the cloud wants is not in force. */
  readonly verdicts?: Verdicts | undefined;
  /** What the product would not take since the last connect. */
  readonly tried?: Tried | undefined;
  /** Given to the product, which has not said yet what became of it. */
  readonly applying?: FlatValues | undefined;
  /** Waits for its turn, or for its answer. */
  readonly request?: "queued" | "get" | "update" | undefined;
  readonly updating?: Update | undefined;
  /** The latest that was seen; 0 where there is no shadow. */
  readonly version: number;
  /** The latest that was told of since the document was asked for: an older document is none. */
  readonly heard: number;
  /** In a row: conflicts, and requests to be patient. */
  readonly failures: number;
  /** Requests without an answer, in a row. */
  readonly silences?: number | undefined;
  /** Verdicts do not fit into this shadow. */
  readonly isTerse?: boolean | undefined;
  /** The service refused the update for good: not repeated before something else is known. */
  readonly isBarred?: boolean | undefined;
}

export type ShadowEvent =
  | {
      readonly type:
        | "subscribed"
        | "turn"
        | "absent"
        | "deleted"
        | "retry"
        | "conflict"
        | "due"
        | "timeout"
        | "lost";
    }
  | {
      readonly type: "document";
      readonly desired: Desired;
      readonly reported: Members;
      readonly told: Verdicts | undefined;
      readonly version: number;
    }
  | { readonly type: "delta"; readonly desired: Desired; readonly version: number }
  /** `foreign`: somebody else's was. `isReport`: it says something of what is reported. */
  | {
      readonly type: "accepted" | "foreign";
      readonly version: number;
      readonly isReport: boolean;
    }
  /** The product set these itself. */
  | { readonly type: "changed"; readonly values: FlatValues }
  /** What the product took is in force; of the others the verdicts. */
  | { readonly type: "applied"; readonly verdicts: Verdicts | undefined }
  /** `unreadable`: the document; `garbled`: what would have told of a change. */
  | { readonly type: "unreadable" | "garbled" | "busy"; readonly error: AgentError }
  | { readonly type: "refused"; readonly error: AgentError; readonly isTooLong: boolean };

export type ShadowEffect =
  /** A request is to be made when there is room; `turn` is to follow then. */
  | { readonly type: "ask" | "get" }
  | { readonly type: "update"; readonly update: Update }
  /** The cloud wants these: the product is told, and `applied` has to follow. Always the last. */
  | { readonly type: "apply"; readonly changed: FlatValues }
  | { readonly type: "verdict"; readonly path: string; readonly verdict: string }
  | { readonly type: "report"; readonly error: AgentError }
  /** `due` is to follow after a backoff, also when something else has ended the wait. */
  | { readonly type: "wait"; readonly attempt: number }
  | { readonly type: "drop"; readonly error: AgentError };

export function startingFrom(values: FlatValues, local: readonly string[] = []): ShadowRecord {
  return {
    state: "idle",
    values,
    local,
    reported: {},
    version: 0,
    heard: 0,
    failures: 0,
  };
}
