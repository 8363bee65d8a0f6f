// A small product for the outage: it numbers all it sends in each class, so that the cloud's record can be held against it.
import {
  Agent,
  type AgentStatus,
  type Host,
  type OutboxSettings,
  type Priority,
} from "../../src/index.js";

/** How many messages of each class were handed to the agent. */
export type Counts = Readonly<Record<Priority, number>>;

export interface RecorderConfig {
  readonly endpoint: string;
  /** PEM. */
  readonly trustAnchors: readonly string[];
  readonly claim: { readonly certificate: string; readonly key: string };
  readonly serialNumber: string;
  readonly outbox: OutboxSettings;
  /** Where the numbers go on: what was sent before the restart. */
  readonly sent: Counts;
}

/** The channel of each class. */
export const channels = Object.freeze({ alert: "door", telemetry: "climate", bulk: "log" });
export const sampleSeconds = 10;

/** @param onSent called after each round with what `send` has taken so far */
export function recorder(
  host: Host,
  config: RecorderConfig,
  onStatus: (status: AgentStatus) => void,
  onSent: (sent: Counts) => void,
): Agent {
  const { endpoint, trustAnchors, claim, serialNumber, outbox } = config;
  const parameters = { SerialNumber: serialNumber };
  const agent = new Agent({
    host,
    endpoint,
    trustAnchors,
    identity: { template: "sensor-node", claim, parameters },
    outbox,
    onStatus,
  });
  const sent = { ...config.sent };
  const send = (priority: Priority, value: object) => {
    agent.telemetry.send(channels[priority], { n: sent[priority], ...value }, { priority });
    sent[priority]++;
  };
  const sample = () => {
    const round = sent.telemetry;
    if (round % 30 === 0) send("alert", { door: "open" });
    send("telemetry", { temperature: 21.5 });
    if (round % 3 === 0)
      send("bulk", { text: "what the machine has to say of its day ".repeat(3) });
    onSent(sent);
  };
  host.timer.repeat(sample, sampleSeconds * 1000);
  return agent;
}
