// The host interfaces inside the XS engine: each call crosses the bridge to a host outside, real or simulated.

import type { Host } from "../../src/host.js";
import type { Bridge } from "./bridge.js";
import { createClock } from "./clock.js";
import { createCrypto } from "./crypto.js";
import { createDns } from "./dns.js";
import { createFlash } from "./flash.js";
import { createKeyValue } from "./key-value.js";
import { createSystem } from "./system.js";
import { createTimer } from "./timer.js";
import { createTls } from "./tls.js";
import { createUpdate } from "./update.js";

export function createHost(bridge: Bridge): Host {
  const flash = createFlash(bridge);
  const update = createUpdate(bridge);
  return Object.freeze({
    clock: createClock(bridge),
    timer: createTimer(bridge),
    crypto: createCrypto(bridge),
    system: createSystem(bridge),
    dns: createDns(bridge),
    tls: createTls(bridge),
    keyValue: createKeyValue(bridge),
    ...(flash && { flash }),
    ...(update && { update }),
  });
}
