// The sensor node: what a product writes. The same on ESP32, on Moddable's desktop simulator, on Node and on XS.
import {
  Agent,
  type AgentStatus,
  type ClaimIdentity,
  type Host,
  type OwnIdentity,
} from "../../src/index.js";
import { type Board, type Colour, noBoard } from "./board.js";

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
  /** One message for the readings of so many seconds; a message for each reading when absent. */
  readonly windowSeconds?: number;
}

interface Claimed {
  /** PEM; the key is PKCS#8. */
  readonly claim: { readonly certificate: string; readonly key: string };
  /** Provisioning template; it takes one parameter, SerialNumber. */
  readonly template: string;
}

const colours: readonly Colour[] = Object.freeze(["off", "red", "blue"]);
/** Half of a blink. */
const blinkMs = 250;

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
  board: Board = noBoard(host),
): Agent {
  let alertAbove = 27;
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
      channels: {
        climate: {
          ...(config.windowSeconds === undefined ? {} : { windowSeconds: config.windowSeconds }),
          // An alert overtakes all else that waits. Read with each reading, so that the setting goes for the next one.
          thresholds: {
            temperature: {
              get above() {
                return alertAbove;
              },
              hysteresis: 1,
            },
          },
        },
      },
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
    alertAbove: { type: "number", min: -40, max: 125, default: alertAbove },
    // The button turns it too, and then it is the button that counts.
    led: { type: "enum", values: colours, default: "off", wins: "device" },
  });

  const sample = () => agent.telemetry.send("climate", { ...board.read() });
  let sampling = host.timer.repeat(sample, settings.values.sampleSeconds * 1000);
  board.light(settings.values.led);
  settings.onChange = changed => {
    const { sampleSeconds, led } = changed;
    alertAbove = changed.alertAbove ?? alertAbove;
    if (led !== undefined) board.light(led);
    if (sampleSeconds === undefined) return;
    host.timer.clear(sampling);
    sampling = host.timer.repeat(sample, sampleSeconds * 1000);
  };
  board.onPress = () => {
    const led = colours[(colours.indexOf(settings.values.led) + 1) % colours.length]!;
    board.light(led);
    settings.set({ led });
    agent.telemetry.send("button", { led });
  };

  // `{"operation":"blink","times":3}`
  agent.jobs.on("blink", job => {
    let left = 2 * Math.min(job.read({ times: "integer" }).times ?? 3, 100);
    const lit: Colour = settings.values.led === "off" ? "red" : settings.values.led;
    const blinking = host.timer.repeat(() => {
      left--;
      if (left > 0) return board.light(left % 2 === 0 ? "off" : lit);
      host.timer.clear(blinking);
      board.light(settings.values.led);
      job.succeed();
    }, blinkMs);
  });
  // What must hold before new firmware is confirmed.
  agent.health.check("sensor", () => Number.isFinite(board.read().temperature ?? 0));

  sample();
  return agent;
}
