// A device that downloads, on the XS engine: told from outside what, and whether into flash across the bridge or of its own.
import { Bridge } from "../hosts/xs/bridge.js";
import { createHost } from "../hosts/xs/host.js";
import type { OfferSource } from "../src/ota/offer.js";
import { fromBase64, fromUtf8, toHex } from "../src/util/bytes.js";
import { ArrayFlash } from "./array-flash.js";
import { Device } from "./ota-device.js";

interface Config {
  /** Base64. */
  readonly identity: string;
  readonly size: number;
  readonly sources: readonly OfferSource[];
  /** Blocks of flash in an array, which stands in for what is no memory. */
  readonly ownBlocks?: number;
}

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const config = JSON.parse(fromUtf8(bytes)) as Config;
  const host = createHost(bridge);
  const { identity, size, sources, ownBlocks } = config;
  const own = ownBlocks === undefined ? undefined : new ArrayFlash(ownBlocks);
  const device = new Device(
    own === undefined ? host : { ...host, flash: { open: () => own } },
    fromBase64(identity)!,
    size,
  );
  device.onOver = () => {
    const { outcome, staging } = device;
    if (outcome !== "complete") bridge.event("over", `${outcome?.code}: ${outcome?.message}`);
    else {
      bridge.event("complete", true);
      staging.digest(
        digest => bridge.event("over", toHex(digest)),
        error => bridge.event("over", error.message),
      );
    }
  };
  device.onExpiredDo = () => device.download.sources(sources);
  bridge.on("sources", () => device.download.sources(sources));
  bridge.on("connect", () => device.connect());
  bridge.on("disconnect", () => device.disconnect());
  bridge.on("tell", () => bridge.event("done", device.staging.done));
});
