// Certificates made to be expensive, within what one handshake message holds: work and memory stay bounded on a small engine.
import anyTest, { type TestFn } from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { element, objectIdentifier, tag } from "../../src/trust/der.js";
import { concat } from "../../src/util/bytes.js";
import { buildForTests, workerOrReport } from "../hosts/engine.js";
import { startGuest, toText } from "./engine.js";
import { outcomeOf, type Vector } from "./judge.js";
import {
  authority,
  certificate,
  constraints,
  extension,
  nameOf,
  names,
  purpose,
  sequence,
  usage,
} from "./maker.js";
import { attacker, root, rootOf, serverName, vector } from "./vectors.js";

const test = anyTest as TestFn;
const times = <Item>(count: number, make: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** All of one name and one key: each has issued each. */
const own = (extensions: readonly Uint8Array[], rest = {}) =>
  certificate({ issuer: attacker, subject: attacker, extensions, ...rest });
const san = names(serverName);
const ca = [authority(), usage(0x04)];
const bounded = "trust/chain-length";
const unknown = "trust/unknown-authority";

function hostileVectors(): Vector[] {
  const dots = (count: number) => names(serverName, ...times(count, () => "."));
  const nothing = (count: number) =>
    constraints(
      [],
      times(count, i => `n${i}`),
    );
  const part = element(
    tag.set,
    sequence(objectIdentifier(2, 5), element(tag.utf8String, new Uint8Array(1))),
  );
  const longName = sequence(concat(times(900, () => part)));
  const harmless = times(30, i => extension([1, 2, 3, i], element(tag.null)));
  return [
    vector("thousands of names", unknown, [own([dots(5000)])]),
    vector("names and constraints, all of one issuer", bounded, [
      own([dots(600)]),
      ...times(7, () => own([...ca, dots(100), nothing(100)])),
    ]),
    vector("constraints that each name meets", bounded, [
      own([dots(1000)]),
      own([...ca, nothing(1000)]),
    ]),
    vector("issuers that all fit", bounded, [own([san]), ...times(7, () => own(ca))]),
    vector("a name of 900 parts", unknown, [own([san], { subjectName: longName })]),
    vector("hundreds of extensions", unknown, [
      own([san, ...harmless]),
      ...times(7, () => own(harmless, { subjectName: nameOf("other") })),
    ]),
    vector("a hundred purposes", "trust/certificate", [own([san, purpose(...times(100, i => i))])]),
    vector(
      "more than one message holds",
      bounded,
      times(8, () => own([dots(700)])),
    ),
    vector(
      "a genuine issuer with many constraints",
      bounded,
      [certificate({ issuer: root, subject: attacker, extensions: [dots(600)] })],
      { anchors: [rootOf(root, { extensions: [...ca, nothing(20)] })] },
    ),
  ];
}

/** The dearest takes 2.7 million; a single path of two certificates 0.13. */
const maxComputrons = 4_000_000;
const maxLiveBytes = 12_288;
/** Those that are quick although the engine collects before every allocation; by hand, none of the others had more alive. */
const measured = ["issuers that all fit", "hundreds of extensions"];

const vectors = hostileVectors();
const crypto = createCrypto();

for (const each of vectors) {
  test(`trust on Node, made to be expensive: ${each.title}: ${each.expected}`, t => {
    t.is(outcomeOf(each, crypto), each.expected);
  });
}

const { worker32 } = await buildForTests();
const worker = workerOrReport(test, worker32, 32);
if (worker !== undefined) {
  for (const each of vectors) {
    test.serial(`trust on 32-bit XS, made to be expensive: ${each.title}`, async t => {
      const guest = await startGuest(worker);
      await guest.ask("vector", toText(each));
      const before = guest.machine.computrons;
      t.is(await guest.ask("judge"), each.expected);
      const spent = guest.machine.computrons - before;
      t.true(spent < maxComputrons, `${spent} computrons`);
      if (!measured.includes(each.title)) return guest.close();
      await guest.machine.collectAlways(true);
      const live = await guest.machine.memory({ resetPeaks: true });
      await guest.ask("judge");
      const peak = await guest.machine.memory();
      const slotBytes = (peak.slotPeak - live.slots) * peak.slotBytes;
      const bytes = slotBytes + peak.chunkPeak - live.chunkBytes;
      t.log(`${spent} computrons, ${bytes} bytes alive`);
      t.true(bytes < maxLiveBytes, `${bytes} bytes`);
      await guest.close();
    });
  }
}
