// A link as a Node stream, so that Node's own servers can serve a virtual network; what streams do a turn later is pending work.

import { Duplex } from "node:stream";
import type { Acceptor, Link } from "./broker-types.js";
import type { PendingWork } from "./environment.js";

/** Assumed: bytes of requests that may wait; a client that sends more unasked is cut off. */
const inboxBytes = 1_048_576;

export class LinkStream extends Duplex {
  readonly acceptor: Acceptor;
  readonly #link: Link;
  readonly #pending: PendingWork;

  constructor(link: Link, pending: PendingWork) {
    super();
    this.#link = link;
    this.#pending = pending;
    this.acceptor = { receive: bytes => this.#receive(bytes), closed: () => this.#lost() };
    this.on("error", () => undefined);
  }

  #receive(bytes: Uint8Array): void {
    if (this.destroyed) return;
    this.push(Buffer.from(bytes));
    if (this.readableLength > inboxBytes) this.destroy();
    this.#settle();
  }

  #lost(): void {
    this.destroy();
    this.#settle();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#link.write(new Uint8Array(chunk));
    done();
  }

  override _final(done: () => void): void {
    this.#link.close();
    done();
  }

  override _destroy(_error: Error | null, done: (error: null) => void): void {
    const isOver = this.writableFinished;
    if (isOver || this.#link.abort === undefined) this.#link.close();
    else this.#link.abort();
    done(null);
  }

  /** What a stream puts off is done before the next turn of the event loop; one more for what follows from it. */
  #settle(): void {
    const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
    this.#pending.track(turn().then(turn));
  }
}
