// An agent that follows shadows on the XS engine: its settings are set and asked for from outside.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createHost } from "../../hosts/xs/host.js";
import { Agent, type AgentOptions, type Settings } from "../../src/index.js";
import type { Schema } from "../../src/shadow/schema.js";
import { fromUtf8 } from "../../src/util/bytes.js";

interface Declared {
  readonly shadow: string;
  readonly schema: Schema;
  readonly outcome?: { readonly [name: string]: string };
}

function outcomeOf({ outcome = {} }: Declared): unknown {
  const result: { [name: string]: unknown } = {};
  for (const name of Object.keys(outcome))
    result[name] = outcome[name] === "deferred" ? "deferred" : new Error(outcome[name]);
  return result;
}

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { declared, ...options } = JSON.parse(fromUtf8(bytes)) as Omit<AgentOptions, "host"> & {
    readonly declared: readonly Declared[];
  };
  const agent = new Agent({
    ...options,
    host: createHost(bridge),
    onStatus: status => bridge.event("status", status),
  });
  const all = new Map<string, Settings>();
  for (const one of declared) {
    const settings =
      one.shadow === "" ? agent.settings(one.schema) : agent.settings(one.shadow, one.schema);
    settings.onChange = () => outcomeOf(one);
    all.set(one.shadow, settings as Settings);
  }
  bridge.on("go", () => agent.start());
  bridge.on("set", ([shadow, values]) =>
    all.get(shadow as string)!.set(JSON.parse(values as string)),
  );
  bridge.on("values", ([shadow]) => bridge.event("values", all.get(shadow as string)!.values));
});
