// The version below which nothing is installed. In a domain of its own, so that a factory reset does not lower it.
import { AgentError } from "../errors.js";
import type { KeyValue, KeyValueProvider } from "../host.js";
import { fromUtf8, toUtf8 } from "../util/bytes.js";
import { readPair, writePair } from "../util/sealed.js";
import { raiseFloor } from "./decide.js";
import { parseVersion } from "./version.js";

const domain = "skerry.floor";

export class Floor {
  readonly #keyValue: KeyValueProvider;

  constructor(keyValue: KeyValueProvider) {
    this.#keyValue = keyValue;
  }

  /**
   * The floor, where it is not below the firmware's own.
   *
   * @throws AgentError "storage/damaged"
   */
  above(own: string | undefined): string | undefined {
    return this.with(store => raiseFloor(read(store), own));
  }

  /** Never lowers it, but writes over what cannot be read; writes nothing when it stays. @throws what the store throws */
  raise(version: string | undefined): void {
    if (version === undefined) return;
    this.with(store => {
      let before: string | undefined;
      try {
        before = read(store);
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
      }
      const after = raiseFloor(before, version);
      if (after !== undefined && after !== before) writePair(store, "floor", toUtf8(after));
    });
  }

  private with<Result>(work: (store: KeyValue) => Result): Result {
    const store = this.#keyValue.open({ path: domain });
    try {
      return work(store);
    } finally {
      store.close();
    }
  }
}

function read(store: KeyValue): string | undefined {
  const stored = readPair(store, "floor");
  if (stored === undefined) return undefined;
  const version = fromUtf8(stored);
  if (parseVersion(version) === undefined)
    throw new AgentError("storage/damaged", "floor: no version");
  return version;
}
