// Which MQTT version to dial with: 5 unless the product chose, 3.1.1 for a broker that does not take it.
import type { ProtocolVersion } from "../mqtt/packet.js";

export interface VersionRecord {
  /** The broker has said that it does not know MQTT 5, or has taken 3.1.1 after closing on 5. */
  readonly isOld: boolean;
  /** CONNECTs in a row that were answered by closing: it may be the version, it may be the certificate. */
  readonly unanswered: number;
}

export const versionUnknown: VersionRecord = Object.freeze({ isOld: false, unanswered: 0 });

export type VersionEvent =
  | { readonly type: "accepted"; readonly version: ProtocolVersion }
  | { readonly type: "refused"; readonly version: ProtocolVersion }
  | { readonly type: "unanswered" };

export function versionStep(record: VersionRecord, event: VersionEvent): VersionRecord {
  switch (event.type) {
    case "accepted":
      return { isOld: event.version === 4, unanswered: 0 };
    case "refused":
      return { isOld: event.version === 5, unanswered: 0 };
    case "unanswered":
      return { ...record, unanswered: record.unanswered + 1 };
  }
}

/** After two CONNECTs without an answer every other one is tried with 3.1.1. */
export function versionToDial(record: VersionRecord): ProtocolVersion {
  const { isOld, unanswered } = record;
  return isOld || (unanswered >= 2 && unanswered % 2 === 0) ? 4 : 5;
}
