import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { createHost } from "../../../hosts/node/host.js";
import { buildEngine } from "../../../hosts/xs/engine/build.js";
import { bundleModule, bundleText } from "../../../hosts/xs/engine/bundle.js";
import { type DeviceEvent, startDevice } from "../../../hosts/xs/engine/device.js";
import { Machine, MachineError, type MachineOptions } from "../../../hosts/xs/engine/machine.js";
import { NetstringReader } from "../../../hosts/xs/engine/netstring.js";
import type { Host, TimerHandle } from "../../../src/host.js";
import { createAuthority, toPem } from "../certificates.js";
import { buildForTests, workerOrReport } from "../engine.js";

const test = anyTest as TestFn;
const engines = await buildForTests();
const worker = workerOrReport(test, engines.worker64, 64);
const worker32 = workerOrReport(test, engines.worker32, 32);
const withXS = worker === undefined ? test.skip : test;
const with32 = worker32 === undefined ? test.skip : test;

async function start(t: ExecutionContext, options: Partial<MachineOptions> = {}): Promise<Machine> {
  const machine = await Machine.start({ worker: worker!, ...options });
  t.teardown(() => machine.close());
  return machine;
}

test("a compiler that is not there is named", async t => {
  const cache = mkdtempSync(join(tmpdir(), "skerry-build-"));
  const engine = await buildEngine({ compiler: "no-such-cc", cache });
  t.false(engine.ok);
  if (!engine.ok) t.regex(engine.missing, /^no C compiler: no-such-cc does not run/);
});

test("a worker that does not start is an error, not a crash", async t => {
  const error = await t.throwsAsync(Machine.start({ worker: "/no/such/worker" }));
  t.regex(error?.message ?? "", /does not start: .*ENOENT/);
});

test("netstrings are cut right, whatever pieces they come in", t => {
  const stream = Buffer.from("3:abc,0:,12:hello, world,");
  for (let size = 1; size <= stream.length; size++) {
    const reader = new NetstringReader();
    const found: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      found.push(...reader.push(stream.subarray(at, at + size)).map(String));
    }
    t.deepEqual(found, ["abc", "", "hello, world"]);
  }
  for (const wrong of ["x:", "3:abcd", ":", "99999999999:"]) {
    t.throws(() => new NetstringReader().push(Buffer.from(wrong)), { message: /^XS worker: no/ });
  }
});

withXS(
  "an interrupt at the terminal is not for the worker: it leads a process group of its own",
  async t => {
    const machine = await start(t);
    t.notThrows(() => process.kill(-machine.processId!, 0));
  },
);

withXS("a guest's exception is reported and the machine goes on", async t => {
  const machine = await start(t);
  const thrown = await t.throwsAsync(machine.evaluate("null.x"), { instanceOf: MachineError });
  t.is(thrown?.kind, "exception");
  t.regex(thrown?.message ?? "", /^TypeError/);
  await t.notThrowsAsync(machine.evaluate("1"));
});

withXS("a rejection nobody handles is reported with the command that caused it", async t => {
  const machine = await start(t);
  const results = await Promise.allSettled([
    machine.evaluate("1"),
    machine.evaluate("Promise.reject(new Error('lost'))"),
    machine.evaluate("2"),
  ]);
  t.deepEqual(
    results.map(result => (result.status === "rejected" ? result.reason.kind : "fine")),
    ["fine", "stderr", "fine"],
  );
});

for (const [source, exitCode, reason] of [
  ["for (;;);", 17, /too much computation/],
  ["const turn = () => Promise.resolve().then(turn); turn();", 17, /too much computation/],
  ["(function f() { f(); })()", 12, /stack overflow/],
  ["const a = []; for (;;) a.push(new ArrayBuffer(1 << 26));", 11, /out of memory/],
] as const) {
  withXS(`${source} ends the machine with exit code ${exitCode}`, async t => {
    const machine = await start(t, { limit: 5_000_000 });
    const error = await t.throwsAsync(machine.evaluate(source), { instanceOf: MachineError });
    t.is(error?.kind, "ended");
    t.is(error?.exitCode, exitCode);
    t.regex(error?.message ?? "", reason);
    await t.throwsAsync(machine.evaluate("1"), { message: reason });
  });
}

withXS("built-in objects are frozen, as in a device's flash", async t => {
  const machine = await start(t);
  await t.throwsAsync(machine.evaluate("'use strict'; Array.prototype.x = 1"));
  await t.throwsAsync(machine.evaluate("'use strict'; const e = new Error(); e.name = 'x'"));
});

