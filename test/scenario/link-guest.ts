// An agent with its own identity on the XS engine: started, stopped and given telemetry from outside.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent, type AgentOptions } from "../../src/index.js";
import type { Schema } from "../../src/shadow/schema.js";
import { fromUtf8 } from "../../src/util/bytes.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { schema, ...options } = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host"> & {
    readonly schema?: Schema;
  };
  const agent = new Agent({
    ...options,
    host: createHost(bridge),
    onStatus: status => bridge.event("status", status),
  });
  if (schema) agent.settings(schema);
  bridge.on("go", () => agent.start());
  bridge.on("stop", () => agent.stop());
  bridge.on("send", ([channel]) => agent.telemetry.send(channel as string, { x: 1 }));
});
