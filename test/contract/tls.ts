// What every mutual-TLS stream must do, against a server that echoes what it is sent, ends at "farewell", and breaks off at
// "break off".

import type { TestFn } from "ava";
import { AgentError, type ErrorCode } from "../../src/errors.js";
import type { Host, SecureOptions, TLSSocket } from "../../src/host.js";
import { assert, type ContractCase, register, same, sameBytes, thrown } from "./case.js";

interface Identity {
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
}

interface RefusingServer {
  readonly alert: number;
  readonly port: number;
}

interface WrongServer {
  readonly fault: string;
  readonly port: number;
}

export interface TlsSubjectData {
  readonly address: string;
  /** In the server's certificate. */
  readonly name: string;
  readonly port: number;
  /** The same server for everybody: one does not ask for a certificate, the other asks and takes none for an answer. */
  readonly openPorts: { readonly silent: number; readonly asking: number };
  readonly root: Uint8Array;
  readonly strangeRoot: Uint8Array;
  readonly client: Identity;
  /** As `client`, with an RSA key. */
  readonly rsaClient: Identity;
  /** Issued by `strangeRoot`, which the server does not trust. */
  readonly stranger: Identity;
  /** They have the server's certificate and name, and do one thing wrong in the handshake. */
  readonly wrongServers: readonly WrongServer[];
  /** They answer the client's certificate with this alert. */
  readonly refusingServers: readonly RefusingServer[];
}

export interface TlsSubject extends TlsSubjectData {
  readonly host: Pick<Host, "tls" | "timer" | "clock">;
}

interface Over {
  readonly error: unknown;
}

const ascii = (text: string) => Uint8Array.from(text, letter => letter.charCodeAt(0));

/** A socket whose callbacks can be awaited; it notes when one comes where none may. */
class Dialog {
  readonly socket: TLSSocket;
  readonly received: number[] = [];
  writableBytes = 0;
  errors = 0;
  misplaced = 0;
  over: Over | undefined;
  #inside = true;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(subject: TlsSubject, secure: Partial<SecureOptions> = {}) {
    const { host, address, name, port, root, client } = subject;
    this.socket = new host.tls.io({
      address,
      host: name,
      port,
      secure: {
        trustAnchors: [root],
        clientCertificates: [client.certificate],
        clientKey: client.key,
        now: host.clock.now()!,
        ...secure,
      },
      onReadable: count => this.#enter(() => this.#read(count)),
      onWritable: count =>
        this.#enter(() => {
          this.writableBytes = count;
        }),
      onError: error =>
        this.#enter(() => {
          this.errors++;
          this.over = { error };
        }),
    });
    this.#inside = false;
  }

  async until(done: () => boolean): Promise<void> {
    while (!done() && this.over === undefined) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  write(bytes: Uint8Array): void {
    this.writableBytes = this.socket.write(bytes);
  }

  close(): void {
    this.#closed = true;
    this.socket.close();
  }

  #read(count: number): void {
    const bytes = this.socket.read(count);
    same(bytes?.byteLength, count, "bytes read of those announced");
    // One by one: a small engine's stack does not hold 64 kB of arguments.
    for (const byte of new Uint8Array(bytes!)) this.received.push(byte);
  }

  #enter(work: () => void): void {
    if (this.#inside || this.#closed) this.misplaced++;
    work();
    this.#wake();
  }
}

const isReady = (dialog: Dialog) => dialog.until(() => dialog.writableBytes > 0);
const pause = (subject: TlsSubject, delayMs: number) =>
  new Promise<void>(resolve => {
    subject.host.timer.set(resolve, delayMs);
  });

/** Portable products branch on the code, not on what the platform says. */
function sameCode({ over }: Dialog, code: ErrorCode, why: string): void {
  const error = over?.error;
  same(error instanceof AgentError ? error.code : String(error), code, `code for ${why}`);
}

