// Signed documents and their neighbours, on Node many of them, in the XS engine a sample: none is taken for the original.
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import type { ManifestCrypto } from "../../src/ota/manifest.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { quickVerifier } from "../trust/arithmetic.js";
import { startGuest, toText } from "../trust/engine.js";
import { type Counts, type Range, sum } from "../trust/mutants.js";
import {
  outcomeOf,
  outcomesOfDocuments,
  outcomesOfManifests,
  outcomesOfReadings,
} from "./judge.js";
import { oneFile, oneSignature, vectors } from "./vectors.js";

const test = anyTest as TestFn;
// A stack is most of what a refusal costs here, and nobody reads these.
Error.stackTraceLimit = 0;

const crypto = createCrypto();
const turn = () => new Promise(resolve => setImmediate(resolve));

/** OpenSSL takes messages, not digests: it is asked about the manifest that was digested last. */
function quickCrypto(): ManifestCrypto {
  const verifier = quickVerifier();
  let manifest: Uint8Array = new Uint8Array();
  return {
    digest(hash, message) {
      // A key that is digested begins as DER does, which no text begins with.
      if (message[0] !== 0x30 || message.length < 80) manifest = message;
      return verifier.digest(hash, message);
    },
    verifyEcdsaDigest: (curve, point, _, r, s) =>
      verifier.verifyEcdsa(curve, point, "SHA-256", manifest, r, s),
    rsaPublic: verifier.rsaPublic,
  };
}

for (const each of vectors)
  test(`ota on Node: ${each.title}`, t => t.is(outcomeOf(each, crypto), each.expected));

const whole = (extent: Range["extent"]): Range => ({ extent, from: 0, to: 10_000 });
const refusals = ["ota/document", "ota/signature", "ota/untrusted"];

test.serial("ota on Node: no cut and no other octet of a manifest keeps its signature", async t => {
  await turn();
  const counts = outcomesOfManifests(oneSignature, quickCrypto(), whole("every value"));
  t.log(sum(counts), counts);
  t.deepEqual(Object.keys(counts), ["ota/signature"]);
});

test.serial(
  "ota on Node: neighbours of a signed document have its manifest, or are refused",
  async t => {
    await turn();
    const counts = outcomesOfDocuments(oneSignature, quickCrypto(), whole("bits and two values"));
    t.log(sum(counts), counts);
    t.deepEqual(Object.keys(counts).sort(), ["manifest", ...refusals]);
  },
);

test.serial(
  "ota on Node: neighbours of AWS's document vouch for the same file, or are refused",
  async t => {
    await turn();
    const counts = outcomesOfDocuments(oneFile, crypto, whole("one bit"));
    t.log(sum(counts), counts);
    t.deepEqual(Object.keys(counts).sort(), ["file", ...refusals]);
  },
);

test.serial(
  "ota on Node: neighbours of a manifest are one, or a wrong document, whoever signs them",
  async t => {
    await turn();
    const counts = outcomesOfReadings(oneSignature, whole("every value"));
    t.log(sum(counts), counts);
    t.deepEqual(Object.keys(counts).sort(), ["manifest", "ota/document"]);
  },
);

const { worker64, worker32 } = await buildForTests();
for (const [bits, engine] of [
  [64, worker64],
  [32, worker32],
] as const) {
  const worker = workerOrReport(test, engine, bits);
  if (worker === undefined) continue;
  const guestUrl = new URL("guest.js", import.meta.url);
  test.serial(`ota on XS, ${bits}-bit: vectors`, async t => {
    const guest = await startGuest(worker, guestUrl);
    for (const each of vectors)
      t.is(await guest.ask("vector", toText(each)), each.expected, each.title);
    await guest.close();
  });
  test.serial(`ota on XS, ${bits}-bit: neighbours as on Node`, async t => {
    const guest = await startGuest(worker, guestUrl);
    const ask = async (name: string, range: Range) => (await guest.ask(name, range)) as Counts;
    await guest.ask("vector", toText(oneSignature));
    let total = 0;
    for (let from = 0; from < oneSignature.document.length; from += 32) {
      const range = { extent: "one bit", from, to: from + 32 } as const;
      const counts = await ask("documents", { ...range });
      t.deepEqual(counts, outcomesOfDocuments(oneSignature, quickCrypto(), range), `${from}`);
      const read = { ...range, extent: "bits and two values" } as const;
      const readings = await ask("readings", { ...read });
      t.deepEqual(readings, outcomesOfReadings(oneSignature, read), `${from}`);
      const manifests = Object.keys(await ask("manifests", { ...range }));
      t.deepEqual(
        manifests.filter(outcome => outcome !== "ota/signature"),
        [],
        `${from}`,
      );
      total += sum(counts) + sum(readings);
    }
    t.log(total);
    await guest.close();
  });
}
