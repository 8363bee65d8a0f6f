// Names on Node: the operating system's resolver, hosts file included; IPv4 first, as on a microcontroller.

import { lookup } from "node:dns";
import { AgentError } from "../../src/errors.js";
import type { Provider, ResolveOptions, Resolver, ResolverConstructor } from "../../src/host.js";

export const dns: Provider<ResolverConstructor> = Object.freeze({
  io: class NodeResolver implements Resolver {
    #closed = false;

    /** `lookup` answers a literal with itself, later like the others. */
    resolve(options: ResolveOptions): void {
      const { host } = options;
      lookup(host, { order: "ipv4first", all: true }, (cause, found) => {
        if (this.#closed) return;
        const [first, ...others] = found?.map(({ address }) => address) ?? [];
        if (first !== undefined) options.onResolved(host, first, others);
        else options.onError(host, unresolved(host, cause));
      });
    }

    close(): void {
      this.#closed = true;
    }
  },
});

function unresolved(host: string, cause: Error | null): AgentError {
  const reason = cause?.message ?? "no address";
  return new AgentError("connection/resolve", `dns: ${host}: ${reason}`, { cause });
}
