// Typed settings on the device: verdicts, batches, restarts, and who wins; against the service of the reference.
import test, { type ExecutionContext } from "ava";
import { Flash } from "../../simulator/world/flash.js";
import { Power } from "../../simulator/world/power.js";
import { AgentError } from "../../src/index.js";
import { boot, type FollowOptions, follow, World } from "./device-world.js";
import { rejected } from "./service.js";

const schema = {
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  led: { type: "enum", values: ["off", "red"], default: "off" },
  label: { type: "string", maxLength: 8, default: "" },
  mode: { type: "integer", default: 0, wins: "device" },
  alarm: {
    type: "group",
    members: {
      high: { type: "number", max: 90, default: 50 },
      tone: { type: "group", members: { hertz: { type: "integer", default: 440 } } },
    },
  },
} as const;
const defaults = {
  seconds: 5,
  led: "off",
  label: "",
  mode: 0,
  alarm: { high: 50, tone: { hertz: 440 } },
};

const following = (options?: FollowOptions<typeof schema>) => follow(schema, options);

/** Not even flash has failed. */
function isWell(t: ExecutionContext, { world }: { readonly world: World }): void {
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(world.faults, []);
}

const writesOf = (power: Power) => power.names.filter(name => name.startsWith("write settings"));

test("all six outcomes: a verdict for each key in state.reported._verdicts, none for what is applied", async t => {
  const device = await following({
    onChange: changed => ({
      label: changed.label === undefined ? undefined : "deferred",
      alarm: changed.alarm && new Error("no such horn"),
    }),
  });
  const { service, world, settings } = device;
  service.desire({
    seconds: 9,
    led: "blue",
    mode: "fast",
    label: "later",
    alarm: { high: 60 },
    speed: 1,
  });
  await world.run(2000);
  const verdicts = {
    led: 'out of range: "blue" is not one of off, red',
    mode: 'wrong type: "fast" is not an integer',
    label: "deferred",
    "alarm.high": "failed: no such horn",
    speed: "unknown",
  };
  t.deepEqual(service.reported(), { ...defaults, seconds: 9, _verdicts: verdicts });
  t.deepEqual(Object.fromEntries(settings.verdicts), verdicts);
  t.deepEqual(
    world
      .seen("settingRefused")
      .map(({ name, verdict }) => `${name} ${verdict}`)
      .sort(),
    ["alarm.high failed", "label deferred", "led out of range", "mode wrong type", "speed unknown"],
  );
  t.deepEqual(
    world.seen("settings").map(({ changed }) => changed),
    [{ seconds: 9 }] as never,
  );
  isWell(t, device);
});

test("a batch: onChange once, one flash write, one report", async t => {
  const device = await following();
  const { service, world, power, changes } = device;
  const updates = service.of("update").length;
  const writes = writesOf(power).length;
  const batch = {
    seconds: 9,
    led: "red",
    label: "a",
    mode: 2,
    alarm: { high: 1, tone: { hertz: 2 } },
  };
  service.desire(batch);
  await world.run(2000);
  t.deepEqual(changes, [batch]);
  t.is(writesOf(power).length, writes + 1);
  t.deepEqual(
    service
      .of("update")
      .slice(updates)
      .map(({ body }) => body.state),
    [{ reported: batch }],
  );
  isWell(t, device);
});

test("what is wanted and in force already is not told, not written, not reported", async t => {
  const device = await following();
  const { service, world, power, changes, settings } = device;
  const updates = service.of("update").length;
  service.desire(defaults);
  settings.set({ seconds: 5, alarm: { high: 50 } });
  await world.run(2000);
  t.deepEqual(changes, []);
  t.is(writesOf(power).length, 0);
  t.is(service.of("update").length, updates);
  isWell(t, device);
});

test("values survive a restart: told to the product at start, not again by the document, and not written again", async t => {
  const flash = new Flash();
  const first = await following({ flash });
  first.service.desire({ seconds: 9, alarm: { tone: { hertz: 880 } } });
  await first.world.run(2000);
  first.power.cut();
  first.world.network.cutAll();
  const power = new Power();
  const again = await following({ flash, power, world: first.world, seed: 2 });
  t.deepEqual(again.changes, [{ seconds: 9, alarm: { tone: { hertz: 880 } } }]);
  t.is(again.settings.values.alarm.tone.hertz, 880);
  await again.world.run(30_000);
  t.is(again.changes.length, 1);
  t.deepEqual(writesOf(power), []);
});

