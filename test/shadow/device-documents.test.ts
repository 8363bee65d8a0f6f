// Documents, deltas, versions and deletion as a device sees them: sections 3.3 to 3.6 of the reference, each title names the rule.
import test from "ava";
import { boot, type FollowOptions, follow, isWell } from "./device-world.js";
import type { Members } from "./service.js";

const schema = {
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  led: { type: "enum", values: ["off", "red"], default: "off" },
  label: { type: "string", default: "" },
  on: { type: "boolean", default: false },
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
  on: false,
  alarm: { high: 50, tone: { hertz: 440 } },
};

const following = (options?: FollowOptions<typeof schema>) => follow(schema, options);

interface Case {
  readonly title: string;
  /** `state` of the document that is read; `version` 4. */
  readonly state: unknown;
  readonly more?: Members;
  readonly values?: Members;
  readonly verdicts?: Members;
}

const cases: readonly Case[] = [
  { title: "3.3 get: state is {}", state: {} },
  { title: "3.3 get: state is null", state: null },
  { title: "3.3 get: desired and reported are null", state: { desired: null, reported: null } },
  { title: "3.3 get: desired and reported are {}", state: { desired: {}, reported: {} } },
  { title: "3.3 get: no desired", state: { reported: { seconds: 4 } } },
  { title: "3.3 get: no reported", state: { desired: { seconds: 9 } }, values: { seconds: 9 } },
  {
    title: "3.3 get: state.delta and metadata say nothing beside desired and reported",
    state: {
      desired: { seconds: 9 },
      reported: { seconds: 9 },
      delta: { seconds: 33, led: "red" },
    },
    more: {
      metadata: { desired: { led: { timestamp: 1 }, seconds: [{ timestamp: "x" }] }, reported: 7 },
      timestamp: "never",
    },
    values: { seconds: 9 },
  },
  {
    title: "3.4 4: after state null both sections are empty",
    state: {},
    more: { metadata: {} },
  },
  {
    title: "3.4 5: nested groups are merged leaf by leaf",
    state: { desired: { alarm: { tone: { hertz: 880 } } } },
    values: { alarm: { high: 50, tone: { hertz: 880 } } },
  },
  {
    title: "3.4 6: a scalar where a group is declared has one verdict",
    state: { desired: { alarm: 5, seconds: 9 } },
    values: { seconds: 9 },
    verdicts: { alarm: "wrong type: this is not an object" },
  },
  {
    title: "3.4 6: an object where a scalar is declared has a verdict",
    state: { desired: { seconds: { s: 9 }, led: "red" } },
    values: { led: "red" },
    verdicts: { seconds: "wrong type: this is not an integer" },
  },
  {
    title: "3.4 7: arrays where scalars and groups are declared have verdicts",
    state: { desired: { seconds: [9], alarm: { tone: [1, [2]] }, on: [] } },
    verdicts: {
      seconds: "wrong type: this is not an integer",
      "alarm.tone": "wrong type: this is not an object",
      on: "wrong type: this is not a boolean",
    },
  },
  {
    title: "3.4 10: {} as a group wants nothing",
    state: { desired: { alarm: {} } },
  },
  {
    title: "3.4 11: {} as a scalar has a verdict",
    state: { desired: { label: {} } },
    verdicts: { label: "wrong type: this is not a string" },
  },
  {
    title: "3.4 14: members beside desired and reported are passed over",
    state: { desired: { seconds: 9 }, other: { seconds: 7 }, deltas: [] },
    values: { seconds: 9 },
  },
  {
    title: "3.5: 9.0 and 9 are one number",
    state: { desired: { seconds: 5.0 }, reported: { seconds: 5 } },
  },
  {
    title: "3.5: what is only reported, and no setting, stays as it is",
    state: { reported: { rssi: -60, alarm: { low: 3 } } },
  },
];

