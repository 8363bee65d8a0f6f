// What a delta that touches 5 keys of a 4 KB shadow costs, on 32-bit XS: computrons, and bytes that are alive at the peak.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../hosts/xs/engine/device.js";
import { Machine } from "../hosts/xs/engine/machine.js";
import { VirtualClock } from "../simulator/world/clock.js";
import { Flash } from "../simulator/world/flash.js";
import { virtualHost } from "../simulator/world/host.js";
import { Network } from "../simulator/world/network.js";
import { Random } from "../simulator/world/random.js";
import { obliging, type Script, ScriptedBroker } from "../simulator/world/scripted-broker.js";

const guest = fileURLToPath(new URL("./shadow-guest.js", import.meta.url));
const count = 60;
const touched = 5;
const timestamp = 1_767_225_600;

const names = Array.from({ length: count }, (_, i) => `setting${i}`);
const text = (i: number, round: number) => `value ${i} in round ${round}`.padEnd(17, ".");
const stateOf = (round: number, some: readonly string[] = names) =>
  Object.fromEntries(some.map((name, i) => [name, text(i, round)]));
const metadataOf = (some: readonly string[]) =>
  Object.fromEntries(some.map(name => [name, { timestamp }]));

/** As the service counts: what is desired and what is reported. */
const document = { desired: stateOf(0), reported: stateOf(0) };

const publish = (topic: string, message: object) =>
  ({
    cmd: "publish",
    topic,
    payload: JSON.stringify(message),
    qos: 0,
    dup: false,
    retain: false,
  }) as const;

/** Has the shadow, and accepts every report. */
function cloud(): Script {
  let version = 10;
  return (packet, link) => {
    obliging(packet, link);
    if (packet.cmd !== "publish" || !packet.topic.includes("/shadow/")) return;
    const { clientToken, state } = JSON.parse(String(packet.payload)) as Record<string, object>;
    const isGet = packet.topic.endsWith("get");
    if (!isGet) version += 2;
    const metadata = { desired: metadataOf(names), reported: metadataOf(names) };
    const answer = isGet
      ? { state: document, metadata, version, timestamp, clientToken }
      : { state, version, timestamp, clientToken };
    link.reply(publish(`${packet.topic}/accepted`, answer));
  };
}

/** The delta of the round, and the version it has: one after what was there. */
function deltaOf(round: number): object {
  const some = names.slice(0, touched);
  return {
    version: 11 + 2 * round,
    timestamp,
    state: stateOf(round + 1, some),
    metadata: metadataOf(some),
  };
}

export interface ShadowCost {
  readonly documentBytes: number;
  readonly computrons: number;
  /** Slots and chunks beyond those of the idle agent, garbage left out. */
  readonly peakBytes: number;
}

export async function shadowCost(worker: string, options: object): Promise<ShadowCost> {
  const machine = await Machine.start({ worker });
  let started: Device | undefined;
  try {
    const clock = new VirtualClock({ idle: () => started?.idle() ?? Promise.resolve() });
    const broker = new ScriptedBroker(cloud());
    const network = new Network(clock, broker.accept);
    const flash = new Flash();
    const host = virtualHost({ id: "board-1", clock, random: new Random(1), network, flash });
    const schema = Object.fromEntries(
      names.map(name => [name, { type: "string", maxLength: 40, default: "" }]),
    );
    const seen: unknown[] = [];
    started = await startDevice({
      machine,
      host,
      bundle: await bundleModule(guest),
      config: { ...options, schema },
      onEvent: event => seen.push(event.type === "event" ? event.value : event.error),
    });
    started.send("go");
    await clock.run(10_000);
    const tell = async (round: number) => {
      seen.length = 0;
      const topic = "$aws/things/node-1/shadow/update/delta";
      broker.link!.reply(publish(topic, deltaOf(round)));
      await clock.run(2000);
      if (seen.join() !== "settings,reported") throw new Error(`shadow: ${seen.join()}`);
    };
    await tell(0);
    const before = machine.computrons;
    await tell(1);
    const computrons = machine.computrons - before;
    await machine.collectAlways(true);
    const idle = await machine.memory({ resetPeaks: true });
    await tell(2);
    const after = await machine.memory();
    await started.close();
    return {
      documentBytes:
        JSON.stringify(document.desired).length + JSON.stringify(document.reported).length,
      computrons,
      peakBytes:
        (after.slotPeak - idle.slots) * after.slotBytes + after.chunkPeak - idle.chunkBytes,
    };
  } finally {
    await machine.close();
  }
}
