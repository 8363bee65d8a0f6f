// The log on flash: what goes in comes out, in order, until it is acknowledged.
import test from "ava";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { AgentError } from "../../src/errors.js";
import { Outbox, type OutboxOptions, type OutboxRecord } from "../../src/outbox/outbox.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";

const generation = 7;
const small = { blocks: 12, blockLength: 512 };
const policies = [
  { sectors: 2, whenFull: "drop-oldest" },
  { sectors: 4, whenFull: "drop-oldest" },
  { sectors: 3, whenFull: "refuse-new" },
] as const;

const mount = (nor: NorFlash, options: Partial<OutboxOptions> = {}) =>
  new Outbox(nor.open(), { generation, ...options });

const record = (text: string, more: Partial<OutboxRecord> = {}): OutboxRecord => ({
  priority: 1,
  topic: "dt/node-1/climate",
  payload: toUtf8(text),
  time: 1_767_225_600_000,
  isTimeCertain: true,
  ...more,
});

function textsOf(outbox: Outbox, priority = 1, now?: number): string[] {
  const texts: string[] = [];
  let after = 0;
  for (;;) {
    const entry = outbox.peek(priority, after, now);
    if (entry === undefined) return texts;
    texts.push(fromUtf8(entry.payload));
    after = entry.id;
  }
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `reading ${from + i}`);

test("a record comes back as it was given, also after a restart", t => {
  const nor = new NorFlash();
  const given = record("21.5", { topic: "dt/größe", time: 1_767_225_612_345, ageLimitSeconds: 60 });
  const id = mount(nor).append(given)!;
  for (const outbox of [mount(nor), mount(nor)]) {
    t.deepEqual(outbox.peek(1), { ...given, id });
    t.is(outbox.peek(1, id), undefined);
  }
  const uncertain = record("?", { time: 5, isTimeCertain: false });
  const outbox = mount(nor);
  const next = outbox.append(uncertain)!;
  t.deepEqual(outbox.peek(1, id), { ...uncertain, id: next, ageLimitSeconds: undefined });
});

test("records come oldest first within their class, and ids grow", t => {
  const nor = new NorFlash();
  const outbox = mount(nor);
  const ids: number[] = [];
  for (const text of numbered(0, 300)) {
    ids.push(outbox.append(record(text))!);
    outbox.append(record(`alert ${text}`, { priority: 0, topic: "alerts" }));
  }
  t.deepEqual(textsOf(outbox), numbered(0, 300));
  t.deepEqual(textsOf(mount(nor)), numbered(0, 300));
  t.is(textsOf(mount(nor), 0).length, 300);
  t.deepEqual(
    ids,
    [...ids].sort((a, b) => a - b),
  );
  t.is(new Set(ids).size, 300);
});

test("what was acknowledged is not seen again, whatever the order, also after a restart", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  for (const text of numbered(0, 40)) outbox.append(record(text));
  const entries = [];
  for (let after = 0; ; ) {
    const entry = outbox.peek(1, after);
    if (entry === undefined) break;
    entries.push(entry);
    after = entry.id;
  }
  for (const index of [3, 0, 1, 30, 31, 2]) t.true(outbox.acknowledge(entries[index]!));
  t.false(outbox.acknowledge(entries[3]!));
  t.false(outbox.acknowledge({ id: 12_345, priority: 1 }));
  const left = numbered(0, 40).filter((_, i) => ![3, 0, 1, 30, 31, 2].includes(i));
  t.deepEqual(textsOf(outbox), left);
  t.deepEqual(textsOf(mount(nor, { policies })), left);
});

test("sectors that were delivered are used again, for ever", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  for (const text of numbered(0, 5000)) {
    t.not(outbox.append(record(text)), undefined);
    const entry = outbox.peek(1)!;
    t.is(fromUtf8(entry.payload), text);
    t.true(outbox.acknowledge(entry));
  }
  t.is(outbox.peek(1), undefined);
  t.deepEqual(outbox.gaps(), []);
  t.true(Math.max(...nor.erases) - Math.min(...nor.erases) <= 2);
  t.is(nor.counts.faults, 0);
});

