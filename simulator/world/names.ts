// A resolver whose names can fail in every way a real one's do, on any timer.
import type { ResolveOptions, Resolver, ResolverConstructor, Timer } from "../../src/host.js";
import type { NameFaults } from "./faults.js";

export interface NamesOptions {
  readonly timer: Timer;
  /** The server's own. */
  readonly address: string;
  /** Asked for every name, and again when the answer is due. */
  faults(): NameFaults;
  /** Until the answer. */
  delayMs(): number;
}

export function resolverOf({ timer, address, faults, delayMs }: NamesOptions): ResolverConstructor {
  return class FaultyResolver implements Resolver {
    #isOpen = true;

    resolve(options: ResolveOptions): void {
      timer.set(() => {
        if (this.#isOpen) answer(options, faults(), address);
      }, delayMs());
    }

    close(): void {
      this.#isOpen = false;
    }
  };
}

function answer(options: ResolveOptions, { fate = "found", addresses }: NameFaults, own: string) {
  const { host } = options;
  const [first = own, ...others] = addresses ?? [own];
  if (fate === "found") options.onResolved(host, first, others);
  else if (fate !== "silent") options.onError(host, new Error(reasons[fate]));
}

const reasons = Object.freeze({
  absent: "NXDOMAIN: there is no such name",
  failed: "SERVFAIL: the resolver cannot tell",
});
