// The slot as a store of blocks: resumed after every cut, whatever the cut leaves behind.
import { createHash } from "node:crypto";
import test from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { type Cut, Power, PowerCut, poweredTimer } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { AgentError } from "../../src/errors.js";
import { Staging } from "../../src/ota/staging.js";

const block = 4096;
const crypto = createCrypto();
const identity = new Uint8Array(32).fill(7);
const other = new Uint8Array(32).fill(8);

function imageOf(size: number, seed = 1): Uint8Array {
  return new Random(seed).bytes(size);
}

function stage(nor: NorFlash, power = new Power(), clock = new VirtualClock()): Staging {
  const host = { crypto, timer: poweredTimer(clock, power) };
  return new Staging({ host, enter: work => work() }, nor.open(power));
}

const partOf = (image: Uint8Array, index: number) =>
  image.subarray(index * block, (index + 1) * block);

function writeAll(staging: Staging, image: Uint8Array): void {
  while (!staging.isComplete) {
    const index = staging.nextMissing();
    staging.write(index, partOf(image, index));
  }
}

async function digestOf(staging: Staging, clock: VirtualClock): Promise<Uint8Array | AgentError> {
  let result: Uint8Array | AgentError | undefined;
  const tell = (told: Uint8Array | AgentError) => {
    result = told;
  };
  staging.digest(tell, tell);
  await clock.runUntil(() => result !== undefined, 60_000);
  return result!;
}

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof AgentError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return undefined;
}

for (const writeAlign of [1, 2, 4, 8, 16]) {
  for (const size of [1, block - 1, block, 5 * block, 5 * block + 17]) {
    test(`written in ${writeAlign}s, an image of ${size} bytes is staged, resumed and digested`, async t => {
      const nor = new NorFlash({ blocks: 7, writeAlign });
      const image = imageOf(size);
      const clock = new VirtualClock();
      const staging = stage(nor, undefined, clock);
      staging.begin(identity, size);
      t.is(staging.size, size);
      t.is(staging.done, 0);
      const last = staging.blocks - 1;
      staging.write(last, partOf(image, last));
      t.true(staging.isDone(last));
      t.is(staging.nextMissing(), last === 0 ? 1 : 0);
      const again = stage(nor, undefined, clock);
      again.begin(identity, size);
      t.is(again.done, 1);
      t.true(again.isDone(last));
      writeAll(again, image);
      t.deepEqual(await digestOf(again, clock), sha256(image));
      t.deepEqual(nor.bytes.subarray(0, size), image);
      t.is(nor.counts.faults, 0);
      t.is(clock.pending, 0);
    });
  }
}

test("more blocks than marks: one stands for several, and none is believed before all are there", t => {
  const nor = new NorFlash({ blocks: 600, writeAlign: 16 });
  const staging = stage(nor);
  const size = 599 * block;
  const image = imageOf(size);
  staging.begin(identity, size);
  for (const index of [0, 1, 5, 4, 3]) staging.write(index, partOf(image, index));
  const again = stage(nor);
  again.begin(identity, size);
  // Three blocks share one: 0 and 1 lack 2.
  t.deepEqual([again.done, again.nextMissing(), again.nextMissing(3)], [3, 0, 6]);
  writeAll(again, image);
  const third = stage(nor);
  third.begin(identity, size);
  t.true(third.isComplete);
  t.deepEqual(nor.bytes.subarray(0, size), image);
});

test("a block costs one erase and two writes; one that is there costs nothing", t => {
  const nor = new NorFlash({ blocks: 7 });
  const power = new Power();
  const staging = stage(nor, power);
  staging.begin(identity, 3 * block);
  t.deepEqual(
    power.names.map(name => name.split(" ")[0]),
    ["erase", "write"],
  );
  staging.write(1, new Uint8Array(block));
  t.deepEqual(power.names.slice(2), ["erase 1", "write 4096+4096", "write 24625+1"]);
  staging.write(1, new Uint8Array(block));
  t.is(power.operations, 5);
});

