// Mutual TLS in the guest: the owner's socket, called across the bridge; its callbacks arrive as events.

import type {
  Provider,
  TLSSocket,
  TLSSocketConstructor,
  TLSSocketOptions,
} from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import { type Bridge, toError } from "./bridge.js";

export function createTls(bridge: Bridge): Provider<TLSSocketConstructor> {
  /** The callbacks only: keys and certificates are the owner's from here on. */
  const open = new Map<number, Pick<TLSSocketOptions, "onReadable" | "onWritable" | "onError">>();
  bridge.on("tls.readable", ([id, count]) => open.get(id as number)?.onReadable?.(count as number));
  bridge.on("tls.writable", ([id, count]) => open.get(id as number)?.onWritable?.(count as number));
  bridge.on("tls.error", ([id, error]) => {
    const parts = error as string[] | null;
    open.get(id as number)?.onError?.(parts === null ? undefined : toError(parts));
  });

  class GuestTLSSocket implements TLSSocket {
    readonly #id = bridge.id();

    constructor(options: TLSSocketOptions) {
      const { address, host, port, secure } = options;
      const { trustAnchors, clientCertificates, clientKey } = secure;
      bridge.request(
        "tls.open",
        [
          this.#id,
          address,
          host,
          port,
          secure.serverName,
          secure.applicationLayerProtocolNegotiation,
          trustAnchors.map(lengthOf),
          clientCertificates.map(lengthOf),
          clientKey.length,
          secure.now,
        ],
        concat([...trustAnchors, ...clientCertificates, clientKey]),
      );
      const { onReadable, onWritable, onError } = options;
      open.set(this.#id, {
        ...(onReadable ? { onReadable } : {}),
        ...(onWritable ? { onWritable } : {}),
        ...(onError ? { onError } : {}),
      });
    }

    read(count?: number): ArrayBuffer | undefined {
      const { bytes } = bridge.request("tls.read", [this.#id, count]);
      return bytes.length === 0 ? undefined : (bytes.buffer as ArrayBuffer);
    }

    write(bytes: Uint8Array): number {
      return bridge.request("tls.write", [this.#id], bytes).value as number;
    }

    close(): void {
      if (open.delete(this.#id)) bridge.request("tls.close", [this.#id]);
    }
  }
  return { io: GuestTLSSocket };
}

function lengthOf(bytes: Uint8Array): number {
  return bytes.length;
}
