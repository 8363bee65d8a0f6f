// Slots of a virtual machine: they hold the contract, and wherever the power goes something whole starts afterwards.
import anyTest, { type TestFn } from "ava";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { Flash } from "../../../simulator/world/flash.js";
import { virtualHost } from "../../../simulator/world/host.js";
import { Network } from "../../../simulator/world/network.js";
import { NorFlash } from "../../../simulator/world/nor.js";
import { type Cut, Power, PowerCut } from "../../../simulator/world/power.js";
import { Random } from "../../../simulator/world/random.js";
import { Slots, type SlotsOptions, virtualImage } from "../../../simulator/world/slots.js";
import type { Host } from "../../../src/host.js";
import { flashContract } from "../../contract/flash.js";
import { updateContract } from "../../contract/update.js";

const test = anyTest as TestFn;
const words: SlotsOptions = { blocks: 16, blockLength: 1024, writeAlign: 4 };
const payload = Uint8Array.from({ length: 3000 }, (_, i) => i & 0xff);
const imageOf = (version: string) => virtualImage({ product: "kettle", version, payload });

function start(slots: Slots, power = new Power(), onRestart?: () => void, nor?: NorFlash): Host {
  const clock = new VirtualClock();
  const network = new Network(clock, () => {
    throw new Error("nobody listens");
  });
  return virtualHost({
    id: "board-1",
    clock,
    random: new Random(1),
    network,
    flash: new Flash(),
    slots,
    power,
    ...(nor && { nor }),
    ...(onRestart && { onRestart }),
  });
}

function subject(options: SlotsOptions) {
  const slots = new Slots(options);
  let restarts = 0;
  return { start: () => start(slots, new Power(), () => restarts++), restarts: () => restarts };
}

updateContract(test, "virtual update", () => subject({}));
updateContract(test, "virtual update in words", () => subject(words));
updateContract(test, "virtual update of an image", () => subject({ image: imageOf("1.0.0") }));
flashContract(test, "virtual nextota", () => ({
  flash: start(new Slots(words)).flash!,
  path: "nextota",
}));

test("a machine of slots has its outbox too, and one without slots has no update", t => {
  const { flash } = start(new Slots(), new Power(), undefined, new NorFlash({ blocks: 4 }));
  t.is(flash!.open({ path: "outbox" }).status().blocks, 4);
  t.is(flash!.open({ path: "nextota" }).status().blocks, 32);
  t.throws(() => start(new Slots()).flash!.open({ path: "outbox" }), { code: "storage/write" });
});

/** The version that runs. Where the power is whole, something always does. */
function versionOf(slots: Slots): string | undefined {
  return slots.image(start(slots).update!.running)?.version;
}

/** A download, its trial, and how the trial ends; `told` hears of each step that has returned. */
function life(
  slots: Slots,
  power: Power,
  ending: "confirm" | "revert",
  told: (step: string) => void,
) {
  let host = start(slots, power);
  if (!host.update!.isOnTrial) {
    const flash = host.flash!.open({ path: "nextota" });
    flash.eraseBlock(0, 4);
    flash.write(imageOf("2.0.0"), 0);
    host.update!.complete();
    told("completed");
    host = start(slots, power);
  }
  told("on trial");
  if (ending === "confirm") host.update!.confirm();
  else host.update!.revert();
  told(ending);
}

const whens: readonly Cut["when"][] = [
  "before",
  "after",
  { part: 0.5, isMixed: false },
  { part: 0.5, isMixed: true },
  { part: 0.97, isMixed: true },
];

