// One wake-up on the XS engine: a reading, then sleep.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent, type AgentOptions, type DutyCyclePolicy } from "../../src/index.js";
import { fromUtf8 } from "../../src/util/bytes.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { policy, n, ...options } = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host"> & {
    readonly policy: DutyCyclePolicy;
    readonly n: number;
  };
  const agent = new Agent({
    ...options,
    host: createHost(bridge),
    outbox: {},
    onStatus: status => bridge.event("status", status),
  });
  agent.settings({ level: { type: "integer", default: 1 } });
  const cycle = agent.cycle(policy);
  agent.telemetry.send("climate", { n });
  cycle.sleep();
});
