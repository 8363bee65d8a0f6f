// Shadows as the device has to live with them, against the service of the reference (section 3): each title names the rule.
import test, { type ExecutionContext } from "ava";
import { type BootOptions, boot, isWell, type World } from "./device-world.js";
import { errors, rejected, type Said, type ShadowRequest } from "./service.js";

const schema = {
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  led: { type: "enum", values: ["off", "red"], default: "off" },
  alarm: {
    type: "group",
    members: {
      high: { type: "number", max: 90, default: 50 },
      tone: { type: "group", members: { hertz: { type: "integer", default: 440 } } },
    },
  },
} as const;
const otherSchema = { volume: { type: "integer", min: 0, max: 9, default: 3 } } as const;
const defaults = { seconds: 5, led: "off", alarm: { high: 50, tone: { hertz: 440 } } };

/** The classic shadow and one named `other`, started, and given time to follow. */
async function following(options: BootOptions & { readonly begin?: (world: World) => void } = {}) {
  const device = boot(options);
  const { agent, world } = device;
  options.begin?.(world);
  const settings = agent.settings(schema);
  const other = agent.settings("other", otherSchema);
  const changes: unknown[] = [];
  settings.onChange = changed => void changes.push(changed);
  agent.start();
  await world.run(3000);
  return { ...device, settings, other, changes };
}

type Device = Awaited<ReturnType<typeof following>>;

/** Telemetry is acknowledged, and the other shadow is followed. */
async function goesOn(t: ExecutionContext, device: Device): Promise<void> {
  const { agent, world, service, other } = device;
  const before = world.seen("telemetry").length;
  agent.telemetry.send("c", { x: 1 });
  const volume = other.values.volume === 7 ? 8 : 7;
  service.desire({ volume }, "other");
  await world.run(2000);
  t.is(world.seen("telemetry").length, before + 1);
  t.is(other.values.volume, volume);
  t.is(service.reported("other")["volume"], volume);
}

const always = (said: (request: ShadowRequest) => readonly Said[]) => said;
const isClassic = (request: ShadowRequest, operation: string) =>
  request.shadow === "" && request.operation === operation;

// -- 3.7: errors --

const all = Object.entries(errors).flatMap(([code, messages]) =>
  messages.map(message => [Number(code), message] as const),
);

