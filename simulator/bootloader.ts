// What the bootloader is on a board, for firmware of Moddable's desktop simulator: starts what is in the slot that is due, again
// whenever it restarts or crashes, with the trial and the way back of ESP-IDF.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isWhole, makeImage, readImage } from "../hosts/emulation/image.js";
import { bootedVariable, restartStatus, simulatorBlocks } from "../hosts/emulation/partitions.js";
import { EmulatedSlots } from "../hosts/emulation/slots.js";
import { createCrypto } from "../hosts/node/crypto.js";
import { createFlash } from "../hosts/node/flash.js";
import type { Flash, FlashProvider } from "../src/host.js";

export interface BootOptions {
  /** Home folder of the simulator: slots are in `.skerry`, what runs is copied to `running/mc.so`. */
  readonly home: string;
  /** Put into the first slot of a new device. */
  readonly image?: Uint8Array;
  /** What is run with the path of the firmware as its last argument. */
  readonly command: readonly [string, ...string[]];
  onEvent?(event: BootEvent): void;
  /** Ends the firmware, and with it `runSlots`. */
  readonly signal?: AbortSignal;
}

export type BootEvent =
  | {
      readonly type: "started";
      readonly slot: string;
      readonly version: string;
      readonly isOnTrial: boolean;
    }
  /** `status` is an exit status, a signal's name, or what the firmware printed as it was given up. */
  | { readonly type: "ended"; readonly status: number | string };

/** The engine's last words; the simulator stays open after them. */
const abortWords = "XS abort:";
/** Of what runs programs for others: what it was to run cannot be run, or is not there. */
const notRun: readonly (number | string)[] = [126, 127];
/** A firmware that crashes at once is started once a second. */
const pauseMs = 1000;

/** @returns once the firmware has ended with status 0, or was told to end. @throws Error when there is nothing to run, or nothing to run it with */
export async function runSlots(options: BootOptions): Promise<void> {
  const { home, image, command, onEvent, signal } = options;
  const firmware = join(home, "running", "mc.so");
  mkdirSync(join(home, ".config", "tech.moddable.mcsim"), { recursive: true, mode: 0o700 });
  mkdirSync(join(home, "running"), { recursive: true, mode: 0o700 });
  const flash = slotsIn(home);
  if (image !== undefined) install(flash, image);
  for (;;) {
    const slots = new EmulatedSlots({ flash, crypto: createCrypto(), restart: () => undefined });
    const slot = slots.boot();
    const version = extract(flash, slot, firmware);
    onEvent?.({ type: "started", slot, version, isOnTrial: slots.isOnTrial });
    const status = await run(home, [...command, firmware], signal);
    if (signal?.aborted) return;
    onEvent?.({ type: "ended", status });
    if (status === 0) return;
    if (notRun.includes(status))
      throw new Error(
        `The command ended with ${status}: a program in it cannot be run. Is all of "${command.join(" ")}" on the PATH?`,
      );
    if (status !== restartStatus) await new Promise(resolve => setTimeout(resolve, pauseMs));
  }
}

/** Wraps a firmware of the simulator, `mc.so`, as an image that a slot takes. */
export function packFirmware(path: string, product: string, version: string): Uint8Array {
  return makeImage(createCrypto(), { product, version, payload: readFileSync(path) });
}

/** The partitions as the firmware has them. */
function slotsIn(home: string): FlashProvider {
  const { ota_0, ota_1, otadata } = simulatorBlocks;
  const shapes = {
    ota_0: { blocks: ota_0! },
    ota_1: { blocks: ota_1! },
    otadata: { blocks: otadata! },
  };
  return createFlash(join(home, ".skerry"), shapes, { suffix: "" });
}

/** As in the factory: only where nothing has been selected yet, and the first slot holds nothing. */
function install(flash: FlashProvider, image: Uint8Array): void {
  const isNew = withSlot(flash, "otadata", records =>
    new Uint8Array(records.read(records.status().size, 0)).every(byte => byte === 0xff),
  );
  if (!isNew || withSlot(flash, "ota_0", slot => isWhole(slot, createCrypto()))) return;
  withSlot(flash, "ota_0", slot => {
    const { blocks, size } = slot.status();
    if (image.length > size)
      throw new Error(`The image has ${image.length} bytes, a slot ${size}.`);
    slot.eraseBlock(0, blocks);
    slot.write(image, 0);
  });
}

/** @returns the version of what is to run */
function extract(flash: FlashProvider, slot: string, path: string): string {
  return withSlot(flash, slot, partition => {
    const image = readImage(partition);
    if (image === undefined || !isWhole(partition, createCrypto())) {
      throw new Error(`There is no whole image in ${slot}: give the first one with --image.`);
    }
    const payload = new Uint8Array(partition.read(image.payloadLength, image.payloadOffset));
    // A file of its own: the simulator may still hold the one before.
    writeFileSync(`${path}.new`, payload, { mode: 0o700 });
    renameSync(`${path}.new`, path);
    return image.description.version ?? "";
  });
}

function withSlot<Result>(
  flash: FlashProvider,
  path: string,
  work: (slot: Flash) => Result,
): Result {
  const slot = flash.open({ path });
  try {
    return work(slot);
  } finally {
    slot.close();
  }
}

function run(
  home: string,
  [program, ...args]: readonly string[],
  signal: AbortSignal | undefined,
): Promise<number | string> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, HOME: home, [bootedVariable]: "1" };
    // A group of its own: the command may be a script around the simulator.
    const child = spawn(program!, args, {
      env: environment,
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const stop = () => endGroup(child);
    let lastWords: string | undefined;
    let line = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      process.stdout.write(text);
      const lines = (line + text).split("\n");
      line = lines.pop()!;
      lastWords ??= lines.find(each => each.includes(abortWords));
      if (lastWords !== undefined) stop();
    });
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    child.on("error", reject);
    child.on("close", (status, signalName) => {
      signal?.removeEventListener("abort", stop);
      resolve(lastWords ?? status ?? signalName ?? "ended");
    });
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
