// The program whose cost is measured: an agent with its own identity, settings and telemetry, on the XS engine.
import { Bridge } from "../hosts/xs/bridge.js";
import { createHost } from "../hosts/xs/host.js";
import { Agent, type AgentOptions } from "../src/index.js";
import { fromUtf8 } from "../src/util/bytes.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { jobs, ...options } = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host"> & {
    readonly jobs?: boolean;
  };
  const host = createHost(bridge);
  let agent: Agent | undefined;
  bridge.on("make", () => {
    agent = new Agent({ ...options, host, onStatus: ({ type }) => bridge.event("status", type) });
    if (jobs) agent.jobs.on("calibrate", job => job.succeed());
    agent.settings({
      sampleSeconds: { type: "integer", min: 1, max: 3600, default: 60 },
      led: { type: "enum", values: ["off", "red", "blue"], default: "off" },
    });
  });
  bridge.on("go", () => agent?.start());
  bridge.on("publish", () => agent?.telemetry.send("climate", { temperature: 21.5, humidity: 40 }));
});
