// The examination of the agent itself: the sensor node, on real sockets for TLS, in virtual time for all else.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SensorNodeConfig, sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { Cloud } from "../cloud/cloud.js";
import type { PolicyDocument } from "../cloud/policy.js";
import { registrySchemas } from "../cloud/registry.js";
import { shadowSchemas } from "../cloud/shadows.js";
import { Store } from "../cloud/store.js";
import { startDevice } from "../fleet/device.js";
import { VirtualClock } from "../world/clock.js";
import { Flash } from "../world/flash.js";
import { virtualHost } from "../world/host.js";
import { Network } from "../world/network.js";
import { Random } from "../world/random.js";
import type { Case } from "./case.js";
import { linkCases, longCase, policyCase } from "./catalog.js";
import { type Identities, makeIdentities } from "./certificates.js";
import { Front } from "./front.js";
import { judgePolicies } from "./policy-case.js";
import type { Row } from "./row.js";
import { examineOnSocket } from "./sockets.js";
import { RealTime } from "./time.js";
import { examineVirtually, type VirtualDevice } from "./virtual.js";

export interface AgentExamination {
  /** Names; all when absent. */
  readonly cases?: readonly string[];
  readonly seed?: number;
  onRow(row: Row): void;
}

const thingName = "node-advised";
/** What the shadow case asks of the sensor node. */
const desired = Object.freeze({ led: "blue", sampleSeconds: 61 });

/** @returns a row for each case and MQTT version */
export async function examineAgent(options: AgentExamination): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const { cases, seed = 1 } = options;
  const isWanted = (name: string) => cases === undefined || cases.includes(name);
  const add = (row: Row) => {
    rows.push(row);
    options.onRow(row);
  };
  const identities = await makeIdentities(["localhost", "127.0.0.1"]);
  const device = agentInVirtualTime(identities);
  const wanted = linkCases.filter(({ name }) => isWanted(name));
  await examineOnSockets(
    wanted.filter(({ needsTls }) => needsTls),
    identities,
    add,
  );
  for (const which of wanted.filter(({ needsTls }) => !needsTls)) {
    for (const version of [5, 4] as const) {
      add(await examineVirtually(which, device, { version, seed, desired }));
    }
  }
  if (isWanted(policyCase)) add(await examinePolicies(seed));
  if (isWanted(longCase.name)) {
    for (const version of [5, 4] as const) {
      add(await examineVirtually(longCase, device, { version, seed, desired }));
    }
  }
  return rows;
}

export function configOf({ trustAnchor, device }: Identities, port: number): SensorNodeConfig {
  return {
    endpoint: "localhost",
    port,
    trustAnchors: [trustAnchor],
    serialNumber: "SN-ADVISED",
    thingName,
    ...device,
  };
}

function agentInVirtualTime(identities: Identities): VirtualDevice {
  return ({ clock, network, random }) => {
    const flash = new Flash();
    const host = virtualHost({ id: "advised", clock, random, network, flash });
    sensorNode(host, configOf(identities, 8883), () => undefined).start();
  };
}

/** A device of its own for each case: nothing is left from the one before. */
async function examineOnSockets(
  cases: readonly Case[],
  identities: Identities,
  onRow: (row: Row) => void,
): Promise<void> {
  if (cases.length === 0) return;
  const directory = await mkdtemp(join(tmpdir(), "skerry-advise-"));
  const time = new RealTime();
  const front = await Front.listen({
    host: "127.0.0.1",
    port: 0,
    identities,
    onChange: () => time.wake(),
  });
  try {
    for (const which of cases) {
      const device = await startDevice({
        engine: "node",
        directory: join(directory, which.name.toLowerCase()),
        config: configOf(identities, front.port),
        onStatus: () => undefined,
        onCrash: error => {
          throw error;
        },
      });
      onRow(await examineOnSocket(which, { front, time, desired, patienceMs: 10_000 }));
      await device.stop();
    }
  } finally {
    await front.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Earns an identity from the local cloud, then reads what was attached to its certificate. */
async function examinePolicies(seed: number): Promise<Row> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-advise-"));
  try {
    const ms = await provision(directory, seed);
    const verdict = judgePolicies(await attachedPolicies(directory));
    return { name: policyCase, isQualification: false, version: undefined, verdict, ms };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function provision(directory: string, seed: number): Promise<number> {
  const random = new Random(seed);
  const serialNumber = "SN-ADVISED";
  let cloud: Cloud | undefined;
  const clock = new VirtualClock({ idle: () => cloud?.idle() ?? Promise.resolve() });
  cloud = await Cloud.open({
    directory,
    allow: [serialNumber],
    clock,
    timer: clock,
    random: length => random.bytes(length),
  });
  const opened = cloud;
  try {
    const network = new Network(clock, (link, peer) => opened.accept(link, peer));
    const { certificate, key, trustAnchor } = opened.claim();
    const config = {
      endpoint: "localhost",
      port: 8883,
      trustAnchors: [trustAnchor],
      claim: { certificate, key },
      template: "sensor-node",
      serialNumber,
    };
    const host = virtualHost({ id: "advised", clock, random, network, flash: new Flash() });
    let isProvisioned = false;
    const agent = sensorNode(host, config, ({ type }) => {
      isProvisioned ||= type === "provisioned";
    });
    agent.start();
    await clock.runUntil(() => isProvisioned, 60_000);
    return clock.ticks();
  } finally {
    await opened.close();
  }
}

/** Policies of every certificate that devices have. */
async function attachedPolicies(directory: string): Promise<readonly PolicyDocument[]> {
  const schemas = { ...registrySchemas, ...shadowSchemas };
  const onFailure = (error: Error) => {
    throw error;
  };
  const store = await Store.open({ directory, schemas, onFailure });
  try {
    const documents = new Map(store.list("policy", registrySchemas.policy));
    return [...store.list("certificate", registrySchemas.certificate)]
      .filter(([, { kind }]) => kind === "device")
      .flatMap(([, { policies }]) => policies.flatMap(name => documents.get(name)?.document ?? []));
  } finally {
    await store.close();
  }
}
