// The program whose cost is measured: an agent that takes firmware by way of jobs, into a slot in an array of its own.
import { Bridge } from "../hosts/xs/bridge.js";
import { createHost } from "../hosts/xs/host.js";
import { Agent, type AgentOptions, type Schema } from "../src/index.js";
import { fromUtf8 } from "../src/util/bytes.js";
import { ArrayFlash } from "./array-flash.js";

interface Config extends Omit<AgentOptions, "host"> {
  /** Of the slot. */
  readonly blocks: number;
  readonly schema: Schema;
}

const bridge = new Bridge();
bridge.install();
bridge.on("start", (_, bytes) => {
  const { blocks, schema, ...options } = JSON.parse(fromUtf8(bytes)) as Config;
  const slot = new ArrayFlash(blocks);
  const base = createHost(bridge);
  const { flash } = base;
  const host = {
    ...base,
    flash: {
      open: (each: { path: string }) => (each.path === "nextota" ? slot : flash!.open(each)),
    },
    update: {
      running: "ota_0",
      isOnTrial: false,
      hasReverted: false,
      describe: () => undefined,
      complete: () => bridge.event("complete", true),
      confirm: () => undefined,
      revert: () => undefined,
    },
  };
  const onStatus: AgentOptions["onStatus"] = status => {
    if (status.type === "fault") bridge.event("fault", status.error.message);
  };
  let agent: Agent | undefined;
  bridge.on("make", () => {
    agent = new Agent({ ...options, host, onStatus });
    agent.settings(schema);
  });
  bridge.on("fill", () => {
    const note = "x".repeat(64);
    for (let i = 0; i < 16; i++) agent?.telemetry.send("climate", { note });
  });
  bridge.on("go", () => agent?.start());
  bridge.on("publish", () => agent?.telemetry.send("climate", { temperature: 21.5, humidity: 40 }));
});
