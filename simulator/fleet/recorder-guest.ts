// The recorder in the XS engine, started with the configuration that the first event brings.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { type RecorderConfig, recorder } from "./recorder.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const config = JSON.parse(fromUtf8(bytes)) as RecorderConfig;
  const onStatus = (status: object) => bridge.event("status", status);
  const onSent = (sent: object) => bridge.event("sent", sent);
  recorder(createHost(bridge), config, onStatus, onSent).start();
});
