// The cost table: what the agent takes on a 32-bit XS engine, in virtual time, so that every run gives the same figures.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { buildEngine } from "../hosts/xs/engine/build.js";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../hosts/xs/engine/device.js";
import { Machine, type MemoryCounters } from "../hosts/xs/engine/machine.js";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { NorFlash } from "../simulator/world/nor.js";
import { Power } from "../simulator/world/power.js";
import { Random } from "../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../simulator/world/scripted-broker.js";
import { CredentialStore } from "../src/provisioning/credentials.js";
import { outboxCost } from "./outbox-xs.js";
import { pathPeak } from "./path.js";
import { shadowCost } from "./shadow.js";
import { telemetryCost } from "./telemetry.js";
import { updateFlashRows, updateRamRows } from "./update.js";

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: "bytes" | "computrons";
  /** What the design asks for, where it names a figure. */
  readonly goal?: number;
}

export type Measured =
  | { readonly ok: true; readonly rows: readonly Row[] }
  | { readonly ok: false; readonly missing: string };

const guest = fileURLToPath(new URL("./guest.js", import.meta.url));
const core = fileURLToPath(new URL("../src/index.js", import.meta.url));
const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
export const options = {
  endpoint: "cloud.test",
  trustAnchors: [pem("CERTIFICATE")],
  identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
};

/** Answers the shadow's get with an empty shadow, that of jobs with none, and accepts every report: versions are 1, 3, 5 … */
function cloud(): Script {
  let version = -1;
  return (packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !/\/(shadow|jobs)\//.test(packet.topic)) return;
    const { clientToken } = JSON.parse(String(packet.payload)) as { clientToken: string };
    if (packet.topic.endsWith("/update")) version += 2;
    const message = { state: {}, version: Math.max(version, 1), timestamp, clientToken };
    link.reply({
      cmd: "publish",
      topic: `${packet.topic}/accepted`,
      payload: JSON.stringify(message),
      qos: 0,
      dup: false,
      retain: false,
    });
  };
}

const timestamp = 1_767_225_600;

/** Two settings change, with the metadata the service sends along. */
const deltaOf = (version: number) =>
  JSON.stringify({
    version,
    timestamp,
    state: { sampleSeconds: 5 * version, led: version % 2 ? "red" : "blue" },
    metadata: { sampleSeconds: { timestamp }, led: { timestamp } },
  });

const ramOf = (now: MemoryCounters, before: MemoryCounters) =>
  (now.slots - before.slots) * now.slotBytes + now.chunkBytes - before.chunkBytes;

/** An agent on a machine of its own, online, with one sample sent. */
interface Online {
  readonly machine: Machine;
  readonly device: Device;
  readonly clock: VirtualClock;
  readonly broker: ScriptedBroker;
  readonly faults: readonly unknown[];
  /** Before anything was loaded, with the program loaded, with the agent made, online and idle. */
  readonly memory: Readonly<Record<"empty" | "loaded" | "made" | "online", MemoryCounters>>;
  /** Sends the guest an event and lets time pass. @returns computrons */
  send(name: string, ms: number): Promise<number>;
}

async function bringOnline(
  worker: string,
  config: object,
  flash: Flash,
  nor?: NorFlash,
): Promise<Online> {
  const machine = await Machine.start({ worker });
  let started: Device | undefined;
  const clock = new VirtualClock({ idle: () => started?.idle() ?? Promise.resolve() });
  const broker = new ScriptedBroker(cloud());
  const network = new Network(clock, broker.accept);
  const random = new Random(1);
  const host = virtualHost({ id: "board-1", clock, random, network, flash, ...(nor && { nor }) });
  const faults: unknown[] = [];
  const empty = await machine.memory();
  const device = await startDevice({
    machine,
    host,
    bundle: await bundleModule(guest),
    config,
    onEvent: event => event.type === "error" && faults.push(event.error),
  });
  started = device;
  const loaded = await machine.memory();
  const send = async (name: string, ms: number) => {
    const before = machine.computrons;
    device.send(name);
    await clock.run(ms);
    return machine.computrons - before;
  };
  await send("make", 0);
  const made = await machine.memory();
  await send("go", 5000);
  await send("publish", 1000);
  const online = await machine.memory();
  return { machine, device, clock, broker, faults, memory: { empty, loaded, made, online }, send };
}

