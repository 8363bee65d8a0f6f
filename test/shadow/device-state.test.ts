// What a device tells of itself, in a shadow of its own: once, and again when it changes.
import test from "ava";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Agent, type AgentOptions, type AgentStatus, type Host } from "../../src/index.js";

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
const identity = { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") };
const prefix = "$aws/things/node-1/shadow/name/";

/** A shadow service for named shadows that nobody desires anything of. */
function service(): Script {
  let version = 0;
  return (packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !packet.topic.startsWith(prefix)) return;
    const { clientToken } = JSON.parse(String(packet.payload));
    const isGet = packet.topic.endsWith("/get");
    const isAbsent = isGet && version === 0;
    if (!isGet) version++;
    const message = isAbsent ? { code: 404, message: "No shadow exists" } : { state: {}, version };
    const topic = `${packet.topic}/${isAbsent ? "rejected" : "accepted"}`;
    const payload = JSON.stringify({ ...message, clientToken });
    link.reply({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false });
  };
}

function world(more: Partial<AgentOptions> = { deviceState: {} }) {
  const clock = new VirtualClock();
  const broker = new ScriptedBroker(service());
  const network = new Network(clock, broker.accept);
  const flash = new Flash();
  const base = virtualHost({ id: "board-1", clock, random: new Random(1), network, flash });
  const heap = { bytes: 65_000 as number | undefined };
  const system = { ...base.system, resetReason: "watchdog", freeHeapBytes: () => heap.bytes };
  const host = { ...base, system } as Host;
  const statuses: AgentStatus[] = [];
  const agent = new Agent({
    host,
    endpoint: "cloud.test",
    trustAnchors: [pem("CERTIFICATE")],
    identity,
    firmware: { version: "1.4.0" },
    onStatus: status => statuses.push(status),
    ...more,
  });
  const reports = () =>
    broker
      .all("publish")
      .filter(({ topic }) => topic.startsWith(prefix) && topic.endsWith("/update"))
      .map(({ payload }) => JSON.parse(String(payload)).state.reported);
  return { agent, broker, clock, flash, heap, network, reports, statuses };
}

test("firmware, reset reason, connection and free heap are reported once, and nothing for hours", async t => {
  const { agent, broker, clock, reports, statuses } = world();
  agent.start();
  await clock.run(4 * 3_600_000);
  t.deepEqual(reports(), [
    {
      firmwareVersion: "1.4.0",
      resetReason: "watchdog",
      freeHeapBytes: 64_512,
      connection: { protocolVersion: "5", endpoint: "cloud.test", lost: 0 },
    },
  ]);
  t.true(broker.all("publish").every(({ topic }) => topic.startsWith(`${prefix}device/`)));
  t.is(statuses.filter(({ type }) => type === "fault").length, 0);
});

test("a link that was lost is told with its reason, after the next one is up", async t => {
  const { agent, broker, clock, reports } = world();
  agent.start();
  await clock.run(5000);
  broker.link!.close();
  await clock.run(60_000);
  // The shadow of this service is empty whenever it is read: all is reported again.
  const last = reports().at(-1);
  t.deepEqual(last.connection, {
    protocolVersion: "5",
    endpoint: "cloud.test",
    lost: 1,
    lastError: "connection/lost",
  });
});

test("free heap is told when it has changed by an eighth, and looked at once an hour", async t => {
  const { agent, clock, heap, reports } = world();
  agent.start();
  await clock.run(5000);
  heap.bytes = 60_000;
  await clock.run(2 * 3_600_000);
  t.is(reports().length, 1, "less than an eighth");
  heap.bytes = 40_000;
  await clock.run(1_800_000);
  t.is(reports().length, 1, "within the hour");
  await clock.run(1_800_000);
  t.deepEqual(reports().slice(1), [{ freeHeapBytes: 39_936 }]);
  heap.bytes = undefined;
  await clock.run(2 * 3_600_000);
  t.is(reports().length, 2, "a platform that cannot tell says nothing");
});

test("nothing of it is written to flash, and what is desired there is answered with a verdict", async t => {
  const { agent, broker, clock, flash, reports, statuses } = world();
  agent.start();
  await clock.run(5000);
  const names = [...flash.values("skerry").keys()];
  t.deepEqual(
    names.filter(name => !name.startsWith("time.")),
    [],
  );
  broker.link!.reply({
    cmd: "publish",
    topic: `${prefix}device/update/delta`,
    payload: '{"state":{"firmwareVersion":"9"},"version":2}',
    qos: 0,
    dup: false,
    retain: false,
  });
  await clock.run(5000);
  t.deepEqual(reports().slice(1), [{ _verdicts: { firmwareVersion: "unknown" } }]);
  const [refused] = statuses.filter(({ type }) => type === "settingRefused");
  t.like(refused, { shadow: "device", name: "firmwareVersion", verdict: "unknown" });
});

test("it is off unless asked for, goes into the shadow that is named, and stops with the agent", async t => {
  const off = world({});
  off.agent.start();
  await off.clock.run(5000);
  t.is(off.broker.all("publish").length, 0);
  const { agent, broker, clock } = world({ deviceState: { shadow: "about" } });
  agent.start();
  await clock.run(5000);
  t.true(broker.all("publish").some(({ topic }) => topic === `${prefix}about/update`));
  agent.stop();
  await clock.run(5000);
  t.is(clock.pending, 0);
  t.throws(() => world({ deviceState: { shadow: "a/b" } }), {
    message: /"a\/b" cannot be a shadow/,
  });
  t.throws(() => world({ firmware: { version: "" } }), { message: /firmware.version ""/ });
});
