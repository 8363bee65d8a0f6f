// What every resolver must do that does not depend on a network.

import type { TestFn } from "ava";
import type { Host } from "../../src/host.js";
import { assert, type ContractCase, register, same } from "./case.js";

export type DnsSubject = Pick<Host, "dns" | "timer">;

export const dnsCases: readonly ContractCase<DnsSubject>[] = [
  {
    title: "a literal address resolves to itself, later",
    async run({ dns }) {
      const resolver = new dns.io({});
      for (const literal of ["127.0.0.1", "::1"]) {
        let inside = true;
        const address = await new Promise<string>((resolve, reject) => {
          const onResolved = (_: string, found: string) =>
            inside ? reject(new Error("called from inside resolve")) : resolve(found);
          resolver.resolve({ host: literal, onResolved, onError: (_, error) => reject(error) });
          inside = false;
        });
        same(address, literal, "address");
      }
      resolver.close();
    },
  },
  {
    title: "a name that cannot exist ends in one error that names it",
    async run({ dns }) {
      const error = await new Promise<unknown>((resolve, reject) => {
        new dns.io({}).resolve({
          host: "no such name",
          onResolved: (_, found) => reject(new Error(`resolved to ${found}`)),
          onError: (_, reason) => resolve(reason),
        });
      });
      assert(String((error as Error).message).includes("no such name"), `error is ${error}`);
    },
  },
  {
    title: "after close there is no callback",
    async run({ dns, timer }) {
      let calls = 0;
      const resolver = new dns.io({});
      const count = () => void calls++;
      resolver.resolve({ host: "127.0.0.1", onResolved: count, onError: count });
      resolver.close();
      resolver.close();
      await new Promise<void>(resolve => {
        timer.set(resolve, 30);
      });
      same(calls, 0, "calls");
    },
  },
];

export function dnsContract(test: TestFn, label: string, open: () => DnsSubject): void {
  register(test, label, dnsCases, open);
}
