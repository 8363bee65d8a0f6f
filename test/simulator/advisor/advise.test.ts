// The command: a device that connects is examined, told what it needs, and the result is printed.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { SensorNodeConfig } from "../../../examples/sensor-node/sensor-node.js";
import { advise } from "../../../simulator/advisor/advise.js";
import { devicePolicy } from "../../../simulator/cloud/defaults.js";
import { startDevice } from "../../../simulator/fleet/device.js";

function folder(t: { teardown(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), "skerry-advise-test-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const columns = 120;

test("a device that is given what is printed is examined over real sockets, case by case", async t => {
  const directory = folder(t);
  const policy = join(directory, "policy.json");
  writeFileSync(policy, JSON.stringify(devicePolicy));
  const said: string[] = [];
  let device: ReturnType<typeof startDevice> | undefined;
  const say = (text: string) => {
    said.push(text);
    if (device || !text.includes("trust anchor")) return;
    const firmware = JSON.parse(readFileSync(join(directory, "firmware.json"), "utf8")) as {
      config: { sensorNode: SensorNodeConfig };
    };
    device = startDevice({
      engine: "node",
      directory: join(directory, "device"),
      config: firmware.config.sensorNode,
      onStatus: () => undefined,
      onCrash: error => t.fail(error.message),
    });
  };
  const cases = [
    "TLS_Connect",
    "TLS_Incorrect_Subject_Name_Server_Cert",
    "Shadow_Update_Reported_State",
    "Job_Execution",
    "Job_Cancellation",
    "Security_Device_Policies",
  ];
  const isGood = await advise({ listen: 0, isOld: true, cases, directory, policy, columns, say });
  await (await device)?.stop();
  t.true(isGood, said.join("\n"));
  t.regex(said.join("\n"), /Shadow_Update_Reported_State +3\.1\.1 +✔ pass/);
  t.is(said.at(-1), "\n6 pass, 0 warn, 0 fail");
  const before = readFileSync(join(directory, "anchor.pem"), "utf8");
  await advise({
    listen: 0,
    cases: ["Security_Device_Policies"],
    directory,
    columns,
    say: () => undefined,
  });
  t.is(readFileSync(join(directory, "anchor.pem"), "utf8"), before, "the device is told once");
});

test("the agent's own examination prints its table and says that nothing failed", async t => {
  const said: string[] = [];
  const cases = ["MQTT_Connect", "Job_Execution", "Job_Rejection"];
  const say = (text: string) => said.push(text);
  t.true(await advise({ cases, directory: folder(t), columns, say }));
  t.regex(said.join("\n"), /MQTT_Connect +Q +5 +✔ pass[\s\S]*MQTT_Connect +Q +3\.1\.1 +✔ pass/);
  t.is(said.at(-1), "\n6 pass, 0 warn, 0 fail");
});

test("a device whose policy is too broad is not let through", async t => {
  const directory = folder(t);
  const policy = join(directory, "policy.json");
  const broad = { Effect: "Allow", Action: "iot:*", Resource: "*" };
  writeFileSync(policy, JSON.stringify({ Version: "2012-10-17", Statement: [broad] }));
  const cases = ["Security_Device_Policies"];
  const say = () => undefined;
  t.false(await advise({ listen: 0, cases, directory, policy, columns, say }));
});

test("a case that does not exist, and files that cannot be used, are named", async t => {
  const directory = folder(t);
  const options = { directory, columns, say: () => undefined };
  await t.throwsAsync(advise({ ...options, cases: ["TLS"] }), { message: /no case TLS/ });
  const cases = ["Security_Device_Policies"];
  const policy = join(directory, "absent.json");
  await t.throwsAsync(advise({ ...options, listen: 0, cases, policy }), {
    message: /absent\.json/,
  });
  writeFileSync(join(directory, "identities.json"), "{");
  await t.throwsAsync(advise({ ...options, listen: 0, cases }), { message: /is damaged/ });
});
