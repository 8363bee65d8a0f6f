import type { Flash } from "../../../src/host.js";
import { Outbox, type OutboxRecord } from "../../../src/outbox/outbox.js";
import { fromUtf8, isEqual, toUtf8 } from "../../../src/util/bytes.js";
import { crc32, turnedBit } from "../../../src/util/crc32.js";
import { check, equal, refuses } from "../harness.js";

const blockLength = 512;
const blocks = 12;

/** NOR flash in an array; from operation `cutAt` on nothing is done any more, and that one only by half. */
class ArrayFlash implements Flash {
  readonly bytes = new Uint8Array(blocks * blockLength).fill(0xff);
  cutAt = Number.POSITIVE_INFINITY;
  operations = 0;

  status() {
    return { size: blocks * blockLength, blocks, blockLength };
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, offset: number): ArrayBuffer | number {
    if (this.operations > this.cutAt) throw new Error("the power is off");
    if (typeof target === "number") return this.bytes.slice(offset, offset + target).buffer;
    target.set(this.bytes.subarray(offset, offset + target.length));
    return target.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    const length = this.spend() ? bytes.length : bytes.length >> 1;
    for (let i = 0; i < length; i++) {
      const old = this.bytes[offset + i]!;
      equal(old & bytes[i]!, bytes[i], `byte ${offset + i}`);
      this.bytes[offset + i] = bytes[i]!;
    }
    if (this.operations > this.cutAt) throw new Error("cut");
  }

  eraseBlock(first: number): void {
    const length = this.spend() ? blockLength : blockLength >> 1;
    this.bytes.fill(0xff, first * blockLength, first * blockLength + length);
    if (this.operations > this.cutAt) throw new Error("cut");
  }

  close(): void {}

  spend(): boolean {
    return this.operations++ < this.cutAt;
  }
}

const mount = (flash: Flash) => new Outbox(flash, { generation: 1 });

const record = (index: number, priority = 1): OutboxRecord => ({
  priority,
  topic: index % 2 === 0 ? "dt/a" : "dt/größe",
  payload: toUtf8(`reading ${index}`),
  time: 1_767_225_600_000 + index,
  isTimeCertain: true,
});

function textsOf(outbox: Outbox): string {
  const texts: string[] = [];
  for (let after = 0; ; ) {
    const entry = outbox.peek(1, after);
    if (entry === undefined) return texts.join();
    texts.push(fromUtf8(entry.payload));
    after = entry.id;
  }
}

check("outbox: a record comes back as it was given", () => {
  const flash = new ArrayFlash();
  const id = mount(flash).append({ ...record(1), ageLimitSeconds: 60, time: 2 ** 48 - 1 });
  const entry = mount(flash).peek(1)!;
  equal(entry.id, id);
  equal(entry.topic, "dt/größe");
  equal(entry.time, 2 ** 48 - 1);
  equal(entry.ageLimitSeconds, 60);
  equal(entry.isTimeCertain, true);
  equal(isEqual(entry.payload, record(1).payload), true);
});

check("outbox: a thousand records through a dozen small sectors", () => {
  const outbox = mount(new ArrayFlash());
  for (let i = 0; i < 1000; i++) {
    outbox.append(record(i));
    const entry = outbox.peek(1)!;
    equal(fromUtf8(entry.payload), `reading ${i}`);
    equal(outbox.acknowledge(entry), true);
  }
  equal(outbox.peek(1), undefined);
});

check("outbox: a full class drops or refuses, and tells", () => {
  const flash = new ArrayFlash();
  const outbox = mount(flash);
  for (let i = 0; i < 150; i++) {
    outbox.append(record(i));
    outbox.append(record(i, 2));
  }
  const seen = mount(flash)
    .gaps()
    .map(({ priority, reason }) => `${priority} ${reason}`)
    .sort();
  equal(seen.join(), "1 full,2 refused");
});

check("outbox: wherever the power goes, what was promised is there", () => {
  for (let cutAt = 0; cutAt < 90; cutAt++) {
    const flash = new ArrayFlash();
    flash.cutAt = cutAt;
    const promised: string[] = [];
    try {
      const outbox = mount(flash);
      for (let i = 0; i < 40; i++) {
        outbox.append(record(i));
        promised.push(`reading ${i}`);
        if (i % 3 > 0) continue;
        const entry = outbox.peek(1)!;
        outbox.acknowledge(entry);
        promised.shift();
      }
    } catch {
      // The power went.
    }
    flash.cutAt = Number.POSITIVE_INFINITY;
    const seen = textsOf(mount(flash));
    const all = promised.join();
    const isThere = seen === all || seen.startsWith(`${all},`) || all.length === 0;
    // An acknowledgement that did not return may have been noted.
    const isNoted = seen === promised.slice(1).join();
    if (!isThere && !isNoted) throw new Error(`cut ${cutAt}: ${seen}, promised ${all}`);
  }
});

check("outbox: what can never be kept is refused", () => {
  refuses(() => mount(new ArrayFlash()).append({ ...record(0), topic: "" }), "config");
  refuses(
    () => mount(new ArrayFlash()).append({ ...record(0), payload: new Uint8Array(512) }),
    "config",
  );
});

check("crc32: a bit that was turned over is found again", () => {
  const bytes = toUtf8("The outbox keeps what could not be sent.");
  const sum = crc32(bytes);
  equal(crc32(toUtf8("123456789")), 0xcbf43926);
  equal(crc32(bytes, 10, bytes.length, crc32(bytes, 0, 10)), sum);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const turned = bytes.slice();
    turned[turned.length - 1 - (bit >> 3)]! ^= 0x80 >> (bit & 7);
    equal(turnedBit((crc32(turned) ^ sum) >>> 0, bytes.length * 8), bit);
  }
});
