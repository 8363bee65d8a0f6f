// What a device's flash holds between boots: named values, whole or not at all, as `KeyValue` promises; a tear breaks that.
import { AgentError } from "../../src/errors.js";
import type { KeyValue, KeyValueProvider } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import type { Power, Tear } from "./power.js";

export class Flash {
  readonly #domains = new Map<string, Map<string, Uint8Array>>();

  /** The value of `key`, for a test to look at. */
  peek(path: string, key: string): Uint8Array | undefined {
    return this.#domains.get(path)?.get(key);
  }

  /** Every value of a domain, for a test to look at. */
  values(path: string): ReadonlyMap<string, Uint8Array> {
    return this.#domains.get(path) ?? new Map();
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
        power.spend({
          name: `write ${key}`,
          perform: () => domain.set(key, copy),
          tear: tear => domain.set(key, tornWrite(domain.get(key), copy, tear)),
        });
      },
      delete: key =>
        power.spend({
          name: `erase ${key}`,
          perform: () => domain.delete(key),
          tear: ({ part }) => domain.set(key, beginOf(domain.get(key), part)),
        }),
      close: () => undefined,
    };
  }
}

function tornWrite(
  before: Uint8Array | undefined,
  after: Uint8Array,
  { part, isMixed }: Tear,
): Uint8Array {
  const written = beginOf(after, part);
  const rest = isMixed ? before?.subarray(written.length) : undefined;
  return rest ? concat([written, rest]) : written;
}

function beginOf(value: Uint8Array = new Uint8Array(0), part: number): Uint8Array {
  return value.slice(0, Math.floor(part * value.length));
}
