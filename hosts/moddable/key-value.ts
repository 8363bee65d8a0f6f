// Named byte strings on the platform's storage, with the bounds of the contract checked here for every platform.
import { AgentError, type ErrorCode } from "../../src/errors.js";
import type { KeyValue, KeyValueProvider } from "../../src/host.js";

const maxNameLength = 15;
const maxValueBytes = 4000;

/** What a domain throws is an AgentError, "storage/damaged" for a read and "storage/write" for everything else. */
export class BoundedStorage implements KeyValueProvider {
  readonly #openDomain: (path: string) => KeyValue;

  /** @param openDomain the platform's storage, which may leave every check of bounds to this class */
  constructor(openDomain: (path: string) => KeyValue) {
    this.#openDomain = openDomain;
  }

  open({ path }: { readonly path: string }): KeyValue {
    checkName(path);
    return new BoundedDomain(
      path,
      told("storage/write", path, () => this.#openDomain(path)),
    );
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
    const domain = this.#open(key);
    return told("storage/damaged", `${this.#path}/${key}`, () => domain.read(key));
  }

  write(key: string, value: Uint8Array): void {
    const domain = this.#open(key);
    if (value.length > maxValueBytes) {
      throw refused(`${this.#path}/${key}: ${value.length} bytes, at most ${maxValueBytes}`);
    }
    told("storage/write", `${this.#path}/${key}`, () => domain.write(key, value));
  }

  delete(key: string): void {
    const domain = this.#open(key);
    told("storage/write", `${this.#path}/${key}`, () => domain.delete(key));
  }

  close(): void {
    this.#domain?.close();
    this.#domain = undefined;
  }

  #open(key: string): KeyValue {
    checkName(key);
    if (this.#domain === undefined) throw refused(`${this.#path}: closed`);
    return this.#domain;
  }
}

function told<Result>(code: ErrorCode, where: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new AgentError(code, `${where}: storage refuses: ${textOf(cause)}`, { cause });
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function refused(why: string): AgentError {
  return new AgentError("storage/write", why);
}

function checkName(name: string): void {
  if (name.length > maxNameLength || !/^[a-z0-9.-]+$/.test(name)) {
    throw refused(`key-value: name ${JSON.stringify(name)}`);
  }
}
