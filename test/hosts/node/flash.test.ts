// Partitions as files: they hold the contract, and what has returned is there whatever happens then.
import { type ChildProcess, fork } from "node:child_process";
import * as nodeFiles from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { createFlash, type Partitions } from "../../../hosts/node/flash.js";
import { createHost } from "../../../hosts/node/host.js";
import { AgentError } from "../../../src/errors.js";
import { Outbox } from "../../../src/outbox/outbox.js";
import { fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { flashContract } from "../../contract/flash.js";
import { outboxContract } from "../../contract/outbox.js";
import { PowerCut } from "./power-cut-files.js";
import { powerCutFlash } from "./power-cut-flash.js";

const test = anyTest as TestFn;
const path = "outbox";
const small: Partitions = { outbox: { blocks: 12, blockLength: 512 } };
const inWords: Partitions = { outbox: { blocks: 12, blockLength: 512, writeAlign: 4 } };
const newDirectory = () => nodeFiles.mkdtempSync(join(tmpdir(), "skerry-flash-"));
const fileIn = (directory: string) => join(directory, "flash-outbox.bin");
const provider = (partitions?: Partitions) => ({
  path,
  flash: createHost({ directory: newDirectory(), id: "node-1", ...(partitions && { partitions }) })
    .flash!,
});

flashContract(test, "node flash", () => provider());
flashContract(test, "node flash in words", () => provider(inWords));
outboxContract(test, "node outbox", () => provider(small));
outboxContract(test, "node outbox in words", () => provider(inWords));

test("a new partition is blank, 256 KB, and for its owner only", t => {
  const directory = join(newDirectory(), "deep");
  const partition = createHost({ directory, id: "a" }).flash!.open({ path });
  t.deepEqual(partition.status(), {
    size: 262_144,
    blocks: 64,
    blockLength: 4096,
    writeAlign: 1,
    eraseValue: 255,
  });
  t.true(new Uint8Array(partition.read(262_144, 0)).every(byte => byte === 255));
  t.is(nodeFiles.statSync(fileIn(directory)).mode & 0o777, 0o600);
  t.deepEqual(nodeFiles.readdirSync(directory), ["flash-outbox.bin"]);
});

test("a file of another size is named, with both sizes, and left as it is", t => {
  for (const size of [0, 4096, 262_145]) {
    const directory = newDirectory();
    nodeFiles.writeFileSync(fileIn(directory), Buffer.alloc(size, 7));
    const error = t.throws(() => createFlash(directory).open({ path }), { instanceOf: AgentError });
    t.is(error?.code, "storage/damaged");
    t.is(
      error?.message,
      `flash: outbox: ${fileIn(directory)} has ${size} bytes, 262144 were expected (64 blocks of 4096): nothing was changed`,
    );
    t.deepEqual(nodeFiles.readFileSync(fileIn(directory)), Buffer.alloc(size, 7));
  }
});

test("what breaks the rules is told as storage/write, what cannot be read as storage/damaged", t => {
  const directory = newDirectory();
  const partition = createFlash(directory, inWords).open({ path });
  partition.write(new Uint8Array(4).fill(0xf0), 8);
  for (const [work, message] of [
    [() => partition.write(Uint8Array.of(0xf0, 0xf0, 0xf1, 0xf0), 8), "0xf1 over 0xf0 at 10"],
    [() => partition.write(new Uint8Array(4), 6), "4 bytes at 6, written in 4s"],
    [() => partition.write(new Uint8Array(4), 6144), "4 bytes at 6144, there are 6144"],
    [() => partition.eraseBlock(Number.NaN), "blocks NaN to NaN"],
    [() => partition.eraseBlock(0.5), "blocks 0.5 to 1.5"],
    [() => partition.eraseBlock(3, 2), "blocks 3 to 2"],
    [() => partition.eraseBlock(11, 13), "blocks 11 to 13, there are 12"],
    [() => createFlash(directory).open({ path: "../a" }), 'no partition "../a"'],
    [() => createFlash(directory).open({ path: "toString" }), 'no partition "toString"'],
    [() => createFlash(directory).open({ path, mode: "w" as "r" }), 'outbox: mode "w"'],
  ] as const) {
    const error = t.throws<AgentError>(work, { instanceOf: AgentError });
    t.is(error?.code, "storage/write");
    t.true(error?.message.includes(message), error?.message);
  }
  nodeFiles.truncateSync(fileIn(directory), 100);
  const torn = t.throws<AgentError>(() => partition.read(10, 95), { instanceOf: AgentError });
  t.is(torn?.code, "storage/damaged");
  t.regex(torn?.message ?? "", /cannot read .*flash-outbox\.bin: it ends at 100/);
});

test("a partition that cannot be is refused before anything is made", t => {
  for (const partitions of [
    { "../outbox": { blocks: 4 } },
    { "0123456789abcdefg": { blocks: 4 } },
    { "": { blocks: 4 } },
    { outbox: { blocks: 0 } },
    { outbox: { blocks: 1.5 } },
    { outbox: { blocks: 4, blockLength: 1000 } },
    { outbox: { blocks: 5000 } },
    { outbox: { blocks: 4, writeAlign: 3 } },
  ] satisfies Partitions[]) {
    const directory = join(newDirectory(), "deep");
    t.throws(() => createFlash(directory, partitions), { code: "agent/options" });
    t.false(nodeFiles.existsSync(directory));
  }
});

test("a directory that cannot be made, and a file that cannot be opened, are named", t => {
  const file = join(newDirectory(), "file");
  nodeFiles.writeFileSync(file, "");
  const error = t.throws(() => createFlash(file).open({ path }), { code: "storage/write" });
  t.true(error?.message.includes(fileIn(file)), error?.message);
});

/** What the block at `offset` may be after the power went: each byte as before, or as it should be. */
function isBetween(found: Uint8Array, before: Uint8Array, after: Uint8Array): boolean {
  return found.every((byte, at) => byte === before[at] || byte === after[at]);
}

test("a power cut at any call leaves what returned, and of the rest each byte old or new", t => {
  const steps = [
    { to: 0xf0, work: "write" },
    { to: 0xff, work: "erase" },
    { to: 0x3c, work: "write" },
    { to: 0x0c, work: "write" },
  ] as const;
  let cuts = 0;
  for (let cutAt = 0, isCut = true; isCut; cutAt++) {
    const directory = newDirectory();
    const files = powerCutFlash(cutAt);
    let expected = new Uint8Array(512).fill(0xff);
    let next = expected;
    try {
      const partition = createFlash(directory, small, { files }).open({ path });
      for (const { to, work } of steps) {
        next = new Uint8Array(512).fill(to);
        if (work === "write") partition.write(next, 512);
        else partition.eraseBlock(1);
        expected = next;
      }
      partition.close();
    } catch (error) {
      t.true((error as AgentError).cause instanceof PowerCut);
    }
    isCut = files.isCut();
    if (isCut) cuts++;
    const again = createFlash(directory, small).open({ path });
    const found = new Uint8Array(again.read(512, 512));
    t.true(isBetween(found, expected, next), `cut at ${cutAt}`);
    for (const neighbour of [0, 1024]) {
      t.true(new Uint8Array(again.read(512, neighbour)).every(byte => byte === 0xff));
    }
    again.close();
  }
  // Made, opened, and for each step what it reads, writes in parts, and syncs.
  t.true(cuts > 20, `${cuts} cuts`);
});

test("the outbox on a file keeps what it took, wherever the power goes", t => {
  const generation = 7;
  const record = (i: number) => ({
    priority: 1,
    topic: "dt/a",
    payload: toUtf8(`reading ${i} ${"x".repeat(100)}`),
    time: 1_767_225_600_000,
    isTimeCertain: true,
  });
  // Every call would be thousands: steps that share no factor with what one append takes.
  let cuts = 0;
  for (let cutAt = 0, isCut = true; isCut; cutAt += 7) {
    const directory = newDirectory();
    const files = powerCutFlash(cutAt);
    const taken: number[] = [];
    try {
      const outbox = new Outbox(createFlash(directory, small, { files }).open({ path }), {
        generation,
      });
      for (let i = 0; i < 12; i++) {
        if (outbox.append(record(i)) !== undefined) taken.push(i);
      }
    } catch {
      // The power is off.
    }
    isCut = files.isCut();
    if (isCut) cuts++;
    const outbox = new Outbox(createFlash(directory, small).open({ path }), { generation });
    const found: number[] = [];
    for (let entry = outbox.peek(1); entry !== undefined; entry = outbox.peek(1, entry.id)) {
      found.push(Number.parseInt(fromUtf8(entry.payload).slice(8), 10));
    }
    t.deepEqual(found.slice(0, taken.length), taken, `cut at ${cutAt}`);
    t.true(found.length <= taken.length + 1, `cut at ${cutAt}: ${found.length} found`);
    outbox.close();
  }
  t.true(cuts > 10, `${cuts} cuts`);
});

/** Appends until it is killed. @returns the numbers it has told, each after its `append` returned */
async function appendUntilKilled(directory: string, from: number, count: number) {
  const guest = fileURLToPath(new URL("outbox-child.js", import.meta.url));
  const child: ChildProcess = fork(guest, [directory, String(from)], { execArgv: [] });
  const told: number[] = [];
  const isOver = new Promise(resolve => {
    child.once("exit", resolve);
  });
  child.on("message", number => {
    told.push(number as number);
    if (told.length === count) child.kill("SIGKILL");
  });
  await isOver;
  return told;
}

test("a process that is killed again and again has lost nothing that it took", async t => {
  const directory = newDirectory();
  const expected: number[] = [];
  for (const count of [1, 7, 40]) {
    const told = await appendUntilKilled(directory, (expected.at(-1) ?? -1) + 1, count);
    t.true(told.length >= count);
    const outbox = new Outbox(createFlash(directory).open({ path }), { generation: 7 });
    const found: number[] = [];
    for (let entry = outbox.peek(1); entry !== undefined; entry = outbox.peek(1, entry.id)) {
      found.push(Number(fromUtf8(entry.payload)));
    }
    t.deepEqual(outbox.gaps(), []);
    outbox.close();
    expected.push(...told);
    t.deepEqual(found.slice(0, expected.length), expected);
    // What it took and had no time to tell.
    expected.push(...found.slice(expected.length));
  }
});
