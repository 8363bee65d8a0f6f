// The Node agent over mutual TLS through a bad network of real sockets. Its clock and timers run twenty times as fast as the
// world's, so that keep-alives and backoffs are lived through, not waited for.
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { createHost } from "../../hosts/node/host.js";
import { Cloud, type CloudEvent } from "../../simulator/cloud/cloud.js";
import { bothWays, dark, type NameFaults } from "../../simulator/world/faults.js";
import { resolverOf } from "../../simulator/world/names.js";
import { FaultProxy } from "../../simulator/world/proxy.js";
import type { Host, TimerHandle } from "../../src/host.js";
import type { AgentStatus } from "../../src/index.js";

const speed = 20;
const keepAliveMs = 60_000;
const capMs = 120_000;

/** Certificates are judged by the wall clock, which stays as it is. */
function hurried({ clock, timer, ...rest }: Host): { host: Host; off: () => void } {
  const handles: TimerHandle[] = [];
  const keep = (handle: TimerHandle) => {
    handles.push(handle);
    return handle;
  };
  const host: Host = {
    ...rest,
    clock: { ticks: () => clock.ticks() * speed, now: () => clock.now() },
    timer: {
      set: (callback, delayMs) => keep(timer.set(callback, delayMs / speed)),
      repeat: (callback, intervalMs) => keep(timer.repeat(callback, intervalMs / speed)),
      clear: handle => timer.clear(handle),
    },
  };
  return { host, off: () => handles.forEach(timer.clear) };
}

/** A cloud, a proxy in front of it, a device behind that, powered on with `prepare` done. */
async function open(t: ExecutionContext, prepare?: (proxy: FaultProxy) => void) {
  const changes = new EventEmitter();
  const events: CloudEvent[] = [];
  const statuses: (AgentStatus & { readonly at: number })[] = [];
  const directory = mkdtempSync(join(tmpdir(), "skerry-network-"));
  const cloud = await Cloud.open({
    listen: { host: "127.0.0.1", port: 0 },
    allow: ["SN-1"],
    onEvent: event => {
      events.push(event);
      changes.emit("change");
    },
  });
  const proxy = await FaultProxy.listen({ to: cloud.port! });
  prepare?.(proxy);
  const { host: plain, off } = hurried(createHost({ directory, id: "board-1" }));
  const names: { faults: NameFaults } = { faults: {} };
  const resolver = resolverOf({
    timer: plain.timer,
    address: "127.0.0.1",
    faults: () => names.faults,
    delayMs: () => 20,
  });
  const host = { ...plain, dns: { io: resolver } };
  const claim = cloud.claim();
  const config = {
    endpoint: "localhost",
    port: proxy.port,
    trustAnchors: [claim.trustAnchor],
    claim,
    template: "sensor-node",
    serialNumber: "SN-1",
  };
  const agent = sensorNode(host, config, status => {
    statuses.push({ ...status, at: host.clock.ticks() });
    changes.emit("change");
  });
  const seen = <T extends AgentStatus["type"]>(type: T) =>
    statuses.filter(status => status.type === type) as (Extract<AgentStatus, { type: T }> & {
      readonly at: number;
    })[];
  const until = async (isDone: () => boolean) => {
    const signal = AbortSignal.timeout(60_000);
    while (!isDone()) await once(changes, "change", { signal });
  };
  t.teardown(async () => {
    agent.stop();
    proxy.faults = {};
    await until(() => seen("stopped").length > 0);
    off();
    await proxy.close();
    await cloud.close();
    rmSync(directory, { recursive: true });
  });
  agent.start();
  const ticks = () => host.clock.ticks();
  /** Telemetry goes out, arrives and is acknowledged. */
  const isWell = async (channel: string) => {
    agent.telemetry.send(channel, { x: 1 });
    await until(() => seen("telemetry").some(status => status.channel === channel));
    const arrived = events.filter(
      event => event.type === "message" && event.topic.endsWith(`/${channel}`),
    );
    t.true(arrived.length > 0, channel);
  };
  const provisioned = () => until(() => seen("provisioned").length > 0);
  return { proxy, agent, names, seen, until, ticks, isWell, provisioned };
}