for (const ending of ["confirm", "revert"] as const) {
  test(`${ending}: wherever the power goes, a whole image starts, and what has returned stays`, t => {
    const outcomes = new Set<string>();
    for (const when of whens) {
      for (let operation = 0, isCut = true; isCut; operation++) {
        const slots = new Slots({
          ...words,
          writeAlign: 1,
          image: imageOf("1.0.0"),
          seed: operation + 1,
        });
        const steps: string[] = [];
        try {
          life(slots, new Power({ operation, when }), ending, step => void steps.push(step));
          isCut = false;
        } catch (error) {
          t.true(error instanceof PowerCut, String(error));
        }
        const where = `${JSON.stringify(when)} at ${operation}, after ${steps.join()}`;
        const host = start(slots);
        const version = slots.image(host.update!.running)?.version;
        outcomes.add(`${steps.at(-1)} ${version} ${host.update!.isOnTrial}`);
        t.true(version === "1.0.0" || version === "2.0.0", where);
        if (steps.length === 0 && version === "2.0.0") t.true(host.update!.isOnTrial, where);
        // The start that was cut may have been the trial's.
        if (steps.at(-1) === "completed" && version === "1.0.0") {
          t.true(host.update!.hasReverted, where);
        }
        if (steps.includes("confirm")) t.is(version, "2.0.0", where);
        if (steps.includes("revert")) t.is(version, "1.0.0", where);
        // On trial means one start: the next one runs a confirmed image, and so does every other.
        const next = versionOf(slots);
        if (host.update!.isOnTrial) t.is(next, "1.0.0", where);
        else t.is(next, version, where);
        t.is(versionOf(slots), next, where);
        // And another update still works, whatever was cut.
        life(slots, new Power(), "confirm", () => undefined);
        t.is(versionOf(slots), "2.0.0", where);
      }
    }
    t.true(outcomes.size > 3, [...outcomes].join());
  });
}

test("a damaged record leaves the one before, and without any the first slot runs", t => {
  const slots = new Slots({ image: imageOf("1.0.0") });
  life(slots, new Power(), "confirm", () => undefined);
  t.is(versionOf(slots), "2.0.0");
  const { otadata, ota_0, ota_1 } = slots.partitions;
  const kept = otadata.bytes.slice();
  // The record of the confirmation is the third: what is left is that of the trial, which is over then.
  otadata.bytes.fill(0, 0, 4);
  t.is(versionOf(slots), "1.0.0");
  t.true(start(slots).update!.hasReverted);
  for (let bit = 0; bit < 128; bit++) {
    otadata.bytes.fill(0xff);
    otadata.bytes.set(kept.subarray(0, 16));
    otadata.bytes[bit >> 3]! ^= 1 << (bit & 7);
    t.is(versionOf(slots), "1.0.0", `bit ${bit}`);
    t.false(start(slots).update!.hasReverted);
  }
  // Both gone, and the first slot as well: an image that is whole is better than none.
  otadata.bytes.fill(0xff);
  ota_0.bytes.fill(0xff, 0, 4096);
  t.is(versionOf(slots), "2.0.0");
  t.is(versionOf(slots.clone()), "2.0.0");
  t.false(start(slots).update!.hasReverted);
  ota_1.bytes.fill(0);
  t.is(versionOf(slots), undefined);
});

test("with no way back an image stays on trial, and cannot be given up", t => {
  const slots = new Slots({ image: imageOf("1.0.0") });
  const host = start(slots);
  host.flash!.open({ path: "nextota" }).write(imageOf("2.0.0"), 0);
  host.update!.complete();
  slots.partitions.ota_0.bytes.fill(0);
  for (let i = 0; i < 3; i++) {
    const { update } = start(slots);
    t.is(update!.running, "ota_1");
    t.true(update!.isOnTrial);
    t.throws(() => update!.revert(), { code: "ota/image" });
  }
});

test("a record that the flash does not keep is told, and what runs stays", t => {
  const slots = new Slots({ image: imageOf("1.0.0") });
  const host = start(slots);
  host.flash!.open({ path: "nextota" }).write(imageOf("2.0.0"), 0);
  slots.partitions.otadata.wearOut(0, 0);
  let refused = 0;
  for (let i = 0; i < 200; i++) {
    try {
      host.update!.complete();
      break;
    } catch (error) {
      t.is((error as { code?: string }).code, "storage/write");
      t.is(versionOf(slots), "1.0.0");
      refused++;
    }
  }
  // A worn block has one bit that does not come clean, somewhere: mostly outside of the record.
  t.true(refused < 200);
});
