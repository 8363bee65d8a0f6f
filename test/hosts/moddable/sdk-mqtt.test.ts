// The stream that the SDK's MQTT client is given, over one that only knows buffers.
import test from "ava";
import { FormattedSocket } from "../../../hosts/moddable/sdk-mqtt/socket.js";
import type { TLSSocket, TLSSocketOptions } from "../../../src/host.js";

/** Has three bytes to read, and takes twenty. */
class Stream implements TLSSocket {
  readonly options: TLSSocketOptions;
  readonly written: number[][] = [];
  #arrived = Uint8Array.of(1, 0, 255);
  #room = 20;

  constructor(options: TLSSocketOptions) {
    this.options = options;
    made = this;
  }

  read(count = this.#arrived.length): ArrayBuffer | undefined {
    const bytes = this.#arrived.slice(0, count);
    this.#arrived = this.#arrived.slice(count);
    return bytes.length === 0 ? undefined : bytes.buffer;
  }

  write(bytes: Uint8Array): number {
    if (bytes.length > this.#room) throw new RangeError("more than announced");
    this.written.push([...bytes]);
    this.#room -= bytes.length;
    return this.#room;
  }

  close(): void {
    this.written.push([]);
  }
}

let made: Stream;

function open(told: string[] = []): FormattedSocket {
  const socket = new FormattedSocket({
    address: "127.0.0.1",
    host: "broker.example",
    port: 8883,
    secure: { trustAnchors: [], clientCertificates: [], clientKey: new Uint8Array(0), now: 0 },
    stream: Stream,
    onReason: error => told.push(`reason ${error}`),
    onWritable: count => told.push(`room ${count}`),
    onError: () => told.push("error"),
  });
  made.options.onWritable?.(20);
  return socket;
}

test("reads one byte at a time, or a buffer, as the format says", t => {
  const socket = open();
  socket.format = "number";
  t.deepEqual([socket.read(), socket.read()], [1, 0]);
  socket.format = "buffer";
  t.deepEqual(new Uint8Array(socket.read(5) as ArrayBuffer), Uint8Array.of(255));
  t.is(socket.read(), undefined);
  socket.format = "number";
  t.is(socket.read(), undefined);
});

test("a packet that is written in parts leaves whole, and the room shrinks with each part", t => {
  const socket = open();
  t.is(socket.write(Uint8Array.of(0x82), { more: true }), 19);
  t.is(socket.write(Uint8Array.of(1, 2), { more: true }), 17);
  t.deepEqual(made.written, []);
  t.is(socket.write(Uint8Array.of(3)), 16);
  t.is(socket.write(Uint8Array.of(4)), 15);
  t.deepEqual(made.written, [[0x82, 1, 2, 3], [4]]);
});

test("room, the reason and the end are told in this order; close goes through", t => {
  const told: string[] = [];
  const socket = open(told);
  made.options.onError?.("gone");
  socket.close();
  t.deepEqual(told, ["room 20", "reason gone", "error"]);
  t.deepEqual(made.written, [[]]);
});
