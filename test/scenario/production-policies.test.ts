// The policies that docs/production.md gives: enough for a device's whole life, and for nothing beside it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { claimPolicyName, devicePolicyName } from "../../simulator/cloud/defaults.js";
import { arnPrefix, PolicySet, parsePolicy } from "../../simulator/cloud/policy.js";
import { firmware, openWorld as openUpdateWorld, succeeds } from "./updates.js";
import { openWorld } from "./world.js";

const guide = readFileSync(
  fileURLToPath(new URL("../../../docs/production.md", import.meta.url)),
  "utf8",
);
const texts = [...guide.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => text!);

/** With the account, template and names of the local cloud. */
function policies() {
  const [claim, device] = texts.map((text, i) =>
    parsePolicy(
      `policy ${i}`,
      JSON.parse(
        text
          .replaceAll("arn:aws:iot:eu-west-1:123456789012:", arnPrefix)
          .replaceAll("provisioning-templates/buoy/", "provisioning-templates/sensor-node/")
          .replaceAll("client/buoy-*", "client/node-*"),
      ),
    ),
  );
  return { claim: claim!, device: device! };
}

const refusals = ["connectionRefused", "provisioningRefused"];

test("production policies: first boot, settings, telemetry, a job and a rotation, without a refusal", async t => {
  const world = await openWorld();
  const { claim, device } = policies();
  world.cloud.putPolicy(claimPolicyName, claim);
  world.cloud.putPolicy(devicePolicyName, device);
  const agent = world.boot();
  await world.clock.run(10_000);
  const name = agent.thingName!;
  t.is(world.seen("provisioned").length, 1);
  world.cloud.updateDesired(name, { sampleSeconds: 5 });
  await world.clock.run(10_000);
  t.is(world.seen("settings").length, 1);
  t.true(world.seen("telemetry").length > 1);
  const target = `${arnPrefix}thing/${name}`;
  const document = JSON.stringify({ operation: "blink", times: 2 });
  world.cloud.jobs.create({ jobId: "blink", targets: [target], document });
  await world.clock.run(30_000);
  t.is(world.cloud.jobs.execution(name, "blink")?.status, "SUCCEEDED");
  agent.rotate();
  await world.clock.run(30_000);
  t.is(world.seen("rotated").length, 1);
  t.deepEqual(world.seen("fault"), []);
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(
    world.events.filter(({ type }) => refusals.includes(type)),
    [],
  );
});

test("production policies: an update over a stream", async t => {
  const world = await openUpdateWorld(t);
  world.cloud.putPolicy(devicePolicyName, policies().device);
  await succeeds(t, world, await world.createOtaUpdate("fw", firmware()), "1.1.0");
});

const variables = {
  "iot:ClientId": "node-1",
  "iot:Connection.Thing.ThingName": "node-1",
  "iot:Connection.Thing.IsAttached": "true",
};
const things = "$aws/things/";

function denied(t: ExecutionContext, set: PolicySet, requests: readonly string[]): void {
  for (const request of requests) {
    const [action, resource] = request.split(" ");
    t.false(set.allows(`iot:${action}`, resource!), request);
  }
}

test("production policies: a claim can do nothing but provision, and not connect as a device", t => {
  const set = new PolicySet([policies().claim], {});
  t.true(set.allows("iot:Connect", "client/board-1"));
  denied(t, set, [
    "Connect client/node-1",
    "Publish topic/dt/node-1/climate",
    `Publish topic/${things}node-1/shadow/update`,
    `Subscribe topicfilter/${things}node-1/shadow/update/delta`,
    "Subscribe topicfilter/#",
    "Subscribe topicfilter/dt/+/climate",
    `Receive topic/${things}node-1/jobs/notify-next`,
    "Publish topic/$aws/certificates/create/json",
    "Publish topic/$aws/provisioning-templates/other/provision/json",
    "Publish topic/$aws/provisioning-templates/sensor-node/provision/json/accepted",
  ]);
});

test("production policies: a device has no word about another, and none that is the services'", t => {
  const set = new PolicySet([policies().device], variables);
  t.true(set.allows("iot:Publish", "topic/dt/node-1/climate"));
  denied(t, set, [
    "Connect client/node-2",
    "Publish topic/dt/node-2/climate",
    `Publish topic/${things}node-2/shadow/update`,
    `Publish topic/${things}node-1/shadow/update/documents`,
    `Publish topic/${things}node-1/shadow/update/delta`,
    `Publish topic/${things}node-1/shadow/delete`,
    `Publish topic/${things}node-1/jobs/notify-next`,
    `Subscribe topicfilter/${things}node-2/shadow/update/delta`,
    `Subscribe topicfilter/${things}+/shadow/update/delta`,
    "Subscribe topicfilter/dt/node-1/climate",
    "Subscribe topicfilter/#",
    `Receive topic/${things}node-2/jobs/notify-next`,
    "Receive topic/dt/node-1/climate",
  ]);
  const stranger = new PolicySet([policies().device], { "iot:ClientId": "node-1" });
  denied(t, stranger, ["Connect client/node-1", "Connect client/", "Publish topic/dt//climate"]);
});

test("production policies: each is within the 2048 characters that AWS counts", t => {
  t.is(texts.length, 2);
  for (const text of texts) t.true(text.replace(/\s/g, "").length <= 2048);
});
