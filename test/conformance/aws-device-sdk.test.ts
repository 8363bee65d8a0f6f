// AWS's own device SDK and our agent against one local cloud, over mutual TLS, with one template.

import type { ChildProcess } from "node:child_process";
import type { ExecutionContext } from "ava";
import type { Cloud, CloudEvent } from "../../simulator/cloud/cloud.js";
import type { Style } from "./aws-connection.js";
import type { Step } from "./aws-device.js";
import { forkProgram, openCloud, ourDevice, taskOf, type Way, withSdk } from "./rig.js";

interface Client {
  readonly serialNumber: string;
  /** @throws when it was not let in, with what it was told */
  provisioned(): Promise<{ thingName: string; certificateId: string }>;
  /** What was desired is reported. */
  followed(): Promise<void>;
}

async function awsDevice(
  t: ExecutionContext,
  cloud: Cloud,
  serialNumber: string,
  way: Way & { readonly style: Style },
): Promise<Client> {
  const child = await forkProgram(t, "aws-device");
  const provisioned = stepOf(child, "provisioned");
  const followed = stepOf(child, "followed");
  provisioned.catch(() => undefined);
  followed.catch(() => undefined);
  child.send(taskOf(cloud, serialNumber, way));
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

async function ourClient(
  t: ExecutionContext,
  cloud: Cloud,
  serialNumber: string,
  way: Way,
): Promise<Client> {
  const { agent, until } = await ourDevice(t, cloud, serialNumber, way);
  const led = { type: "enum", values: ["off", "blue"], default: "off" } as const;
  const settings = agent.settings({ led });
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
      t.is(await until(status => status.type === "online" && status.protocolVersion), way.version);
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
        ourClient(t, cloud, "SN-1", way),
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
        ourClient(t, cloud, "SN-2", way),
      ]);
      for (const client of clients) {
        await t.throwsAsync(client.provisioned(), { message: /ACCESS_DENIED/ });
      }
      t.deepEqual(cloud.things(), []);
    },
  );
}