withXS("the same program costs the same computrons in every machine", async t => {
  const bundle = await bundleText("globalThis.sum = 0; for (let i = 0; i < 1000; i++) sum += i;");
  const machines = await Promise.all([start(t), start(t)]);
  const costs = await Promise.all(machines.map(machine => machine.runBundle(bundle)));
  t.true(costs[0]!.computrons > 1000);
  t.is(costs[0]!.computrons, costs[1]!.computrons);
  t.is(machines[0]!.computrons, machines[1]!.computrons);
});

with32(
  "a 32-bit machine has an ESP32's slots, and small increments keep garbage out of the peak",
  async t => {
    const creation = {
      chunkBytes: 16384,
      chunkIncrementBytes: 1024,
      slots: 4600,
      slotIncrement: 64,
    };
    const machine = await start(t, { worker: worker32!, creation });
    const before = await machine.memory({ resetPeaks: true });
    t.is(before.slotBytes, 16);
    await machine.evaluate("for (let i = 0; i < 5000; i++) [i]");
    const after = await machine.memory();
    t.true(after.slots - before.slots < 20, `${after.slots - before.slots} slots stay`);
    t.true(after.slotPeak < 5000, `slot peak ${after.slotPeak}`);
    await machine.evaluate("globalThis.kept = Array.from({ length: 100 }, () => ({}))");
    const kept = await machine.memory();
    t.true(kept.slots - after.slots >= 100 && kept.slots - after.slots < 130);
    t.true(kept.chunkBytes > after.chunkBytes);
  },
);

with32(
  "collecting before every allocation leaves no garbage in the peak, and hides no live byte",
  async t => {
    const machine = await start(t, { worker: worker32! });
    const peakOf = async (source: string) => {
      const before = await machine.memory({ resetPeaks: true });
      await machine.evaluate(source);
      const after = await machine.memory();
      return { slots: after.slotPeak - before.slots, chunks: after.chunkPeak - before.chunkBytes };
    };
    const garbage = "for (let i = 0; i < 100; i++) new Uint8Array(1000)";
    const live = "{ const all = []; for (let i = 0; i < 8; i++) all.push(new Uint8Array(1000)); }";
    t.true((await peakOf(garbage)).chunks > 50_000);
    await machine.collectAlways(true);
    const [thrownAway, kept] = [await peakOf(garbage), await peakOf(live)];
    t.true(thrownAway.chunks < 3000, `${thrownAway.chunks} bytes`);
    t.true(thrownAway.slots < 100, `${thrownAway.slots} slots`);
    t.true(kept.chunks > 8000 && kept.chunks < 10_000, `${kept.chunks} bytes`);
    await machine.collectAlways(false);
    t.true((await peakOf(garbage)).chunks > 50_000);
  },
);

interface Manual {
  readonly host: Host;
  /** Fires every timer that is set. */
  fire(): void;
  restarts: number;
}

/** A host whose timers fire when the test says so. */
function manualHost(): Manual {
  const directory = mkdtempSync(join(tmpdir(), "skerry-xs-"));
  const armed = new Map<TimerHandle, () => void>();
  const arm = (callback: () => void) => {
    const handle = {};
    armed.set(handle, callback);
    return handle;
  };
  const manual: Manual = {
    host: {
      ...createHost({ directory, id: "xs-1", restart: () => void manual.restarts++ }),
      timer: { set: arm, repeat: arm, clear: handle => void armed.delete(handle ?? {}) },
    },
    fire: () => {
      for (const callback of [...armed.values()]) callback();
    },
    restarts: 0,
  };
  return manual;
}

async function probe(t: ExecutionContext, manual = manualHost()) {
  const machine = await start(t, { limit: 20_000_000 });
  const guest = fileURLToPath(new URL("probe-guest.js", import.meta.url));
  const events: DeviceEvent[] = [];
  const device = await startDevice({
    machine,
    host: manual.host,
    bundle: await bundleModule(guest),
    config: {},
    onEvent: event => events.push(event),
  });
  t.teardown(() => device.close());
  const after = async (name: string, ...args: unknown[]) => {
    events.length = 0;
    device.send(name, args);
    await device.idle();
    return events;
  };
  return { device, machine, manual, events, after };
}

