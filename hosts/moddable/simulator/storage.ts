// Key-value storage as one file for each value. Cannot be preloaded, because the SDK's module for files cannot.
import files from "embedded:storage/files";
import type { KeyValue } from "skerry/src/host";

const root = ".skerry";

export function openDomain(path: string): KeyValue {
  files.createDirectory(root);
  const folder = `${root}/domain-${path}`;
  files.createDirectory(folder);
  return new FolderDomain(folder);
}

class FolderDomain implements KeyValue {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(key: string): ArrayBuffer | undefined {
    const path = this.#path(key);
    const status = files.status(path);
    if (!status.isFile()) return undefined;
    if (status.size === 0) return new ArrayBuffer(0);
    const file = files.openFile({ path, mode: "r" });
    try {
      const bytes = file.read(status.size, 0);
      if (bytes.byteLength !== status.size) throw new Error(`${path}: cannot be read whole`);
      return bytes.slice(0);
    } finally {
      file.close();
    }
  }

  /** Another file takes the place of the old one in a single step, after its bytes are on the disk. */
  write(key: string, value: Uint8Array): void {
    const path = this.#path(key);
    const fresh = `${this.#folder}/fresh-${key}`;
    const file = files.openFile({ path: fresh, mode: "w" });
    try {
      if (value.length > 0) file.write(value.slice(), 0);
      if (file.status().size !== value.length) throw new Error(`${fresh}: cannot be written whole`);
      file.flush();
    } finally {
      file.close();
    }
    files.move(fresh, path);
  }

  delete(key: string): void {
    files.delete(this.#path(key));
  }

  close(): void {
    // Nothing stays open between calls.
  }

  #path(key: string): string {
    return `${this.#folder}/value-${key}`;
  }
}