test("stored values that do not fit any more: defaults in their place, the others stay", async t => {
  const flash = new Flash();
  const before = boot({ flash });
  const wide = before.agent.settings({
    seconds: { type: "integer", default: 5 },
    led: { type: "string", default: "off" },
    label: { type: "string", default: "" },
    mode: { type: "boolean", default: false },
  });
  before.agent.start();
  wide.set({ seconds: 600, led: "green", label: "kept", mode: true });
  await before.world.run(1000);
  before.power.cut();
  const device = await following({ flash });
  t.deepEqual(device.settings.values as unknown, { ...defaults, label: "kept" });
  t.deepEqual(device.changes, [{ label: "kept" }]);
  t.deepEqual(device.service.reported(), { ...defaults, label: "kept" });
  isWell(t, device);
});

test("both copies in flash damaged: a fault, defaults, and the document brings back what is wanted", async t => {
  const flash = new Flash();
  const store = flash.provider(new Power()).open({ path: "skerry" });
  store.write("settings.0", Uint8Array.of(1, 2, 3));
  store.write("settings.1", new Uint8Array(40));
  const device = await following({
    flash,
    begin: ({ service }) => service.put("", { seconds: 9 }, {}, 3),
  });
  t.is(device.settings.values.seconds, 9);
  t.deepEqual(
    device.world.faults.map(fault => fault.split(":")[0]),
    ["storage/damaged"],
  );
});

test("onChange throws: all of the batch has failed, with the reason; the link stays", async t => {
  const device = await following({
    onChange: () => {
      throw new Error("the horn is off");
    },
  });
  const { service, world, settings, power } = device;
  service.desire({ seconds: 9, led: "red" });
  await world.run(2000);
  t.deepEqual(service.reported(), {
    ...defaults,
    _verdicts: { seconds: "failed: the horn is off", led: "failed: the horn is off" },
  });
  t.is(settings.values.seconds, 5);
  t.deepEqual(writesOf(power), []);
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(world.faults, ["agent/fault: settings: onChange threw for seconds, led"]);
});

const reasons: readonly (readonly [what: string, message: string])[] = [
  ["longer than a verdict, cut in the middle of a character", `${"x".repeat(79)}\u{1f600}`],
  ["with an unpaired surrogate", "a\ud800b"],
  ["of controls and quotes", '\u0000"\\\n'],
  ["that is empty", ""],
];
for (const [what, message] of reasons)
  test(`a reason ${what}: the verdict can be told, the link stays`, async t => {
    const device = await following({ onChange: () => ({ seconds: new Error(message) }) });
    const { service, world } = device;
    service.desire({ seconds: 9 });
    await world.run(2000);
    const verdict = (service.reported()["_verdicts"] as { seconds: string }).seconds;
    t.true(verdict.startsWith("failed: ") && verdict.length <= 90);
    isWell(t, device);
  });

test("deferred: not asked again on this link by deltas, but by retry and by the next connect", async t => {
  let isReady = false;
  const device = await following({
    onChange: () => (isReady ? undefined : { seconds: "deferred" }),
  });
  const { service, world, settings, changes } = device;
  service.desire({ seconds: 9 });
  await world.run(1000);
  service.desire({ led: "red" });
  await world.run(1000);
  t.deepEqual(changes, [{ seconds: 9 }, { led: "red" }]);
  settings.retry();
  await world.run(1000);
  t.deepEqual(changes.at(-1), { seconds: 9 });
  t.is(settings.values.seconds, 5);
  world.unplug();
  await world.run(1000);
  isReady = true;
  world.plug();
  await world.run(30_000);
  t.is(settings.values.seconds, 9);
  t.deepEqual(service.reported(), { ...defaults, seconds: 9, led: "red" });
});

