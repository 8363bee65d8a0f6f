// What every key-value storage must do.

import type { TestFn } from "ava";
import type { KeyValueProvider } from "../../src/host.js";
import { type ContractCase, register, same, sameBytes, thrown } from "./case.js";

/** An empty medium. */
export type KeyValueSubject = { readonly keyValue: KeyValueProvider };

export const keyValueCases: readonly ContractCase<KeyValueSubject>[] = [
  {
    title: "what was written is read, by another opening too",
    run({ keyValue }) {
      const store = keyValue.open({ path: "identity" });
      same(store.read("key"), undefined, "a key never written");
      store.write("key", Uint8Array.of(1, 2, 255));
      store.write("empty", new Uint8Array(0));
      sameBytes(store.read("key"), Uint8Array.of(1, 2, 255), "key");
      store.close();
      const again = keyValue.open({ path: "identity" });
      sameBytes(again.read("key"), Uint8Array.of(1, 2, 255), "key after opening again");
      sameBytes(again.read("empty"), new Uint8Array(0), "empty");
    },
  },
  {
    title: "a value is replaced as a whole, and deleted",
    run({ keyValue }) {
      const store = keyValue.open({ path: "d" });
      store.write("a", new Uint8Array(4000).fill(7));
      store.write("a", Uint8Array.of(9));
      sameBytes(store.read("a"), Uint8Array.of(9), "a");
      store.delete("a");
      store.delete("a");
      same(store.read("a"), undefined, "a deleted key");
    },
  },
  {
    title: "a view into a larger buffer is stored, and nothing around it",
    run({ keyValue }) {
      const store = keyValue.open({ path: "d" });
      store.write("a", Uint8Array.of(0, 1, 2, 3).subarray(1, 3));
      sameBytes(store.read("a"), Uint8Array.of(1, 2), "a");
    },
  },
  {
    title: "domains do not see each other, whatever their names",
    run({ keyValue }) {
      const paths = ["a", ".", "..", "a.b", "0123456789abcde"];
      for (const [index, path] of paths.entries()) {
        keyValue.open({ path }).write("..", Uint8Array.of(index));
      }
      for (const [index, path] of paths.entries()) {
        sameBytes(keyValue.open({ path }).read(".."), Uint8Array.of(index), path);
      }
    },
  },
  {
    title: "a name or a value out of bounds is refused as storage/write, and the old value stays",
    run({ keyValue }) {
      const store = keyValue.open({ path: "d" });
      store.write("a", Uint8Array.of(1));
      const long = thrown(() => store.write("a", new Uint8Array(4001)), "4001 bytes");
      same(long.code, "storage/write", "the code for 4001 bytes");
      for (const key of ["", "0123456789abcdef", "A", "a/b", "a_b", "\u00e4"]) {
        const wrong = thrown(() => store.write(key, Uint8Array.of(2)), `key "${key}"`);
        same(wrong.code, "storage/write", `the code for key "${key}"`);
        thrown(() => keyValue.open({ path: key }), `domain "${key}"`);
      }
      sameBytes(store.read("a"), Uint8Array.of(1), "a");
    },
  },
];

export function keyValueContract(
  test: TestFn,
  label: string,
  open: () => KeyValueSubject | Promise<KeyValueSubject>,
): void {
  register(test, label, keyValueCases, open);
}
