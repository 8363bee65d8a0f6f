// Runs contract cases inside the engine, on the guest's own host. What a case needs from outside comes with the config.

import { Bridge } from "../../../hosts/xs/bridge.js";
import { createHost } from "../../../hosts/xs/host.js";
import { MQTTClient } from "../../../src/mqtt/client.js";
import { fromUtf8 } from "../../../src/util/bytes.js";
import { cryptoCases } from "../../contract/crypto.js";
import { dnsCases } from "../../contract/dns.js";
import { flashCases } from "../../contract/flash.js";
import { keyValueCases } from "../../contract/key-value.js";
import { type MqttSubjectData, mqttClientCases } from "../../contract/mqtt-client.js";
import { outboxCases } from "../../contract/outbox.js";
import { clockCases, timerCases } from "../../contract/time.js";
import { type TlsSubject, tlsCases } from "../../contract/tls.js";
import { updateCases } from "../../contract/update.js";

const bridge = new Bridge();
bridge.install();

/** Byte strings travel as `{ "hex": … }`. */
const revive = (_: string, value: unknown) => {
  const hex = (value as { hex?: string } | null)?.hex;
  if (typeof hex !== "string") return value;
  return Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
};
const toHex = (bytes: Uint8Array) =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");

bridge.on("start", (_, bytes) => {
  const data = JSON.parse(fromUtf8(bytes), revive) as Omit<TlsSubject, "host"> & {
    readonly broker: MqttSubjectData;
  };
  const host = createHost(bridge);
  const verify = (...parts: [Uint8Array, Uint8Array, Uint8Array]) =>
    bridge.request("verify", parts.map(toHex)).value === true;
  const start = () => {
    bridge.request("start");
    return host;
  };
  const subject = { ...data, ...host, flash: host.flash!, path: "outbox", host, verify, start };
  const contracts = {
    "key-value": keyValueCases,
    flash: flashCases,
    outbox: outboxCases,
    timer: timerCases,
    clock: clockCases,
    crypto: cryptoCases,
    dns: dnsCases,
    tls: tlsCases,
    update: updateCases,
  };
  const mqttSubject = { ...data.broker, host, mqtt: MQTTClient };
  bridge.on("revert", () => host.update!.revert());
  bridge.on("run", ([contract, index]) => {
    const at = index as number;
    const work = async () =>
      contract === "mqtt"
        ? mqttClientCases[at]!.run(mqttSubject)
        : contracts[contract as keyof typeof contracts][at]!.run(subject);
    work().then(
      () => bridge.event("result", null),
      error => bridge.event("result", `${error}\n${(error as Error).stack}`),
    );
  });
});
