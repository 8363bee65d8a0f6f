// Key-value storage in the ESP32's non-volatile storage (NVS), which replaces a value in a single step.
import storage from "embedded:storage/key-value";
import { describeStorage } from "skerry/hosts/moddable/boot/storage-words";
import type { KeyValue } from "skerry/src/host";

/** Stands before every value, because NVS takes no empty ones. */
const format = 1;

/** Where nothing can be changed, what is kept can still be read. @throws in words */
export function openDomain(path: string): KeyValue {
  const domain = told(() => open(path));
  return {
    read(key) {
      const stored = told(() => domain.read(key));
      if (stored === undefined) return undefined;
      if (new Uint8Array(stored)[0] !== format) throw new Error(`${path}/${key}: unknown format`);
      return stored.slice(1);
    },
    write(key, value) {
      const bytes = new Uint8Array(value.length + 1);
      bytes[0] = format;
      bytes.set(value, 1);
      told(() => domain.write(key, bytes));
    },
    delete: key => told(() => domain.delete(key)),
    close: () => domain.close(),
  };
}

function open(path: string): ReturnType<typeof storage.open> {
  try {
    return storage.open({ path, format: "buffer" });
  } catch (error) {
    try {
      return storage.open({ path, format: "buffer", mode: "r" });
    } catch (_second) {
      // Of the two the first says what is wrong.
      throw error;
    }
  }
}

function told<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new Error(describeStorage(String(error)));
  }
}