withXS("events reach the guest in order, and its answers come back before idle", async t => {
  const { device, events, after } = await probe(t);
  t.is(events[0]?.type === "event" && events[0].name, "status");
  for (const text of ["a", "é€😀", "c"]) device.send("echo", [text]);
  await after("echo", "last");
  t.deepEqual(
    events.map(event => event.type === "event" && event.value),
    ["a", "é€😀", "c", "last"],
  );
});

withXS(
  "an exception in the guest is an error event that names the function, and the guest goes on",
  async t => {
    const { after } = await probe(t);
    const [event] = await after("throw");
    t.true(event?.type === "error" && !event.ended);
    if (event?.type === "error") {
      t.regex(event.error.message, /TypeError: thrown on purpose[\s\S]*throwOnPurpose/);
    }
    t.is((await after("echo", "alive")).length, 1);
  },
);

withXS("a rejection nobody handles in the guest is an error event", async t => {
  const { after } = await probe(t);
  const [event] = await after("reject");
  t.true(event?.type === "error" && /rejected on purpose/.test(event.error.message));
});

withXS("a guest that never returns ends, says why, and gives its timers back", async t => {
  const { after, manual } = await probe(t);
  await after("repeat");
  const events = await after("loop");
  const last = events.at(-1);
  t.true(last?.type === "error" && last.ended && /too much computation/.test(last.error.message));
  manual.fire();
  t.is((await after("echo", "nobody there")).length, 0);
});

withXS("a repeat whose guest is behind is one event, not a queue", async t => {
  const { device, events, manual, after } = await probe(t);
  await after("repeat");
  for (let i = 0; i < 5; i++) manual.fire();
  await device.idle();
  t.is(events.length, 1);
  manual.fire();
  await device.idle();
  t.is(events.length, 2);
});

withXS("a restart closes the guest's world, tells the owner and the host", async t => {
  const { after, manual } = await probe(t);
  t.deepEqual(await after("restart"), [{ type: "event", name: "restart", value: undefined }]);
  t.is(manual.restarts, 1);
  t.is((await after("echo", "nobody there")).length, 0);
});

withXS(
  "what the host refuses is an AgentError in the guest, and errors in events keep their words",
  async t => {
    const { after } = await probe(t);
    const refused = {
      isAgentError: true,
      name: "AgentError",
      code: "storage/write",
      kind: "storage",
    };
    t.deepEqual(await after("write"), [{ type: "event", name: "refused", value: refused }]);
    const [event] = await after("failure");
    t.deepEqual(event?.type === "event" && event.value, {
      error: { name: "AgentError", code: "connection/lost", kind: "network", message: "gone" },
    });
  },
);

withXS(
  "a guest has the partitions that its owner has, and no flash where there is none",
  async t => {
    const manual = manualHost();
    const value = { code: "storage/write", message: 'flash: there is no partition "nowhere" here' };
    t.deepEqual(await (await probe(t, manual)).after("flash"), [
      { type: "event", name: "flash", value },
    ]);
    const { flash: _, ...host } = manual.host;
    t.deepEqual(await (await probe(t, { ...manual, host })).after("flash"), [
      { type: "event", name: "flash", value: "there is none" },
    ]);
  },
);

withXS(
  "the sensor node runs in the engine: it fails to reach a closed port, says so, and stops",
  async t => {
    const authority = await createAuthority("Test root");
    const claim = await authority.issueClient("claim");
    const directory = mkdtempSync(join(tmpdir(), "skerry-xs-"));
    const seen: string[] = [];
    const errors: Error[] = [];
    let wake = () => {};
    const machine = await start(t);
    const device = await startDevice({
      machine,
      host: createHost({ directory, id: "xs-1" }),
      bundle: await bundleModule(
        fileURLToPath(new URL("../../../hosts/xs/main.js", import.meta.url)),
      ),
      config: {
        endpoint: "127.0.0.1",
        port: 1,
        trustAnchors: [toPem("CERTIFICATE", authority.root)],
        claim: {
          certificate: toPem("CERTIFICATE", claim.certificate),
          key: toPem("PRIVATE KEY", claim.key),
        },
        template: "sensor-node",
        serialNumber: "1",
      },
      onEvent: event => {
        if (event.type === "error") errors.push(event.error);
        else if (event.name === "status") seen.push((event.value as { type: string }).type);
        wake();
      },
    });
    t.teardown(() => device.close());
    const until = async (type: string) => {
      while (!seen.includes(type) && errors.length === 0) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    };
    await until("offline");
    await device.stop();
    await until("stopped");
    t.deepEqual(errors, []);
    t.true(seen.includes("connecting"));
  },
);
