// Neighbours of valid certificates and signatures, on Node all of them, in the XS engine a sample: none is taken for the original.
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { quickVerifier } from "./arithmetic.js";
import { startGuest, toText } from "./engine.js";
import { outcomeOf, outcomesOfMutants } from "./judge.js";
import { readingsOfKeys } from "./key-judge.js";
import { authority, pkcs8Of, usage } from "./maker.js";
import { type Counts, type Extent, sum } from "./mutants.js";
import { readingsOfMutants, verdictOf, verdictsOfMutants } from "./signature-judge.js";
import { rightSignatures, wrongSignatures } from "./signature-vectors.js";
import { anchor, issued, leafBy, middle, root, rootOf, rsaRoot, vector } from "./vectors.js";

const test = anyTest as TestFn;
// A stack is most of what a refusal costs here, and nobody reads these.
Error.stackTraceLimit = 0;

/** What follows takes seconds: AVA hears of the test before. */
const turn = () => new Promise(resolve => setImmediate(resolve));

const crypto = createCrypto();
const leaf = vector("leaf", "accepted", [leafBy(root)]);
const intermediate = vector("intermediate", "accepted", [
  leafBy(middle),
  issued(root, middle, [authority(0), usage(0x06)]),
]);
const inRsa = vector(
  "intermediate signed with RSA",
  "accepted",
  [leafBy(middle), issued(rsaRoot, middle, [authority(0), usage(0x06)])],
  { anchors: [anchor, rootOf(rsaRoot)] },
);
const certificates = [
  { name: "a leaf signed with ECDSA", question: leaf, index: 0 },
  { name: "an intermediate signed with RSA", question: inRsa, index: 1 },
] as const;
/** Smaller, because the engine is slower. */
const certificatesForXS = [
  { name: "a leaf", question: leaf, index: 0 },
  { name: "an intermediate", question: intermediate, index: 1 },
] as const;

for (const { name, question, index } of certificates) {
  test.serial(`trust on Node: no cut and no other octet of ${name} is accepted`, async t => {
    await turn();
    t.is(outcomeOf(question, crypto), "accepted");
    const to = question.chain[index]!.length;
    const whole = { index, extent: "every value", from: 0, to } as const;
    const counts = outcomesOfMutants(question, quickVerifier(), whole);
    t.log(sum(counts), counts);
    t.is(sum(counts), 256 * to);
    t.false("accepted" in counts);
    t.deepEqual(
      Object.keys(counts).filter(outcome => !outcome.startsWith("trust/")),
      [],
    );
  });
}

const rights = rightSignatures();
const signatures = [...rights, ...wrongSignatures()];

test("trust signature vectors on Node", t => {
  const wrong = signatures.filter(each => verdictOf(each, crypto) !== each.expected);
  t.deepEqual(
    wrong.map(each => `${each.title}: ${verdictOf(each, crypto)}, not ${each.expected}`),
    [],
  );
  t.log(signatures.length);
});

/** Every value for the sizes in use; P-384 costs OpenSSL six times as much as P-256, and larger keys have more octets. */
function extentOf(title: string): Extent {
  if (/P-256|RSA-2048/.test(title)) return "every value";
  return title.startsWith("P-384") ? "bits and two values" : "one bit";
}
const inShort = rights.filter(({ title }) => title.endsWith("SHA-256"));

for (const each of inShort) {
  const extent = extentOf(each.title);
  test.serial(
    `trust signature on Node: every cut and ${extent} of ${each.title} is wrong`,
    async t => {
      await turn();
      const range = { extent, from: 0, to: each.signature.length };
      const counts = verdictsOfMutants(each, quickVerifier(), range);
      t.log(sum(counts), counts);
      t.deepEqual(Object.keys(counts), ["wrong"]);
    },
  );
}

const { worker64, worker32 } = await buildForTests();
for (const [bits, engine] of [
  [64, worker64],
  [32, worker32],
] as const) {
  const worker = workerOrReport(test, engine, bits);
  if (worker === undefined) continue;
  for (const { name, question, index } of certificatesForXS) {
    test.serial(`trust on XS, ${bits}-bit: neighbours of ${name} as on Node`, async t => {
      const guest = await startGuest(worker);
      await guest.ask("vector", toText(question));
      let total = 0;
      for (let from = 0; from < question.chain[index]!.length; from += 16) {
        const range = { index, extent: "bits and two values", from, to: from + 16 } as const;
        const counts = (await guest.ask("mutants", { ...range })) as Counts;
        t.deepEqual(counts, outcomesOfMutants(question, crypto, range));
        total += sum(counts);
      }
      t.log(total);
      await guest.close();
    });
  }
  test.serial(`trust signatures on XS, ${bits}-bit: vectors, and neighbours of each`, async t => {
    const guest = await startGuest(worker);
    const wrong: string[] = [];
    for (const each of signatures) {
      const verdict = await guest.ask("signature", toText(each));
      if (verdict !== each.expected) wrong.push(`${each.title}: ${String(verdict)}`);
    }
    t.deepEqual(wrong, []);
    let [calculated, read] = [0, 0];
    for (const each of inShort) {
      await guest.ask("signature", toText(each));
      const isSmall = each.scheme.kind === "ecdsa";
      const extent: Extent = isSmall ? "bits and two values" : "one bit";
      for (let from = 0; from < each.signature.length; from += 64) {
        const range = { extent, from, to: from + 64 };
        const counts = (await guest.ask("signature mutants", range)) as Counts;
        t.deepEqual(Object.keys(counts), ["wrong"], each.title);
        calculated += sum(counts);
      }
      for (let from = 0; isSmall && from < each.signature.length; from += 16) {
        const range = { extent: "every value", from, to: from + 16 } as const;
        const counts = (await guest.ask("signature readings", { ...range })) as Counts;
        t.deepEqual(counts, readingsOfMutants(each, range));
        read += sum(counts);
      }
    }
    t.log(`${calculated} judged, ${read} read`);
    await guest.close();
  });
  test.serial(
    `trust on XS, ${bits}-bit: neighbours of private keys are read as on Node`,
    async t => {
      const guest = await startGuest(worker);
      let total = 0;
      for (const [key, extent, kind] of [
        [pkcs8Of(middle), "bits and two values", "ec"],
        [pkcs8Of(rsaRoot), "one bit", "rsa"],
      ] as const) {
        await guest.ask("key", toText(key));
        for (let from = 0; from < key.length; from += 32) {
          const range = { extent, from, to: from + 32 };
          const counts = (await guest.ask("key mutants", range)) as Counts;
          t.deepEqual(counts, readingsOfKeys(key, range));
          // Another scalar or point is a key as well: the certificate tells.
          if (kind === "rsa") t.false("rsa" in counts, `from ${from}`);
          total += sum(counts);
        }
      }
      t.log(total);
      await guest.close();
    },
  );
}
