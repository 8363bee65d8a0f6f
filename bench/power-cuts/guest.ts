// The program whose power goes, on the XS engine.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent } from "../../src/index.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { schema } from "./schema.js";
import type { Firmware } from "./unit.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const agent = new Agent({
    ...(JSON.parse(fromUtf8(bytes)) as Firmware),
    host: createHost(bridge),
    onStatus: status => bridge.event("status", status),
  });
  agent.settings(schema);
  agent.start();
  bridge.on("rotate", () => agent.rotate());
});
