// What the way to the network may go through, from no Wi-Fi to an address and the time of day.
import { deepFreeze, type Table } from "../../../src/util/machine.js";

export type NetworkState =
  /** Nobody wants it. */
  | "off"
  /** Looks for the Wi-Fi, and shows the password. */
  | "joining"
  /** In the Wi-Fi, without an address. */
  | "addressing"
  /** Has an address, asks for the time. */
  | "timing"
  /** Has an address, and nobody has told the time; asks again. */
  | "untimed"
  /** Has an address, and has been told the time. */
  | "online"
  /** No Wi-Fi; joins again. */
  | "waiting";

export type NetworkEventName =
  | "start"
  | "stop"
  | "associated"
  | "addressed"
  /** The time was told, or by nobody. */
  | "told"
  | "untold"
  /** The Wi-Fi is gone, or never came. */
  | "lost"
  /** A step took too long. */
  | "late"
  /** A wait is over. */
  | "due";

export const networkTable: Table<NetworkState, NetworkEventName> = deepFreeze({
  off: { start: "joining", stop: "off" },
  joining: {
    start: "joining",
    associated: "addressing",
    addressed: "timing",
    lost: "waiting",
    late: "waiting",
    stop: "off",
  },
  addressing: {
    start: "joining",
    associated: "addressing",
    addressed: "timing",
    lost: "waiting",
    late: "waiting",
    stop: "off",
  },
  timing: {
    start: "joining",
    associated: "addressing",
    addressed: "timing",
    told: "online",
    untold: "untimed",
    lost: "waiting",
    stop: "off",
  },
  untimed: {
    start: "joining",
    associated: "addressing",
    addressed: "timing",
    lost: "waiting",
    due: "timing",
    stop: "off",
  },
  online: {
    start: "joining",
    associated: "addressing",
    addressed: "timing",
    lost: "waiting",
    due: "timing",
    stop: "off",
  },
  waiting: { start: "joining", due: "joining", stop: "off" },
});
