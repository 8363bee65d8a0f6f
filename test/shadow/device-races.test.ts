// Orders of events that once left device and cloud apart.
import test from "ava";
import type { AgentStatus } from "../../src/index.js";
import { boot, World } from "./device-world.js";
import { rejected, type ShadowService } from "./service.js";

const schema = {
  seconds: { type: "integer", default: 5 },
  led: { type: "enum", values: ["off", "red"], default: "off" },
  mode: { type: "integer", default: 0, wins: "device" },
} as const;
async function following(begin = (_: ReturnType<typeof boot>) => {}, world = new World()) {
  const d = boot({ world });
  begin(d);
  const settings = d.agent.settings(schema);
  d.agent.start();
  return { ...d, settings };
}
test("A: wins device, first connect, no shadow yet", async t => {
  const { world, service, settings } = await following();
  settings.set({ mode: 5 });
  await world.run(60_000);
  t.deepEqual(service.reported(), { seconds: 5, led: "off", mode: 5 });
  t.deepEqual(world.faults, []);
});
test("B: wins device set online right after delete", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  for (let i = 0; i < 5; i++) service.desire({ seconds: 5 + i });
  await world.run(3000);
  world.unplug();
  settings.set({ mode: 5 });
  world.plug();
  await world.run(10000);
  t.is(service.reported()["mode"], 5);
  service.delete();
  settings.set({ mode: 6 });
  await world.run(60_000);
  t.is(service.reported()["mode"], 6);
  t.is(service.reported()["seconds"], 9);
});
test("C: deleted while the update's answer is late (delete/accepted before update/accepted)", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  service.isHolding = true;
  settings.set({ led: "red" });
  await world.run(200);
  service.delete();
  const held = service.held.reverse();
  service.isHolding = false;
  service.held = [];
  for (const { said } of held) service.deliver("", said);
  await world.run(60_000);
  t.deepEqual(service.reported(), { seconds: 5, led: "red", mode: 0 });
});
test("D: deleted while the document is on its way, delete/accepted first", async t => {
  const { world, service } = await following(({ service }) => {
    service.put("", {}, { seconds: 5, led: "off", mode: 0 }, 3);
    service.isHolding = true;
  });
  await world.run(3000);
  service.delete();
  const held = service.held.reverse();
  service.isHolding = false;
  service.held = [];
  for (const { said } of held) service.deliver("", said);
  await world.run(60_000);
  t.deepEqual(service.reported(), { seconds: 5, led: "off", mode: 0 });
});
test("E: foreign accepted ends the wait", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  service.desire({ led: "blue" });
  await world.run(1000);
  service.answer = ({ operation, body }) =>
    operation === "update" ? [rejected("update", 429, "", body.clientToken)] : undefined;
  settings.set({ seconds: 7 });
  await world.run(500);
  const n = service.requests.length;
  for (let i = 0; i < 20; i++) {
    service.update("", { desired: { x: i } });
    await world.run(300);
  }
  t.true(service.requests.length - n < 6, `${service.requests.length - n}`);
});
test("F: retry in a row ends the wait", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  service.answer = ({ operation, body }) => [
    rejected(operation as "get", 429, "", body.clientToken),
  ];
  settings.set({ seconds: 7 });
  await world.run(500);
  const n = service.requests.length;
  for (let i = 0; i < 20; i++) {
    settings.retry();
    await world.run(300);
  }
  t.true(service.requests.length - n < 6, `${service.requests.length - n}`);
});
test("G: 429 three times, then one silence", async t => {
  const { world, service } = await following(({ service }) => {
    let n = 0;
    service.answer = ({ operation, body }) =>
      n++ < 3
        ? [rejected(operation as "get", 429, "", body.clientToken)]
        : n === 4
          ? []
          : undefined;
  });
  await world.run(120_000);
  t.deepEqual(
    world.seen("offline").map(o => o.error.message),
    [],
  );
  t.is(service.requests.length, 6);
});
test("H: state null by other client online", async t => {
  const { world, service } = await following();
  await world.run(3000);
  service.update("", null);
  await world.run(60_000);
  t.deepEqual(service.reported(), { seconds: 5, led: "off", mode: 0 });
});
test("I: duplicate delta after 403", async t => {
  const { world, service } = await following();
  await world.run(3000);
  service.answer = ({ operation, body }) =>
    operation === "update" ? [rejected("update", 403, "Forbidden", body.clientToken)] : undefined;
  service.desire({ seconds: 9 });
  await world.run(3000);
  const n = service.of("update").length;
  service.deliver("", {
    suffix: "update/delta",
    body: { state: { seconds: 9 }, version: service.version() },
  });
  service.deliver("", {
    suffix: "update/delta",
    body: { state: { seconds: 9 }, version: service.version() },
  });
  await world.run(3000);
  t.is(service.of("update").length, n);
});
test("K: foreign update removes reported key online", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  service.update("", { reported: { seconds: null } });
  await world.run(1000);
  settings.set({ led: "red" });
  await world.run(1000);
  t.is(service.reported()["seconds"], 5);
});

