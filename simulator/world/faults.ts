// What can be wrong with a network, in one vocabulary for the network in memory and for the proxy on real sockets.
// A fault holds from the moment it is set, for the links that exist and for those to come.

/** How a stream is cut into the pieces that arrive: byte by byte, at random, or gathered by the dozen. */
export type Segments = "bytes" | "random" | "dozen";

/** One direction of a link. */
export interface FlowFaults {
  /** Beside what the way takes anyway. */
  readonly delayMs?: number;
  /** At most so much more, at random; the order stays. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  readonly segments?: Segments;
  /** The link breaks once so many bytes have arrived, handshake included. */
  readonly resetAfterBytes?: number;
  /** Takes everything and delivers nothing. A link that lost a byte so stays dark in this direction. */
  readonly swallows?: boolean;
}

/** A server that answers, one that refuses the connection, one that is never heard of. */
export type Fate = "open" | "refused" | "silent";

export interface LinkFaults {
  /** What becomes of a dial; default "open". */
  readonly dial?: Fate;
  readonly toServer?: FlowFaults;
  readonly toDevice?: FlowFaults;
  /** A link breaks this long after it was opened. */
  readonly resetAfterMs?: number;
}

/** What the resolver says: an address, NXDOMAIN, SERVFAIL, or nothing at all. */
export type NameFate = "found" | "absent" | "failed" | "silent";

export interface NameFaults {
  /** Default "found". */
  readonly fate?: NameFate;
  /** In the order they are told; default is the server's own. */
  readonly addresses?: readonly string[];
}

/** As behind a cable pulled far away: nothing comes through, and nobody says so. */
export const dark: LinkFaults = Object.freeze({
  dial: "silent",
  toServer: Object.freeze({ swallows: true }),
  toDevice: Object.freeze({ swallows: true }),
});

/** `flow` in both directions. */
export function bothWays(flow: FlowFaults): LinkFaults {
  return { toServer: flow, toDevice: flow };
}