test("several topics share a sector, more than are remembered as well", t => {
  const nor = new NorFlash();
  const outbox = mount(nor);
  const topics = Array.from({ length: 25 }, (_, i) => `dt/node-1/channel-${i}`);
  for (let round = 0; round < 3; round++)
    for (const topic of topics) outbox.append(record("x", { topic }));
  const again = mount(nor);
  for (let after = 0, i = 0; i < 75; i++) {
    const entry = again.peek(1, after)!;
    t.is(entry.topic, topics[i % 25]!);
    after = entry.id;
  }
});

for (const writeAlign of [1, 2, 4]) {
  test(`lengths of all kinds, written in units of ${writeAlign}`, t => {
    const nor = new NorFlash({ ...small, writeAlign });
    const outbox = mount(nor, { policies });
    for (let length = 0; length <= 400; length++) {
      const payload = new Uint8Array(length).fill(length % 3 === 0 ? 0xff : length);
      t.not(
        outbox.append(record("", { payload, topic: "t".repeat((length % 30) + 1) })),
        undefined,
      );
      const entry = outbox.peek(1)!;
      t.deepEqual(entry.payload, payload);
      t.true(outbox.acknowledge(entry));
    }
    t.is(nor.counts.faults, 0);
  });
}

test("a full class drops its oldest or refuses, as its policy says, and counts; others keep theirs", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  outbox.append(record("fire", { priority: 0 }));
  let kept = 0;
  for (let i = 0; i < 200; i++) {
    outbox.append(record(`reading ${i}`, { time: 1000 + i }));
    if (outbox.append(record(`bulk ${i}`, { priority: 2, time: 5000 + i })) !== undefined) kept++;
  }
  const check = (seen: Outbox) => {
    t.deepEqual(textsOf(seen, 0), ["fire"]);
    const texts = textsOf(seen);
    t.is(texts.at(-1), "reading 199");
    t.deepEqual(texts, numbered(200 - texts.length, 200));
    t.is(textsOf(seen, 2).length, kept);
    t.deepEqual(
      [...seen.gaps()].sort((a, b) => a.priority - b.priority),
      [
        {
          priority: 1,
          reason: "full",
          count: 200 - texts.length,
          from: 1000,
          to: 1199 - texts.length,
        },
        { priority: 2, reason: "refused", count: 200 - kept, from: 5000 + kept, to: 5199 },
      ],
    );
  };
  check(outbox);
  check(mount(nor, { policies }));
});

test("a gap that was reported is forgotten, one that came in between is not", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  for (let i = 0; i < 200; i++) outbox.append(record("b", { priority: 2, time: 100 + i }));
  const told = outbox.gaps();
  const { count } = told[0]!;
  outbox.append(record("b", { priority: 2, time: 900 }));
  t.true(outbox.reported(told));
  t.deepEqual(mount(nor, { policies }).gaps(), [
    { priority: 2, reason: "refused", count: 1, from: 299, to: 900 },
  ]);
  t.true(count > 100);
  t.true(outbox.reported(outbox.gaps()));
  t.deepEqual(outbox.gaps(), []);
});

test("what is too old is dropped when it is looked at, unless its time is not certain", t => {
  const nor = new NorFlash(small);
  const ageing = policies.map(policy => ({ ...policy, ageLimitSeconds: 60 }));
  const outbox = mount(nor, { policies: ageing });
  for (let i = 0; i < 20; i++) outbox.append(record(`reading ${i}`, { time: i * 10_000 }));
  outbox.append(record("when?", { time: 0, isTimeCertain: false }));
  outbox.append(record("patient", { time: 0, ageLimitSeconds: 1000 }));
  t.deepEqual(textsOf(outbox, 1, undefined).length, 22);
  t.deepEqual(textsOf(outbox, 1, 200_000), [...numbered(14, 20), "when?", "patient"]);
  t.deepEqual(outbox.gaps(), [{ priority: 1, reason: "aged", count: 14, from: 0, to: 130_000 }]);
  t.deepEqual(textsOf(mount(nor, { policies: ageing }), 1), [
    ...numbered(14, 20),
    "when?",
    "patient",
  ]);
});

test("a record that is given up is counted with its reason", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  outbox.append(record("bad"));
  outbox.append(record("good"));
  const entry = outbox.peek(1)!;
  t.true(outbox.drop(entry, "rejected"));
  t.false(outbox.drop(entry, "rejected"));
  t.deepEqual(textsOf(mount(nor, { policies })), ["good"]);
  t.like(mount(nor, { policies }).gaps(), [{ reason: "rejected", count: 1 }]);
});

