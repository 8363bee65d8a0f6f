// A guest that does what it is told, the wrong things too.

import { Bridge } from "../../../hosts/xs/bridge.js";
import { createHost } from "../../../hosts/xs/host.js";
import { AgentError } from "../../../src/errors.js";

const bridge = new Bridge();
bridge.install();

bridge.on("start", () => {
  const host = createHost(bridge);
  bridge.event("status", { id: host.system.id, freeHeapBytes: host.system.freeHeapBytes() });
  bridge.on("throw", function throwOnPurpose() {
    throw new TypeError("thrown on purpose");
  });
  bridge.on("reject", () => {
    Promise.reject(new Error("rejected on purpose"));
  });
  bridge.on("loop", () => {
    for (;;);
  });
  bridge.on("restart", () => host.system.restart());
  bridge.on("repeat", () => {
    let count = 0;
    host.timer.repeat(() => bridge.event("tick", ++count), 1000);
  });
  bridge.on("failure", () =>
    bridge.event("failure", { error: new AgentError("connection/lost", "gone") }),
  );
  bridge.on("write", () => {
    const store = host.keyValue.open({ path: "d" });
    try {
      store.write("a", new Uint8Array(5000));
    } catch (error) {
      const { name, code, kind } = error as AgentError;
      bridge.event("refused", { isAgentError: error instanceof AgentError, name, code, kind });
    }
  });
  bridge.on("flash", () => {
    if (host.flash === undefined) return bridge.event("flash", "there is none");
    try {
      host.flash.open({ path: "nowhere" });
    } catch (error) {
      const { code, message } = error as AgentError;
      bridge.event("flash", { code, message });
    }
  });
  bridge.on("echo", ([text]) => bridge.event("echo", text));
});
