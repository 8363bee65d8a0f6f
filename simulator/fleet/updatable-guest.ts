// The updatable product in the XS engine, started with the configuration that the first event brings.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { type UpdatableConfig, updatable } from "./updatable.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const config = JSON.parse(fromUtf8(bytes)) as UpdatableConfig;
  updatable(createHost(bridge), config, status => bridge.event("status", status));
});
