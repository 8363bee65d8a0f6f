// The core stories of shadows on Node and on the XS engine, 64 and 32 bits wide: the same device, the same service.
import anyTest, { type TestFn } from "ava";
import { Flash } from "../../simulator/world/flash.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { type Declared, type Driven, drive, World } from "./device-world.js";
import { rejected } from "./service.js";

const test = anyTest as TestFn;
const { worker64, worker32 } = await buildForTests();
const engines: readonly (readonly [string, string | undefined])[] = [
  ["node", undefined],
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
  ...(worker32.ok ? ([["xs 32-bit", worker32.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);
workerOrReport(test, worker32, 32);

const classic: Declared = {
  shadow: "",
  schema: {
    seconds: { type: "integer", min: 1, max: 60, default: 5 },
    label: { type: "string", maxLength: 8, default: "" },
    mode: { type: "integer", default: 0, wins: "device" },
    alarm: {
      type: "group",
      members: {
        high: { type: "number", max: 90, default: 50 },
        tone: { type: "group", members: { hertz: { type: "integer", default: 440 } } },
      },
    },
  },
};
const named = (shadow: string): Declared => ({
  shadow,
  schema: { n: { type: "integer", default: 0 } },
});
const defaults = { seconds: 5, label: "", mode: 0, alarm: { high: 50, tone: { hertz: 440 } } };

async function within(
  declared: readonly Declared[],
  worker: string | undefined,
  story: (device: Driven) => Promise<void>,
  world = new World(),
  flash = new Flash(),
): Promise<void> {
  const device = await drive(declared, worker, world, flash);
  try {
    await story(device);
  } finally {
    await device.close();
  }
}

for (const [engine, worker] of engines) {
  test(`${engine}: 404, then what is wanted, in groups: applied and reported, only what changed`, async t => {
    await within([classic], worker, async ({ world, service, values }) => {
      await world.run(3000);
      t.deepEqual(service.reported(), defaults);
      service.desire({ seconds: 9, alarm: { tone: { hertz: 880 } } });
      await world.run(2000);
      t.deepEqual(service.of("update").at(-1)?.body.state, {
        reported: { seconds: 9, alarm: { tone: { hertz: 880 } } },
      });
      t.deepEqual(await values(""), {
        ...defaults,
        seconds: 9,
        alarm: { high: 50, tone: { hertz: 880 } },
      });
      t.deepEqual(world.faults, []);
    });
  });

  test(`${engine}: 409: read again, and the device's own word told at the new version`, async t => {
    await within([classic], worker, async ({ world, service, set }) => {
      await world.run(3000);
      service.desire({ mode: 1 });
      await world.run(1000);
      let isFirst = true;
      service.answer = request => {
        if (request.operation !== "update" || !isFirst) return undefined;
        isFirst = false;
        service.isHolding = true;
        service.desire({ seconds: 9 });
        service.isHolding = false;
        service.held = [];
        return undefined;
      };
      set("", { mode: 5 });
      await world.run(3000);
      t.is(service.desired()["mode"], 5);
      t.deepEqual(service.reported(), { ...defaults, mode: 5, seconds: 9 });
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: 429: waits at least 2 s, keeps the link, then reports`, async t => {
    await within([classic], worker, async ({ world, service, set }) => {
      await world.run(3000);
      let refusals = 0;
      service.answer = ({ operation, body }) =>
        operation === "update" && refusals++ === 0
          ? [rejected("update", 429, "Too many requests", body.clientToken)]
          : undefined;
      set("", { seconds: 7 });
      await world.run(20_000);
      const [refused, again] = service.requests.slice(-3);
      t.true(again!.at - refused!.at >= 2000);
      t.is(service.reported()["seconds"], 7);
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: a verdict for each key that is not in force, hostile ones among them`, async t => {
    const outcome = { label: "deferred", alarm: `no horn ${"x".repeat(70)}\u{1f600}\u{1f600}` };
    await within([{ ...classic, outcome }], worker, async ({ world, service, values }) => {
      await world.run(3000);
      const version = service.version() + 1;
      service.put("", {}, service.reported(), version);
      const state =
        '{"seconds":1e400,"mode":3,"label":"a","alarm":{"high":1},"__proto__":{"seconds":3},' +
        '"constructor":1,"\\ud800":1}';
      service.deliver("", {
        suffix: "update/delta",
        body: `{"state":${state},"version":${version}}`,
      });
      await world.run(3000);
      const verdicts = service.reported()["_verdicts"] as { [path: string]: string };
      t.deepEqual(Object.keys(verdicts).sort(), [
        "__proto__",
        "alarm.high",
        "constructor",
        "label",
        "seconds",
        "\ufffd",
      ]);
      t.true(verdicts["alarm.high"]?.startsWith("failed: no horn xxx"));
      t.is(((await values("")) as { mode: number }).mode, 3);
      t.deepEqual(world.faults, []);
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: the classic shadow and ten named ones, no reply is mixed up`, async t => {
    const shadows = Array.from({ length: 10 }, (_, i) => `s${i}`);
    await within([classic, ...shadows.map(named)], worker, async ({ world, service, values }) => {
      shadows.forEach((shadow, i) => {
        service.put(shadow, { n: i + 1 }, {}, 1);
      });
      await world.run(10_000);
      for (const [i, shadow] of shadows.entries()) {
        t.deepEqual(await values(shadow), { n: i + 1 });
        t.deepEqual(service.reported(shadow), { n: i + 1 });
      }
      t.true(service.mostInFlight <= 4);
      t.deepEqual(world.faults, []);
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: values survive a restart, and the cloud's last word counts`, async t => {
    const world = new World();
    const flash = new Flash();
    const first = async ({ service }: Driven) => {
      await world.run(3000);
      service.desire({ seconds: 9 });
      await world.run(2000);
    };
    await within([classic], worker, first, world, flash);
    world.service.desire({ label: "new" });
    const second = async ({ service, values }: Driven) => {
      const { seconds } = (await values("")) as { seconds: number };
      t.is(seconds, 9, "before there is a link");
      await world.run(10_000);
      t.deepEqual(service.reported(), { ...defaults, seconds: 9, label: "new" });
    };
    await within([classic], worker, second, world, flash);
  });
}
