// A device that downloads, on the XS engine: told from outside what, and whether into flash across the bridge or of its own.
import { Bridge } from "../hosts/xs/bridge.js";
import { createHost } from "../hosts/xs/host.js";
import type { Flash } from "../src/host.js";
import type { OfferSource } from "../src/ota/offer.js";
import { fromBase64, fromUtf8, toHex } from "../src/util/bytes.js";
import { Device } from "./ota-device.js";

interface Config {
  /** Base64. */
  readonly identity: string;
  readonly size: number;
  readonly sources: readonly OfferSource[];
  /** Blocks of flash in an array, which stands in for what is no memory. */
  readonly ownBlocks?: number;
}

/** Moves bytes and checks nothing: no more work than a host's native code leaves to JavaScript. */
class ArrayFlash implements Flash {
  readonly #bytes: Uint8Array;

  constructor(blocks: number) {
    this.#bytes = new Uint8Array(blocks * 4096);
  }

  status() {
    return { size: this.#bytes.length, blocks: this.#bytes.length / 4096, blockLength: 4096 };
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, offset: number): ArrayBuffer | number {
    if (typeof target === "number") return this.#bytes.slice(offset, offset + target).buffer;
    target.set(new Uint8Array(this.#bytes.buffer, offset, target.length));
    return target.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#bytes.set(bytes, offset);
  }

  eraseBlock(first: number): void {
    this.#bytes.fill(0xff, first * 4096, (first + 1) * 4096);
  }

  close(): void {}
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
