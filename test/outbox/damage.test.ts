// Partitions that are not as they should be: strangers' bytes, bits that fell over, blocks that wear out.
import test from "ava";
import { NorFlash } from "../../simulator/world/nor.js";
import { Random } from "../../simulator/world/random.js";
import type { Flash } from "../../src/host.js";
import { encodeHeader } from "../../src/outbox/format.js";
import { Outbox } from "../../src/outbox/outbox.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";

const small = { blocks: 12, blockLength: 512 };
const mount = (flash: Flash) => new Outbox(flash, { generation: 5 });

const record = (index: number, priority = 1) => ({
  priority,
  topic: "dt/node-1/climate",
  payload: toUtf8(`reading ${index}`),
  time: index,
  isTimeCertain: true,
});

function textsOf(outbox: Outbox, priority = 1): string[] {
  const texts: string[] = [];
  for (let after = 0; ; ) {
    const entry = outbox.peek(priority, after);
    if (entry === undefined) return texts;
    texts.push(fromUtf8(entry.payload));
    after = entry.id;
  }
}

function filled(count: number, options = small): NorFlash {
  const nor = new NorFlash(options);
  const outbox = mount(nor.open());
  for (let i = 0; i < count; i++) outbox.append(record(i));
  return nor;
}

test("random and foreign partitions are taken over sector by sector, and say so", t => {
  for (let seed = 1; seed <= 20; seed++) {
    const nor = new NorFlash({ ...small, seed });
    nor.bytes.set(new Random(seed).bytes(nor.bytes.length));
    const outbox = mount(nor.open());
    t.deepEqual(outbox.census(), { used: 0, blank: 0, freed: 0, foreign: 12, other: 0 });
    t.is(nor.counts.erases, 0);
    outbox.append(record(1));
    t.is(nor.counts.erases, 1);
    t.deepEqual(textsOf(mount(nor.open())), ["reading 1"]);
  }
  t.like(mount(new NorFlash(small).open()).census(), { blank: 12, foreign: 0 });
});

test("sectors of another version are spared until there is nothing else", t => {
  const nor = filled(3);
  for (const block of [4, 5, 6]) {
    const header = { kind: 1, generation: 5, sequence: 90 + block, baseTime: 0, ageLimit: 0 };
    // Of a partition with blocks of another length.
    nor.bytes.set(encodeHeader(header, 1024), block * 512);
  }
  const outbox = mount(nor.open());
  t.is(outbox.census().other, 3);
  t.deepEqual(textsOf(outbox), ["reading 0", "reading 1", "reading 2"]);
  for (let i = 3; i < 200; i++) {
    outbox.append(record(i));
    outbox.acknowledge(outbox.peek(1)!);
  }
  t.is(mount(nor.open()).census().other, 3);
});

test("a partition that shrank or grew keeps what is in it", t => {
  const nor = filled(20);
  for (const blocks of [10, 16]) {
    const other = new NorFlash({ ...small, blocks });
    other.bytes.set(nor.bytes.subarray(0, blocks * 512));
    t.is(textsOf(mount(other.open())).length, 20);
  }
});

test("two sectors with one sequence: the second is none", t => {
  const nor = filled(3);
  const bytes = nor.bytes.slice(0, 512);
  nor.bytes.set(bytes, 512 * 5);
  const outbox = mount(nor.open());
  t.is(outbox.status.free, 11);
  t.is(textsOf(outbox).length, 3);
});

test("a single bit that fell over costs nothing, wherever it is", t => {
  const nor = filled(20);
  const whole = nor.bytes.slice();
  const expected = textsOf(mount(nor.open()));
  for (let bit = 0; bit < 512 * 2 * 8; bit++) {
    nor.bytes.set(whole);
    nor.bytes[bit >> 3]! ^= 1 << (bit & 7);
    const outbox = mount(nor.open());
    t.deepEqual(textsOf(outbox), expected, `bit ${bit}`);
  }
});

