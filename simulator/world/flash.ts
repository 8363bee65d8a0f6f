// What a device's flash holds between boots: named values, whole or not at all, as `KeyValue` promises.
import { AgentError } from "../../src/errors.js";
import type { KeyValue, KeyValueProvider } from "../../src/host.js";
import type { Power } from "./power.js";

export class Flash {
  readonly #domains = new Map<string, Map<string, Uint8Array>>();

  /** The value of `key`, for a test to look at. */
  peek(path: string, key: string): Uint8Array | undefined {
    return this.#domains.get(path)?.get(key);
  }

  /** The flash as one boot sees it. */
  provider(power: Power): KeyValueProvider {
    return { open: ({ path }) => this.#open(path, power) };
  }

  #open(path: string, power: Power): KeyValue {
    const domain = this.#domains.get(path) ?? new Map<string, Uint8Array>();
    this.#domains.set(path, domain);
    return {
      read: key => domain.get(key)?.slice().buffer as ArrayBuffer | undefined,
      write: (key, value) => {
        if (value.length > 4000)
          throw new AgentError(
            "storage/write",
            `${path}/${key}: ${value.length} bytes, at most 4000`,
          );
        const copy = value.slice();
        power.spend(() => domain.set(key, copy));
      },
      delete: key => power.spend(() => domain.delete(key)),
      close: () => undefined,
    };
  }
}