for (const { title, state, more = {}, values = {}, verdicts } of cases)
  test(title, async t => {
    const device = await following({
      begin: ({ service }) => {
        const { desired = {}, reported = {} } = (state ?? {}) as { [name: string]: Members };
        service.put("", { ...desired }, { ...reported }, 4);
        service.answer = ({ operation, body: { clientToken } }) =>
          operation === "get"
            ? [{ suffix: "get/accepted", body: { state, version: 4, clientToken, ...more } }]
            : undefined;
      },
    });
    const { service, settings, world } = device;
    t.deepEqual(settings.values as unknown, { ...defaults, ...values });
    t.deepEqual(service.reported()["_verdicts"], verdicts);
    const { _verdicts, ...reported } = service.reported();
    const left = { ...reported };
    delete left["rssi"];
    if (title.includes("only reported")) delete (left["alarm"] as Members)["low"];
    t.deepEqual(left, { ...defaults, ...values });
    t.true(service.of("update").length <= 1, "at once");
    t.deepEqual(world.faults, []);
    isWell(t, device);
  });

test("3.4 7, 3.5: an array that is wanted instead of a group comes by delta, and is judged", async t => {
  const device = await following();
  const { service, settings } = device;
  service.desire({ alarm: [1, 2], seconds: 9 });
  await device.world.run(1000);
  t.is(settings.values.seconds, 9);
  t.deepEqual(service.reported()["_verdicts"], { alarm: "wrong type: this is not an object" });
  service.desire({ alarm: { high: 60 } });
  await device.world.run(1000);
  t.is(settings.values.alarm.high, 60);
  t.is(service.reported()["_verdicts"], undefined);
  isWell(t, device);
});

test("3.4 2, 3: what is not wanted any more changes nothing, and takes its verdict along", async t => {
  const device = await following();
  const { service, settings, world } = device;
  service.desire({ seconds: 0, led: "red", extra: 1 });
  await world.run(1000);
  t.deepEqual(Object.keys(service.reported()["_verdicts"] as Members), ["seconds", "extra"]);
  service.desire({ extra: null });
  await world.run(1000);
  t.deepEqual(Object.keys(service.reported()["_verdicts"] as Members), ["seconds"]);
  service.desire(null);
  await world.run(1000);
  t.is(service.reported()["_verdicts"], undefined);
  t.is(settings.values.led, "red");
  isWell(t, device);
});

test("3.3, 3.4 4: state null takes what was reported with it; the next read finds that out", async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.update("", null);
  settings.set({ led: "red" });
  await world.run(2000);
  world.unplug();
  await world.run(1000);
  world.plug();
  await world.run(10_000);
  t.deepEqual(service.reported(), { ...defaults, led: "red" });
});

test("3.4 16: updates of others that change nothing are no reason to say anything", async t => {
  const device = await following();
  const { service, world } = device;
  const before = service.requests.length;
  for (let i = 0; i < 50; i++) {
    service.update("", { desired: { seconds: 5 } }, `t${i}`);
    await world.run(100);
  }
  t.is(service.requests.length, before);
  isWell(t, device);
});

test("3.5: a delta tells all that differs, also what was told before: each is applied and reported once", async t => {
  const device = await following();
  const { service, world, changes } = device;
  service.isHolding = true;
  service.desire({ seconds: 9 });
  service.desire({ led: "red" });
  service.desire({ alarm: { high: 60 } });
  const deltas = service.held.filter(({ said }) => said.suffix === "update/delta");
  service.isHolding = false;
  const before = service.of("update").length;
  for (const { said } of deltas) {
    service.deliver("", said);
    await world.run(1000);
  }
  // The second is older than the answer to the first report: the document tells.
  t.deepEqual(changes, [{ seconds: 9 }, { led: "red", alarm: { high: 60 } }]);
  t.is(service.of("update").length, before + 2);
  t.deepEqual(service.reported(), {
    ...defaults,
    seconds: 9,
    led: "red",
    alarm: { high: 60, tone: { hertz: 440 } },
  });
  isWell(t, device);
});