test("more bits cost the records they hit, a topic's the records that have it, and are told", t => {
  const nor = filled(20);
  const whole = nor.bytes.slice();
  const expected = textsOf(mount(nor.open()));
  const random = new Random(4);
  let told = 0;
  for (let round = 0; round < 3000; round++) {
    nor.bytes.set(whole);
    // A few bits within one record of the first sector: they are 24 bytes long and follow header and topic.
    const at = 32 + 32 + 24 * random.below(18);
    for (let i = 0; i < 4; i++) nor.bytes[at + 1 + random.below(20)]! ^= 1 << random.below(8);
    const outbox = mount(nor.open());
    const texts = textsOf(outbox);
    t.true(texts.length >= expected.length - 1, `round ${round}`);
    t.deepEqual(
      texts.filter(text => !expected.includes(text)),
      [],
    );
    const lost = outbox.gaps().reduce((sum, { count }) => sum + count, 0);
    told += lost;
    if (texts.length < expected.length) t.is(lost, 1, `round ${round}`);
    t.deepEqual(textsOf(mount(nor.open())), texts);
  }
  t.true(told > 2000);
  nor.bytes.set(whole);
  for (const at of [33, 45, 50, 52]) nor.bytes[at]! ^= 0x11;
  const outbox = mount(nor.open());
  t.true(textsOf(outbox).length >= 1);
  t.true(outbox.gaps().length > 0);
});

test("any number of bits anywhere: never a record that was not given, never a fault, and it goes on", t => {
  const expected = new Set(textsOf(mount(filled(60).open())));
  for (let seed = 1; seed <= 300; seed++) {
    const nor = filled(60, { ...small, seed } as typeof small);
    nor.flip(seed);
    const outbox = mount(nor.open());
    for (const text of textsOf(outbox)) t.true(expected.has(text), `seed ${seed}: ${text}`);
    for (let i = 0; i < 100; i++) outbox.append(record(1000 + i));
    const texts = textsOf(mount(nor.open()));
    t.is(texts.at(-1), "reading 1099", `seed ${seed}`);
    t.is(nor.counts.faults, 0);
  }
});

test("a record within a record's payload is none", t => {
  const inner = filled(1).bytes.slice(0, 120);
  const nor = new NorFlash(small);
  const outbox = mount(nor.open());
  outbox.append({ ...record(0), payload: inner });
  nor.bytes[70]! ^= 0x13;
  nor.bytes[100]! ^= 0x13;
  t.deepEqual(textsOf(mount(nor.open())), []);
});

test("blocks that wear out are set aside, and nothing that was promised is lost", t => {
  const nor = new NorFlash({ ...small, blocks: 24 });
  for (let block = 0; block < 12; block++) nor.wearOut(block, 2 + block);
  let outbox = mount(nor.open());
  const waiting: string[] = [];
  for (let i = 0; i < 6000; i++) {
    t.not(outbox.append(record(i)), undefined);
    waiting.push(`reading ${i}`);
    if (waiting.length > 30) {
      const entry = outbox.peek(1)!;
      t.is(fromUtf8(entry.payload), waiting.shift()!);
      outbox.acknowledge(entry);
    }
    if (i % 500 === 0) outbox = mount(nor.open());
  }
  t.deepEqual(textsOf(mount(nor.open())), waiting);
  t.deepEqual(outbox.gaps(), []);
  t.true(outbox.status.bad >= 6);
  t.is(nor.counts.faults, 0);
});

test("when blocks run out, alerts outlive bulk", t => {
  const nor = new NorFlash(small);
  let outbox = mount(nor.open());
  for (let i = 0; i < 60; i++) outbox.append(record(i, 2));
  for (let i = 0; i < 60; i++) outbox.append(record(i));
  const alerts = textsOf(outbox, 0);
  t.deepEqual(alerts, []);
  for (let block = 0; block < 12; block++)
    if (nor.bytes[block * 512] === 0xff) nor.wearOut(block, 0);
  outbox = mount(nor.open());
  for (let i = 0; i < 30; i++) t.not(outbox.append(record(i, 0)), undefined);
  t.is(textsOf(outbox, 0).at(-1), "reading 29");
  t.true(outbox.gaps().some(({ priority, reason }) => priority === 2 && reason === "full"));
});

test("flash that takes nothing any more throws, and keeps what it has readable", t => {
  const nor = filled(10);
  const flash = nor.open();
  const broken: Flash = {
    ...flash,
    write: () => {
      throw new Error("write failed");
    },
  };
  const outbox = mount(broken);
  t.throws(() => outbox.append(record(11)), { code: "outbox/flash" });
  t.is(textsOf(outbox).length, 10);
  t.throws(() => outbox.acknowledge(outbox.peek(1)!), { code: "outbox/flash" });
  t.throws(
    () =>
      mount({
        ...flash,
        read: () => {
          throw new Error("read failed");
        },
      }),
    { code: "outbox/flash" },
  );
});
