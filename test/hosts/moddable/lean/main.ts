// A product that uses settings and telemetry, and nothing else: its manifest includes no other part. What it asks for
// beyond them has to be refused in words.
import config from "mc/config";
import { host } from "../../../../hosts/moddable/host.js";
import { Agent, AgentError, type AgentOptions } from "../../../../src/index.js";

const { lean } = config;

function make(more: Partial<AgentOptions>): Agent {
  const { thingName, certificate, key, endpoint, port, trustAnchors } = lean;
  const identity = { thingName, certificate, key };
  const onStatus = (status: { readonly type: string }) => trace(`lean: ${status.type}\n`);
  return new Agent({ host, endpoint, port, trustAnchors, identity, onStatus, ...more });
}

/** What is asked for in vain, and what is said then. */
function refused(what: string, ask: () => unknown): void {
  try {
    ask();
    trace(`lean: FAIL ${what}: taken\n`);
  } catch (error) {
    const isRight = error instanceof AgentError && error.code === "agent/options";
    trace(`lean: ${isRight ? "refused" : "FAIL"} ${what}: ${(error as Error).message}\n`);
  }
}

refused("jobs", () => make({}).jobs);
refused("health", () => make({}).health);
refused("updates", () => make({ firmware: { version: "1.0.0", signers: [] } }));
refused("outbox", () => make({ outbox: {} }));
refused("sleep", () => make({}).cycle({ sampleSeconds: 60, linkSeconds: 3600 } as never));
const claim = { certificate: lean.certificate, key: lean.key };
refused("claim", () => make({ identity: { claim, template: "node", parameters: {} } }));
refused("rotation", () => make({ rotation: { enrolling: { template: "node", parameters: {} } } }));

const agent = make({ telemetry: { channels: { climate: { windowSeconds: 10 } } } });
const settings = agent.settings({
  led: { type: "enum", values: ["off", "blue"], default: "off" },
});
settings.onChange = ({ led }) => trace(`lean: led ${led}\n`);
let temperature = 21;
host.timer.repeat(() => {
  temperature += 0.1;
  agent.telemetry.send("climate", { temperature });
}, 2000);
agent.start();