test("what does not fit is refused with both sizes, and harms nothing", t => {
  const nor = new NorFlash({ blocks: 4 });
  const staging = stage(nor);
  t.is(staging.capacity, 3 * block);
  const message = codeOf(() => staging.begin(identity, 3 * block + 1));
  t.is(message, "ota/image: ota: an image of 12289 bytes, the slot takes 12288");
  for (const size of [0, -1, 1.5, Number.NaN])
    t.true(codeOf(() => staging.begin(identity, size))?.startsWith("ota/image"));
  t.true(codeOf(() => staging.begin(identity.subarray(1), 5))?.startsWith("ota/image"));
  t.is(nor.counts.erases, 0);
  staging.begin(identity, 2 * block + 5);
  for (const [index, length] of [
    [0, 5],
    [0, block + 1],
    [2, block],
    [2, 4],
    [3, block],
    [-1, block],
    [0.5, block],
  ] as const) {
    const code = codeOf(() => staging.write(index, new Uint8Array(length)));
    t.true(code?.startsWith("agent/illegal-event"), `${index} ${length}`);
  }
  t.is(staging.done, 0);
  t.true(
    codeOf(() =>
      staging.digest(
        () => t.fail(),
        () => t.fail(),
      ),
    )?.startsWith("agent/illegal-event"),
  );
});

test("a slot of another shape is refused, saying which", t => {
  for (const options of [
    { blocks: 16, blockLength: 8192 },
    { blocks: 16, blockLength: 512 },
    { blocks: 1 },
    { blocks: 16, writeAlign: 32 },
    { blocks: 16, writeAlign: 12 },
  ]) {
    const message = codeOf(() => stage(new NorFlash(options)));
    t.true(message?.startsWith("ota/slot: ota: "), JSON.stringify(options));
  }
  const nor = new NorFlash({ blocks: 4 }).open();
  const odd = { ...nor, status: () => ({ ...nor.status(), eraseValue: 0 }) };
  const host = { crypto, timer: new VirtualClock() };
  t.true(codeOf(() => new Staging({ host, enter: work => work() }, odd))?.startsWith("ota/slot"));
});

test("another file, another size, or the same after clear, begins anew", t => {
  const nor = new NorFlash({ blocks: 7 });
  const image = imageOf(3 * block);
  const staging = stage(nor);
  const fill = () => {
    staging.begin(identity, image.length);
    writeAll(staging, image);
  };
  fill();
  staging.begin(identity, image.length);
  t.is(staging.done, 3);
  staging.begin(other, image.length);
  t.is(staging.done, 0);
  staging.begin(identity, image.length);
  t.is(staging.done, 0);
  fill();
  staging.begin(identity, image.length - 1);
  t.is(staging.done, 0);
  fill();
  staging.clear();
  t.is(staging.size, 0);
  t.false(staging.isComplete);
  staging.begin(identity, image.length);
  t.is(staging.done, 0);
});

test("a damaged header begins anew; a bit of a mark that fell over brings and loses no block", t => {
  for (let bit = 0; bit < 48 * 8; bit++) {
    const nor = new NorFlash({ blocks: 4 });
    const staging = stage(nor);
    staging.begin(identity, 2 * block);
    staging.write(0, new Uint8Array(block));
    nor.bytes[3 * block + (bit >> 3)]! ^= 1 << (bit & 7);
    staging.begin(identity, 2 * block);
    t.is(staging.done, 0);
  }
  for (const [mark, done] of [
    [48, true],
    [49, false],
  ] as const) {
    for (let bit = 0; bit < 8; bit++) {
      const nor = new NorFlash({ blocks: 4 });
      const staging = stage(nor);
      staging.begin(identity, 2 * block);
      staging.write(0, new Uint8Array(block));
      nor.bytes[3 * block + mark]! ^= 1 << bit;
      staging.begin(identity, 2 * block);
      t.is(staging.isDone(mark - 48), done);
      t.is(staging.done, 1);
    }
  }
});

test("a mark without its block shows in the digest; cleared, the file is staged from the beginning", async t => {
  const nor = new NorFlash({ blocks: 4 });
  const clock = new VirtualClock();
  const image = imageOf(2 * block + 5);
  const staging = stage(nor, undefined, clock);
  staging.begin(identity, image.length);
  staging.write(0, partOf(image, 0));
  nor.bytes[3 * block + 49] = 0;
  staging.begin(identity, image.length);
  t.true(staging.isDone(1));
  writeAll(staging, image);
  t.notDeepEqual(await digestOf(staging, clock), sha256(image));
  staging.clear();
  staging.begin(identity, image.length);
  writeAll(staging, image);
  t.deepEqual(await digestOf(staging, clock), sha256(image));
});

