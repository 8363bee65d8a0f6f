// The product in a virtual machine's image: what it does is written in the image, so that another image does something else.
import { Agent, type AgentStatus, type Host } from "../../src/index.js";

/** What an image is good for. */
export type Behaviour =
  | "good"
  /** Ends at once, like a program that throws while it starts. */
  | "crashes"
  /** Knows no endpoint that exists. */
  | "offline"
  /** Connects, and something that the product needs is broken. */
  | "unhealthy";

/** What stands in an image, as JSON. */
export interface Firmware {
  readonly version: string;
  readonly behaviour: Behaviour;
}

export interface UpdatableConfig extends Firmware {
  readonly endpoint: string;
  readonly trustAnchors: readonly string[];
  readonly claim: { readonly certificate: string; readonly key: string };
  readonly serialNumber: string;
  /** Whose signatures count: PEM, by the name a document knows them by. */
  readonly signers: readonly { readonly name: string; readonly publicKey: string }[];
  readonly threshold?: number;
  readonly minimumVersion?: string;
  readonly trialSeconds?: number;
  readonly settleSeconds?: number;
  readonly allowDowngrade?: boolean;
  readonly manifestOnly?: boolean;
  /** What else the product does with the agent, before it starts. */
  prepare?(agent: Agent): void;
}

export const product = "sensor-node";
export const hardware = "board-a";

/** Where nobody answers. */
export const nowhere = "nowhere.invalid";

/** @throws what a crashing image throws */
export function updatable(
  host: Host,
  config: UpdatableConfig,
  onStatus: (status: AgentStatus) => void,
): Agent {
  const { version, behaviour, claim, serialNumber, signers } = config;
  if (behaviour === "crashes") throw new Error("this image does not start");
  const agent = new Agent({
    host,
    endpoint: behaviour === "offline" ? nowhere : config.endpoint,
    trustAnchors: config.trustAnchors,
    identity: { template: "sensor-node", claim, parameters: { SerialNumber: serialNumber } },
    firmware: {
      version,
      product,
      hardware,
      signers,
      threshold: config.threshold ?? 1,
      trialSeconds: config.trialSeconds ?? 300,
      settleSeconds: config.settleSeconds ?? 20,
      allowDowngrade: config.allowDowngrade ?? false,
      manifestOnly: config.manifestOnly ?? false,
      ...(config.minimumVersion === undefined ? {} : { minimumVersion: config.minimumVersion }),
    },
    onStatus,
  });
  agent.health.check("sensor", () => behaviour !== "unhealthy");
  config.prepare?.(agent);
  agent.start();
  return agent;
}