test("retry: what has become possible is put in force, and its verdict goes", async t => {
  let isReady = false;
  const device = await following({
    onChange: () => (isReady ? undefined : { alarm: new Error("not yet") }),
  });
  const { service, world, settings } = device;
  service.desire({ alarm: { high: 60, tone: { hertz: 880 } } });
  await world.run(1000);
  t.deepEqual(service.reported()["_verdicts"], {
    "alarm.high": "failed: not yet",
    "alarm.tone.hertz": "failed: not yet",
  });
  isReady = true;
  settings.retry();
  settings.retry();
  await world.run(1000);
  t.deepEqual(service.reported(), { ...defaults, alarm: { high: 60, tone: { hertz: 880 } } });
  isWell(t, device);
});

test("set inside onChange, of another key: both are in force and reported at once", async t => {
  const device = boot();
  const { agent, world, service, power } = device;
  const settings = agent.settings(schema);
  settings.onChange = ({ seconds }) => {
    if (seconds !== undefined) settings.set({ label: `every ${seconds}` });
  };
  agent.start();
  await world.run(3000);
  const updates = service.of("update").length;
  service.desire({ seconds: 9 });
  await world.run(2000);
  t.deepEqual(service.reported(), { ...defaults, seconds: 9, label: "every 9" });
  t.is(service.of("update").length, updates + 1);
  t.is(writesOf(power).length, 2);
  isWell(t, device);
});

test("set inside onChange, of the same key: what the product has set counts, with a verdict, without a loop", async t => {
  const device = boot();
  const { agent, world, service } = device;
  const settings = agent.settings(schema);
  settings.onChange = ({ seconds }) => {
    if (seconds !== undefined && seconds > 8) settings.set({ seconds: 8 });
  };
  agent.start();
  await world.run(3000);
  const updates = service.of("update").length;
  service.desire({ seconds: 9, led: "red" });
  await world.run(60_000);
  t.is(settings.values.seconds, 8);
  t.deepEqual(service.reported(), {
    ...defaults,
    seconds: 8,
    led: "red",
    _verdicts: { seconds: "failed: the device has set 8" },
  });
  t.is(service.of("update").length, updates + 1);
  t.deepEqual(
    world.seen("settings").map(({ changed }) => changed),
    [{ led: "red" }] as never,
  );
  isWell(t, device);
});

test("stop inside onChange: nothing is sent after it, and the next start converges", async t => {
  const device = boot();
  const { agent, world, service } = device;
  const settings = agent.settings(schema);
  let isStopping = true;
  settings.onChange = () => {
    if (isStopping) agent.stop();
  };
  agent.start();
  await world.run(3000);
  service.desire({ seconds: 9 });
  await world.run(3000);
  t.is(world.seen("stopped").length, 1);
  const { length } = service.requests;
  await world.run(60_000);
  t.is(service.requests.length, length);
  for (const { changed } of world.seen("settings"))
    t.is((changed as { seconds?: number }).seconds, settings.values.seconds, "told as in force");
  isStopping = false;
  agent.start();
  await world.run(3000);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(world.faults, []);
});

// -- who wins --

test("without a word about it the cloud wins over what was set offline", async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ seconds: 9 });
  await world.run(1000);
  world.unplug();
  settings.set({ seconds: 7 });
  await world.run(1000);
  world.plug();
  await world.run(30_000);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
});

test('wins "device", online: the cloud is told what to want, at the version that is known', async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ mode: 1 });
  await world.run(1000);
  const version = service.version();
  settings.set({ mode: 5 });
  await world.run(1000);
  t.is(service.of("update").at(-1)?.body.version, version);
  t.is(service.desired()["mode"], 5);
  t.is(service.reported()["mode"], 5);
  service.desire({ mode: 6 });
  await world.run(1000);
  t.is(settings.values.mode, 6, "what the cloud wants later counts");
  t.is(service.reported()["mode"], 6);
  isWell(t, device);
});

