// One agent with its own identity, a network that fails as it is told, a scripted broker: on Node or on the XS engine, in
// virtual time and with seeded chance.
import { fileURLToPath } from "node:url";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { VirtualClock } from "../../simulator/world/clock.js";
import { Flash } from "../../simulator/world/flash.js";
import { virtualHost } from "../../simulator/world/host.js";
import { Network } from "../../simulator/world/network.js";
import { Random } from "../../simulator/world/random.js";
import { type Script, ScriptedBroker } from "../../simulator/world/scripted-broker.js";
import type { Host } from "../../src/host.js";
import { Agent, type AgentStatus } from "../../src/index.js";
import type { Schema } from "../../src/shadow/schema.js";

const guest = fileURLToPath(new URL("link-guest.js", import.meta.url));
const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
const identity = {
  endpoint: "cloud.test",
  trustAnchors: [pem("CERTIFICATE")],
  identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
};

export interface LinkWorldOptions {
  /** Path of the XS worker; absent: Node. */
  readonly worker?: string | undefined;
  readonly seed?: number;
  /** Settings of the device; absent: it does not follow its shadow. */
  readonly schema?: Schema;
  readonly script: Script;
}

export type Seen<T extends AgentStatus["type"]> = Extract<AgentStatus, { type: T }> & {
  readonly at: number;
};

export interface LinkWorld {
  readonly clock: VirtualClock;
  readonly broker: ScriptedBroker;
  readonly network: Network;
  /** With the ticks at which each was told. */
  readonly statuses: (AgentStatus & { readonly at: number })[];
  seen<T extends AgentStatus["type"]>(type: T): Seen<T>[];
  /** Undefined on Node. */
  readonly machine: Machine | undefined;
  stop(): void;
  /** Telemetry, QoS 1. */
  send(channel: string): void;
  close(): Promise<void>;
}

interface Driver {
  go(): void;
  stop(): void;
  send(channel: string): void;
  idle(): Promise<void>;
  close(): Promise<void>;
  readonly machine?: Machine;
}

/** The agent is started; no time has passed. */
export async function openLinkWorld({ worker, seed = 1, schema, script }: LinkWorldOptions) {
  let driver: Driver | undefined;
  const clock = new VirtualClock({ idle: () => driver?.idle() ?? Promise.resolve() });
  const broker = new ScriptedBroker(script);
  const network = new Network(clock, broker.accept, new Random(seed + 1000));
  const random = new Random(seed);
  const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
  const statuses: (AgentStatus & { readonly at: number })[] = [];
  const onStatus = (status: AgentStatus) => statuses.push({ ...status, at: clock.ticks() });
  driver =
    worker === undefined
      ? onNode(host, schema, onStatus)
      : await onXs(worker, host, schema, onStatus);
  driver.go();
  const { stop, send, close, machine } = driver;
  const world: LinkWorld = {
    clock,
    broker,
    network,
    statuses,
    seen: <T extends AgentStatus["type"]>(type: T) =>
      statuses.filter(status => status.type === type) as Seen<T>[],
    machine,
    stop,
    send,
    close,
  };
  return world;
}

type OnStatus = (status: AgentStatus) => void;

function onNode(host: Host, schema: Schema | undefined, onStatus: OnStatus): Driver {
  const agent = new Agent({ ...identity, host, onStatus });
  if (schema) agent.settings(schema);
  return {
    go: () => agent.start(),
    stop: () => agent.stop(),
    send: channel => agent.telemetry.send(channel, { x: 1 }),
    idle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

async function onXs(
  worker: string,
  host: Host,
  schema: Schema | undefined,
  onStatus: OnStatus,
): Promise<Driver> {
  const machine = await Machine.start({ worker });
  const device: Device = await startDevice({
    machine,
    host,
    bundle: await bundleModule(guest),
    config: { ...identity, schema },
    onEvent: event => {
      if (event.type === "error") throw event.error;
      if (event.name === "status") onStatus(event.value as AgentStatus);
    },
  });
  return {
    machine,
    go: () => device.send("go"),
    stop: () => device.send("stop"),
    send: channel => device.send("send", [channel]),
    idle: () => device.idle(),
    close: async () => {
      await device.close();
    },
  };
}
