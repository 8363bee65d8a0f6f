// Path validation on Node and in the XS engine, with OpenSSL asked for its opinion where its rules are the same.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { toPem } from "../../src/trust/pem.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { algorithmVectors, codeVectors } from "./algorithm-vectors.js";
import { derVectors } from "./der-vectors.js";
import { startGuest, toText } from "./engine.js";
import { outcomeOf, type Vector } from "./judge.js";
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

const { worker64, worker32 } = await buildForTests();

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