test("3.5: only the newest of many deltas, the older ones after it: nothing older is applied", async t => {
  const device = await following();
  const { service, world, changes, settings } = device;
  service.isHolding = true;
  for (const seconds of [6, 7, 8, 9]) service.desire({ seconds });
  const deltas = service.held.filter(({ said }) => said.suffix === "update/delta").reverse();
  service.isHolding = false;
  for (const { said } of [...deltas, ...deltas]) {
    service.deliver("", said);
    await world.run(500);
  }
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  isWell(t, device);
});

function permutations<T>(of: readonly T[]): T[][] {
  if (of.length < 2) return [[...of]];
  return of.flatMap((first, i) =>
    permutations(of.filter((_, k) => k !== i)).map(rest => [first, ...rest]),
  );
}

test("S03, 3.5: delta, accepted and the answer to the own update in every order end in one state, without a loop", async t => {
  let orders = 0;
  const count = permutations([1, 2, 3, 4, 5]).length;
  for (let order = 0; order < count; order++) {
    const device = await following();
    const { service, world, settings } = device;
    service.isHolding = true;
    settings.set({ led: "red" });
    await world.run(100);
    service.desire({ seconds: 9, on: true });
    service.desire({ seconds: 10 });
    t.is(service.held.length, 5);
    const held = permutations(service.held)[order]!;
    service.isHolding = false;
    service.held = [];
    const before = service.of("update").length;
    for (const { said } of held) {
      service.deliver("", said);
      await world.run(10);
    }
    await world.run(30_000);
    const name = held
      .map(({ said }) => `${said.suffix} ${(said.body as Members)["version"]}`)
      .join();
    t.is(settings.values.seconds, 10, name);
    t.is(settings.values.on, true, name);
    t.deepEqual(service.reported(), { ...defaults, led: "red", seconds: 10, on: true }, name);
    t.true(service.of("update").length - before <= 3, name);
    isWell(t, device);
    orders++;
  }
  t.is(orders, 120);
});

for (const keepsSession of [true, false])
  test(`3.5 missed deltas, ${keepsSession ? "kept session: they come late and count once" : "fresh session: the document tells"}`, async t => {
    const device = await following({
      begin: ({ service }) => {
        service.keepsSession = keepsSession;
      },
    });
    const { service, world, changes, settings } = device;
    world.unplug();
    await world.run(500);
    for (const seconds of [6, 7, 8]) {
      service.desire({ seconds, led: seconds === 7 ? "red" : "off" });
      await world.run(100);
    }
    world.plug();
    await world.run(60_000);
    t.deepEqual(changes, [{ seconds: 8 }]);
    t.is(settings.values.led, "off");
    t.deepEqual(service.reported(), { ...defaults, seconds: 8 });
    t.is(world.seen("online").length, 2);
    t.is(world.seen("online")[1]?.sessionPresent, keepsSession);
  });

for (const version of [3, 4, 5])
  test(`3.6 version ${version} of a delta where 4 is known: ${version < 4 ? "older: the document is asked" : version === 4 ? "equal: it counts" : "newer: it counts"}`, async t => {
    const device = await following({ begin: ({ service }) => service.put("", {}, defaults, 4) });
    const { service, world, settings } = device;
    const before = service.of("get").length;
    service.put("", version < 4 ? {} : { seconds: 9 }, defaults, Math.max(4, version));
    service.deliver("", { suffix: "update/delta", body: { state: { seconds: 9 }, version } });
    await world.run(2000);
    t.is(service.of("get").length, before + (version < 4 ? 1 : 0));
    t.is(settings.values.seconds, version < 4 ? 5 : 9);
    isWell(t, device);
  });