/** A flash as provisioning by claim leaves it, with a key and a certificate of the usual lengths. */
function provisionedFlash(): Flash {
  const flash = new Flash();
  const store = new CredentialStore(flash.provider(new Power()).open({ path: "skerry" }));
  const keyPair = { privateKey: new Uint8Array(138), publicKey: new Uint8Array(65) };
  store.writeCredential(1, { keyPair, certificates: [new Uint8Array(620)] });
  const identity = { slot: 1, certificateId: "0".repeat(64), thingName: "node-1" } as const;
  store.write({ identity });
  return flash;
}

function provisionedRam(worker: string): Promise<number> {
  const { certificate, key } = options.identity;
  const identity = { template: "sensor-node", claim: { certificate, key }, parameters: {} };
  return idleRam("provisioned", worker, { ...options, identity }, provisionedFlash());
}

/** The same with raw flash of 1 MB, by way of which the sample went. */
async function outboxRam(worker: string): Promise<number> {
  const nor = new NorFlash();
  const bytes = await idleRam("outbox", worker, { ...options, outbox: {} }, new Flash(), nor);
  if (nor.counts.programmed === 0) throw new Error("budget: the sample did not go by way of flash");
  return bytes;
}

/** The same with a handler for jobs, none of which is in the queue. */
function jobsRam(worker: string): Promise<number> {
  return idleRam("jobs", worker, { ...options, jobs: true }, new Flash());
}

async function idleRam(
  what: string,
  worker: string,
  config: object,
  flash: Flash,
  nor?: NorFlash,
): Promise<number> {
  const run = await bringOnline(worker, config, flash, nor);
  const { device, machine, memory, broker, faults } = run;
  await device.close();
  await machine.close();
  const samples = broker.all("publish").filter(({ topic }) => topic === "dt/node-1/climate").length;
  if (samples !== 1 || faults.length > 0) throw new Error(`budget: ${samples} samples, ${what}`);
  return ramOf(memory.online, memory.loaded);
}

