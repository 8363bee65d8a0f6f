// An agent that runs jobs on the XS engine.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent, type AgentOptions } from "../../src/index.js";
import { fromUtf8 } from "../../src/util/bytes.js";
import { install } from "./product.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const options = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host">;
  const agent = new Agent({
    ...options,
    host: createHost(bridge),
    onStatus: status => bridge.event("status", status),
  });
  install(agent, line => bridge.event("log", line));
  bridge.on("go", () => agent.start());
});
