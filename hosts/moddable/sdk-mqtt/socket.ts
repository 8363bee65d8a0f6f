// A TLS stream as the SDK's network classes use theirs: read by bytes as well as by buffers, written in parts.
import type { TLSSocket, TLSSocketConstructor, TLSSocketOptions } from "../../../src/host.js";
import { concat } from "../../../src/util/bytes.js";

interface Options extends TLSSocketOptions {
  /** The class of the stream. */
  readonly stream: TLSSocketConstructor;
  /** Why the stream is over, before `onError`. */
  onReason(error: unknown): void;
}

export class FormattedSocket {
  /** What `read` gives: single bytes, or buffers. */
  format: "number" | "buffer" = "buffer";
  readonly #socket: TLSSocket;
  #room = 0;
  #parts: Uint8Array[] = [];

  constructor(options: Options) {
    this.#socket = new options.stream({
      ...options,
      onWritable: count => {
        this.#room = count;
        options.onWritable?.(count);
      },
      onError: error => {
        options.onReason(error);
        options.onError?.(error);
      },
    });
  }

  read(count?: number): ArrayBuffer | number | undefined {
    if (this.format === "buffer") return this.#socket.read(count);
    const byte = this.#socket.read(1);
    return byte === undefined ? undefined : new Uint8Array(byte)[0];
  }

  /** @param options.more the packet goes on: one that is whole leaves in one record */
  write(bytes: Uint8Array, { more = false }: { readonly more?: boolean } = {}): number {
    this.#parts.push(bytes);
    const all = concat(this.#parts);
    if (more) return this.#room - all.length;
    this.#parts = [];
    this.#room = this.#socket.write(all);
    return this.#room;
  }

  close(): void {
    this.#socket.close();
  }
}
