// AWS's own device SDK and our agent against one local cloud, over mutual TLS, with one template.

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
import type { Step, Task } from "./aws-device.js";

const program = fileURLToPath(new URL("./aws-device.js", import.meta.url));
const isUsable = spawnSync(process.execPath, [program]).status === 0;
if (!isUsable) {
  if (process.env["CI"] === "true")
    test("AWS's device SDK loads", t => t.fail("aws-iot-device-sdk-v2 does not load here"));
  else test("AWS's device SDK does not load here: the cloud is not tried with it", t => t.pass());
}
const withSdk = isUsable ? test : test.skip;

/** Both clients in the same way. */
interface Way {
  readonly version: 4 | 5;
  readonly keys: "device" | "cloud";
}

interface Client {
  readonly serialNumber: string;
  /** @throws when it was not let in, with what it was told */
  provisioned(): Promise<{ thingName: string; certificateId: string }>;
  /** What was desired is reported. */
  followed(): Promise<void>;
}

async function openCloud(t: ExecutionContext, allow: readonly string[]) {
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

async function awsDevice(
  t: ExecutionContext,
  cloud: Cloud,
  serialNumber: string,
  way: Way & { readonly style: Style },
): Promise<Client> {
  const child = fork(program, { execArgv: [] });
  t.teardown(() => void child.kill());
  await stepOf(child, "ready");
  const { trustAnchor, ...claim } = cloud.claim();
  const template = defaultTemplateName;
  const task: Task = { ...way, claim, trustAnchor, template, serialNumber, port: cloud.port! };
  const provisioned = stepOf(child, "provisioned");
  const followed = stepOf(child, "followed");
  provisioned.catch(() => undefined);
  followed.catch(() => undefined);
  child.send(task);
  return {
    serialNumber,
    provisioned: async () => {
      const { noShadow, ...identity } = await provisioned;
      t.like(noShadow, { code: 404 });
      return identity;
    },
    followed: async () => {
      const { delta, shadow } = await followed;
      t.deepEqual(delta, { led: "blue" });
      t.deepEqual(shadow, { desired: { led: "blue" }, reported: { led: "blue" } });
    },
  };
}

/** The next step of that name; rejects when the device is refused, fails or ends before. */
function stepOf<T extends Step["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<Step, { type: T }>> {
  return new Promise((resolve, reject) => {
    child.once("exit", code => reject(new Error(`AWS's SDK ended with ${code}`)));
    child.on("message", (step: Step) => {
      if (step.type === "failed") reject(new Error(step.message));
      else if (step.type === "refused") reject(new Error(JSON.stringify(step.body)));
      else if (step.type === type) resolve(step as Extract<Step, { type: T }>);
    });
  });
}

async function ourDevice(
  t: ExecutionContext,
  cloud: Cloud,
  serialNumber: string,
  { version, keys }: Way,
): Promise<Client> {
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
  const led = { type: "enum", values: ["off", "blue"], default: "off" } as const;
  const settings = agent.settings({ led });
  const until = async <S>(find: (status: AgentStatus) => S | false): Promise<S> => {
    for (;;) {
      for (const status of statuses) {
        const found = find(status);
        if (found !== false) return found;
      }
      await once(changes, "change");
    }
  };
  t.teardown(async () => {
    if (!t.passed) t.log(statuses);
    agent.stop();
    await until(({ type }) => type === "stopped" && type);
    await rm(directory, { recursive: true });
  });
  agent.start();
  return {
    serialNumber,
    provisioned: async () => {
      await until(status => {
        if (status.type === "offline" && status.error.kind === "refused") throw status.error;
        return status.type === "reported" && status;
      });
      const certificateId = await until(
        status => status.type === "certified" && status.certificateId,
      );
      t.is(await until(status => status.type === "online" && status.protocolVersion), version);
      return { thingName: agent.thingName!, certificateId };
    },
    followed: async () => {
      await until(status => status.type === "reported" && status.values["led"] === "blue");
      t.is(settings.values.led, "blue");
    },
  };
}

// Every pair of choices once.
const ways = [
  { version: 4, style: "topics", keys: "device" },
  { version: 4, style: "request/response", keys: "cloud" },
  { version: 5, style: "topics", keys: "cloud" },
  { version: 5, style: "request/response", keys: "device" },
] as const;

const nameOf = ({ version, keys, style }: (typeof ways)[number]): string =>
  `${version === 4 ? "MQTT 3.1.1" : "MQTT 5"}, keys by the ${keys}, ${style}`;

for (const way of ways) {
  withSdk(
    `${nameOf(way)}: AWS's device SDK and the agent provision by one claim and template, and follow their shadows`,
    async t => {
      const { version, keys } = way;
      const { cloud, events, certificateOf, shadowBecomes } = await openCloud(t, ["AWS-1", "SN-1"]);
      const clients = await Promise.all([
        awsDevice(t, cloud, "AWS-1", way),
        ourDevice(t, cloud, "SN-1", way),
      ]);
      for (const { serialNumber, provisioned } of clients) {
        const thingName = `node-${serialNumber}`;
        const identity = await provisioned();
        t.is(identity.thingName, thingName);
        const expected = {
          kind: "device",
          status: "ACTIVE",
          certificateId: identity.certificateId,
        };
        t.like(certificateOf(thingName), expected);
        await shadowBecomes(thingName, { reported: { led: "off" } });
        cloud.updateDesired(thingName, { led: "blue" });
      }
      t.deepEqual(
        cloud
          .things()
          .map(({ name, attributes }) => [name, { ...attributes }])
          .sort(),
        [
          ["node-AWS-1", { serialNumber: "AWS-1" }],
          ["node-SN-1", { serialNumber: "SN-1" }],
        ],
      );
      for (const { serialNumber, followed } of clients) {
        await followed();
        await shadowBecomes(`node-${serialNumber}`, {
          desired: { led: "blue" },
          reported: { led: "blue" },
        });
      }
      // Each with its own certificate and name, at the same time.
      t.deepEqual([...cloud.clients()].sort(), ["node-AWS-1", "node-SN-1"]);
      t.deepEqual(cloud.certificates.orphans(), []);
      const eventsOf = <T extends CloudEvent["type"]>(type: T) =>
        events.filter((event): event is Extract<CloudEvent, { type: T }> => event.type === type);
      t.deepEqual(
        eventsOf("clientConnected").map(({ protocolVersion }) => protocolVersion),
        [version, version, version, version],
      );
      const by = keys === "device" ? "csr" : "keys";
      t.deepEqual(
        eventsOf("certificateIssued").map(event => event.by),
        [by, by],
      );
      t.deepEqual(
        events.filter(({ type }) => /refused/i.test(type)),
        [],
      );
    },
  );
}

for (const way of [ways[0], ways[3]]) {
  withSdk(
    `${nameOf(way)}: a serial number that is not listed is refused to both, and both say why`,
    async t => {
      const { cloud } = await openCloud(t, []);
      const clients = await Promise.all([
        awsDevice(t, cloud, "AWS-2", way),
        ourDevice(t, cloud, "SN-2", way),
      ]);
      for (const client of clients) {
        await t.throwsAsync(client.provisioned(), { message: /ACCESS_DENIED/ });
      }
      t.deepEqual(cloud.things(), []);
    },
  );
}
