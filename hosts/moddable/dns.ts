// Name resolution by the platform's resolver.
// biome-ignore lint/style/useNodejsImportProtocol: this is the SDK's module of that name
import Net from "net";
import Timer from "timer";
import type { ResolveOptions, Resolver } from "../../src/host.js";
import { parseAddress } from "../../src/trust/names.js";
import { guard, report } from "./guard.js";

/** The only meaning of the name; resolvers may answer with an address family the socket does not take. @see RFC 6761 6.3 */
const loopback = "127.0.0.1";
const maxNameLength = 253;

/** What keeps the device in its network, where that is the host's business. */
export interface ResolverNetwork {
  whenAddressed(go: () => void, fail: (error: Error) => void): void;
}

export class NativeResolver implements Resolver {
  readonly #network: ResolverNetwork | undefined;
  #isClosed = false;

  constructor({ network }: { readonly network?: ResolverNetwork | undefined } = {}) {
    this.#network = network;
  }

  /** While the network comes up the question waits for it; where it does not, that is the error. */
  resolve(options: ResolveOptions): void {
    // What the platform throws is an answer too, and keeps nobody waiting who waits behind this one.
    const go = () => {
      if (!this.#isClosed)
        guard(
          () => this.#resolve(options),
          error => this.#later(options, undefined, error as Error),
        );
    };
    if (!this.#network) go();
    else this.#network.whenAddressed(go, error => this.#later(options, undefined, error));
  }

  #resolve(options: ResolveOptions): void {
    const { host } = options;
    if (parseAddress(host) !== undefined || host.includes(":")) this.#later(options, host);
    else if (host.toLowerCase() === "localhost") this.#later(options, loopback);
    else if (host.length === 0 || host.length > maxNameLength) this.#later(options, undefined);
    else Net.resolve(host, (_name, address) => this.#answer(options, address));
  }

  close(): void {
    this.#isClosed = true;
  }

  #later(options: ResolveOptions, address: string | undefined, error?: Error): void {
    Timer.set(() => this.#answer(options, address, error), 0);
  }

  #answer(options: ResolveOptions, address: string | undefined, error?: Error): void {
    if (this.#isClosed) return;
    const { host } = options;
    guard(
      () => {
        if (address !== undefined) options.onResolved(host, address);
        else options.onError(host, error ?? new Error(`${host} has no address`));
      },
      error => report("dns", error),
    );
  }
}
