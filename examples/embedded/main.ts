// The smallest product: a kettle that follows one setting and tells its temperature.
import config from "mc/config";
import { Agent } from "skerry";
import { host } from "skerry/host";

// From the file that SKERRY_CONFIG names; a product may as well have it here.
const { endpoint, port, trustAnchors, serialNumber, ...identity } = config.sensorNode!;

const agent = new Agent({
  host,
  endpoint,
  port,
  trustAnchors,
  identity:
    "claim" in identity ? { ...identity, parameters: { SerialNumber: serialNumber } } : identity,
  onStatus: ({ type }) => trace(`kettle: ${type}\n`),
});
const settings = agent.settings({
  celsius: { type: "integer", min: 40, max: 100, default: 96 },
});
settings.onChange = ({ celsius }) => trace(`kettle: heats to ${celsius}\n`);
host.timer.repeat(() => agent.telemetry.send("water", { celsius: 20 }), 10_000);
agent.start();