test("a digest takes 16 KB a turn, and can be cancelled in any of them", async t => {
  const nor = new NorFlash({ blocks: 12 });
  const clock = new VirtualClock();
  let turns = 0;
  const host = { crypto, timer: clock };
  const enter = (work: () => void) => {
    turns++;
    work();
  };
  const staging = new Staging({ host, enter }, nor.open());
  const image = imageOf(10 * block);
  staging.begin(identity, image.length);
  writeAll(staging, image);
  t.deepEqual(await digestOf(staging, clock), sha256(image));
  t.is(turns, 3);
  for (const end of [() => staging.cancel(), () => staging.close()]) {
    staging.digest(
      () => t.fail(),
      () => t.fail(),
    );
    const from = turns;
    await clock.runUntil(() => turns > from, 1000);
    end();
    await clock.run(1000);
    t.is(clock.pending, 0);
  }
});

test("flash that fails is told, once, with its place", async t => {
  const nor = new NorFlash({ blocks: 4 });
  const clock = new VirtualClock();
  const flash = nor.open();
  let fails = "";
  const failing = {
    ...flash,
    read: ((target: Uint8Array, offset: number) => {
      if (fails === "read") throw new Error("broken");
      return flash.read(target, offset);
    }) as typeof flash.read,
    write: (bytes: Uint8Array, offset: number) => {
      if (fails === "write") throw new Error("broken");
      flash.write(bytes, offset);
    },
    eraseBlock: (first: number) => {
      if (fails === "erase") throw new Error("broken");
      flash.eraseBlock(first);
    },
  };
  const staging = new Staging({ host: { crypto, timer: clock }, enter: work => work() }, failing);
  fails = "read";
  t.true(codeOf(() => staging.begin(identity, block))?.startsWith("storage/damaged"));
  fails = "erase";
  t.true(codeOf(() => staging.begin(identity, block))?.startsWith("storage/write"));
  fails = "";
  staging.begin(identity, block);
  fails = "write";
  t.true(codeOf(() => staging.write(0, imageOf(block)))?.startsWith("storage/write"));
  t.false(staging.isComplete);
  fails = "";
  staging.write(0, imageOf(block));
  fails = "read";
  const error = await digestOf(staging, clock);
  t.true(error instanceof AgentError && error.code === "storage/damaged");
  fails = "erase";
  t.true(codeOf(() => staging.clear())?.startsWith("storage/write"));
});

test("a worn block is told when it is written", t => {
  const nor = new NorFlash({ blocks: 4 });
  nor.wearOut(0, 0);
  const staging = stage(nor);
  staging.begin(identity, 2 * block);
  t.true(
    codeOf(() => staging.write(0, new Uint8Array(block).fill(0xff)))?.startsWith("storage/write"),
  );
  t.false(staging.isDone(0));
});

const tears: readonly Cut["when"][] = [
  "before",
  "after",
  { part: 0.3, isMixed: false },
  { part: 0.9, isMixed: false },
  { part: 0.1, isMixed: true },
  { part: 0.7, isMixed: true },
];

for (const writeAlign of [1, 4, 16]) {
  test(`written in ${writeAlign}s, a cut at any operation costs at most the block at hand`, async t => {
    const image = imageOf(5 * block + 100);
    const old = imageOf(6 * block, 2);
    const before = new NorFlash({ blocks: 7, writeAlign });
    const first = stage(before);
    first.begin(other, old.length);
    writeAll(first, old);
    const whole = new Power();
    const counted = stage(before.clone(), whole);
    counted.begin(identity, image.length);
    writeAll(counted, image);
    for (let operation = 0; operation < whole.operations; operation++) {
      for (const when of tears) {
        const nor = before.clone();
        const power = new Power({ operation, when });
        const staging = stage(nor, power);
        let written = 0;
        try {
          staging.begin(identity, image.length);
          while (!staging.isComplete) {
            const index = staging.nextMissing();
            staging.write(index, partOf(image, index));
            written++;
          }
        } catch (error) {
          t.true((error as AgentError).cause instanceof PowerCut);
        }
        const clock = new VirtualClock();
        const again = stage(nor, undefined, clock);
        again.begin(identity, image.length);
        t.true(again.done >= written, `${operation} ${JSON.stringify(when)}`);
        t.true(again.done <= written + 1);
        writeAll(again, image);
        t.deepEqual(await digestOf(again, clock), sha256(image));
        t.is(nor.counts.faults, 0);
      }
    }
  });
}
