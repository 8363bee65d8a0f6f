// A guest's TLS sockets. Events wait for the guest's turn, so what a callback announced is kept up to date until then:
// a guest is never told of bytes it has read meanwhile, nor of room it has filled.

import { AgentError } from "../../../src/errors.js";
import type { Host, TLSSocket } from "../../../src/host.js";
import { type Event, errorParts, type Response } from "./requests.js";

export type Args = readonly unknown[];

interface Entry {
  socket: TLSSocket | undefined;
  readableBytes: number;
  writableBytes: number;
  readablePosted: boolean;
  writablePosted: boolean;
}

export class Sockets {
  readonly #host: Host;
  readonly #post: (event: Event) => void;
  readonly #entries = new Map<number, Entry>();

  constructor(host: Host, post: (event: Event) => void) {
    this.#host = host;
    this.#post = post;
  }

  perform(operation: string, args: Args, bytes: Uint8Array): Response | undefined {
    const id = args[0] as number;
    switch (operation) {
      case "tls.open":
        return this.#open(id, args, bytes);
      case "tls.read":
        return this.#read(this.#entry(id), args[1] as number | null);
      case "tls.write": {
        const entry = this.#entry(id);
        entry.writableBytes = entry.socket!.write(bytes);
        return { value: entry.writableBytes };
      }
      case "tls.close":
        this.#entries.get(id)?.socket?.close();
        this.#entries.delete(id);
        return {};
      default:
        return undefined;
    }
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.socket?.close();
    this.#entries.clear();
  }

  #open(id: number, args: Args, bytes: Uint8Array): Response {
    const [, address, host, port, serverName, protocols] = args as [
      number,
      string,
      string,
      number,
      string | null,
      readonly string[] | null,
    ];
    const [anchorBytes, certificateBytes, keyBytes, now] = args.slice(6) as [
      readonly number[],
      readonly number[],
      number,
      number,
    ];
    const parts = split(bytes, [...anchorBytes, ...certificateBytes, keyBytes]);
    const entry: Entry = {
      socket: undefined,
      readableBytes: 0,
      writableBytes: 0,
      readablePosted: false,
      writablePosted: false,
    };
    entry.socket = new this.#host.tls.io({
      address,
      host,
      port,
      secure: {
        trustAnchors: parts.slice(0, anchorBytes.length),
        clientCertificates: parts.slice(anchorBytes.length, -1),
        clientKey: parts.at(-1)!,
        now,
        ...(serverName === null ? {} : { serverName }),
        ...(protocols === null ? {} : { applicationLayerProtocolNegotiation: protocols }),
      },
      onReadable: count => this.#postReadable(id, entry, count),
      onWritable: count => this.#postWritable(id, entry, count),
      onError: error =>
        this.#post(() =>
          this.#isOpen(id, entry) ? ["tls.error", id, errorParts(error)] : undefined,
        ),
    });
    this.#entries.set(id, entry);
    return {};
  }

  #read(entry: Entry, count: number | null): Response {
    const bytes = entry.socket!.read(count ?? undefined);
    if (bytes === undefined) return {};
    entry.readableBytes = Math.max(0, entry.readableBytes - bytes.byteLength);
    return { bytes: new Uint8Array(bytes) };
  }

  #postReadable(id: number, entry: Entry, count: number): void {
    entry.readableBytes = count;
    if (entry.readablePosted) return;
    entry.readablePosted = true;
    this.#post(() => {
      entry.readablePosted = false;
      const wanted = this.#isOpen(id, entry) && entry.readableBytes > 0;
      return wanted ? ["tls.readable", id, entry.readableBytes] : undefined;
    });
  }

  #postWritable(id: number, entry: Entry, count: number): void {
    entry.writableBytes = count;
    if (entry.writablePosted) return;
    entry.writablePosted = true;
    this.#post(() => {
      entry.writablePosted = false;
      const wanted = this.#isOpen(id, entry) && entry.writableBytes > 0;
      return wanted ? ["tls.writable", id, entry.writableBytes] : undefined;
    });
  }

  #isOpen(id: number, entry: Entry): boolean {
    return this.#entries.get(id) === entry;
  }

  #entry(id: number): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new AgentError("connection/lost", `XS guest: no socket ${id}`);
    return entry;
  }
}

function split(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let offset = 0;
  return lengths.map(length => {
    offset += length;
    return bytes.slice(offset - length, offset);
  });
}
