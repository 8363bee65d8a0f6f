// The checks in front of a platform's flash that has none, as ESP-IDF's: it takes what it is given, and keeps a 0 without a word.
import anyTest, { type TestFn } from "ava";
import { BoundedFlash, type OpenPartition } from "../../../hosts/bounded-flash.js";
import { AgentError } from "../../../src/errors.js";
import { flashContract } from "../../contract/flash.js";
import { outboxContract } from "../../contract/outbox.js";

const test = anyTest as TestFn;
const path = "outbox";
const blockLength = 512;
const blocks = 12;
const size = blocks * blockLength;

interface Careless {
  readonly open: OpenPartition;
  /** Of calls that reach outside, or come after `close`. */
  readonly slips: string[];
  fault: Error | undefined;
}

function careless(writeAlign?: number): Careless {
  const bytes = new Uint8Array(size).fill(0x5a);
  const slips: string[] = [];
  const status = { size, blocks, blockLength, ...(writeAlign && { writeAlign }) };
  const machine: Careless = {
    slips,
    fault: undefined,
    open: () => {
      let isOpen = true;
      const note = (what: string, at: number, length: number) => {
        if (machine.fault !== undefined) throw machine.fault;
        const isInside = at >= 0 && length > 0 && at + length <= size && Number.isInteger(at);
        if (!isOpen || !isInside) slips.push(`${what} ${at} ${length}`);
      };
      return {
        status: () => status,
        read: (into, at) => {
          note("read", at, into.length);
          into.set(bytes.subarray(at, at + into.length));
          return into.length;
        },
        write: (from, at) => {
          note("write", at, from.length);
          from.forEach((byte, i) => {
            bytes[at + i]! &= byte;
          });
        },
        eraseBlock: (first, end) => {
          note("erase", first * blockLength, (end - first) * blockLength);
          bytes.fill(0xff, first * blockLength, end * blockLength);
        },
        close: () => {
          if (!isOpen) slips.push("closed twice");
          isOpen = false;
        },
      };
    },
  };
  return machine;
}

const machines = [careless(), careless(4)] as const;
for (const [label, machine] of [
  ["bounded flash", machines[0]],
  ["bounded flash in words", machines[1]],
] as const) {
  const subject = () => ({ flash: new BoundedFlash(machine.open, [path]), path });
  flashContract(test, label, subject);
  outboxContract(test, label, subject);
}

test.after("nothing of it has reached the platform out of bounds", t => {
  for (const { slips } of machines) t.deepEqual(slips, []);
});

test("what the platform throws has a code, says where, and keeps its cause", t => {
  const machine = careless();
  const flash = new BoundedFlash(machine.open, [path]).open({ path });
  flash.eraseBlock(0);
  machine.fault = new Error("read failed");
  for (const [work, code, message] of [
    [() => flash.read(10, 20), "storage/damaged", /^flash: outbox: 10 bytes at 20: .*read failed$/],
    [() => flash.eraseBlock(2), "storage/write", /^flash: outbox: erase of blocks 2 to 3: /],
  ] as const) {
    const error = t.throws<AgentError>(work, { instanceOf: AgentError, message });
    t.is(error?.code, code);
    t.is(error?.cause, machine.fault);
  }
});

test("a partition that ends too early is damaged", t => {
  const { open } = careless();
  const short: OpenPartition = (label, mode) => ({ ...open(label, mode), read: () => 3 });
  const flash = new BoundedFlash(short, [path]).open({ path });
  const error = t.throws<AgentError>(() => flash.read(10, 20), { instanceOf: AgentError });
  t.is(error?.code, "storage/damaged");
  t.regex(error?.message ?? "", /only 3 are there/);
});
