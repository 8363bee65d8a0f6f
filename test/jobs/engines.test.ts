// The core stories of jobs on Node and on the XS engine, 64 and 32 bits wide: the same product, the same service.
import anyTest, { type TestFn } from "ava";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { type Driven, drive } from "./engines.js";

const test = anyTest as TestFn;
const { worker64, worker32 } = await buildForTests();
const engines: readonly (readonly [string, string | undefined])[] = [
  ["node", undefined],
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
  ...(worker32.ok ? ([["xs 32-bit", worker32.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);
workerOrReport(test, worker32, 32);

async function within(
  worker: string | undefined,
  story: (device: Driven) => Promise<void>,
): Promise<void> {
  const device = await drive(worker);
  try {
    await story(device);
  } finally {
    await device.close();
  }
}

const work = (what: string, text?: string) => ({ operation: "work", do: what, text });

for (const [engine, worker] of engines) {
  test(`${engine}: succeeded, failed, thrown, rejected, with what was said`, async t => {
    await within(worker, async ({ world, service }) => {
      service.create("a", work("succeed", "yes \u{1f600}"));
      service.create("b", work("fail", "no"));
      service.create("c", work("throw", "out of order"));
      service.create("d", { operation: "work" });
      service.create("e", { operation: "fly" });
      service.create("f", work("report", "half"));
      service.create("g", { operation: "later" });
      await world.run(20_000);
      t.deepEqual(service.of("a").statusDetails, { text: "yes \u{1f600}" });
      t.is(service.status("b"), "FAILED");
      t.is(service.reason("b"), "no");
      t.is(service.reason("c"), "out of order");
      t.is(service.status("d"), "REJECTED");
      t.is(service.reason("d"), "nothing to do");
      t.is(service.reason("e"), "not honoured on this device: fly");
      t.deepEqual(service.of("f").statusDetails, { text: "half!" });
      t.is(service.status("g"), "SUCCEEDED");
      t.deepEqual(world.faults, []);
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: over a restart it asks for, with what it kept; reboot; a template`, async t => {
    await within(worker, async device => {
      const { world, service, log } = device;
      service.create("a", work("restart"));
      service.create("b", { operation: "reboot" });
      service.create("c", {
        version: "1.0",
        steps: [
          { action: { name: "Reboot", type: "runHandler", input: { handler: "reboot.sh" } } },
        ],
      });
      await world.run(180_000);
      t.deepEqual(service.of("a").statusDetails, { kept: "7,8" });
      t.is(service.status("b"), "SUCCEEDED");
      t.is(service.status("c"), "SUCCEEDED");
      t.is(device.boots, 4);
      t.deepEqual(log, ["run a 1 false", "run a 1 true kept 7,8"]);
    });
  });

  test(`${engine}: crashes three times: FAILED, the next one runs`, async t => {
    await within(worker, async device => {
      const { world, service, log } = device;
      service.create("a", work("hold"));
      service.create("b", work("succeed"));
      for (let i = 0; i < 3; i++) {
        await world.run(60_000);
        device.crash();
      }
      await world.run(120_000);
      t.deepEqual(log, ["run a 1 false", "run a 2 false", "run a 3 false", "run b 1 false"]);
      t.is(service.reason("a"), "started 3 times, and came to no end");
      t.is(service.status("b"), "SUCCEEDED");
    });
  });

  test(`${engine}: cancelled while it runs; a gate; a message of a stream; fresh documents; a lost link`, async t => {
    await within(worker, async ({ world, service, log }) => {
      service.create("a", work("hold"));
      service.create("gated", work("succeed"));
      const b = service.create("b", work("refresh", "1"));
      await world.run(5000);
      service.cancel("a", true);
      await world.run(5000);
      t.is(service.status("gated"), "QUEUED");
      service.cancel("gated");
      b.document = work("refresh", "2");
      await world.run(5000);
      t.is(service.status("b"), "SUCCEEDED");
      service.create("c", work("hold"));
      await world.run(5000);
      service.cutLink();
      await world.run(60_000);
      service.publish("$aws/things/node-1/streams/s/data/cbor", Buffer.alloc(3000));
      await world.run(5000);
      t.deepEqual(service.of("c").statusDetails, { got: "3000" });
      t.deepEqual(log, [
        "run a 1 false",
        "cancel a",
        "run b 1 false",
        "document 2",
        "run c 1 false",
        "offline c",
        "online c",
        "message $aws/things/node-1/streams/s/data/cbor 3000",
      ]);
    });
  });

  test(`${engine}: settings by a job`, async t => {
    await within(worker, async ({ world, service, log }) => {
      const operation = "settings";
      service.create("a", { operation, values: { seconds: 9, alarm: { high: 60 } } });
      service.create("b", { operation, values: { seconds: 99, __proto__: 1, alarm: 5 } });
      service.create("c", { operation, values: { seconds: 7, alarm: { high: 66 } } });
      await world.run(20_000);
      t.is(service.status("a"), "SUCCEEDED");
      t.is(service.status("b"), "REJECTED");
      t.regex(service.reason("b")!, /^seconds: out of range: 99 is above 60; alarm: wrong type/);
      t.deepEqual(service.of("c").statusDetails, {
        reason: "not all of it is in force",
        "alarm:high": "failed: no horn",
      });
      t.deepEqual(log, ["settings seconds,alarm", "settings seconds,alarm"]);
      t.deepEqual(world.seen("reported").at(-1)?.values, { seconds: 7 });
      t.deepEqual(world.seen("offline"), []);
    });
  });

  test(`${engine}: hostile documents and answers end no engine`, async t => {
    await within(worker, async ({ world, service }) => {
      service.create("a", `{"operation":"work","x":${"[".repeat(5000)}${"]".repeat(5000)}}`);
      service.create("b", { ...work("succeed"), filler: "x".repeat(30_000) });
      const names = Array.from({ length: 1000 }, (_, i) => [`name${i}`, i]);
      service.create("c", { ...Object.fromEntries(names), ...work("succeed", "many") });
      service.create("d", work("fail", "\u0000\u{1f600}".repeat(900)));
      service.create("e", "[".repeat(20_000));
      await world.run(120_000);
      t.is(service.status("a"), "REJECTED");
      t.is(service.status("b"), "REJECTED");
      t.is(service.status("c"), "SUCCEEDED");
      t.is(service.status("d"), "FAILED", service.reason("d"));
      service.cancel("e");
      for (const suffix of ["notify-next", "$next/get/accepted", "e/update/rejected"])
        for (const body of ["[".repeat(20_000), "\u0000", '{"execution":{"jobId":"x"}}'])
          service.say({ suffix, body });
      await world.run(700_000);
      service.create("f", work("succeed"));
      await world.run(10_000);
      t.is(service.status("f"), "SUCCEEDED");
      t.deepEqual(world.seen("offline"), []);
    });
  });
}
