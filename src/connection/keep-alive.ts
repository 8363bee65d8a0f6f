// How long a link may be silent: shorter where silence has killed links (a NAT that forgets), longer again once one has held.
import { limits } from "../limits.js";

/** What a link's end says about its keep-alive. */
export interface LinkEnd {
  /** Nothing had come for more than a keep-alive. */
  readonly isSilent: boolean;
  readonly onlineMs: number;
}

/**
 * @param keepAliveMs  of the link that has ended
 * @param wantedMs     what the product asked for, the upper bound
 * @returns            for the next link
 */
export function nextKeepAlive(keepAliveMs: number, wantedMs: number, end: LinkEnd): number {
  // A link that was never more than silent says nothing about how long it would have lived.
  if (end.isSilent && end.onlineMs > keepAliveMs * 2) {
    return Math.max(limits.leastKeepAliveMs, Math.floor(keepAliveMs / 2));
  }
  if (!end.isSilent && end.onlineMs >= limits.provenMs) {
    return Math.min(wantedMs, Math.floor(keepAliveMs * 1.5));
  }
  return keepAliveMs;
}
