// An agent with an outbox on the XS engine: told from outside what to send.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent, type AgentOptions } from "../../src/index.js";
import type { SendOptions } from "../../src/telemetry/sender.js";
import type { Readings } from "../../src/telemetry/telemetry.js";
import { fromUtf8 } from "../../src/util/bytes.js";

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const options = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host">;
  const agent = new Agent({
    ...options,
    host: createHost(bridge),
    onStatus: status => bridge.event("status", status),
  });
  bridge.on("go", () => agent.start());
  bridge.on("halt", () => agent.stop());
  bridge.on("send", ([channel, readings, more]) => {
    try {
      agent.telemetry.send(
        channel as string,
        JSON.parse(readings as string) as Readings,
        JSON.parse(more as string) as SendOptions,
      );
      bridge.event("sent", true);
    } catch (error) {
      bridge.event("sent", (error as { code?: string }).code ?? String(error));
    }
  });
});