for (const [code, message] of all) {
  const title = `3.7 ${code} "${message}"`;
  const isBusy = code === 429 || code === 500;

  if (code === 404)
    test(`${title} to get: there is no shadow, so all is reported`, async t => {
      let refusals = 0;
      const device = await following({
        begin: ({ service }) => {
          service.answer = request =>
            isClassic(request, "get") && refusals++ === 0
              ? [rejected("get", code, message, request.body.clientToken)]
              : undefined;
        },
      });
      const { service } = device;
      t.is(service.of("get").length, 1);
      t.deepEqual(
        service.of("update").map(({ body }) => body.state),
        [{ reported: defaults }],
      );
      t.deepEqual(service.reported(), defaults);
      isWell(t, device);
      await goesOn(t, device);
    });
  else if (isBusy)
    test(`${title} to get: asked again later, not sooner than in 2 s, over the same link`, async t => {
      let refusals = 0;
      const device = await following({
        begin: ({ service }) => {
          service.put("", { seconds: 9 }, {}, 4);
          service.answer = request =>
            isClassic(request, "get") && refusals++ < 3
              ? [rejected("get", code, message, request.body.clientToken)]
              : undefined;
        },
      });
      const { world, service, settings } = device;
      await goesOn(t, device);
      await world.run(60_000);
      const gets = service.of("get");
      t.is(gets.length, 4);
      gets.slice(1).forEach(({ at }, i) => {
        const waited = at - gets[i]!.at;
        t.true(waited >= 2000 && waited < 2100 + 2000 * 2 ** i, `${waited} ms`);
      });
      t.is(settings.values.seconds, 9);
      t.is(world.faults.length, 3);
      t.true(world.faults[0]!.includes(`${code}: ${message}`));
      isWell(t, device);
    });
  else
    test(`${title} to get: told once, not repeated; the others go on; what is new there is looked at`, async t => {
      const device = await following({
        begin: ({ service }) => {
          service.put("", { seconds: 9 }, {}, 4);
          service.answer = request =>
            isClassic(request, "get")
              ? [rejected("get", code, message, request.body.clientToken)]
              : undefined;
        },
      });
      const { world, service, settings } = device;
      await goesOn(t, device);
      await world.run(3_600_000);
      t.is(service.of("get").length, 1);
      t.is(service.of("update").length, 0);
      t.deepEqual(world.faults, [`shadow/rejected: shadow get: ${code}: ${message}`]);
      isWell(t, device);
      service.answer = () => undefined;
      service.desire({ seconds: 10 });
      await world.run(2000);
      t.is(settings.values.seconds, 10);
      t.is(service.reported()["seconds"], 10);
    });

  if (code === 409)
    test(`${title} to update: read again and merged`, async t => {
      const device = await following();
      const { world, service, settings } = device;
      let refusals = 0;
      service.answer = request => {
        if (!isClassic(request, "update") || refusals++ > 0) return undefined;
        service.isHolding = true;
        service.desire({ seconds: 9 });
        service.isHolding = false;
        service.held = [];
        return [rejected("update", code, message, request.body.clientToken)];
      };
      settings.set({ led: "red" });
      await world.run(3000);
      t.is(settings.values.seconds, 9);
      t.deepEqual(service.reported(), { ...defaults, seconds: 9, led: "red" });
      t.deepEqual(
        service.requests.filter(({ shadow }) => shadow === "").map(({ operation }) => operation),
        ["get", "update", "update", "get", "update"],
      );
      t.deepEqual(world.faults, []);
      isWell(t, device);
    });
  else if (isBusy)
    test(`${title} to update: read and reported again later, not sooner than in 2 s, over the same link`, async t => {
      const device = await following();
      const { world, service, settings } = device;
      let refusals = 0;
      service.answer = request =>
        isClassic(request, "update") && refusals++ < 3
          ? [rejected("update", code, message, request.body.clientToken)]
          : undefined;
      settings.set({ seconds: 7 });
      await goesOn(t, device);
      await world.run(60_000);
      const requests = service.requests.filter(({ shadow }) => shadow === "").slice(2);
      t.is(requests.map(({ operation }) => operation[0]).join(""), "ugugugu");
      for (let i = 0; i < 3; i++) {
        const waited = requests[2 * i + 1]!.at - requests[2 * i]!.at;
        t.true(waited >= 2000 && waited < 2100 + 2000 * 2 ** i, `${waited} ms`);
      }
      t.is(service.reported()["seconds"], 7);
      isWell(t, device);
    });
  else if (code === 413)
    test(`${title} to update: once more without verdicts, then not repeated unchanged`, async t => {
      const device = await following();
      const { world, service, settings } = device;
      const before = service.of("update").length;
      service.answer = request =>
        isClassic(request, "update")
          ? [rejected("update", code, message, request.body.clientToken)]
          : undefined;
      service.desire({ seconds: 9, led: "blue" });
      await world.run(3_600_000);
      const states = () =>
        service
          .of("update")
          .slice(before)
          .map(({ body }) => body.state);
      t.deepEqual(states(), [
        {
          reported: {
            seconds: 9,
            _verdicts: { led: 'out of range: "blue" is not one of off, red' },
          },
        },
        { reported: { seconds: 9 } },
      ]);
      t.is(world.faults.length, 2);
      isWell(t, device);
      await goesOn(t, device);
      settings.set({ seconds: 10 });
      await world.run(60_000);
      t.deepEqual(states().slice(2), [{ reported: { seconds: 10 } }]);
      service.answer = () => undefined;
      settings.set({ alarm: { high: 60 } });
      await world.run(60_000);
      t.deepEqual(service.reported(), {
        ...defaults,
        seconds: 9,
        alarm: { high: 60, tone: { hertz: 440 } },
      });
    });
  else
    test(`${title} to update: told once, not repeated unchanged; the others go on`, async t => {
      const device = await following();
      const { world, service, settings } = device;
      const before = service.of("update").length;
      service.answer = request =>
        isClassic(request, "update")
          ? [rejected("update", code, message, request.body.clientToken)]
          : undefined;
      settings.set({ seconds: 7 });
      await world.run(1000);
      settings.set({ seconds: 7 });
      await world.run(3_600_000);
      t.is(service.of("update").length, before + 1);
      t.deepEqual(world.faults, [`shadow/rejected: shadow update: ${code}: ${message}`]);
      isWell(t, device);
      await goesOn(t, device);
      service.answer = () => undefined;
      settings.set({ seconds: 8 });
      await world.run(2000);
      t.is(service.reported()["seconds"], 8);
    });
}

