// Deep-sleep cycles on the XS engine, 64 and 32 bits wide: a new machine for each wake-up, which has nothing but what was retained.
import { fileURLToPath } from "node:url";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Sleep } from "../../simulator/world/sleep.js";
import type { AgentStatus } from "../../src/index.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { identity } from "../shadow/device-world.js";
import { ShadowService } from "../shadow/service.js";
import { hour, minute, policy } from "./cycle-world.js";

const test = anyTest as TestFn;
const guest = fileURLToPath(new URL("cycle-guest.js", import.meta.url));
const hourly = { ...policy, connectEverySeconds: 3600, budgetConnectsPerDay: 48 };
const { worker64, worker32 } = await buildForTests();

async function sleepsAndDelivers(t: ExecutionContext, worker: string): Promise<void> {
  let busy = Promise.resolve();
  let device: Device | undefined;
  const clock = new VirtualClock({ idle: () => busy.then(() => device?.idle()) });
  const service = new ShadowService(clock);
  const received: number[] = [];
  const broker = new ScriptedBroker((packet, link) => {
    if (packet.cmd === "publish" && packet.topic === "dt/node-1/climate")
      received.push((JSON.parse(String(packet.payload)) as { n: number }).n);
    service.script(packet, link);
  });
  const network = new Network(clock, broker.accept);
  const flash = new Flash();
  const nor = new NorFlash({ blocks: 16 });
  const random = new Random(1);
  const bundle = await bundleModule(guest);
  const wakes: AgentStatus[][] = [];
  const boot = async () => {
    await device?.close();
    const statuses: AgentStatus[] = [];
    const n = wakes.push(statuses) - 1;
    const power = new Power();
    device = await startDevice({
      machine: await Machine.start({ worker }),
      host: virtualHost({ id: "board-1", clock, random, network, flash, nor, power, sleep }),
      bundle,
      config: { ...identity, policy: hourly, n },
      onEvent: event => {
        if (event.type === "error") throw event.error;
        if (event.name === "status") statuses.push(event.value as AgentStatus);
      },
    });
  };
  const start = () => {
    busy = boot();
  };
  const sleep = new Sleep(clock, start);
  start();
  await clock.run(2 * hour + 15 * minute);
  await device?.close();

  t.is(wakes.length, 14);
  const decisions = wakes.map(statuses => statuses.find(({ type }) => type === "cycle"));
  const links = decisions.flatMap((status, n) =>
    status?.type === "cycle" && status.connect ? [n] : [],
  );
  t.is(links.length, 2);
  t.deepEqual(
    received,
    received.map((_, n) => n),
  );
  t.is(received.length, links.at(-1)! + 1);
  t.deepEqual(
    wakes.flatMap(statuses => statuses.filter(({ type }) => type === "fault")),
    [],
  );
}

for (const [bits, engine] of [
  [64, worker64],
  [32, worker32],
] as const) {
  const worker = workerOrReport(test, engine, bits);
  if (worker)
    test(`xs ${bits}-bit: fourteen wake-ups, two links, every sample once`, async t => {
      await sleepsAndDelivers(t, worker);
    });
}
