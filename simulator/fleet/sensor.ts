// The sensor node as a virtual device's image has it: what the image does besides is told in the image, so that bad ones can be tried.
import { type SensorNodeConfig, sensorNode } from "../../examples/sensor-node/sensor-node.js";
import type { Agent, AgentStatus, Host } from "../../src/index.js";
import type { Behaviour } from "./updatable.js";

export type SensorConfig = SensorNodeConfig & { readonly behaviour?: Behaviour };

/** Where nobody answers, on this machine as everywhere. */
const deaf = { endpoint: "localhost", port: 1 } as const;

/**
 * @returns the agent, made but not started
 * @throws  what a crashing image throws
 */
export function sensor(
  host: Host,
  { behaviour = "good", ...config }: SensorConfig,
  onStatus: (status: AgentStatus) => void,
): Agent {
  if (behaviour === "crashes") throw new Error("this image does not start");
  const place = behaviour === "offline" ? deaf : {};
  const agent = sensorNode(host, { ...config, ...place }, onStatus);
  if (behaviour === "unhealthy") agent.health.check("calibration", () => false);
  return agent;
}