for (const operation of ["get", "update"] as const)
  test(`3.7 429 to every ${operation}: the waits grow to a bound, are never below 2 s, differ from device to device, the link stays`, async t => {
    const waits: number[][] = [];
    for (let seed = 1; seed <= 12; seed++) {
      const device = await following({
        seed,
        begin: ({ service }) => {
          service.answer = request =>
            isClassic(request, operation)
              ? [rejected(operation, 429, "", request.body.clientToken)]
              : undefined;
        },
      });
      await device.world.run(14_400_000);
      const times = device.service.of("get").map(({ at }) => at);
      waits.push(times.slice(1).map((at, i) => at - times[i]!));
      isWell(t, device);
    }
    t.true(Math.min(...waits.flat()) >= 2000);
    t.true(Math.max(...waits.flat()) < 302_500);
    const mean = (i: number) => waits.reduce((sum, all) => sum + all[i]!, 0) / waits.length;
    t.true(mean(0) < 4200 && mean(4) > 8000 && mean(8) > 60_000, `${[0, 4, 8].map(mean)}`);
    t.true(new Set(waits.map(all => all[3])).size > 8, "jitter");
    // Not worn out by patience: every five minutes at the latest.
    t.true(waits.every(all => all.length > 40));
  });

test("3.7 429: what is set or wanted meanwhile waits as well, and is reported in one update", async t => {
  const device = await following();
  const { world, service, settings } = device;
  service.answer = request =>
    isClassic(request, "update")
      ? [rejected("update", 429, "", request.body.clientToken)]
      : undefined;
  settings.set({ seconds: 7 });
  await world.run(100);
  service.answer = () => undefined;
  const before = service.requests.length;
  const { at } = service.requests.at(-1)!;
  settings.set({ led: "red" });
  service.desire({ alarm: { high: 60 } });
  settings.set({ seconds: 8 });
  await world.run(60_000);
  const rest = service.requests.slice(before);
  t.deepEqual(
    rest.map(({ operation }) => operation),
    ["get", "update"],
  );
  t.true(rest[0]!.at - at >= 2000);
  t.deepEqual(service.reported(), {
    seconds: 8,
    led: "red",
    alarm: { high: 60, tone: { hertz: 440 } },
  });
  isWell(t, device);
});

test("3.7 429: retry while the service wants patience neither ends the link nor loses a value", async t => {
  const device = await following();
  const { world, service, settings } = device;
  let refusals = 0;
  service.answer = request =>
    isClassic(request, "update") && refusals++ === 0
      ? [rejected("update", 429, "", request.body.clientToken)]
      : undefined;
  settings.set({ seconds: 7 });
  await world.run(500);
  settings.retry();
  await world.run(60_000);
  isWell(t, device);
  t.is(service.reported()["seconds"], 7);
});

test("3.7 429: the update of another client while the service wants patience does not end the link", async t => {
  const device = await following();
  const { world, service, settings } = device;
  service.desire({ led: "blue" });
  await world.run(1000);
  let refusals = 0;
  service.answer = request =>
    isClassic(request, "update") && refusals++ === 0
      ? [rejected("update", 429, "", request.body.clientToken)]
      : undefined;
  settings.set({ seconds: 7 });
  await world.run(500);
  service.update("", { desired: { elsewhere: 1 } });
  await world.run(60_000);
  isWell(t, device);
  t.is(service.reported()["seconds"], 7);
});

