// What nobody should send to a device that follows shadows: no pollution, no exception, a verdict or a refusal with the reason,
// and what comes after is followed. And how fast the device may talk itself.
import test, { type ExecutionContext } from "ava";
import { boot, type World } from "./device-world.js";

const schema = {
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  label: { type: "string", maxLength: 8, default: "" },
  on: { type: "boolean", default: false },
  alarm: { type: "group", members: { high: { type: "number", default: 50 } } },
} as const;

async function following(begin: (world: World) => void = () => undefined) {
  const device = boot();
  const { agent, world } = device;
  begin(world);
  const settings = agent.settings(schema);
  agent.start();
  await world.run(3000);
  return { ...device, settings };
}

function isUnhurt(t: ExecutionContext, world: World): void {
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(
    world.faults.filter(fault => fault.startsWith("agent/")),
    [],
  );
  t.is(({} as { polluted?: unknown }).polluted, undefined);
  t.is(Object.prototype.toString.call({}), "[object Object]");
}

interface Evil {
  readonly what: string;
  /** Text of an object's members: desired, or differing. */
  readonly members: string;
  /** Verdicts that have to be told, by path; "refused" when the document as a whole cannot be read. */
  readonly leads: { readonly [path: string]: string } | "refused";
}

const text = (value: unknown) => JSON.stringify(value);
const bomb = (depth: number) => `"x":${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

const evils: readonly Evil[] = [
  {
    what: "__proto__ with members of ours in it",
    members: '"__proto__":{"polluted":1,"seconds":33}',
    leads: { ["__proto__"]: "unknown" },
  },
  {
    what: "__proto__ and constructor in a group",
    members: '"alarm":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    leads: { "alarm.__proto__": "unknown", "alarm.constructor": "unknown" },
  },
  {
    what: "constructor.prototype, toString, hasOwnProperty",
    members: '"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":null',
    leads: { constructor: "unknown", toString: "unknown" },
  },
  {
    what: "a name twice, the last of another type",
    members: '"seconds":33,"seconds":"x"',
    leads: { seconds: 'wrong type: "x" is not an integer' },
  },
  {
    what: "1e400",
    members: '"seconds":1e400,"alarm":{"high":-1e400}',
    leads: {
      seconds: "wrong type: this is not an integer",
      "alarm.high": "wrong type: this is not a number",
    },
  },
  {
    what: "a number of 5,000 digits",
    members: `"seconds":${"9".repeat(5000)}`,
    leads: { seconds: "wrong type: this is not an integer" },
  },
  {
    what: "an unpaired surrogate as value",
    members: '"label":"\\ud800","on":"\\udc00"',
    leads: { label: "wrong type: this is not a string", on: "wrong type: this is not a boolean" },
  },
  {
    what: "an unpaired surrogate as name",
    members: '"\\ud800":1',
    leads: { "\ufffd": "unknown" },
  },
  {
    what: "names of 4 KB, at the top and in a group",
    members: `"${"n".repeat(4096)}":1,"alarm":{"${"m".repeat(4096)}":1}`,
    leads: {},
  },
  {
    what: "a text of 4 KB",
    members: `"label":"${"x".repeat(4096)}"`,
    leads: { label: "out of range: 4096 characters, at most 8 are taken" },
  },
  {
    what: "null where a value is declared",
    members: '"x":1,"on":null',
    leads: { x: "unknown" },
  },
  ...[20, 40, 1000, 10_000].map(
    (depth): Evil => ({
      what: `${depth} objects in one another`,
      members: bomb(depth).slice(0, 24_000),
      leads: depth < 29 ? { x: "unknown" } : "refused",
    }),
  ),
  { what: "10,000 arrays in one another", members: `"x":${"[".repeat(10_000)}`, leads: "refused" },
  {
    what: "8 KB + 1 of a name nobody declared",
    members: `"x":"${"x".repeat(8193)}"`,
    leads: { x: "unknown" },
  },
  { what: "24 KB + 1", members: `"x":"${"x".repeat(24_577)}"`, leads: "refused" },
  {
    what: "text that is not UTF-8",
    members: '"label":"\u00ff"',
    leads: "refused",
  },
];

function titleOf(leads: Evil["leads"]): string {
  if (leads === "refused") return "refused with a reason, not asked for again and again";
  return Object.keys(leads).length > 0 ? "a verdict" : "passed over";
}

const bytesOf = (what: string, json: string) =>
  what.includes("not UTF-8") ? Buffer.from(json, "latin1") : Buffer.from(json);

for (const { what, members, leads } of evils) {
  test(`a delta with ${what}: ${titleOf(leads)}; the next one is followed`, async t => {
    const device = await following();
    const { world, service, settings } = device;
    const version = service.version() + 1;
    service.put("", {}, service.reported(), version);
    const body = bytesOf(what, `{"state":{${members}},"version":${version}}`);
    service.deliver("", { suffix: "update/delta", body });
    await world.run(5000);
    isUnhurt(t, world);
    if (leads === "refused") {
      t.is(world.faults.length, 1);
      t.true(world.faults[0]!.length < 400);
      t.deepEqual(service.of("get").length, 2, "the document may tell");
    } else {
      for (const path of Object.keys(leads))
        t.is(settings.verdicts.get(path), leads[path], [...settings.verdicts].join());
      t.deepEqual(world.faults, []);
    }
    t.is(settings.values.seconds, 5);
    service.desire({ seconds: 9 });
    await world.run(2000);
    t.is(settings.values.seconds, 9);
    t.is(service.reported()["seconds"], 9);
    isUnhurt(t, world);
  });

  test(`a document with ${what}: ${titleOf(leads)}; a good delta is followed`, async t => {
    let isEvil = true;
    const device = await following(({ service }) => {
      service.put("", {}, {}, 3);
      service.answer = ({ operation, body: { clientToken } }) => {
        if (operation !== "get" || !isEvil) return undefined;
        const document = `{"state":{"desired":{${members}}},"version":3,"clientToken":${text(clientToken)}}`;
        return [{ suffix: "get/accepted", body: bytesOf(what, document) }];
      };
    });
    const { world, service, settings } = device;
    isUnhurt(t, world);
    if (leads === "refused") {
      await world.run(3_600_000);
      t.is(service.requests.length, 1, "not asked for again and again");
      t.is(world.faults.length, 1);
    } else {
      for (const path of Object.keys(leads)) t.is(settings.verdicts.get(path), leads[path]);
      t.deepEqual(world.faults, []);
    }
    isEvil = false;
    service.desire({ seconds: 9 });
    await world.run(3000);
    t.is(settings.values.seconds, 9);
    t.is(service.reported()["seconds"], 9);
    isUnhurt(t, world);
  });
}

for (const count of [2500, 5000])
  test(`${count} unknown keys: ${count > 2500 ? "refused as too long" : "the first are named, the others counted"}`, async t => {
    const device = await following();
    const { world, service, settings } = device;
    const version = service.version() + 1;
    service.put("", {}, service.reported(), version);
    const members = Array.from({ length: count }, (_, i) => `"${i.toString(36)}":0`).join();
    const body = `{"state":{${members}},"version":${version}}`;
    service.deliver("", { suffix: "update/delta", body });
    await world.run(2000);
    if (count > 2500)
      t.deepEqual(
        world.faults.map(fault => fault.split(":")[0]),
        ["mqtt/limit"],
      );
    else {
      t.is(settings.verdicts.get("*"), `${count - 15} more`);
      t.is(settings.verdicts.size, 16);
    }
    const told = service.reported()["_verdicts"] ?? {};
    t.deepEqual(told, Object.fromEntries(settings.verdicts));
    service.desire({ seconds: 9 });
    await world.run(2000);
    t.is(service.reported()["seconds"], 9);
    isUnhurt(t, world);
  });

const shapes = ["[]", "[1]", "7", '"x"', "true", "null", "", "{", '{"state":[]}', '{"state":7}'];

for (const body of [
  ...shapes,
  '{"state":{}}',
  '{"state":{},"version":1e400}',
  '{"state":{},"version":-1}',
]) {
  test(`a shadow that is no shadow, ${body || "of no bytes"}: refused with a reason, as delta and as document`, async t => {
    let isEvil = true;
    const device = await following(({ service }) => {
      service.put("", { seconds: 9 }, {}, 3);
      service.answer = ({ operation }) =>
        operation === "get" && isEvil ? [{ suffix: "get/accepted", body }] : undefined;
    });
    const { world, service, settings } = device;
    await world.run(600_000);
    const reads = service.requests.length;
    t.true(reads <= 3 * world.seen("online").length);
    const faults = world.faults.length;
    isEvil = false;
    service.update("", { desired: { seconds: 10 } });
    await world.run(5000);
    t.is(settings.values.seconds, 10);
    const before = world.faults.length;
    t.is(before, faults);
    service.deliver("", { suffix: "update/delta", body });
    await world.run(5000);
    t.is(world.faults.length, before + 1);
    service.desire({ seconds: 11 });
    await world.run(2000);
    t.is(settings.values.seconds, 11);
    t.deepEqual(
      world.faults.filter(fault => fault.startsWith("agent/")),
      [],
    );
  });
}

for (const [what, wake] of [
  ["a delta", world => world.service.desire({ seconds: 10 })],
  [
    "another client's update without a difference",
    world => world.service.update("", { reported: { x: 1 } }),
  ],
  ["a deletion", world => world.service.delete()],
  ["the next connect", world => world.network.cutAll()],
] as readonly (readonly [what: string, wake: (world: World) => void])[])
  test(`a document that could not be read is read again after ${what}`, async t => {
    let isEvil = true;
    const device = await following(({ service }) => {
      service.put("", { seconds: 9 }, { seconds: 9 }, 3);
      service.answer = ({ operation, body: { clientToken } }) =>
        operation === "get" && isEvil
          ? [{ suffix: "get/accepted", body: { state: [], version: 3, clientToken } }]
          : undefined;
    });
    const { world, service, settings } = device;
    t.is(world.faults.length, 1);
    settings.set({ label: "a" });
    await world.run(60_000);
    t.is(service.requests.length, 1);
    isEvil = false;
    wake(world);
    await world.run(30_000);
    t.is(service.of("get").length, 2);
    t.is(service.reported()["label"], "a");
    t.deepEqual(service.reported()["seconds"], settings.values.seconds);
  });

test("retry reads again what could not be read", async t => {
  let isEvil = true;
  const device = await following(({ service }) => {
    service.put("", { seconds: 9 }, {}, 3);
    service.answer = ({ operation }) => (operation === "get" && isEvil ? [] : undefined);
  });
  const { world, service, settings } = device;
  service.deliver("", { suffix: "get/accepted", body: "[" });
  await world.run(1000);
  isEvil = false;
  settings.retry();
  await world.run(3000);
  t.is(settings.values.seconds, 9);
  isUnhurt(t, world);
});

test("rejections and acceptances that cannot be read end nothing", async t => {
  const device = await following();
  const { world, service, settings } = device;
  const suffixes = [
    "get/accepted",
    "get/rejected",
    "update/accepted",
    "update/rejected",
    "delete/accepted",
  ];
  for (const suffix of suffixes)
    for (const body of [
      ...shapes,
      `{"x":${"[".repeat(10_000)}`,
      `{"code":"x","version":"y","clientToken":[]}`,
    ])
      service.deliver("", { suffix, body });
  await world.run(120_000);
  isUnhurt(t, world);
  service.desire({ seconds: 9 });
  await world.run(3000);
  t.is(settings.values.seconds, 9);
});

// -- rates --

const names = Array.from({ length: 10 }, (_, i) => `s${i}`);

test("eleven shadows that connect at once: at most 4 requests in flight, 10 in a second, all are followed", async t => {
  for (const delayMs of [0, 300]) {
    const { agent, world, service } = boot();
    service.delayMs = delayMs;
    const leaf = { n: { type: "integer", default: 0 } } as const;
    const shadows = ["", ...names];
    for (const shadow of shadows) service.put(shadow, { n: 1 }, {}, 1);
    const all = shadows.map(shadow =>
      shadow === "" ? agent.settings(leaf) : agent.settings(shadow, leaf),
    );
    agent.start();
    await world.run(20_000);
    t.true(all.every(({ values }) => values.n === 1));
    t.is(service.requests.length, 22);
    t.true(service.mostInFlight <= 4, `${service.mostInFlight}`);
    const times = service.requests.map(({ at }) => at);
    for (const from of times)
      t.true(times.filter(at => at >= from && at < from + 1000).length <= 10, `${times}`);
    isUnhurt(t, world);
  }
});

test("eleven shadows without an answer: still at most 4 in flight, and the link is dropped", async t => {
  const { agent, world, service } = boot();
  const leaf = { n: { type: "integer", default: 0 } } as const;
  agent.settings(leaf);
  for (const name of names) agent.settings(name, leaf);
  service.answer = () => [];
  agent.start();
  await world.run(300_000);
  for (const { at: from, link: on } of service.requests) {
    const together = service.requests.filter(
      ({ at, link }) => link === on && at >= from && at < from + 14_000,
    );
    t.true(together.length <= 4);
  }
  t.is(world.seen("offline")[0]?.error.code, "shadow/timeout");
});

test("200 times set in one tick: one update, with the last values", async t => {
  const device = await following();
  const { world, service, settings, power } = device;
  const before = service.of("update").length;
  for (let i = 1; i <= 200; i++) settings.set({ seconds: (i % 60) + 1, label: `n${i}` });
  await world.run(2000);
  const updates = service.of("update").slice(before);
  // The first went at once, the others wait for its answer.
  t.true(updates.length <= 2, `${updates.length}`);
  t.is(service.reported()["label"], "n200");
  t.is(service.reported()["seconds"], 21);
  t.log(`${updates.length} updates, ${power.operations} flash operations`);
});

test("set each millisecond for ten seconds: within the rate, and the last value is reported", async t => {
  const device = await following();
  const { world, service, settings } = device;
  const before = service.of("update").length;
  for (let i = 1; i <= 10_000; i++) {
    settings.set({ label: `n${i}` });
    await world.run(1);
  }
  await world.run(3000);
  const updates = service.of("update").slice(before);
  t.true(updates.length <= 111, `${updates.length}`);
  t.true(service.mostInFlight <= 1);
  const times = updates.map(({ at }) => at);
  for (const from of times)
    t.true(times.filter(at => at >= from && at < from + 1000).length <= 20, "within AWS's 20");
  t.is(service.reported()["label"], "n10000");
  isUnhurt(t, world);
});
