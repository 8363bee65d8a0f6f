// NOR flash keeps its rules, or the test that breaks them fails.
import test from "ava";
import { NorFlash } from "../../../simulator/world/nor.js";
import { Power, PowerCut } from "../../../simulator/world/power.js";

const options = { blocks: 4, blockLength: 512, writeAlign: 4 };
const word = (value: number) => new Uint8Array(4).fill(value);

test("a bit falls, and rises only with its block", t => {
  const nor = new NorFlash(options);
  const flash = nor.open();
  flash.write(word(0x0f), 8);
  flash.write(word(0x03), 8);
  t.throws(() => flash.write(word(0x04), 8), { message: /0x4 over 0x3 at 8/ });
  t.deepEqual(new Uint8Array(flash.read(4, 8)), word(0x03));
  flash.eraseBlock(0, 2);
  t.deepEqual(new Uint8Array(flash.read(4, 8)), word(0xff));
  t.deepEqual(nor.erases, [1, 1, 0, 0]);
  t.like(nor.counts, { writes: 2, programmed: 8, erases: 2, reads: 2, readBytes: 8, faults: 1 });
});

test("what is not aligned, or outside, is refused and counted", t => {
  const nor = new NorFlash(options);
  const flash = nor.open();
  t.throws(() => flash.write(word(0), 2), { message: /not aligned to 4/ });
  t.throws(() => flash.write(new Uint8Array(3), 0), { message: /not aligned/ });
  t.throws(() => flash.write(word(0), 2048), { message: /outside/ });
  t.throws(() => flash.read(new Uint8Array(1), -1), { message: /outside/ });
  t.throws(() => flash.eraseBlock(4), { message: /outside/ });
  t.throws(() => flash.eraseBlock(0.5), { message: /blocks 0.5 to 1.5 of 4: outside/ });
  t.is(nor.counts.faults, 6);
});

test("a write and an erase can be cut in the middle", t => {
  const nor = new NorFlash(options);
  const torn = new Power({ operation: 0, when: { part: 0.5, isMixed: false } });
  t.throws(() => nor.open(torn).write(word(0), 0), { instanceOf: PowerCut });
  t.deepEqual([...nor.bytes.subarray(0, 4)], [0, 0, 255, 255]);
  t.throws(() => nor.open(torn).read(4, 0), { message: /power is off/ });
  nor.bytes.fill(0);
  const half = new Power({ operation: 0, when: { part: 0.5, isMixed: true } });
  t.throws(() => nor.open(half).eraseBlock(1), { instanceOf: PowerCut });
  let ones = 0;
  for (const byte of nor.bytes.subarray(512, 1024))
    for (let bit = 0; bit < 8; bit++) ones += (byte >> bit) & 1;
  t.true(ones > 1600 && ones < 2500, `${ones} of 4096`);
  t.is(nor.bytes[511], 0);
});

test("worn blocks do not come clean, or take no more zeros", t => {
  const nor = new NorFlash(options);
  const flash = nor.open();
  nor.wearOut(0, 2);
  nor.wearOut(1, 2);
  for (let round = 1; round <= 2; round++) flash.eraseBlock(0, 2);
  t.true(nor.bytes.subarray(0, 512).some(byte => byte !== 0xff));
  flash.write(word(0), 512);
  t.deepEqual(new Uint8Array(flash.read(4, 512)), word(0x10));
  t.is(nor.counts.faults, 0);
});

test("read-only and closed partitions are kept from harm", t => {
  const provider = new NorFlash(options).provider("outbox");
  t.throws(() => provider.open({ path: "other" }));
  const flash = provider.open({ path: "outbox", mode: "r" });
  t.throws(() => flash.write(word(0), 0), { message: /read-only/ });
  t.throws(() => flash.eraseBlock(0), { message: /read-only/ });
  flash.close();
  flash.close();
  t.throws(() => flash.read(4, 0), { message: /closed/ });
});
