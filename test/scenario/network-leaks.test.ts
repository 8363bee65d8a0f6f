// Ten thousand links, one after the other: timers, sockets and memory end where they began, on Node and on the XS engine.

import { fileURLToPath } from "node:url";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import anyTest, { type TestFn } from "ava";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Random } from "../../simulator/world/random.js";
import { obliging, type Script } from "../../simulator/world/scripted-broker.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { type LinkWorld, openLinkWorld } from "./link-world.js";

const test = anyTest as TestFn;
const { worker32 } = await buildForTests();
const worker = workerOrReport(test, worker32, 32);

const guest = fileURLToPath(new URL("reconnect-guest.js", import.meta.url));
/** The guest that is a world of its own asks nothing of it. */
const unusedClock = new VirtualClock();
const unusedHost = virtualHost({
  id: "unused",
  clock: unusedClock,
  random: new Random(1),
  network: new Network(unusedClock, () => ({ receive: () => {}, closed: () => {} })),
  flash: new Flash(),
});
const schema = { led: { type: "enum", values: ["off", "red", "blue"], default: "off" } } as const;

setFlagsFromString("--expose_gc");
const collect = runInNewContext("gc") as () => void;

/** Closes each link after a minute; answers what the shadow is asked with an empty one. */
function closing(world: () => LinkWorld): Script {
  return (packet, link) => {
    obliging(packet, link);
    if (packet.cmd === "connect") world().clock.set(() => link.close(), 61_000);
    if (packet.cmd !== "publish" || !packet.topic.includes("/shadow/")) return;
    const { clientToken } = JSON.parse(String(packet.payload)) as { clientToken: string };
    const payload = JSON.stringify({ state: {}, version: 1, timestamp: 1, clientToken });
    const topic = `${packet.topic}/accepted`;
    link.reply({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false });
  };
}

async function open(workerPath?: string): Promise<LinkWorld> {
  let world: LinkWorld | undefined;
  world = await openLinkWorld({ worker: workerPath, schema, script: closing(() => world!) });
  return world;
}

/** Lives through `count` links and ends some seconds into the next one, with nothing under way. */
async function links(world: LinkWorld, count: number): Promise<void> {
  const { clock, statuses, broker } = world;
  let seen = 0;
  const forget = () => {
    seen += statuses.filter(({ type }) => type === "online").length;
    statuses.length = 0;
    broker.received.length = 0;
    return seen >= count;
  };
  while (!forget()) await clock.runUntil(() => world.seen("online").length > 0, 1_000_000);
  world.send("after");
  await clock.run(5000);
  forget();
}

/** What every link leaves behind would be there after each round; what the engine learns meanwhile comes and goes. */
test.serial("node: 20,000 reconnects leave no timer, no socket and no memory behind", async t => {
  const world = await open();
  const heap = () => {
    collect();
    return getHeapStatistics().used_heap_size;
  };
  await links(world, 10_000);
  const before = [world.clock.pending, world.network.open];
  const grown: number[] = [];
  for (let round = 0; round < 5; round++) {
    const heapBefore = heap();
    await links(world, 4000);
    grown.push(heap() - heapBefore);
  }
  t.log(`bytes of heap after each 4000 links: ${grown}`);
  t.deepEqual([world.clock.pending, world.network.open], before);
  const median = grown.sort((a, b) => a - b)[2]!;
  t.true(median < 100_000, `${median}: 25 bytes for each link would be as many`);
});

interface Told {
  readonly slots: number;
  readonly chunkBytes: number;
  readonly keys: number;
}

/** Of a machine, less what asking takes: each time a slot, a key and its name. */
async function memoryOf(machine: Machine, told: Told | undefined): Promise<Told> {
  const first = await machine.memory();
  const { slots, chunkBytes, keys } = await machine.memory();
  if (told === undefined) return { slots, chunkBytes, keys };
  const asking = 2;
  return {
    slots: slots - asking * (slots - first.slots),
    chunkBytes: chunkBytes - asking * (chunkBytes - first.chunkBytes),
    keys: keys - asking * (keys - first.keys),
  };
}

if (worker) {
  test.serial(
    "xs: 500 reconnects of a device that follows its shadow leave no slot and no chunk behind",
    async t => {
      const world = await open(worker);
      const machine = world.machine!;
      try {
        await links(world, 20);
        const before = [world.clock.pending, world.network.open];
        const told = await memoryOf(machine, undefined);
        await links(world, 500);
        t.deepEqual(await memoryOf(machine, told), told);
        t.deepEqual([world.clock.pending, world.network.open], before);
      } finally {
        await world.close();
      }
    },
  );

  test.serial(
    "xs: 10,000 reconnects leave no timer, no socket, no slot and no chunk behind",
    async t => {
      const machine = await Machine.start({ worker });
      const states: number[][] = [];
      const device = await startDevice({
        machine,
        host: unusedHost,
        bundle: await bundleModule(guest),
        config: null,
        onEvent: event => {
          if (event.type === "error") throw event.error;
          if (event.name === "state") states.push(event.value as number[]);
        },
      });
      const run = async (count: number) => {
        device.send("links", [count]);
        await device.idle();
      };
      try {
        // More than two days of it: the day's record is written to two places in turn, and the guest's flash is in its memory.
        for (let round = 0; round < 6; round++) await run(500);
        const told = await memoryOf(machine, undefined);
        const startedAt = machine.computrons;
        for (let round = 0; round < 20; round++) await run(500);
        const cost = Math.round((machine.computrons - startedAt) / 10_000);
        t.log(
          `${told.slots} slots and ${told.chunkBytes} bytes of chunks; a link: ${cost} computrons`,
        );
        t.deepEqual(await memoryOf(machine, told), told);
        const [first, last] = [states.at(-21)!, states.at(-1)!];
        t.deepEqual(last, [first[0]! + 10_000, first[1]! + 10_000, ...first.slice(2)]);
      } finally {
        await device.close();
      }
    },
  );
}
