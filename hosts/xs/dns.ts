// Name resolution in the guest: a request now, the answer as an event.

import type { Provider, ResolveOptions, Resolver, ResolverConstructor } from "../../src/host.js";
import { type Bridge, toError } from "./bridge.js";

export function createDns(bridge: Bridge): Provider<ResolverConstructor> {
  const waiting = new Map<number, { resolver: Resolver; options: ResolveOptions }>();
  const take = (id: number) => {
    const found = waiting.get(id)?.options;
    waiting.delete(id);
    return found;
  };
  bridge.on("dns.resolved", ([id, host, address, ...others]) =>
    take(id as number)?.onResolved(host as string, address as string, others as string[]),
  );
  bridge.on("dns.error", ([id, host, error]) =>
    take(id as number)?.onError(host as string, toError(error as string[])),
  );
  class GuestResolver implements Resolver {
    resolve(options: ResolveOptions): void {
      const id = bridge.id();
      waiting.set(id, { resolver: this, options });
      bridge.request("dns.resolve", [id, options.host]);
    }

    close(): void {
      for (const [id, { resolver }] of waiting) {
        if (resolver === this && waiting.delete(id)) bridge.request("dns.close", [id]);
      }
    }
  }
  return { io: GuestResolver };
}