for (const forgetsVersions of [false, true])
  test(`3.6 deleted and made anew, versions ${forgetsVersions ? "begin again" : "continue"}: reported anew, and followed`, async t => {
    const device = await following();
    const { service, world, settings } = device;
    service.forgetsVersions = forgetsVersions;
    for (let i = 0; i < 20; i++) service.update("", { desired: { seconds: 5 } }, `t${i}`);
    await world.run(1000);
    service.delete();
    await world.run(1000);
    t.deepEqual(service.reported(), defaults, "delete/accepted while online");
    if (forgetsVersions) t.true(service.version() < 20);
    for (const seconds of [9, 10]) {
      service.desire({ seconds });
      await world.run(1000);
      t.is(settings.values.seconds, seconds);
      t.is(service.reported()["seconds"], seconds);
    }
    isWell(t, device);
  });

test("3.6 deleted while the device is away: reported anew after the read says 404", async t => {
  const device = await following();
  const { service, world } = device;
  world.unplug();
  service.delete();
  await world.run(1000);
  world.plug();
  await world.run(30_000);
  t.deepEqual(service.reported(), defaults);
});

test("3.6 deleted and made anew by somebody else while the device is away", async t => {
  const device = await following();
  const { service, world, settings } = device;
  world.unplug();
  service.forgetsVersions = true;
  service.delete();
  service.desire({ seconds: 12 });
  await world.run(1000);
  world.plug();
  await world.run(30_000);
  t.is(settings.values.seconds, 12);
  t.deepEqual(service.reported(), { ...defaults, seconds: 12 });
});

test("3.6 a deletion that was rejected, or asked for by another client of another shadow, changes nothing", async t => {
  const device = await following();
  const { service, world } = device;
  const before = service.requests.length;
  service.say("", { suffix: "delete/rejected", body: { code: 404, message: "No shadow exists" } });
  service.put("elsewhere", {}, {}, 3);
  service.delete("elsewhere");
  await world.run(30_000);
  t.is(service.requests.length, before);
  isWell(t, device);
});

test("3.5: names that nobody declared have a verdict, once, in the shadow and to the product", async t => {
  const device = await following();
  const { service, world, settings } = device;
  service.desire({ speed: 3, alarm: { low: 1 }, deep: { er: { still: 1 } } });
  await world.run(1000);
  service.desire({ speed: 4 });
  await world.run(1000);
  const verdicts = { speed: "unknown", deep: "unknown", "alarm.low": "unknown" };
  t.deepEqual(service.reported()["_verdicts"], verdicts);
  t.deepEqual(Object.fromEntries(settings.verdicts), verdicts);
  t.deepEqual(
    world
      .seen("settingRefused")
      .map(({ name }) => name)
      .sort(),
    ["alarm.low", "deep", "speed"],
  );
  isWell(t, device);
});

// -- classic and named --

const names = Array.from({ length: 10 }, (_, i) => `s${i}`);

for (const count of [1, 4, 10])
  test(`3.1 the classic shadow and ${count} named at once: at most 50 subscriptions, each follows its own, no reply is mixed up`, async t => {
    const { agent, world, service } = boot();
    const shadows = ["", ...names.slice(0, count)];
    const all = shadows.map(shadow => {
      const leaf = { type: "integer", default: 0 } as const;
      return shadow === "" ? agent.settings({ n: leaf }) : agent.settings(shadow, { n: leaf });
    });
    for (const [i, shadow] of shadows.entries()) service.put(shadow, { n: 100 + i }, {}, 7);
    agent.start();
    await world.run(10_000);
    t.true(service.filters.size <= 50, `${service.filters.size}`);
    t.deepEqual(
      all.map(({ values }) => values.n),
      shadows.map((_, i) => 100 + i),
    );
    // The same again while every reply of another shadow passes by, also of one that nobody declared.
    service.put("stranger", {}, {}, 7);
    shadows.forEach((shadow, i) => {
      service.desire({ n: 200 + i }, shadow);
      service.desire({ n: 300 }, "stranger");
      service.delete("stranger");
      if (i % 2 === 1) all[i]!.set({ n: 400 + i });
    });
    await world.run(20_000);
    t.deepEqual(
      shadows.map(shadow => service.reported(shadow)),
      shadows.map((_, i) => ({ n: 200 + i })),
    );
    isWell(t, { world });
    const perSubscribe = world.broker
      .all("subscribe")
      .map(({ subscriptions }) => subscriptions.length);
    t.true(perSubscribe.every(filters => filters <= 8));
  });