test('wins "device", set offline, while the cloud came to want something else', async t => {
  const device = await following();
  const { service, world, settings } = device;
  world.unplug();
  settings.set({ mode: 5, seconds: 7 });
  service.desire({ mode: 1 });
  await world.run(1000);
  world.plug();
  await world.run(30_000);
  t.is(settings.values.mode, 5);
  t.is(service.desired()["mode"], 5);
  t.deepEqual(service.reported(), { ...defaults, mode: 5, seconds: 7 });
});

test('wins "device", 409: read again, and told again at the new version', async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ mode: 1 });
  await world.run(1000);
  let isFirst = true;
  service.answer = request => {
    if (request.operation !== "update" || !isFirst) return undefined;
    isFirst = false;
    service.isHolding = true;
    service.desire({ mode: 2, led: "red" });
    service.isHolding = false;
    service.held = [];
    return undefined;
  };
  settings.set({ mode: 5 });
  await world.run(3000);
  t.is(service.desired()["mode"], 5);
  t.is(settings.values.led, "red");
  t.deepEqual(service.reported(), { ...defaults, mode: 5, led: "red" });
  isWell(t, device);
});

test('wins "device", refused for good: told once, and again with the next change', async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ mode: 1 });
  await world.run(1000);
  service.answer = ({ operation, body }) =>
    operation === "update" ? [rejected("update", 403, "Forbidden", body.clientToken)] : undefined;
  const { length } = service.requests;
  settings.set({ mode: 5 });
  await world.run(600_000);
  t.is(service.requests.length, length + 1);
  service.answer = () => undefined;
  settings.set({ seconds: 7 });
  await world.run(3000);
  t.is(service.desired()["mode"], 5);
  t.is(service.reported()["mode"], 5);
  t.deepEqual(world.seen("offline"), []);
});

test('wins "device": what others change before the answer is here does not take it back', async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ mode: 1 });
  await world.run(1000);
  service.isHolding = true;
  settings.set({ mode: 5 });
  await world.run(200);
  service.desire({ seconds: 9 });
  const held = service.held.reverse();
  service.isHolding = false;
  service.held = [];
  for (const { said } of held) service.deliver("", said);
  await world.run(30_000);
  t.is(service.desired()["mode"], 5);
  t.is(settings.values.mode, 5);
  t.is(service.reported()["seconds"], 9);
  isWell(t, device);
});

test("verdicts that did not fit are told again on the next link", async t => {
  const device = await following();
  const { service, world } = device;
  service.answer = ({ operation, body }) =>
    operation === "update" && JSON.stringify(body).includes("_verdicts")
      ? [rejected("update", 413, "The payload exceeds the maximum size allowed", body.clientToken)]
      : undefined;
  service.desire({ led: "blue", seconds: 9 });
  await world.run(10_000);
  t.deepEqual(service.reported(), { ...defaults, seconds: 9 });
  service.answer = () => undefined;
  world.network.cutAll();
  await world.run(30_000);
  t.deepEqual(service.reported()["_verdicts"], {
    led: 'out of range: "blue" is not one of off, red',
  });
});

test("flash that refuses: a fault, the values are in force and reported, and hold until the next restart", async t => {
  const flash = new Flash();
  const device = await following({ flash });
  const { service, world, settings } = device;
  const store = flash.values("skerry") as Map<string, Uint8Array>;
  store.set = () => {
    throw new Error("worn out");
  };
  service.desire({ seconds: 9 });
  await world.run(2000);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(world.faults, [
    "storage/write: settings: not saved, they hold until the next restart",
  ]);
  t.deepEqual(world.seen("offline"), []);
});

test("stop and start inside any status of a shadow: one link, no fault, converged", async t => {
  for (const when of ["settings", "reported", "settingRefused", "fault"] as const)
    for (const again of [false, true]) {
      const world = new World();
      let count = 0;
      const tell = world.onStatus;
      Object.assign(world, {
        onStatus: (status: Parameters<typeof tell>[0]) => {
          tell(status);
          if (status.type !== when || count++ > 0) return;
          device.agent.stop();
          if (again) device.agent.start();
        },
      });
      const device = boot({ world });
      const { agent, service } = device;
      const settings = agent.settings(schema);
      agent.settings("other", { n: { type: "integer", default: 0 } });
      service.put("other", { n: 1, x: 1 }, {}, 1);
      agent.start();
      await world.run(5000);
      service.deliver("", { suffix: "update/delta", body: "{" });
      service.desire({ seconds: 9, led: "blue" });
      await world.run(60_000);
      agent.start();
      await world.run(60_000);
      t.true(count > 0, when);
      t.is(settings.values.seconds, 9, when);
      t.is(service.reported()["seconds"], 9, when);
      t.is(service.reported("other")["n"], 1, when);
      t.is(world.network.open, 1, when);
      t.deepEqual(
        world.faults.filter(fault => fault.startsWith("agent/")),
        [],
        when,
      );
    }
});