/** Runs the scenarios and returns the rows, or what is missing to build the engine. */
export async function measure(): Promise<Measured> {
  const engine = await buildEngine({ bits: 32 });
  if (!engine.ok) return engine;
  const { worker } = engine;
  const run = await bringOnline(worker, options, new Flash());
  const { machine, device, clock, broker, memory, faults } = run;
  try {
    const publishCost = await run.send("publish", 1000);
    const before = machine.computrons;
    broker.link!.reply({
      cmd: "publish",
      topic: "$aws/things/node-1/shadow/update/delta",
      payload: deltaOf(2),
      qos: 1,
      messageId: 2,
      dup: false,
      retain: false,
    });
    await clock.run(1000);
    const deltaCost = machine.computrons - before;
    checkSeen(broker, faults);
    const { bytes } = await bundleModule(core);
    const shadow = await shadowCost(worker, options);
    const outbox = await outboxCost(worker);
    const telemetry = await telemetryCost(worker);
    return {
      ok: true,
      rows: [
        {
          what: "RAM, agent made: slots + chunks",
          value: ramOf(memory.made, memory.loaded),
          unit: "bytes",
        },
        {
          what: "RAM, online and idle, with an identity that was given: slots + chunks",
          value: ramOf(memory.online, memory.loaded),
          unit: "bytes",
          goal: 12_288,
        },
        {
          what: "RAM, online and idle, with an identity that was earned by claim: slots + chunks",
          value: await provisionedRam(worker),
          unit: "bytes",
          goal: 12_288,
        },
        {
          what: "RAM, online and idle, with an identity that was given and an outbox of 1 MB: slots + chunks",
          value: await outboxRam(worker),
          unit: "bytes",
        },
        {
          what: "RAM, of that the log on flash itself, at rest",
          value: outbox.atRest,
          unit: "bytes",
          goal: 1024,
        },
        {
          what: "RAM, online and idle, with an identity that was given and jobs: slots + chunks",
          value: await jobsRam(worker),
          unit: "bytes",
        },
        ...(await updateRamRows(worker, options)),
        {
          what: "RAM, a telemetry channel with a threshold, three readings in its open window",
          value: Math.round(telemetry.channelRam + telemetry.windowRam),
          unit: "bytes",
        },
        {
          what: "RAM, server's leaf and intermediate to an anchor: peak, arithmetic apart",
          value: await pathPeak(worker),
          unit: "bytes",
          goal: 12_288,
        },
        { what: "QoS 1 publish to PUBACK", value: publishCost, unit: "computrons" },
        {
          what: "a record of 64 bytes to flash",
          value: Math.round(outbox.append),
          unit: "computrons",
        },
        {
          what: "a record of 64 bytes read from flash, and noted as delivered",
          value: Math.round(outbox.drain),
          unit: "computrons",
        },
        ...(await updateFlashRows()),
        {
          what: "three readings into a window, one of them with a threshold",
          value: Math.round(telemetry.addComputrons),
          unit: "computrons",
        },
        {
          what: "delta of two settings: parse, apply, save, report, acknowledge",
          value: deltaCost,
          unit: "computrons",
        },
        {
          what: `delta of 5 keys of a shadow of ${shadow.documentBytes} bytes: the same`,
          value: shadow.computrons,
          unit: "computrons",
        },
        {
          what: "RAM, the same beyond idle: peak, garbage apart",
          value: shadow.peakBytes,
          unit: "bytes",
        },
        {
          what: "compiled core, XS code and module objects (flash when preloaded)",
          value: ramOf(memory.loaded, memory.empty),
          unit: "bytes",
        },
        { what: "compiled core, JavaScript, not minified", value: bytes, unit: "bytes" },
      ],
    };
  } finally {
    await device.close();
    await machine.close();
  }
}

/** A figure counts only when what it measures has happened. */
function checkSeen(broker: ScriptedBroker, faults: readonly unknown[]): void {
  const updates = broker
    .all("publish")
    .filter(({ topic }) => topic.endsWith("/shadow/update")).length;
  const samples = broker.all("publish").filter(({ topic }) => topic === "dt/node-1/climate").length;
  const acknowledged = broker.all("puback").length;
  if (faults.length > 0 || updates !== 2 || samples !== 2 || acknowledged !== 1) {
    throw new Error(
      `budget: ${faults.length} faults, ${updates} updates, ${samples} samples, ${acknowledged} acknowledgements`,
    );
  }
}

const begin = "<!-- budget -->";
const end = "<!-- /budget -->";

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ what, value, unit, goal }) =>
      `| ${what} | ${value} ${unit} | ${goal === undefined ? "" : `≤ ${goal}`} |`,
  );
  return ["| 32-bit XS, without TLS | measured | goal |", "|---|---:|---:|", ...lines].join("\n");
}

/** @returns `readme` with the table between its marks */
export function withTable(readme: string, rows: readonly Row[]): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md: no ${begin} … ${end}`);
  return `${readme.slice(0, from + begin.length)}\n${tableOf(rows)}\n${readme.slice(to)}`;
}

export const readmePath = fileURLToPath(new URL("../../README.md", import.meta.url));

async function main(): Promise<void> {
  const measured = await measure();
  if (!measured.ok) {
    console.error(`budget: ${measured.missing}`);
    process.exit(1);
  }
  console.log(tableOf(measured.rows));
  await writeFile(readmePath, withTable(await readFile(readmePath, "utf8"), measured.rows));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
