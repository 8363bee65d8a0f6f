import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { makeImage } from "../../../hosts/emulation/image.js";
import { createHost } from "../../../hosts/node/host.js";
import { buildEngine } from "../../../hosts/xs/engine/build.js";
import { type Bundle, bundleModule } from "../../../hosts/xs/engine/bundle.js";
import { type Device, startDevice } from "../../../hosts/xs/engine/device.js";
import { Machine } from "../../../hosts/xs/engine/machine.js";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Flash } from "../../../simulator/world/flash.js";
import { virtualHost } from "../../../simulator/world/host.js";
import { Network } from "../../../simulator/world/network.js";
import { NorFlash, type NorOptions } from "../../../simulator/world/nor.js";
import { Random } from "../../../simulator/world/random.js";
import type { Host } from "../../../src/host.js";
import { cryptoCases } from "../../contract/crypto.js";
import { dnsCases } from "../../contract/dns.js";
import { flashCases, flashContract } from "../../contract/flash.js";
import { keyValueCases } from "../../contract/key-value.js";
import { mqttClientCases } from "../../contract/mqtt-client.js";
import { outboxCases, outboxContract } from "../../contract/outbox.js";
import { clockCases, timerCases } from "../../contract/time.js";
import { tlsCases } from "../../contract/tls.js";
import { updateCases } from "../../contract/update.js";
import { workerOrReport } from "../engine.js";
import { type ObedientBroker, startObedientBroker } from "../obedient-broker.js";
import { type EchoServer, startEchoServer } from "../tls-server.js";
import { verifySignature } from "../verify-signature.js";

const test = anyTest as TestFn;
const worker = workerOrReport(test, await buildEngine(), 64);
const contracts = {
  "key-value": keyValueCases,
  flash: flashCases,
  outbox: outboxCases,
  timer: timerCases,
  clock: clockCases,
  crypto: cryptoCases,
  dns: dnsCases,
  tls: tlsCases,
  mqtt: mqttClientCases,
  update: updateCases,
};

let server: EchoServer;
let broker: ObedientBroker;
let bundle: Bundle;
test.before(async () => {
  [server, broker] = await Promise.all([startEchoServer(), startObedientBroker()]);
  bundle = await bundleModule(fileURLToPath(new URL("contract-guest.js", import.meta.url)));
});
test.after.always(() => Promise.all([server?.close(), broker?.close()]));

/** A host whose slots are another start's after each `start`. */
interface Restartable {
  readonly host: Host;
  start(): void;
}

function restartable(open: () => Host): Restartable {
  let current = open();
  const host = {
    ...current,
    get flash() {
      return current.flash!;
    },
    get update() {
      return current.update!;
    },
  };
  return {
    host,
    start: () => {
      current = open();
    },
  };
}

function nodeHost(restart = () => undefined): Restartable {
  const directory = mkdtempSync(join(tmpdir(), "skerry-xs-"));
  return restartable(() => createHost({ directory, id: "xs-1", slotBlocks: 4, restart }));
}

/** A machine of the simulator, with raw flash of its own. */
function virtualMachine(options: NorOptions): Host {
  const clock = new VirtualClock();
  const network = new Network(clock, () => {
    throw new Error("nobody listens");
  });
  const random = new Random(1);
  const nor = new NorFlash(options);
  return virtualHost({ id: "xs-1", clock, random, network, flash: new Flash(), nor });
}

/** Runs one case in a machine of its own. @throws what the case reported. */
async function runInGuest(
  contract: string,
  index: number,
  { host, start }: Restartable,
): Promise<void> {
  const machine = await Machine.start({ worker: worker! });
  let device: Device | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      startDevice({
        machine,
        host,
        bundle,
        config: toJson({ ...server.data, broker: broker.data }),
        perform: (operation, args) => {
          if (operation === "start") {
            start();
            return {};
          }
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

const words = { blocks: 12, blockLength: 512, writeAlign: 4 };
for (const [label, options] of Object.entries({ "": { blocks: 12 }, " in words": words })) {
  const open = () => ({ flash: virtualMachine(options).flash!, path: "outbox" });
  flashContract(test, `virtual flash${label}`, open);
  outboxContract(test, `virtual outbox${label}`, open);
}

if (worker !== undefined) {
  for (const [contract, cases] of Object.entries({ flash: flashCases, outbox: outboxCases })) {
    for (const [index, { title }] of cases.entries()) {
      test(`xs virtual ${contract} in words: ${title}`, async t => {
        await runInGuest(
          contract,
          index,
          restartable(() => virtualMachine(words)),
        );
        t.pass();
      });
    }
  }
  for (const [contract, cases] of Object.entries(contracts)) {
    for (const [index, { title }] of cases.entries()) {
      test(`xs ${contract}: ${title}`, async t => {
        await runInGuest(contract, index, nodeHost());
        t.pass();
      });
    }
  }
}

if (worker !== undefined) {
  test("xs update: a revert ends the guest, and then reverts", async t => {
    const restarts: string[] = [];
    const { host, start } = nodeHost(() => void restarts.push("restart"));
    const parts = { product: "kettle", version: "2.0.0", payload: new Uint8Array(100) };
    const flash = host.flash!.open({ path: "nextota" });
    flash.write(makeImage(host.crypto, parts), 0);
    flash.close();
    host.update!.complete();
    start();
    const machine = await Machine.start({ worker: worker! });
    const config = toJson({ ...server.data, broker: broker.data });
    const device = await startDevice({
      machine,
      host,
      bundle,
      config,
      onEvent: event => {
        if (event.type === "event" && event.name === "restart") restarts.push("guest");
        if (event.type === "error") t.fail(String(event.error));
      },
    });
    device.send("revert");
    await device.idle();
    await device.close();
    t.deepEqual(restarts, ["guest", "restart"]);
    start();
    t.is(host.update!.running, "ota_0");
    t.true(host.update!.hasReverted);
  });
}
