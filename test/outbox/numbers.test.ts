// What the log costs: bytes programmed, bytes read when mounted, erases after a year.
import test from "ava";
import { NorFlash } from "../../simulator/world/nor.js";
import { Random } from "../../simulator/world/random.js";
import { Outbox } from "../../src/outbox/outbox.js";

const generation = 3;
const topics = ["dt/acme/field/sensor/node-1/climate", "dt/acme/field/sensor/node-1/power"];

const record = (index: number, priority = 1) => ({
  priority,
  topic: topics[index % topics.length]!,
  payload: new Uint8Array(64).fill(index),
  time: 1_767_225_600_000 + index * 10_000,
  isTimeCertain: true,
});

for (const writeAlign of [1, 4]) {
  test(`64 bytes cost at most 1.35 times as many, delivered, in units of ${writeAlign}`, t => {
    const nor = new NorFlash({ writeAlign });
    const outbox = new Outbox(nor.open(), { generation });
    const count = 20_000;
    for (let i = 0; i < count; i++) {
      outbox.append(record(i));
      if (i % 100 < 99) continue;
      for (let left = 100; left > 0; left--) outbox.acknowledge(outbox.peek(1)!);
    }
    t.deepEqual(outbox.gaps(), []);
    const ratio = nor.counts.programmed / (count * 64);
    t.true(ratio <= 1.35);
    t.log(`${ratio.toFixed(3)} bytes programmed for one of payload`);
  });
}

test("a full partition of 1 MB is mounted with a header of each sector and one sector", t => {
  const nor = new NorFlash();
  const outbox = new Outbox(nor.open(), { generation });
  for (let priority = 0; priority < 3; priority++)
    for (let i = 0; i < 7000; i++) outbox.append(record(i, priority));
  t.true(outbox.status.free <= 3);
  nor.resetCounts();
  const again = new Outbox(nor.open(), { generation });
  const { reads, readBytes } = nor.counts;
  t.true(readBytes <= 256 * 32 + 4096);
  t.log(`${reads} reads of ${readBytes} bytes, ${again.census().used} sectors in use`);
  again.append(record(0));
  again.peek(1);
  t.log(`with the first record in and the first one out: ${nor.counts.readBytes} bytes`);
});

// A quarter of the messages on a quarter of the blocks: as many erases of each. The bench does the whole.
test("a year of a message each ten seconds, a tenth of it offline, wears the partition evenly", t => {
  const nor = new NorFlash({ blocks: 64 });
  const random = new Random(11);
  let outbox = new Outbox(nor.open(), { generation });
  const messages = (365 * 24 * 360) / 4;
  // A spell in ten without a link, spread over the year by chance, and a restart now and then.
  let isOnline = true;
  const waiting = [0, 0, 0];
  for (let i = 0; i < messages; i++) {
    if (i % 2160 === 0) isOnline = random.below(10) > 0;
    if (i % 50_000 === 0) outbox = new Outbox(nor.open(), { generation });
    const priority = i % 50 === 0 ? 0 : i % 10 === 0 ? 2 : 1;
    outbox.append(record(i, priority));
    waiting[priority]!++;
    if (!isOnline) continue;
    for (let other = 0; other < 3; other++) {
      for (; waiting[other]! > 0; waiting[other]!--) {
        const entry = outbox.peek(other);
        if (entry === undefined) waiting[other] = 1;
        else outbox.acknowledge(entry);
      }
    }
  }
  const worst = Math.max(...nor.erases);
  const mean = nor.erases.reduce((sum, n) => sum + n, 0) / nor.erases.length;
  t.true(worst / mean <= 2);
  t.true(worst <= 10_000);
  t.log(`erases: worst ${worst}, mean ${mean.toFixed(1)}, least ${Math.min(...nor.erases)}`);
  t.log(`told as lost: ${outbox.gaps().map(({ reason, count }) => `${count} ${reason}`)}`);
});
