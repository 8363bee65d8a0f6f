// This machine as the agent sees it. Not preloaded: it is put together when the firmware starts.

import config from "mc/config";
import { prepare } from "skerry/platform/machine";
import { openNetwork } from "skerry/platform/network";
import { openDomain } from "skerry/platform/storage";
import type { Host } from "../../src/host.js";
import { MonotonicClock } from "./clock.js";
import { checkCopies } from "./copies.js";
import { NativeCrypto } from "./crypto.js";
import { NativeResolver } from "./dns.js";
import { BoundedStorage } from "./key-value.js";
import { openFlash } from "./parts/flash.js";
import { Board } from "./system.js";
import { NativeTimers } from "./timer.js";
import { TLSSocket } from "./tls.js";

checkCopies(config["skerry"], trace);
prepare();

const keyValue = new BoundedStorage(openDomain);
const crypto = new NativeCrypto();
const clock = new MonotonicClock();
const timer = new NativeTimers();

/** The Wi-Fi that the build names, and the time of day; the module firmware imports as `skerry/network`. */
export const network = openNetwork({ clock, timer, crypto, keyValue });

export const host: Host = {
  clock,
  timer,
  crypto,
  system: new Board(keyValue),
  dns: { io: NativeResolver, network } as Host["dns"],
  tls: { io: TLSSocket },
  keyValue,
  ...openFlash(crypto),
};