for (const operation of ["get", "update"] as const) {
  const silences: readonly (readonly [
    what: string,
    said: (request: ShadowRequest) => readonly Said[],
  ])[] = [
    ["no answer", () => []],
    [
      "an answer without clientToken",
      always(() => [
        operation === "get"
          ? { suffix: "get/accepted", body: { state: { desired: { seconds: 9 } }, version: 9 } }
          : { suffix: "update/accepted", body: { state: {}, version: 9 } },
      ]),
    ],
    [
      "the answer to another client's request",
      always(() => [
        operation === "get"
          ? {
              suffix: "get/accepted",
              body: { state: { desired: { seconds: 9 } }, version: 9, clientToken: "theirs" },
            }
          : rejected("update", 403, "Forbidden", "theirs"),
      ]),
    ],
  ];
  for (const [what, said] of silences)
    test(`3.7 ${what} to ${operation}: read again, over the same link, until there is one`, async t => {
      let left = 2;
      const device = await following({
        begin: ({ service }) => {
          service.answer = request =>
            isClassic(request, operation) && left-- > 0 ? said(request) : undefined;
        },
      });
      const { world, service, settings } = device;
      await world.run(100_000);
      const requests = service.requests.filter(({ shadow }) => shadow === "");
      t.is(
        requests.map(request => request.operation[0]).join(""),
        operation === "get" ? "gggu" : "gugugu",
      );
      t.deepEqual(service.reported(), defaults);
      t.is(settings.values.seconds, 5);
      t.deepEqual(world.faults, []);
      isWell(t, device);
      await goesOn(t, device);
    });

  test(`3.7 three times no answer to ${operation}: the link is dropped, the next one starts afresh`, async t => {
    const device = await following({
      begin: ({ service }) => {
        service.answer = request => (isClassic(request, operation) ? [] : undefined);
      },
    });
    const { world, service } = device;
    await world.run(60_000);
    const [offline] = world.seen("offline");
    t.is(offline?.error.code, "shadow/timeout");
    const asked = service.of(operation).filter(({ link }) => link === 0);
    t.is(asked.length, 3);
    t.true(offline!.at - asked[0]!.at >= 44_900);
    service.answer = () => undefined;
    await world.run(60_000);
    t.is(world.seen("offline").length, 1);
    t.deepEqual(service.reported(), defaults);
  });
}

test("3.7 an answer twice counts once", async t => {
  const device = await following({
    begin: ({ service }) => {
      service.put("", { seconds: 9 }, {}, 4);
      service.answer = request => {
        const once = service.respond(request);
        return [...once, ...once];
      };
    },
  });
  const { service, changes, settings, world } = device;
  settings.set({ led: "red" });
  await world.run(2000);
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.is(service.of("get").length, 1);
  t.is(service.of("update").length, 2);
  t.deepEqual(service.reported(), { ...defaults, seconds: 9, led: "red" });
  isWell(t, device);
});

test("3.7 answers after the deadline: what has been asked again meanwhile counts, nothing is doubled or lost", async t => {
  const device = await following({
    begin: ({ service }) => {
      service.put("", { seconds: 9 }, {}, 4);
      service.delayMs = 16_000;
    },
  });
  const { world, service, settings, changes } = device;
  await world.run(20_000);
  service.delayMs = 0;
  await world.run(60_000);
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.is(settings.values.seconds, 9);
  t.deepEqual(service.reported(), { ...defaults, seconds: 9 });
  isWell(t, device);
});

test("3.7 rejections that nobody asked for change nothing", async t => {
  const device = await following();
  const { world, service } = device;
  const before = service.requests.length;
  for (const [code, message] of all)
    for (const operation of ["get", "update", "delete"] as const)
      service.say(
        "",
        rejected(operation, code, message, undefined),
        rejected(operation, code, message, "theirs"),
      );
  await world.run(600_000);
  t.is(service.requests.length, before);
  t.deepEqual(world.faults, []);
  isWell(t, device);
});