/** Set online with the power cut at each half of each flash operation of it, then booted again with the cloud as it is. */
for (const [story, isLocal] of [
  ['wins "device": set by the product', true],
  ["wanted by the cloud", false],
] as const)
  test(`power cut at every flash write, ${story}: old or new value, whole, and it converges`, async t => {
    let cuts = 0;
    for (let half = 0; ; half++) {
      const flash = new Flash();
      const first = await following({ flash });
      first.service.desire({ mode: 1 });
      first.settings.set({ label: "one" });
      await first.world.run(1000);
      first.power.cut();
      first.world.network.cutAll();
      first.service.lost();
      const power = new Power(half);
      const { world, service } = first;
      const second = await following({ flash, power, world, seed: 2 });
      try {
        if (isLocal) second.settings.set({ mode: 5, label: "five" });
      } catch {
        // The power went.
      }
      if (!isLocal) service.desire({ mode: 5, label: "five" });
      await world.run(3000);
      const wasCut = !power.isOn;
      power.cut();
      world.network.cutAll();
      service.lost();
      const third = boot({ flash, world, seed: 3 });
      const settings = third.agent.settings(schema);
      third.agent.start();
      const { mode, label } = settings.values;
      t.true(
        (mode === 1 && label === "one") || (mode === 5 && label === "five"),
        `cut ${half}: ${mode} ${label}`,
      );
      const isNew = mode === 5;
      await world.run(30_000);
      t.is(service.desired()["mode"], settings.values.mode, `cut ${half}`);
      t.is(settings.values.mode, isLocal && !isNew ? 1 : 5, `cut ${half}`);
      t.deepEqual(service.reported(), JSON.parse(JSON.stringify(settings.values)), `cut ${half}`);
      if (!wasCut) break;
      cuts++;
    }
    t.true(cuts >= 2, `${cuts}`);
  });

// -- types --

test("two shadows whose values would be stored under one key are refused, by both names", t => {
  const { agent } = boot();
  const own = { seconds: { type: "integer", default: 5 } } as const;
  agent.settings("plumless", own);
  agent.settings("other", own);
  t.throws(() => agent.settings("buckeroo", own), {
    instanceOf: AgentError,
    code: "agent/options",
    message: /"plumless" and "buckeroo" would be stored under the same key/,
  });
});

test("the schema gives the types: what does not fit is an error of the compiler", t => {
  const settings = boot().agent.settings(schema);
  const { values } = settings;
  values.seconds satisfies number;
  values.led satisfies "off" | "red";
  values.label satisfies string;
  values.alarm satisfies { readonly high: number; readonly tone: { readonly hertz: number } };
  // @ts-expect-error not one of the enum's values
  values.led satisfies "green" | "off";
  // @ts-expect-error no such name
  t.is(values.volume, undefined);
  // @ts-expect-error no such name in the group
  t.is(values.alarm.low, undefined);
  // @ts-expect-error values are read only
  const write = () => (values.seconds = 4);
  // @ts-expect-error another type in a group
  t.throws(() => settings.set({ alarm: { tone: { hertz: "high" } } }));
  // @ts-expect-error not one of the enum's values
  t.throws(() => settings.set({ led: "green" }));
  // @ts-expect-error a group is no scalar
  t.throws(() => settings.set({ alarm: 5 }));
  settings.onChange = changed => {
    changed.alarm?.tone?.hertz satisfies number | undefined;
    // @ts-expect-error perhaps absent
    changed.seconds satisfies number;
  };
  t.is(typeof write, "function");
});
