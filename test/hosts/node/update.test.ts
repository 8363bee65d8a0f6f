// Slots for firmware in files: they hold the contract from process to process.
import { existsSync, mkdtempSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { makeImage } from "../../../hosts/emulation/image.js";
import { EmulatedSlots } from "../../../hosts/emulation/slots.js";
import { createCrypto } from "../../../hosts/node/crypto.js";
import { createFlash, type FlashFiles } from "../../../hosts/node/flash.js";
import { createHost, type NodeHostOptions } from "../../../hosts/node/host.js";
import { updateContract } from "../../contract/update.js";
import { powerCutFlash } from "./power-cut-flash.js";

const test = anyTest as TestFn;
const newDirectory = () => mkdtempSync(join(tmpdir(), "skerry-update-"));

function subject(options: Partial<NodeHostOptions> = {}) {
  const directory = newDirectory();
  let restarts = 0;
  const restart = () => void restarts++;
  const start = () => createHost({ directory, id: "node-1", slotBlocks: 4, restart, ...options });
  return { directory, start, restarts: () => restarts };
}

updateContract(test, "node update", () => subject());

test("slots are files of 2 MB that appear when something asks for them", t => {
  const directory = join(newDirectory(), "deep");
  const { update, flash } = createHost({ directory, id: "node-1" });
  t.false(existsSync(directory));
  t.is(update!.running, "ota_0");
  t.deepEqual(readdirSync(directory).sort(), ["flash-ota_0.bin", "flash-otadata.bin"]);
  t.is(flash!.open({ path: "nextota" }).status().size, 2 * 1024 * 1024);
  t.is(statSync(join(directory, "flash-ota_1.bin")).size, 2 * 1024 * 1024);
});

test("where a bootloader has started the process, the host leaves the trial as it is", t => {
  const { directory, start } = subject();
  const host = start();
  const parts = { product: "kettle", version: "2.0.0", payload: new Uint8Array(100) };
  host.flash!.open({ path: "nextota" }).write(makeImage(host.crypto, parts), 0);
  host.update!.complete();
  t.true(start().update!.isOnTrial);
  for (let i = 0; i < 3; i++) {
    const booted = createHost({ directory, id: "node-1", slotBlocks: 4, isBooted: true });
    t.is(booted.update!.running, "ota_1");
    t.true(booted.update!.isOnTrial);
  }
  t.true(start().update!.hasReverted);
});

test("the slots' own partitions are not a product's, and are not opened by their names", t => {
  for (const label of ["ota_0", "ota_1", "otadata", "nextota"]) {
    const partitions = { [label]: { blocks: 4 } };
    t.throws(() => createHost({ directory: ".", id: "a", partitions }), { code: "agent/options" });
    if (label === "nextota") continue;
    const { flash } = subject().start();
    t.throws(() => flash!.open({ path: label }), { code: "storage/write" });
  }
  t.throws(() => createHost({ directory: ".", id: "a", slotBlocks: 0 }), { code: "agent/options" });
});

const slot = { blocks: 2, blockLength: 512 };
const shapes = { ota_0: slot, ota_1: slot, otadata: { blocks: 2, blockLength: 512 } };
const restart = () => undefined;

function startOn(directory: string, files?: FlashFiles): EmulatedSlots {
  const flash = createFlash(directory, shapes, files && { files });
  return new EmulatedSlots({ flash, crypto: createCrypto(), restart, isProgramElsewhere: true });
}

test("wherever the power goes, what has returned is there at the next start", t => {
  const parts = { product: "kettle", version: "2.0.0", payload: new Uint8Array(300) };
  const image = makeImage(createCrypto(), parts);
  let cuts = 0;
  for (let cutAt = 0, isCut = true; isCut; cutAt++) {
    const directory = newDirectory();
    const files = powerCutFlash(cutAt);
    const steps: string[] = [];
    const step = (name: string, work: () => void) => {
      work();
      steps.push(name);
    };
    try {
      const slots = startOn(directory, files);
      const flash = slots.provider().open({ path: "nextota" });
      step("staged", () => flash.write(image, 0));
      flash.close();
      step("completed", () => slots.complete());
      const trial = startOn(directory, files);
      step("started", () => void trial.boot());
      step("confirmed", () => trial.confirm());
    } catch (error) {
      t.is((error as { code?: string }).code?.startsWith("storage/"), true, String(error));
    }
    isCut = files.isCut();
    if (isCut) cuts++;
    const where = `cut at ${cutAt}, after ${steps.join()}`;
    const found = startOn(directory);
    if (!steps.includes("staged")) t.is(found.running, "ota_0", where);
    if (steps.at(-1) === "completed") t.true(found.isOnTrial || found.hasReverted, where);
    // The power goes while the confirmation is on its way: it is there, or the trial is over.
    if (steps.at(-1) === "started") t.true(found.running === "ota_1" || found.hasReverted, where);
    if (steps.includes("confirmed")) t.is(found.running, "ota_1", where);
    const { running, isOnTrial } = found;
    t.is(startOn(directory).running, isOnTrial ? "ota_0" : running, where);
  }
  t.true(cuts > 50, `${cuts} cuts`);
});
