// The sensor node: what a product writes. The same on ESP32, on Moddable's desktop simulator, on Node and on XS.
import {
  Agent,
  type AgentStatus,
  type ClaimIdentity,
  type Host,
  type OwnIdentity,
} from "../../src/index.js";

/** With a claim to be provisioned by, or with an identity that it already has. */
export type SensorNodeConfig = Place & (Claimed | OwnIdentity);

interface Place {
  readonly endpoint: string;
  readonly port: number;
  /** PEM. */
  readonly trustAnchors: readonly string[];
  readonly serialNumber: string;
  /** Of this firmware; default 1.0.0. */
  readonly firmwareVersion?: string;
  /** What manifests call the product; default "sensor-node". */
  readonly product?: string;
  /** What manifests call the board; default "devkit". */
  readonly hardware?: string;
  /** Who signs firmware, PEM; without them none is taken. */
  readonly signers?: readonly { readonly name: string; readonly publicKey: string }[];
  /** How many of them have to sign; default 1. */
  readonly threshold?: number;
  /** How long new firmware is given to prove itself, and for how long it has to be well; default as the agent's. */
  readonly trial?: { readonly trialSeconds: number; readonly settleSeconds: number };
  /** Epoch ms. */
  readonly builtAt?: number;
  /** Asks for another certificate at this age. */
  readonly rotateAfterDays?: number;
  readonly keepAliveSeconds?: number;
}

interface Claimed {
  /** PEM; the key is PKCS#8. */
  readonly claim: { readonly certificate: string; readonly key: string };
  /** Provisioning template; it takes one parameter, SerialNumber. */
  readonly template: string;
}

/** A room that warms by a tenth of a degree a minute and is aired every hour, until a board has a real thermometer. */
function readSensor(ticks: number): { temperature: number; humidity: number } {
  const minute = (ticks / 60_000) % 60;
  return { temperature: 21.5 + Math.round(minute) / 10, humidity: 40 };
}

function identityOf(config: SensorNodeConfig): ClaimIdentity | OwnIdentity {
  if (!("claim" in config)) return config;
  const { template, claim, serialNumber } = config;
  return { template, claim, parameters: { SerialNumber: serialNumber } };
}

/** @returns the agent, made but not started */
export function sensorNode(
  host: Host,
  config: SensorNodeConfig,
  onStatus: (status: AgentStatus) => void,
): Agent {
  const agent = new Agent({
    host,
    endpoint: config.endpoint,
    port: config.port,
    trustAnchors: config.trustAnchors,
    identity: identityOf(config),
    firmware: {
      version: config.firmwareVersion ?? "1.0.0",
      product: config.product ?? "sensor-node",
      hardware: config.hardware ?? "devkit",
      // Whoever has these keys may replace the firmware, where there is a second slot for it.
      ...(host.update &&
        config.signers && { signers: config.signers, threshold: config.threshold ?? 1 }),
      ...config.trial,
    },
    deviceState: {},
    // What is measured waits on flash until the cloud has it; where there is none, in memory.
    ...(host.flash && { outbox: {} }),
    telemetry: {
      // An alert overtakes all else that waits. With `windowSeconds: 60` a minute's readings would be one message.
      channels: { climate: { thresholds: { temperature: { above: 27, hysteresis: 1 } } } },
    },
    onStatus,
    ...(config.builtAt === undefined ? {} : { builtAt: config.builtAt }),
    ...(config.keepAliveSeconds === undefined ? {} : { keepAliveSeconds: config.keepAliveSeconds }),
    ...(config.rotateAfterDays === undefined
      ? {}
      : { rotation: { afterDays: config.rotateAfterDays } }),
  });

  const settings = agent.settings({
    sampleSeconds: { type: "integer", min: 1, max: 3600, default: 60 },
    led: { type: "enum", values: ["off", "red", "blue"], default: "off" },
  });
  // `{"operation":"blink","times":3}`, until a board has a real lamp.
  agent.jobs.on("blink", job => {
    let left = Math.min(job.read({ times: "integer" }).times ?? 3, 100);
    const blinking = host.timer.repeat(() => {
      if (--left > 0) return;
      host.timer.clear(blinking);
      job.succeed();
    }, 500);
  });
  // What must hold before new firmware is confirmed.
  agent.health.check("sensor", () => Number.isFinite(readSensor(host.clock.ticks()).temperature));

  const sample = () => agent.telemetry.send("climate", readSensor(host.clock.ticks()));
  let sampling = host.timer.repeat(sample, settings.values.sampleSeconds * 1000);
  settings.onChange = ({ sampleSeconds }) => {
    if (sampleSeconds === undefined) return;
    host.timer.clear(sampling);
    sampling = host.timer.repeat(sample, sampleSeconds * 1000);
  };
  sample();
  return agent;
}