test("3.1 an answer to another shadow with the same token is not taken", async t => {
  const { agent, world, service } = boot();
  const classic = agent.settings({ n: { type: "integer", default: 0 } });
  const named = agent.settings("one", { n: { type: "integer", default: 0 } });
  service.answer = ({ shadow, operation, body: { clientToken } }) => {
    if (operation !== "get") return undefined;
    // The reply goes to everybody but the one who asked.
    const elsewhere = shadow === "" ? "one" : "";
    const body = { state: { desired: { n: 66 } }, version: 3, clientToken };
    service.deliver(elsewhere, { suffix: "get/accepted", body });
    return undefined;
  };
  agent.start();
  await world.run(5000);
  t.is(classic.values.n, 0);
  t.is(named.values.n, 0);
  isWell(t, { world });
});

test("3.1 an eleventh named shadow, a name twice, a name no shadow can have: refused where they are declared", t => {
  const { agent } = boot();
  const leaf = { n: { type: "integer", default: 0 } } as const;
  for (const name of names) agent.settings(name, leaf);
  const config = { code: "agent/options" };
  t.throws(() => agent.settings("s10", leaf), config);
  agent.settings(leaf);
  t.throws(() => agent.settings(leaf), config);
  const { agent: fresh } = boot();
  fresh.settings("a", leaf);
  for (const name of ["a", "", "a/b", "+", "#", "x".repeat(65), "é", "a b"])
    t.throws(() => fresh.settings(name, leaf), config, name);
});

for (const refused of ["", "one"])
  test(`3.8 the filters of the ${refused || "classic"} shadow are refused: the other one is followed`, async t => {
    const { agent, world, service } = boot();
    const leaf = { n: { type: "integer", default: 0 } } as const;
    const all = { "": agent.settings(leaf), one: agent.settings("one", leaf) };
    service.put("", { n: 1 }, {}, 2);
    service.put("one", { n: 1 }, {}, 2);
    service.grants = filter =>
      filter.includes("/name/") !== (refused === "one") || !filter.endsWith("accepted");
    agent.start();
    await world.run(5000);
    const granted = refused === "" ? "one" : "";
    t.is(all[granted].values.n, 1);
    t.is(all[refused as ""].values.n, 0);
    t.is(service.requests.filter(({ shadow }) => shadow === refused).length, 0);
    isWell(t, { world });
    // Allowed at last: asked for again by itself.
    service.grants = () => true;
    await world.run(200_000);
    t.is(all[refused as ""].values.n, 1);
    isWell(t, { world });
  });

test("3.8 one refused filter of the wildcards: the classic shadow is followed", async t => {
  const { agent, world, service } = boot();
  const leaf = { n: { type: "integer", default: 0 } } as const;
  const classic = agent.settings(leaf);
  for (const name of names) agent.settings(name, leaf);
  service.put("", { n: 1 }, {}, 2);
  service.grants = filter => !filter.includes("+/update/delta");
  agent.start();
  await world.run(5000);
  t.is(classic.values.n, 1);
  t.true(service.requests.every(({ shadow }) => shadow === ""));
  isWell(t, { world });
});

// -- what is in flight when something else happens --

test("3.7 a delta too long to keep while the document is on its way does not keep it from being read", async t => {
  const device = boot();
  const { agent, world, service } = device;
  const settings = agent.settings(schema);
  service.put("", { seconds: 9 }, {}, 4);
  service.delayMs = 1000;
  agent.start();
  await world.run(900);
  t.is(service.requests.length, 1);
  const state = { junk: "x".repeat(25_000) };
  service.deliver("", { suffix: "update/delta", body: { state, version: 5 } });
  await world.run(60_000);
  t.is(settings.values.seconds, 9);
  isWell(t, device);
});
