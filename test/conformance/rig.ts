// A local cloud over mutual TLS, our agent, and programs that run AWS's SDK, for the tests of this folder.

import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import test, { type ExecutionContext } from "ava";
import { createHost } from "../../hosts/node/host.js";
import { Cloud, type CloudEvent } from "../../simulator/cloud/cloud.js";
import { defaultTemplateName } from "../../simulator/cloud/defaults.js";
import { Agent, type AgentStatus } from "../../src/index.js";
import type { Style } from "./aws-connection.js";
import type { Task } from "./aws-provision.js";

const program = fileURLToPath(new URL("./aws-device.js", import.meta.url));
const isUsable = spawnSync(process.execPath, [program]).status === 0;
if (!isUsable) {
  if (process.env["CI"] === "true")
    test("AWS's device SDK loads", t => t.fail("aws-iot-device-sdk-v2 does not load here"));
  else test("AWS's device SDK does not load here: the cloud is not tried with it", t => t.pass());
}
/** Skipped where the SDK does not load. */
export const withSdk = isUsable ? test : test.skip;

/** Both clients in the same way. */
export interface Way {
  readonly version: 4 | 5;
  readonly keys: "device" | "cloud";
}

export async function openCloud(t: ExecutionContext, allow: readonly string[]) {
  t.timeout(60_000, "the cloud or one of its clients is silent");
  const events: CloudEvent[] = [];
  const changes = new EventEmitter();
  const onEvent = (event: CloudEvent): void => {
    events.push(event);
    changes.emit("event");
  };
  const cloud = await Cloud.open({ listen: { host: "127.0.0.1", port: 0 }, allow, onEvent });
  t.teardown(async () => {
    if (!t.passed) t.log(events);
    await cloud.close();
  });
  const certificateOf = (thingName: string) =>
    cloud.certificates.list().find(each => each.thingName === thingName);
  /** A device tells that it reports before the report has arrived. */
  const shadowBecomes = async (thingName: string, state: object): Promise<void> => {
    // As JSON: the cloud's objects have no prototype.
    const plain = () => JSON.parse(JSON.stringify(cloud.shadow(thingName) ?? {})) as object;
    const isSo = () => isDeepStrictEqual((plain() as { state?: object }).state, state);
    while (!isSo()) await once(changes, "event");
  };
  return { cloud, events, certificateOf, shadowBecomes };
}

/** Forks one of this folder's programs, which ends with the test. */
export async function forkProgram(t: ExecutionContext, name: string): Promise<ChildProcess> {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = fork(path, { execArgv: [] });
  t.teardown(() => void child.kill());
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`AWS's SDK ended with ${code}`);
  });
  await Promise.race([once(child, "message"), ended]);
  ended.catch(() => undefined);
  return child;
}

/** How a client that runs AWS's SDK earns its identity here. */
export function taskOf(
  cloud: Cloud,
  serialNumber: string,
  way: Way & { readonly style: Style },
): Task {
  const { trustAnchor, ...claim } = cloud.claim();
  return {
    ...way,
    ...{ claim, trustAnchor, serialNumber },
    template: defaultTemplateName,
    port: cloud.port!,
  };
}

export interface OurDevice {
  /** To be started by the test, once its settings are declared. */
  readonly agent: Agent;
  readonly statuses: readonly AgentStatus[];
  /** @param from which of the statuses is the first to look at */
  until<S>(find: (status: AgentStatus) => S | false, from?: number): Promise<S>;
}

export async function ourDevice(
  t: ExecutionContext,
  cloud: Cloud,
  serialNumber: string,
  { version, keys }: Way,
): Promise<OurDevice> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-conformance-"));
  const statuses: AgentStatus[] = [];
  const changes = new EventEmitter();
  const { trustAnchor, ...claim } = cloud.claim();
  const agent = new Agent({
    host: createHost({ directory, id: "board-1" }),
    endpoint: "localhost",
    port: cloud.port!,
    trustAnchors: [trustAnchor],
    identity: {
      template: defaultTemplateName,
      claim,
      parameters: { SerialNumber: serialNumber },
      keys,
    },
    mqtt: { protocolVersion: version },
    onStatus: status => {
      statuses.push(status);
      changes.emit("change");
    },
  });
  const until = async <S>(find: (status: AgentStatus) => S | false, from = 0): Promise<S> => {
    for (;;) {
      for (const status of statuses.slice(from)) {
        const found = find(status);
        if (found !== false) return found;
      }
      await once(changes, "change");
    }
  };
  t.teardown(async () => {
    if (!t.passed) t.log(statuses);
    const from = Math.max(0, statuses.length - 1);
    agent.stop();
    await until(({ type }) => type === "stopped" && type, from);
    await rm(directory, { recursive: true });
  });
  return { agent, statuses, until };
}