test("the ledger moves on when its sector is full", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  for (let i = 0; i < 500; i++) {
    outbox.append(record(`${i}`, { priority: i % 2 }));
    outbox.drop(outbox.peek(i % 2)!, "rejected");
  }
  for (const seen of [outbox, mount(nor, { policies })]) {
    t.is(seen.gaps().length, 2);
    for (const { count } of seen.gaps()) t.is(count, 250);
  }
});

test("a record that can never be kept is refused, and says why", t => {
  const outbox = mount(new NorFlash(small), { policies });
  const refused: [Partial<OutboxRecord>, RegExp][] = [
    [{ payload: new Uint8Array(512) }, /payload of 512 bytes, at most 420/],
    [{ topic: "" }, /topic of 0 bytes/],
    [{ topic: "t".repeat(257) }, /topic of 257 bytes/],
    [{ priority: 3 }, /no class 3/],
    [{ time: -1 }, /no time/],
    [{ time: Number.NaN }, /no time/],
    [{ ageLimitSeconds: 2 ** 32 }, /no age limit/],
  ];
  for (const [fault, message] of refused) {
    const error = t.throws(() => outbox.append(record("", fault)), { instanceOf: AgentError });
    t.is(error.code, "outbox/record");
    t.regex(error.message, message);
  }
  t.deepEqual(outbox.gaps(), []);
  t.not(mount(new NorFlash()).append(record("", { payload: new Uint8Array(3900) })), undefined);
});

test("flash that does not fit is refused, and says why", t => {
  for (const [options, message] of [
    [{ blocks: 8 }, /at least 9 blocks/],
    [{ blocks: 12, writeAlign: 16 }, /units of 16/],
    [{ blocks: 12, blockLength: 384 }, /power of 2/],
  ] as const) {
    const error = t.throws(() => mount(new NorFlash(options)), { instanceOf: AgentError });
    t.is(error.code, "outbox/partition");
    t.regex(error.message, message);
  }
  const unequal = mount.bind(undefined, new NorFlash(small), {
    policies: [policies[0], policies[1], { sectors: 9, whenFull: "refuse-new" }],
  });
  t.throws(unequal, { message: /2 \+ 4 \+ 9 sectors/ });
});

test("a clock that jumps changes no order and loses nothing", t => {
  const nor = new NorFlash(small);
  const outbox = mount(nor, { policies });
  const times = [1_767_225_600_000, 0, 4_000_000_000_000, 2 ** 48 - 1, 1_767_225_600_001];
  times.forEach((time, i) => void outbox.append(record(`reading ${i}`, { time })));
  const again = mount(nor, { policies });
  for (let after = 0, i = 0; i < times.length; i++) {
    const entry = again.peek(1, after)!;
    t.is(entry.time, times[i]!);
    after = entry.id;
  }
});

for (const options of [
  { blocks: 300, blockLength: 512 },
  { blocks: 9, blockLength: 32_768 },
  { blocks: 10, blockLength: 8192, writeAlign: 4 },
]) {
  test(`${options.blocks} blocks of ${options.blockLength} bytes`, t => {
    const nor = new NorFlash(options);
    let outbox = mount(nor);
    let next = 0;
    for (let i = 0; i < 12_000; i++) {
      const topic = `dt/node-1/${i % 5}`;
      t.not(outbox.append(record(`reading ${i}`, { topic })), undefined);
      if (i % 1000 === 0) outbox = mount(nor);
      if (i < 500) continue;
      const entry = outbox.peek(1)!;
      t.is(`${entry.topic} ${fromUtf8(entry.payload)}`, `dt/node-1/${next % 5} reading ${next}`);
      outbox.acknowledge(entry);
      next++;
    }
    t.is(textsOf(mount(nor)).length, 500);
    t.deepEqual(outbox.gaps(), []);
    t.is(nor.counts.faults, 0);
  });
}

test("a power cut leaves the calls with an error, and the flash untouched from then on", t => {
  const nor = new NorFlash(small);
  const power = new Power(7);
  const outbox = new Outbox(nor.open(power), { generation, policies });
  const error = t.throws(() => {
    for (const text of numbered(0, 10)) outbox.append(record(text));
  });
  t.true(error instanceof AgentError && error.cause instanceof Error);
  t.is(power.operations, 4);
  t.deepEqual(textsOf(mount(nor, { policies })), ["reading 0"]);
});
