// One device that follows shadows, and the service as the reference has it: on Node or on the XS engine, in virtual time and
// with seeded chance.
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Power } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import { ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import { Agent, type AgentStatus, type Settings } from "../../src/index.js";
import type { Schema } from "../../src/shadow/schema.js";
import { ShadowService } from "./service.js";

const guest = fileURLToPath(new URL("device-guest.js", import.meta.url));
const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
export const identity = {
  endpoint: "cloud.test",
  trustAnchors: [pem("CERTIFICATE")],
  identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
};

export type Told = AgentStatus & { readonly at: number };

/** What stays while a device boots again and again: cloud, network, time. */
export class World {
  readonly clock: VirtualClock;
  readonly service: ShadowService;
  readonly broker: ScriptedBroker;
  readonly network: Network;
  readonly statuses: Told[] = [];
  /** Work of another engine that has to end before time goes on. */
  idle: () => Promise<void> = () => Promise.resolve();

  constructor() {
    this.clock = new VirtualClock({ idle: () => this.idle() });
    this.service = new ShadowService(this.clock);
    this.broker = new ScriptedBroker(this.service.script);
    this.network = new Network(this.clock, this.broker.accept);
  }

  readonly onStatus = (status: AgentStatus): void => {
    this.statuses.push({ ...status, at: this.clock.ticks() });
  };

  seen<T extends AgentStatus["type"]>(type: T) {
    return this.statuses.filter(status => status.type === type) as (Extract<
      AgentStatus,
      { type: T }
    > & { readonly at: number })[];
  }

  get faults(): string[] {
    return this.seen("fault").map(({ error }) => `${error.code}: ${error.message}`);
  }

  /** The link breaks, and none can be had. */
  unplug(): void {
    this.network.isUp = false;
    this.service.lost();
  }

  plug(): void {
    this.network.isUp = true;
  }

  run(durationMs: number): Promise<void> {
    return this.clock.run(durationMs);
  }
}

export interface BootOptions {
  readonly flash?: Flash;
  readonly power?: Power;
  readonly seed?: number;
  readonly world?: World;
}

/** A device on Node that has not been started. */
export function boot({
  flash = new Flash(),
  power = new Power(),
  seed = 1,
  world = new World(),
}: BootOptions = {}) {
  const { clock, network, onStatus, service } = world;
  const host = virtualHost({
    id: "board-1",
    clock,
    random: new Random(seed),
    network,
    flash,
    power,
  });
  const agent = new Agent({ ...identity, host, onStatus });
  return { agent, world, service, clock, flash, power };
}

export interface FollowOptions<S extends Schema> extends BootOptions {
  /** Before anything is declared. */
  readonly begin?: (world: World) => void;
  readonly onChange?: Settings<S>["onChange"];
}

/** A device on Node whose classic shadow has this schema, started, and given time to follow. */
export async function follow<const S extends Schema>(schema: S, options: FollowOptions<S> = {}) {
  const device = boot(options);
  const { agent, world } = device;
  options.begin?.(world);
  const settings = agent.settings(schema);
  const changes: unknown[] = [];
  settings.onChange = changed => {
    changes.push(changed);
    return options.onChange?.(changed);
  };
  agent.start();
  await world.run(3000);
  return { ...device, settings, changes };
}

/** Nothing that would be a fault of ours, or the end of a link, has happened. */
export function isWell(t: ExecutionContext, { world }: { readonly world: World }): void {
  t.deepEqual(world.seen("offline"), []);
  const ours = world.faults.filter(fault => fault.startsWith("agent/"));
  t.deepEqual(ours, []);
}

/** What a story may do with a device on whichever engine. */
export interface Driven {
  readonly world: World;
  readonly service: ShadowService;
  set(shadow: string, values: object): void;
  values(shadow: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface Declared {
  /** Empty for the classic shadow. */
  readonly shadow: string;
  readonly schema: Schema;
  /** By name what onChange answers with: "deferred", or the message of an error. */
  readonly outcome?: { readonly [name: string]: string };
}

/** Started; no time has passed. */
export async function drive(
  declared: readonly Declared[],
  worker: string | undefined,
  world = new World(),
  flash = new Flash(),
): Promise<Driven> {
  return worker === undefined
    ? driveNode(declared, world, flash)
    : await driveXs(declared, worker, world, flash);
}

/** What the product of a story does with `onChange`, on both engines. */
export function outcomeOf(declared: Declared): unknown {
  if (!declared.outcome) return undefined;
  const entries = Object.entries(declared.outcome);
  return Object.fromEntries(
    entries.map(([name, text]) => [name, text === "deferred" ? text : new Error(text)]),
  );
}

function driveNode(declared: readonly Declared[], world: World, flash: Flash): Driven {
  const { agent, service, power } = boot({ world, flash });
  const all = new Map(
    declared.map(one => {
      const settings =
        one.shadow === "" ? agent.settings(one.schema) : agent.settings(one.shadow, one.schema);
      settings.onChange = () => outcomeOf(one);
      return [one.shadow, settings] as const;
    }),
  );
  agent.start();
  return {
    world,
    service,
    set: (shadow, values) => all.get(shadow)!.set(values as never),
    values: async shadow => all.get(shadow)!.values,
    close: async () => {
      power.cut();
      world.network.cutAll();
      service.lost();
    },
  };
}

async function driveXs(
  declared: readonly Declared[],
  worker: string,
  world: World,
  flash: Flash,
): Promise<Driven> {
  const { clock, network, service } = world;
  const power = new Power();
  const host = virtualHost({
    id: "board-1",
    clock,
    random: new Random(1),
    network,
    flash,
    power,
  });
  const machine = await Machine.start({ worker });
  let values: unknown;
  const device = await startDevice({
    machine,
    host,
    bundle: await bundleModule(guest),
    config: { ...identity, declared },
    onEvent: event => {
      if (event.type === "error") throw event.error;
      if (event.name === "status") world.onStatus(event.value as AgentStatus);
      if (event.name === "values") values = event.value;
    },
  });
  world.idle = () => device.idle();
  device.send("go");
  return {
    world,
    service,
    set: (shadow, changed) => device.send("set", [shadow, JSON.stringify(changed)]),
    values: async shadow => {
      device.send("values", [shadow]);
      await device.idle();
      return values;
    },
    close: async () => {
      await device.close();
      world.idle = () => Promise.resolve();
      power.cut();
      network.cutAll();
      service.lost();
    },
  };
}
