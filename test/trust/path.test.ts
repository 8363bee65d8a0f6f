// Path validation on Node and in the XS engine, with OpenSSL asked for its opinion where its rules are the same.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { createHost } from "../../hosts/node/host.js";
import { bundleModule } from "../../hosts/xs/engine/bundle.js";
import { startDevice } from "../../hosts/xs/engine/device.js";
import { Machine } from "../../hosts/xs/engine/machine.js";
import { toPem } from "../../src/trust/pem.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { algorithmVectors, codeVectors } from "./algorithm-vectors.js";
import { derVectors } from "./der-vectors.js";
import { outcomeOf, outcomesOfMutants, type Vector } from "./judge.js";
import { nameVectors } from "./name-vectors.js";
import { pathVectors } from "./vectors.js";

const test = anyTest as TestFn;
const crypto = createCrypto();
const vectors = [
  ...pathVectors(),
  ...algorithmVectors(),
  ...codeVectors(),
  ...nameVectors(),
  ...derVectors(),
];
const usual = vectors.find(({ title }) => title === "leaf and intermediate")!;
const inRsa = vectors.find(({ title }) => title === "RSA with SHA-256")!;

for (const vector of vectors) {
  test(`trust on Node: ${vector.title}: ${vector.expected}`, t => {
    t.is(outcomeOf(vector, crypto), vector.expected);
  });
}

const folder = mkdtempSync(join(tmpdir(), "skerry-trust-"));

/** What `openssl verify` says; its security level 2 asks for 112 bits, as we do. */
function asksOpenSSL({ chain, anchors, serverName, now }: Vector): boolean {
  const file = (name: string, ders: readonly Uint8Array[]) => {
    const path = join(folder, name);
    writeFileSync(path, ders.map(der => toPem(der, "CERTIFICATE")).join(""));
    return path;
  };
  const untrusted = chain.length > 1 ? ["-untrusted", file("untrusted", chain.slice(1))] : [];
  const name = isIP(serverName) === 0 ? "-verify_hostname" : "-verify_ip";
  const options = ["-purpose", "sslserver", "-auth_level", "2", "-attime", String(now / 1000)];
  const trusted = ["-no-CApath", "-no-CAstore", "-CAfile", file("anchors", anchors), ...untrusted];
  try {
    const words = [
      "verify",
      ...options,
      ...trusted,
      name,
      serverName,
      file("leaf", chain.slice(0, 1)),
    ];
    execFileSync("openssl", words, { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

/** Its options and rules as of version 3; other programs go by the same name. */
const isOpenSSL3 = /^OpenSSL 3/.test(
  spawnSync("openssl", ["version"], { encoding: "utf8" }).stdout ?? "",
);

test.serial("trust: OpenSSL accepts and refuses the same, where its rules are", t => {
  if (!isOpenSSL3 && process.env.CI !== "true") {
    t.log("openssl 3 is not installed: it is not asked");
    t.pass();
    return;
  }
  const same = vectors.filter(({ apart }) => apart === undefined);
  const different = same.filter(vector => asksOpenSSL(vector) !== (vector.expected === "accepted"));
  t.deepEqual(
    different.map(({ title, expected }) => `${title}: ${expected}`),
    [],
  );
  t.log(`${same.length} of ${vectors.length} asked`);
});

for (const [label, vector, index] of [
  ["leaf", usual, 0],
  ["intermediate", usual, 1],
  ["RSA-signed leaf", inRsa, 0],
] as const) {
  test(`trust on Node: no cut and no changed bit of a valid ${label} is accepted`, t => {
    const whole = { index, from: 0, to: vector.chain[index]!.length };
    const counts = outcomesOfMutants(vector, crypto, whole);
    t.log(counts);
    t.false("accepted" in counts);
    t.deepEqual(
      Object.keys(counts).filter(name => !name.startsWith("trust/")),
      [],
    );
  });
}

/** What JSON cannot say is said in the guest's words. */
const toText = (value: object) =>
  JSON.stringify(value, (_, inner) => {
    if (inner instanceof Uint8Array) return { hex: Buffer.from(inner).toString("hex") };
    return typeof inner === "number" && !Number.isFinite(inner) ? { number: `${inner}` } : inner;
  });

const { worker64, worker32 } = await buildForTests();
const bundle = bundleModule(fileURLToPath(new URL("guest.js", import.meta.url)));

async function startGuest(worker: string) {
  // Small increments, so that the engine collects before it grows and peaks are those of a small device.
  const creation = { chunkBytes: 16384, chunkIncrementBytes: 1024, slots: 4600, slotIncrement: 64 };
  const machine = await Machine.start({ worker, creation });
  const host = createHost({ directory: mkdtempSync(join(tmpdir(), "skerry-trust-")), id: "xs-1" });
  let latest: unknown;
  const device = await startDevice({
    machine,
    host,
    bundle: await bundle,
    config: {},
    onEvent: event => {
      latest = event.type === "error" ? String(event.error) : event.value;
    },
  });
  const ask = async (name: string, ...args: unknown[]): Promise<unknown> => {
    latest = undefined;
    device.send(name, args);
    await device.idle();
    return latest;
  };
  const close = async () => {
    await device.close();
    await machine.close();
  };
  return { machine, ask, close };
}

for (const [bits, engine] of [
  [64, worker64],
  [32, worker32],
] as const) {
  const worker = workerOrReport(test, engine, bits);
  if (worker === undefined) continue;
  test.serial(`trust on XS, ${bits}-bit: every case as on Node`, async t => {
    const guest = await startGuest(worker);
    const wrong: string[] = [];
    for (const vector of vectors) {
      const { title, expected, ...rest } = vector;
      await guest.ask("vector", toText(rest));
      const outcome = await guest.ask("judge");
      if (outcome !== expected) wrong.push(`${title}: ${String(outcome)}, expected ${expected}`);
    }
    t.deepEqual(wrong, []);
    await guest.close();
  });
  test.serial(
    `trust on XS, ${bits}-bit: no cut and no changed bit of a valid leaf is accepted`,
    async t => {
      const guest = await startGuest(worker);
      await guest.ask("vector", toText(usual));
      const size = usual.chain[0]!.length;
      for (let from = 0; from < size; from += 16) {
        const counts = (await guest.ask("mutants", 0, from, from + 16)) as Record<string, number>;
        t.deepEqual(counts, outcomesOfMutants(usual, crypto, { index: 0, from, to: from + 16 }));
      }
      await guest.close();
    },
  );
  test.serial(`trust on XS, ${bits}-bit: what a leaf and an intermediate cost`, async t => {
    const guest = await startGuest(worker);
    await guest.ask("vector", toText(usual));
    await guest.ask("judge");
    const before = await guest.machine.memory({ resetPeaks: true });
    const computrons = guest.machine.computrons;
    t.is(await guest.ask("judge"), "accepted");
    const spent = guest.machine.computrons - computrons;
    const after = await guest.machine.memory();
    const slots = after.slotPeak - before.slots;
    const chunks = after.chunkPeak - before.chunkBytes;
    t.log(
      `${spent} computrons; peak ${slots} slots of ${after.slotBytes} bytes and ${chunks} bytes of chunks`,
    );
    t.true(spent < 2_000_000);
    await guest.close();
  });
}
