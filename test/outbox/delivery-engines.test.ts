// The core stories of delivery on Node and on the XS engine, 64 and 32 bits wide, with the owner's NOR flash across the bridge.
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { NorFlash } from "../../simulator/world/nor.js";
import { Power } from "../../simulator/world/power.js";
import type { AgentOptions, AgentStatus } from "../../src/index.js";
import type { SendOptions } from "../../src/telemetry/sender.js";
import type { Readings } from "../../src/telemetry/telemetry.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { identity } from "../shadow/device-world.js";
import { HostileWorld, sumOf, upTo } from "./hostile-world.js";

const test = anyTest as TestFn;
const { worker64, worker32 } = await buildForTests();
const engines: readonly (readonly [string, string | undefined])[] = [
  ["node", undefined],
  ...(worker64.ok ? ([["xs", worker64.worker]] as const) : []),
  ...(worker32.ok ? ([["xs 32-bit", worker32.worker]] as const) : []),
];
workerOrReport(test, worker64, 64);
workerOrReport(test, worker32, 32);

const guest = fileURLToPath(new URL("delivery-guest.js", import.meta.url));

interface Driven {
  /** @returns true, or the code of what was thrown. */
  send(channel: string, readings: Readings, options?: SendOptions): Promise<unknown>;
  /** The power goes. */
  close(): Promise<void>;
}

type More = Pick<AgentOptions, "outbox" | "telemetry">;

async function drive(world: HostileWorld, worker: string | undefined, more: More): Promise<Driven> {
  return worker === undefined ? driveNode(world) : await driveXs(world, worker, more);
}

function driveNode(world: HostileWorld): Driven {
  const power = new Power();
  const agent = world.boot(power);
  return {
    send: async (channel, readings, options) => {
      try {
        agent.telemetry.send(channel, readings, options);
        return true;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    },
    close: async () => {
      power.cut();
      world.network.cutAll();
    },
  };
}

async function driveXs(world: HostileWorld, worker: string, more: More): Promise<Driven> {
  const power = new Power();
  let sent: unknown;
  const device = await startDevice({
    machine: await Machine.start({ worker }),
    host: world.host(power),
    bundle: await bundleModule(guest),
    config: { ...identity, outbox: {}, ...more },
    onEvent: event => {
      if (event.type === "error") throw event.error;
      if (event.name === "status") world.statuses.push(event.value as AgentStatus);
      if (event.name === "sent") sent = event.value;
    },
  });
  world.idle = () => device.idle();
  device.send("go");
  return {
    send: async (channel, readings, options = {}) => {
      device.send("send", [channel, JSON.stringify(readings), JSON.stringify(options)]);
      await device.idle();
      return sent;
    },
    close: async () => {
      world.idle = () => Promise.resolve();
      power.cut();
      world.network.cutAll();
      await device.close();
    },
  };
}

for (const [engine, worker] of engines) {
  test(`${engine}: without a cable, a restart in the middle: all arrives, in order, once`, async t => {
    const world = new HostileWorld();
    const first = await drive(world, worker, {});
    await world.run(5000);
    world.network.isUp = false;
    for (let n = 0; n < 40; n++) {
      t.is(await first.send("climate", { n }), true);
      await world.run(1000);
    }
    await first.close();
    const second = await drive(world, worker, {});
    for (let n = 40; n < 80; n++) t.is(await second.send("climate", { n }), true);
    world.network.isUp = true;
    await world.run(600_000);
    await second.close();
    const received = world.received("climate");
    t.deepEqual(
      received.map(({ n }) => n),
      upTo(80),
    );
    t.is(new Set(received.map(({ id }) => id)).size, 80);
    t.deepEqual(world.gaps(), []);
    t.deepEqual(world.faults(), []);
  });

  test(`${engine}: overflow, ageing and refusals are told exactly; alerts go first, in batches`, async t => {
    const outbox = {
      batchBytes: 300,
      policies: {
        alert: { sectors: 2, whenFull: "drop-oldest" },
        telemetry: { sectors: 3, whenFull: "drop-oldest" },
        bulk: { sectors: 2, whenFull: "refuse-new" },
      },
    } as const;
    const nor = new NorFlash({ blocks: 12, blockLength: 512 });
    const world = new HostileWorld({ nor, outbox });
    world.network.isUp = false;
    const device = await drive(world, worker, { outbox });
    for (let n = 0; n < 30; n++) {
      for (const priority of ["bulk", "telemetry"] as const)
        await device.send(priority, { n, text: "x".repeat(40) }, { priority });
    }
    for (let n = 0; n < 4; n++)
      await device.send("alert", { n }, { priority: "alert", ageLimitSeconds: n < 2 ? 5 : 600 });
    await world.run(20_000);
    world.network.isUp = true;
    await world.run(300_000);
    await device.close();
    t.deepEqual(world.numbers("alert"), [2, 3]);
    t.is(world.published[0]?.channel, "alert");
    const sums = sumOf(world.gaps());
    for (const name of ["bulk", "telemetry"] as const) {
      t.true(sums[name]! > 0);
      t.is(world.received(name).length + sums[name]!, 30);
    }
    t.is(sums["alert"], 2);
    t.is(world.seen("telemetryRefused").length, sums["bulk"]!);
  });

  test(`${engine}: a broker that refuses, and flash that fails, cost no record`, async t => {
    let isRefusing = true;
    const world = new HostileWorld({
      answer: (packet, link) => {
        if (packet.cmd !== "publish" || !isRefusing) return false;
        link.close();
        return true;
      },
    });
    const device = await drive(world, worker, {});
    for (let n = 0; n < 5; n++) await device.send("climate", { n });
    await world.run(600_000);
    isRefusing = false;
    world.published.length = 0;
    await world.run(1_200_000);
    t.deepEqual(world.numbers("climate"), upTo(5));
    for (let block = 0; block < 16; block++) world.nor.wearOut(block, 0);
    for (let n = 5; n < 90; n++) {
      t.is(await device.send("climate", { n, text: "x".repeat(40) }), true);
      await world.run(2000);
    }
    await world.run(60_000);
    t.is(await device.send("climate", { id: 1 }), "telemetry/limit");
    await device.close();
    t.deepEqual([...new Set(world.numbers("climate"))], upTo(90));
  });
}
