// Key-value storage in the guest: the owner's, opened and used across the bridge.

import type { KeyValue, KeyValueProvider } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

export function createKeyValue(bridge: Bridge): KeyValueProvider {
  return {
    open: ({ path }) => {
      const id = bridge.id();
      bridge.request("keyValue.open", [id, path]);
      return new GuestKeyValue(bridge, id);
    },
  };
}

class GuestKeyValue implements KeyValue {
  readonly #bridge: Bridge;
  readonly #id: number;

  constructor(bridge: Bridge, id: number) {
    this.#bridge = bridge;
    this.#id = id;
  }

  read(key: string): ArrayBuffer | undefined {
    const { value, bytes } = this.#bridge.request("keyValue.read", [this.#id, key]);
    return value === true ? (bytes.buffer as ArrayBuffer) : undefined;
  }

  write(key: string, value: Uint8Array): void {
    this.#bridge.request("keyValue.write", [this.#id, key], value);
  }

  delete(key: string): void {
    this.#bridge.request("keyValue.delete", [this.#id, key]);
  }

  close(): void {
    this.#bridge.request("keyValue.close", [this.#id]);
  }
}