async function refused(dialog: Dialog, why: string): Promise<void> {
  await dialog.until(() => false);
  same(dialog.errors, 1, `errors for ${why}`);
  same(dialog.writableBytes, 0, `writable bytes for ${why}`);
  dialog.close();
}

export const tlsCases: readonly ContractCase<TlsSubject>[] = [
  {
    title: "what is written comes back, and no callback comes too soon or too late",
    async run(subject) {
      const dialog = new Dialog(subject, { applicationLayerProtocolNegotiation: ["echo"] });
      await isReady(dialog);
      dialog.write(ascii("hello"));
      await dialog.until(() => dialog.received.length === 5);
      sameBytes(Uint8Array.from(dialog.received), ascii("hello"), "echo");
      same(dialog.socket.read(), undefined, "a read with nothing there");
      dialog.write(ascii("never seen"));
      dialog.close();
      dialog.close();
      await pause(subject, 30);
      same(dialog.misplaced, 0, "callbacks inside the constructor or after close");
      same(dialog.errors, 0, "errors");
    },
  },
  {
    title: "100 kB go out within the announced room, and come back in order",
    async run(subject) {
      const dialog = new Dialog(subject);
      const total = 100_000;
      let sent = 0;
      const scratch = new Uint8Array(700);
      while (sent < total && dialog.over === undefined) {
        await dialog.until(() => dialog.writableBytes > 0);
        const part = scratch.subarray(0, Math.min(dialog.writableBytes, total - sent, 700));
        for (let i = 0; i < part.length; i++) part[i] = (sent + i) % 251;
        dialog.write(part);
        sent += part.length;
      }
      await dialog.until(() => dialog.received.length >= total);
      same(dialog.received.length, total, "bytes received");
      const wrong = dialog.received.findIndex((byte, index) => byte !== index % 251);
      same(wrong, -1, "the first wrong byte");
      dialog.close();
    },
  },
  {
    title: "a write of more than announced throws, sends nothing, and the stream goes on",
    async run(subject) {
      const dialog = new Dialog(subject);
      thrown(() => dialog.socket.write(ascii("early")), "a write before the handshake");
      await isReady(dialog);
      thrown(() => dialog.socket.write(new Uint8Array(dialog.writableBytes + 1)), "too much");
      dialog.write(ascii("x"));
      await dialog.until(() => dialog.received.length > 0);
      sameBytes(Uint8Array.from(dialog.received), ascii("x"), "echo");
      dialog.close();
    },
  },
  {
    title: "a stream that the server ends or breaks off is told once, after its last bytes",
    async run(subject) {
      for (const [word, last] of [
        ["farewell", "bye"],
        ["break off", ""],
      ] as const) {
        const dialog = new Dialog(subject);
        await isReady(dialog);
        dialog.write(ascii(word));
        await dialog.until(() => false);
        sameBytes(Uint8Array.from(dialog.received), ascii(last), `last bytes after ${word}`);
        thrown(() => dialog.socket.write(ascii("x")), "a write after the end");
        await pause(subject, 20);
        same(dialog.errors, 1, `errors after ${word}`);
        sameCode(dialog, "connection/lost", word);
        dialog.close();
      }
    },
  },
  {
    title: "a server of another root, of no root, or of another name is untrusted",
    async run(subject) {
      const { strangeRoot } = subject;
      for (const [why, secure] of [
        ["another root", { trustAnchors: [strangeRoot] }],
        ["no root", { trustAnchors: [] }],
        ["another name", { serverName: "other.example" }],
        ["an address", { serverName: "127.0.0.1" }],
      ] as const) {
        const dialog = new Dialog(subject, secure);
        await refused(dialog, why);
        sameCode(dialog, "connection/untrusted", why);
      }
    },
  },
  {
    title: "a client the server does not trust ends in one error",
    async run(subject) {
      const { certificate, key } = subject.stranger;
      const dialog = new Dialog(subject, { clientCertificates: [certificate], clientKey: key });
      await dialog.until(() => false);
      await pause(subject, 20);
      same(dialog.errors, 1, "errors");
      dialog.close();
    },
  },
  {
    title: "an alert about the client's certificate says that it is refused",
    async run(subject) {
      for (const { alert, port } of subject.refusingServers) {
        const dialog = new Dialog({ ...subject, port });
        await refused(dialog, `alert ${alert}`);
        sameCode(dialog, "connection/refused", `alert ${alert}`);
      }
    },
  },
  {
    // In TLS 1.3 the server says so only when the client's handshake is over. RFC 8446 4.4.2.4
    title: "a client that has no certificate to show is told once that it is refused",
    async run(subject) {
      const dialog = new Dialog(subject, { clientCertificates: [] });
      await dialog.until(() => false);
      await pause(subject, 20);
      same(dialog.errors, 1, "errors");
      sameCode(dialog, "connection/refused", "no certificate");
      dialog.close();
    },
  },
  {
    title: "a client without certificate and key is welcome where nobody insists on them",
    async run(subject) {
      for (const [why, port] of Object.entries(subject.openPorts)) {
        const nobody = { clientCertificates: [], clientKey: new Uint8Array(0) };
        const dialog = new Dialog({ ...subject, port }, nobody);
        await isReady(dialog);
        same(dialog.errors, 0, `errors of a ${why} server`);
        dialog.write(ascii("hello"));
        await dialog.until(() => dialog.received.length === 5);
        sameBytes(Uint8Array.from(dialog.received), ascii("hello"), `echo of a ${why} server`);
        dialog.close();
        // The server is judged all the same.
        const wrong = new Dialog({ ...subject, port }, { ...nobody, serverName: "other.example" });
        await refused(wrong, `another name of a ${why} server`);
        sameCode(wrong, "connection/untrusted", `another name of a ${why} server`);
      }
    },
  },
  {
    title: "a client with an RSA key is as welcome as one with an EC key",
    async run(subject) {
      const { certificate, key } = subject.rsaClient;
      const dialog = new Dialog(subject, { clientCertificates: [certificate], clientKey: key });
      await isReady(dialog);
      dialog.write(ascii("x"));
      await dialog.until(() => dialog.received.length > 0);
      sameBytes(Uint8Array.from(dialog.received), ascii("x"), "echo");
      dialog.close();
    },
  },
  {
    title: "a key that belongs to another certificate opens no stream",
    run(subject) {
      const { client, rsaClient, stranger } = subject;
      for (const [{ certificate }, { key }] of [
        [client, stranger],
        [client, rsaClient],
        [rsaClient, client],
      ] as const) {
        const secure = { clientCertificates: [certificate], clientKey: key };
        thrown(() => new Dialog(subject, secure), "a key of another certificate");
      }
    },
  },
  {
    title: "a server that does one thing wrong in the handshake is refused",
    async run(subject) {
      for (const { fault, port } of subject.wrongServers) {
        await refused(new Dialog({ ...subject, port }), fault);
      }
    },
  },
  {
    title: "a port nobody listens on ends in one error that names it",
    async run(subject) {
      const dialog = new Dialog({ ...subject, port: 1 });
      await refused(dialog, "a closed port");
      sameCode(dialog, "connection/lost", "a closed port");
      const message = String((dialog.over?.error as Error | undefined)?.message);
      // Not every platform says why; which address could not be reached, each can.
      assert(/:1\b/.test(message), `the error says ${message}`);
    },
  },
  {
    title: "a socket closed at once calls back never",
    async run(subject) {
      const dialog = new Dialog(subject);
      dialog.close();
      await pause(subject, 50);
      same(dialog.misplaced, 0, "callbacks");
    },
  },
];

export function tlsContract(
  test: TestFn,
  label: string,
  open: () => TlsSubject | Promise<TlsSubject>,
): void {
  register(test, label, tlsCases, open);
}
