// The program whose cost is measured: an agent whose shadow is 4 KB, sixty settings in it.
import { Bridge } from "../hosts/xs/bridge.js";
import { createHost } from "../hosts/xs/host.js";
import { Agent, type AgentOptions, type Schema } from "../src/index.js";
import { fromUtf8 } from "../src/util/bytes.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { schema, ...options } = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host"> & {
    schema: Schema;
  };
  const onStatus: AgentOptions["onStatus"] = status =>
    bridge.event("status", status.type === "fault" ? status.error.message : status.type);
  const agent = new Agent({ ...options, host: createHost(bridge), onStatus });
  agent.settings(schema);
  bridge.on("go", () => agent.start());
});
