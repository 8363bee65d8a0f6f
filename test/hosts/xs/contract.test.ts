import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { createHost } from "../../../hosts/node/host.js";
import { buildEngine } from "../../../hosts/xs/engine/build.js";
import { type Bundle, bundleModule } from "../../../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../../../hosts/xs/engine/device.js";
import { Machine } from "../../../hosts/xs/engine/machine.js";
import type { Host } from "../../../src/host.js";
import { cryptoCases } from "../../contract/crypto.js";
import { dnsCases } from "../../contract/dns.js";
import { keyValueCases } from "../../contract/key-value.js";
import { mqttClientCases } from "../../contract/mqtt-client.js";
import { clockCases, timerCases } from "../../contract/time.js";
import { tlsCases } from "../../contract/tls.js";
import { workerOrReport } from "../engine.js";
import { type ObedientBroker, startObedientBroker } from "../obedient-broker.js";
import { type EchoServer, startEchoServer } from "../tls-server.js";
import { verifySignature } from "../verify-signature.js";

const test = anyTest as TestFn;
const worker = workerOrReport(test, await buildEngine(), 64);
const contracts = {
  "key-value": keyValueCases,
  timer: timerCases,
  clock: clockCases,
  crypto: cryptoCases,
  dns: dnsCases,
  tls: tlsCases,
  mqtt: mqttClientCases,
};

let server: EchoServer;
let broker: ObedientBroker;
let bundle: Bundle;
test.before(async () => {
  [server, broker] = await Promise.all([startEchoServer(), startObedientBroker()]);
  bundle = await bundleModule(fileURLToPath(new URL("contract-guest.js", import.meta.url)));
});
test.after.always(() => Promise.all([server?.close(), broker?.close()]));

/** Runs one case in a machine of its own, on a Node host of its own. @throws what the case reported. */
async function runInGuest(contract: string, index: number): Promise<void> {
  const machine = await Machine.start({ worker: worker! });
  const directory = mkdtempSync(join(tmpdir(), "skerry-xs-"));
  const host: Host = createHost({ directory, id: "xs-1" });
  let device: Device | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      startDevice({
        machine,
        host,
        bundle,
        config: toJson({ ...server.data, broker: broker.data }),
        perform: (operation, args) => {
          const [point, message, signature] = args.map(hex => Buffer.from(hex as string, "hex"));
          return operation === "verify"
            ? { value: verifySignature(point!, message!, signature!) }
            : undefined;
        },
        onEvent: event => {
          if (event.type === "error") reject(event.error);
          else if (event.name !== "result") return;
          else if (event.value === null) resolve();
          else reject(new Error(String(event.value)));
        },
      }).then(started => {
        device = started;
        device.send("run", [contract, index]);
      }, reject);
    });
  } finally {
    await device?.close();
    await machine.close();
  }
}

function toJson(value: object): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner) =>
      inner instanceof Uint8Array ? { hex: Buffer.from(inner).toString("hex") } : inner,
    ),
  );
}

if (worker !== undefined) {
  for (const [contract, cases] of Object.entries(contracts)) {
    for (const [index, { title }] of cases.entries()) {
      test(`xs ${contract}: ${title}`, async t => {
        await runInGuest(contract, index);
        t.pass();
      });
    }
  }
}
