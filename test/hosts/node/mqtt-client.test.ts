import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { createHost } from "../../../hosts/node/host.js";
import { MQTTClient } from "../../../src/mqtt/client.js";
import { mqttClientContract } from "../../contract/mqtt-client.js";
import { type ObedientBroker, startObedientBroker } from "../obedient-broker.js";

const host = createHost({ directory: mkdtempSync(join(tmpdir(), "skerry-mqtt-")), id: "node-1" });

let broker: ObedientBroker;
test.before(async () => {
  broker = await startObedientBroker();
});
test.after.always(() => broker?.close());

mqttClientContract(test, "node mqtt", () => ({ ...broker.data, host, mqtt: MQTTClient }));