test("split at every byte and at random, a blank board is provisioned over TLS and sends telemetry", async t => {
  for (const segments of ["bytes", "random"] as const) {
    const world = await open(t, proxy => {
      proxy.faults = bothWays({ segments });
    });
    await world.provisioned();
    await world.isWell("split");
    t.is(world.seen("fault").length, 0);
  }
});

test("a link cut again and again is dialed again each time", async t => {
  const { proxy, seen, until, isWell, provisioned } = await open(t);
  await provisioned();
  for (let i = 0; i < 5; i++) {
    const before = seen("online").length;
    proxy.cutAll();
    await until(() => seen("online").length > before);
    await isWell(`cut${i}`);
  }
  t.true(seen("offline").length >= 5);
  t.is(seen("fault").length, 0);
});

test("a cable pulled: the silence is noticed within one and a half keep-alives, what was sent into it arrives later", async t => {
  const { proxy, agent, seen, until, ticks, provisioned, isWell } = await open(t);
  await provisioned();
  await isWell("before");
  proxy.faults = dark;
  const pulledAt = ticks();
  await until(() => seen("offline").length > 0);
  const [lost] = seen("offline");
  t.true(lost!.at - pulledAt <= keepAliveMs * 1.6, `${lost!.at - pulledAt} ms`);
  t.is(lost!.error.kind, "timeout");
  agent.telemetry.send("kept", { x: 1 });
  await until(() => seen("offline").length > 2);
  proxy.faults = {};
  const backAt = ticks();
  await until(() => seen("online").at(-1)!.at > backAt);
  t.log(
    `silence noticed after ${lost!.at - pulledAt} ms, back ${ticks() - backAt} ms after the cable`,
  );
  t.true(ticks() - backAt <= capMs + 40_000);
  await until(() => seen("telemetry").some(({ channel }) => channel === "kept"));
});

test("one direction in a black hole is as bad as both, and is noticed as soon", async t => {
  for (const faults of [{ toServer: { swallows: true } }, { toDevice: { swallows: true } }]) {
    const { proxy, seen, until, ticks, provisioned, isWell } = await open(t);
    await provisioned();
    proxy.faults = faults;
    const darkAt = ticks();
    await until(() => seen("offline").length > 0);
    t.true(seen("offline")[0]!.at - darkAt <= keepAliveMs * 1.6);
    proxy.faults = {};
    await isWell("after");
  }
});

test("at one byte per second the link ends by a deadline, and is well again when the line is", async t => {
  const { proxy, agent, seen, until, provisioned, isWell } = await open(t);
  await provisioned();
  await isWell("before");
  proxy.faults = bothWays({ bytesPerSecond: 1 });
  agent.telemetry.send("slow", { x: 1 });
  await until(() => seen("offline").length > 1);
  t.true(seen("offline").every(({ error }) => error.kind === "timeout"));
  proxy.faults = {};
  await until(() => seen("telemetry").some(({ channel }) => channel === "slow"));
  await isWell("after");
});

for (const [what, faults] of [
  ["reset by the server's side", { toDevice: { resetAfterBytes: 500 } }],
  ["reset by the device's side", { toServer: { resetAfterBytes: 100 } }],
  ["refused", { dial: "refused" }],
  ["met with silence", { dial: "silent" }],
] as const) {
  test(`handshakes that are ${what} are tried again`, async t => {
    const { proxy, seen, until, isWell, provisioned } = await open(t);
    await provisioned();
    const { length } = seen("online");
    proxy.faults = faults;
    proxy.cutAll();
    await until(() => seen("offline").length > 3);
    t.is(seen("online").length, length);
    proxy.faults = {};
    await isWell("after");
  });
}

test("names that fail, and a first address that is dead, do not keep it away", async t => {
  const { proxy, names, seen, until, isWell, provisioned } = await open(t);
  await provisioned();
  for (const fate of ["absent", "failed", "silent"] as const) {
    const before = seen("offline").length;
    names.faults = { fate };
    proxy.cutAll();
    await until(() => seen("offline").length > before + 1);
    names.faults = {};
    await isWell(`after-${fate}`);
  }
  // Nothing listens there: this machine says so at once.
  names.faults = { addresses: ["127.255.255.254", "127.0.0.1"] };
  const before = seen("offline").length;
  proxy.cutAll();
  await until(() => seen("offline").length > before);
  await isWell("after-dead-address");
  // One more where this machine had no time for it: a backoff for each address there would be many.
  t.true(seen("offline").length <= before + 2);
});
