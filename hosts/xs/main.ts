// What runs in the engine: the sensor node, started with the configuration that the first event brings.

import { type SensorNodeConfig, sensorNode } from "../../examples/sensor-node/sensor-node.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { Bridge } from "./bridge.js";
import { createHost } from "./host.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const config = JSON.parse(fromUtf8(bytes)) as SensorNodeConfig;
  const agent = sensorNode(createHost(bridge), config, status => bridge.event("status", status));
  bridge.on("stop", () => agent.stop());
  agent.start();
});
