// The program whose memory and work are measured: an outbox over flash in an array, which stands in for what is not memory.
import { Bridge } from "../hosts/xs/bridge.js";
import type { Flash, FlashStatus } from "../src/host.js";
import { Outbox } from "../src/outbox/outbox.js";

const blockLength = 4096;
const blocks = 256;

/** Moves bytes and checks nothing: no more work than a host's native code leaves to JavaScript. */
class ArrayFlash implements Flash {
  readonly #bytes = new Uint8Array(blocks * blockLength).fill(0xff);
  readonly #status: FlashStatus = { size: blocks * blockLength, blocks, blockLength };

  status(): FlashStatus {
    return this.#status;
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, offset: number): ArrayBuffer | number {
    if (typeof target === "number") return this.#bytes.slice(offset, offset + target).buffer;
    target.set(new Uint8Array(this.#bytes.buffer, offset, target.length));
    return target.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    for (let i = 0; i < bytes.length; i++) this.#bytes[offset + i]! &= bytes[i]!;
  }

  eraseBlock(first: number): void {
    this.#bytes.fill(0xff, first * blockLength, (first + 1) * blockLength);
  }

  close(): void {}
}

const record = {
  priority: 1,
  topic: "dt/acme/field/sensor/node-1/climate",
  payload: new Uint8Array(64).fill(65),
  time: 1_767_225_600_000,
  isTimeCertain: true,
};

const bridge = new Bridge();
bridge.install();
bridge.on("start", () => {
  const flash = new ArrayFlash();
  let outbox: Outbox | undefined;
  bridge.on("mount", () => {
    outbox = new Outbox(flash, { generation: 1 });
  });
  const kept: Outbox[] = [];
  bridge.on("keep", () => {
    outbox = new Outbox(flash, { generation: 1 });
    kept.push(outbox);
  });
  bridge.on("append", () => {
    for (let i = 0; i < 100; i++) outbox!.append(record);
  });
  bridge.on("one", () => outbox!.append(record));
  bridge.on("drain", () => {
    for (let i = 0; i < 100; i++) outbox!.acknowledge(outbox!.peek(1)!);
    bridge.event("left", outbox!.peek(1) === undefined ? 0 : 1);
  });
  bridge.on("drainOne", () => outbox!.acknowledge(outbox!.peek(1)!));
});
