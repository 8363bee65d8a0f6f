// Named byte strings on the platform's storage, with the bounds of the contract checked here for every platform.
import type { KeyValue, KeyValueProvider } from "../../src/host.js";

const maxNameLength = 15;
const maxValueBytes = 4000;

export class BoundedStorage implements KeyValueProvider {
  readonly #openDomain: (path: string) => KeyValue;

  /** @param openDomain the platform's storage, which may leave every check of bounds to this class */
  constructor(openDomain: (path: string) => KeyValue) {
    this.#openDomain = openDomain;
  }

  open({ path }: { readonly path: string }): KeyValue {
    checkName(path);
    return new BoundedDomain(path, this.#openDomain(path));
  }
}

class BoundedDomain implements KeyValue {
  readonly #path: string;
  #domain: KeyValue | undefined;

  constructor(path: string, domain: KeyValue) {
    this.#path = path;
    this.#domain = domain;
  }

  read(key: string): ArrayBuffer | undefined {
    return this.#open(key).read(key);
  }

  write(key: string, value: Uint8Array): void {
    if (value.length > maxValueBytes) {
      throw new RangeError(`${this.#path}/${key}: ${value.length} bytes, at most ${maxValueBytes}`);
    }
    this.#open(key).write(key, value);
  }

  delete(key: string): void {
    this.#open(key).delete(key);
  }

  close(): void {
    this.#domain?.close();
    this.#domain = undefined;
  }

  #open(key: string): KeyValue {
    checkName(key);
    if (this.#domain === undefined) throw new Error(`${this.#path}: closed`);
    return this.#domain;
  }
}

function checkName(name: string): void {
  if (name.length > maxNameLength || !/^[a-z0-9.-]+$/.test(name)) {
    throw new RangeError(`key-value: name ${JSON.stringify(name)}`);
  }
}
