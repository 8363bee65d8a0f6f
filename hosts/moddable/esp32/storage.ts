// Key-value storage in the ESP32's non-volatile storage (NVS), which replaces a value in a single step.
import storage from "embedded:storage/key-value";
import type { KeyValue } from "skerry/src/host";

/** Stands before every value, because NVS takes no empty ones. */
const format = 1;

export function openDomain(path: string): KeyValue {
  const domain = storage.open({ path, format: "buffer" });
  return {
    read(key) {
      const stored = domain.read(key);
      if (stored === undefined) return undefined;
      if (new Uint8Array(stored)[0] !== format) throw new Error(`${path}/${key}: unknown format`);
      return stored.slice(1);
    },
    write(key, value) {
      const bytes = new Uint8Array(value.length + 1);
      bytes[0] = format;
      bytes.set(value, 1);
      domain.write(key, bytes);
    },
    delete: key => domain.delete(key),
    close: () => domain.close(),
  };
}
