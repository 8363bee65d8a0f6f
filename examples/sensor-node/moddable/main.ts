// Firmware entry for Moddable, on ESP32 and on the desktop simulator; the product itself is ../sensor-node.ts.
import config from "mc/config";
import { openBoard } from "skerry/examples/sensor-node/moddable/platform/board";
import { host, network } from "skerry/hosts/moddable/host";
import { sensorNode } from "../sensor-node.js";

/** One line for each status: its type, and what it carries. */
function describe(status: object): string {
  const fields = Object.entries(status).map(([name, value]) =>
    name === "type" ? String(value) : `${name} ${toText(value)}`,
  );
  return fields.join(", ");
}

function toText(value: unknown): string {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? "" : ` (${String(value.cause)})`;
    return `${value.message}${cause}`;
  }
  if (typeof value === "object" && value !== null) return `{ ${describe(value)} }`;
  return String(value);
}

/** The agent, or undefined when the build was given no configuration. */
export const agent = start();

function start(): ReturnType<typeof sensorNode> | undefined {
  const product = config.sensorNode;
  if (product === undefined) {
    trace(
      "sensor node: no configuration; build with SKERRY_CONFIG, see hosts/moddable/README.md\n",
    );
    return undefined;
  }
  const started = sensorNode(
    host,
    {
      ...product,
      serialNumber: product.serialNumber ?? host.system.id,
      // From the command line of the build; the time in seconds.
      ...(config.builtAt === undefined ? {} : { builtAt: Number(config.builtAt) * 1000 }),
      ...(config.firmwareVersion === undefined ? {} : { firmwareVersion: config.firmwareVersion }),
    },
    status => trace(`sensor node: ${describe(status)}\n`),
    openBoard(host, config.board ?? {}),
  );
  started.start();
  // After an outage the agent need not wait for its own next dial. What the host says on the console stays.
  const { onStatus } = network;
  network.onStatus = status => {
    onStatus(status);
    if (status.type === "online") started.networkIsBack();
  };
  return started;
}
