// The sensor node in the XS engine, started with the configuration that the first event brings.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { type SensorConfig, sensor } from "./sensor.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const config = JSON.parse(fromUtf8(bytes)) as SensorConfig;
  const agent = sensor(createHost(bridge), config, status => bridge.event("status", status));
  bridge.on("stop", () => agent.stop());
  agent.start();
});
