// Documents made to be expensive, as large as one may be: work and memory stay bounded on a small engine.
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { limits } from "../../src/limits.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { startGuest, toText } from "../trust/engine.js";
import { outcomeOf, type UpdateVector } from "./judge.js";
import { manifestMembers, ownDocument, type SigningKey, signerOf, vector } from "./maker.js";
import { first, oneFile, oneSignature, p256, rsa4096, second, third } from "./vectors.js";

const test = anyTest as TestFn;
const times = <Item>(count: number, make: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, i) => make(i));

const named = [signerOf(p256, "signer-cert")];
const of = (title: string, expected: string, text: string, signers = named) =>
  vector(title, Buffer.from(text.slice(0, limits.offerBytes)), signers, expected);
/** Filled up to the size of a message. */
const filled = (before: string, part: string, after: string) =>
  before +
  part.repeat(Math.floor((limits.offerBytes - before.length - after.length) / part.length)) +
  after;
const plain = Buffer.from(oneFile.document).toString();
const most = JSON.stringify({
  ...manifestMembers,
  hardware: times(16, i => `${i}`.padStart(64, "h")),
  ...Object.fromEntries(times(22, i => [`x${i}`, "y".repeat(110)])),
});

const vectors: readonly UpdateVector[] = [
  oneSignature,
  oneFile,
  of("members nobody knows", "file", plain.replace("{", filled("{", '"a":0,', "").slice(0, -600))),
  of(
    "other signatures",
    "file",
    plain.replace('"fileid"', filled("", '"sig-a":0,', '"fileid"').slice(600)),
  ),
  of(
    "a signature's name",
    "ota/signature",
    `{"afr_ota":{"files":[{"filepath":"f","filesize":1,"sig-${"x".repeat(12_000)}":0}]}}`,
  ),
  of("brackets", "ota/document", "[".repeat(limits.offerBytes)),
  of(
    "a wrong text",
    "ota/document",
    `{"afr_ota":{"protocols":[],"streamname":"${"\\n".repeat(6000)}"}}`,
  ),
  of(
    "a long name",
    "ota/document",
    `{"afr_ota":{"protocols":["MQTT"],"streamname":"${"n".repeat(12_000)}","files":[]}}`,
  ),
  of("elements without an end", "ota/document", filled('{"afr_ota":{"files":[', "{},", "{}]}}")),
  of(
    "a manifest of blanks",
    "ota/document",
    filled('{"skerry":{"operation":"firmware","manifest":"', " ", '"}}'),
  ),
  vector(
    "as much as a manifest may have",
    ownDocument({ keys: [p256], manifest: most }),
    named,
    "manifest",
  ),
  vector(
    "eight signatures, all of RSA-4096 and wrong",
    ownDocument({ keys: times(8, () => rsa4096), signed: "another" }),
    [signerOf(rsa4096)],
    "ota/signature",
  ),
  vector(
    "four keys, eight signatures, the last is right",
    ownDocument({
      keys: [...times(7, (): SigningKey => ({ ...second, keyId: third.keyId })), third],
    }),
    [first, second, p256, third].map(key => signerOf(key)),
    "manifest",
  ),
];
const crypto = createCrypto();

for (const each of vectors) {
  test(`ota on Node, made to be expensive: ${each.title}: ${each.expected}`, t => {
    t.true(each.document.length <= limits.offerBytes);
    t.is(outcomeOf(each, crypto), each.expected);
  });
}

/** The dearest takes 5.9 million, in three readings; a signed document as tools make it 0.36. */
const maxComputrons = 8_000_000;
const maxLiveBytes = 12_288;
/** Those that are quick although the engine collects before every allocation. */
const measured = ["a manifest of P-256", "a file of P-256"];

const { worker32 } = await buildForTests();
const worker = workerOrReport(test, worker32, 32);
if (worker !== undefined) {
  for (const each of vectors) {
    test.serial(`ota on 32-bit XS, made to be expensive: ${each.title}`, async t => {
      const guest = await startGuest(worker, new URL("guest.js", import.meta.url));
      await guest.ask("vector", toText(each));
      const before = guest.machine.computrons;
      t.is(await guest.ask("judge"), each.expected);
      const spent = guest.machine.computrons - before;
      t.log(`${each.document.length} bytes, ${spent} computrons`);
      t.true(spent < maxComputrons, `${spent} computrons`);
      if (!measured.includes(each.title)) return guest.close();
      await guest.machine.collectAlways(true);
      const live = await guest.machine.memory({ resetPeaks: true });
      await guest.ask("judge");
      const peak = await guest.machine.memory();
      const slotBytes = (peak.slotPeak - live.slots) * peak.slotBytes;
      const bytes = slotBytes + peak.chunkPeak - live.chunkBytes;
      t.log(`${bytes} bytes alive`);
      t.true(bytes < maxLiveBytes, `${bytes} bytes`);
      await guest.close();
    });
  }
}