test("a version that is invalid, because there is no shadow, is a conflict", async t => {
  const { world, service, settings } = await following();
  await world.run(3000);
  let n = 0;
  service.answer = ({ operation, body }) =>
    operation === "update" && n++ === 0
      ? [rejected("update", 400, "Invalid version", body.clientToken)]
      : undefined;
  settings.set({ mode: 9 });
  await world.run(60_000);
  t.is(service.reported()["mode"], 9);
  t.deepEqual(world.faults, []);
});

const verdictsIn = (service: ShadowService) =>
  service.reported()["_verdicts"] as Record<string, string>;

type Followed = Awaited<ReturnType<typeof following>>;

/** Follows; when the cloud wants a led that there is not, beside seconds that are fine, the product does this inside the verdict. */
async function insideVerdict(work: (followed: Followed) => void) {
  const world = new World();
  const tell = world.onStatus;
  let times = 0;
  Object.assign(world, {
    onStatus: (status: AgentStatus) => {
      tell(status);
      if (status.type === "settingRefused" && status.name === "led" && times++ === 0)
        work(followed);
    },
  });
  const followed = await following(() => {}, world);
  const changes: unknown[] = [];
  followed.settings.onChange = changed => void changes.push(changed);
  await world.run(3000);
  followed.service.desire({ led: "blue", seconds: 9 });
  await world.run(60_000);
  return { ...followed, changes, times };
}

test("set inside settingRefused, of the refused value: what was wanted beside it is in force as well", async t => {
  const { world, service, settings, changes } = await insideVerdict(({ settings }) =>
    settings.set({ led: "red" }),
  );
  t.deepEqual(settings.values, { seconds: 9, led: "red", mode: 0 });
  t.is(service.reported()["led"], "red");
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(Object.keys(verdictsIn(service)), ["led"]);
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.deepEqual(world.faults, []);
});

test("set inside settingRefused, of what is wanted: the product's counts, onChange is not called, and a verdict says so", async t => {
  const { world, service, settings, changes } = await insideVerdict(({ settings }) =>
    settings.set({ seconds: 7 }),
  );
  t.deepEqual(settings.values, { seconds: 7, led: "off", mode: 0 });
  t.is(service.reported()["seconds"], 7);
  t.is(verdictsIn(service)["seconds"], "failed: the device has set 7");
  t.deepEqual(changes, []);
  t.is(settings.verdicts.get("seconds"), "failed: the device has set 7");
  t.deepEqual(world.faults, []);
});

test("set inside settingRefused, to what is wanted: in force without onChange, and no verdict about it", async t => {
  const { service, settings, changes } = await insideVerdict(({ settings }) =>
    settings.set({ seconds: 9 }),
  );
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(Object.keys(verdictsIn(service)), ["led"]);
  t.deepEqual(changes, []);
});

test("stop inside settingRefused: nothing is sent after it, and the next start converges", async t => {
  const followed = await insideVerdict(({ agent }) => agent.stop());
  const { agent, world, service, settings, changes } = followed;
  t.is(world.network.open, 0);
  t.is(service.reported()["seconds"], 5);
  agent.start();
  await world.run(60_000);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(changes, [{ seconds: 9 }]);
  t.deepEqual(world.faults, []);
});

test("stop and start inside settingRefused: one link, and it converges", async t => {
  const { world, service, settings } = await insideVerdict(({ agent }) => {
    agent.stop();
    agent.start();
  });
  t.is(world.network.open, 1);
  t.is(settings.values.seconds, 9);
  t.is(service.reported()["seconds"], 9);
  t.deepEqual(world.faults, []);
});
