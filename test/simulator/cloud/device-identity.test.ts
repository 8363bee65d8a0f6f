// The agent's half against the cloud's: an identity is earned in either format, changed, and the old one retired.

import test from "ava";
import type { CloudEvent } from "../../../simulator/cloud/cloud.js";
import { Cloud } from "../../../simulator/cloud/cloud.js";
import { devicePolicy, devicePolicyName } from "../../../simulator/cloud/defaults.js";
import { arnPrefix } from "../../../simulator/cloud/policy.js";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Flash } from "../../../simulator/world/flash.js";
import { virtualHost } from "../../../simulator/world/host.js";
import { Network } from "../../../simulator/world/network.js";
import { Random } from "../../../simulator/world/random.js";
import { Agent, type AgentStatus } from "../../../src/index.js";

const withKeys = {
  ...devicePolicy,
  Statement: [
    ...devicePolicy.Statement,
    {
      Effect: "Allow",
      Action: ["iot:Publish", "iot:Receive", "iot:Subscribe"],
      Resource: `${arnPrefix}*/$aws/certificates/create/*`,
    },
  ],
};

for (const format of ["json", "cbor"] as const) {
  for (const keys of ["device", "cloud"] as const) {
    test(`a trusted user's claim, keys by the ${keys}, then another certificate, in ${format}`, async t => {
      const random = new Random(3);
      const events: CloudEvent[] = [];
      let opened: Cloud | undefined;
      const clock = new VirtualClock({ idle: () => opened?.idle() ?? Promise.resolve() });
      const cloud = await Cloud.open({
        allow: ["SN-1"],
        clock,
        timer: clock,
        random: length => random.bytes(length),
        onEvent: event => events.push(event),
      });
      opened = cloud;
      t.teardown(() => cloud.close());
      const network = new Network(clock, (link, peer) => cloud.accept(link, peer));
      const host = virtualHost({ id: "board-1", clock, random, network, flash: new Flash() });
      const claim = await cloud.createProvisioningClaim("sensor-node");
      const parameters = { SerialNumber: "SN-1" };
      const statuses: AgentStatus[] = [];
      const agent = new Agent({
        host,
        endpoint: "cloud.test",
        trustAnchors: [claim.trustAnchor],
        identity: { template: "sensor-node", claim, parameters, format, keys },
        onStatus: status => statuses.push(status),
      });
      const seen = (type: AgentStatus["type"]): boolean =>
        statuses.some(status => status.type === type);
      agent.start();
      t.true(await clock.runUntil(() => seen("provisioned"), 60_000));
      // It asks again as it asked before; the device policy of a fresh cloud allows a request only.
      if (keys === "cloud") cloud.putPolicy(devicePolicyName, withKeys);
      agent.rotate();
      const isRetired = (): boolean => events.some(each => each.type === "certificateRetired");
      t.true(await clock.runUntil(isRetired, 120_000));
      t.true(seen("rotated"));
      const own = cloud.certificates.list().filter(each => each.kind === "device");
      t.deepEqual(
        own.map(({ status, thingName }) => [status, thingName]),
        [
          ["INACTIVE", "node-SN-1"],
          ["ACTIVE", "node-SN-1"],
        ],
      );
      t.deepEqual(cloud.clients(), ["node-SN-1"]);
      t.deepEqual(cloud.certificates.orphans(), []);
    });
  }
}
