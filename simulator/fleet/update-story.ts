// Three updates of one device, in virtual time: a good one, two that are forged, one that crashes; and what each of them took.
import type { JsonObject } from "../cloud/json.js";
import { manifestDocument } from "../signing/job-document.js";
import { bothWays } from "../world/faults.js";
import type { Engine } from "./device.js";
import type { Firmware } from "./updatable.js";
import { makeSigner, type Signer, UpdateWorld } from "./update-world.js";

export interface UpdateStoryOptions {
  readonly engine: Engine;
  onEvent?(event: UpdateStoryEvent): void;
}

export type UpdateStoryEvent =
  | { readonly type: "offered"; readonly version: string; readonly what: string }
  | { readonly type: "fetched"; readonly bytes: number; readonly seconds: number }
  | { readonly type: "restarted"; readonly version: string; readonly isOnTrial: boolean }
  /** `seconds` since it was offered. */
  | ({ readonly type: "ended"; readonly seconds: number } & Outcome);

interface Outcome {
  /** Of the job's execution, as the cloud has it. */
  readonly status: string;
  readonly reason: string;
  readonly running: string;
}

export interface UpdateFigures extends Outcome {
  readonly imageBytes: number;
  /** That came over the network and into the slot, notes of the download left out. */
  readonly fetchedBytes: number;
  /** From the job's begin until the last block was in the slot; 0 where none was fetched. */
  readonly fetchSeconds: number;
  /** From the moment the job was made until the cloud knew its end. */
  readonly seconds: number;
  /** Of all flash: slots, what the bootloader notes, named values. */
  readonly flashWrites: number;
  readonly flashErases: number;
  /** Versions that have started, in order. */
  readonly starts: readonly string[];
}

/** Fetched, tried, confirmed. */
export function isConfirmed({ status, running, starts }: UpdateFigures, version: string): boolean {
  return status === "SUCCEEDED" && running === version && starts.join() === version;
}

/** Never started; and where nobody known has signed it, not fetched either. */
export function isRefused(
  { status, running, starts, fetchedBytes }: UpdateFigures,
  before: string,
): boolean {
  const isStill = running === before && starts.length === 0;
  return isStill && (status === "FAILED" || (status === "REJECTED" && fetchedBytes === 0));
}

/** Tried, given up, and the cloud knows why. */
export function isReverted(
  { status, reason, running, starts }: UpdateFigures,
  version: string,
  before: string,
): boolean {
  const isTold = status === "FAILED" && reason.startsWith("reverted: ");
  return isTold && running === before && starts.join() === [version, before].join();
}

/** 1 Mbit/s, and 100 ms there and back. */
const bytesPerSecond = 125_000;
const latencyMs = 50;
const payloadBytes = 300_000;
const slotBlocks = 96;
const blockBytes = 4096;
const patienceMs = 1_200_000;

export class UpdateStory {
  readonly #world: UpdateWorld;
  readonly #tell: (event: UpdateStoryEvent) => void;
  readonly #other = makeSigner("somebody else");
  #updates = 0;

  private constructor(world: UpdateWorld, tell: (event: UpdateStoryEvent) => void) {
    this.#world = world;
    this.#tell = tell;
  }

  /** The device is online, with version 1.0.0. @throws Error when the XS engine is asked for and cannot be built */
  static async open({ engine, onEvent }: UpdateStoryOptions): Promise<UpdateStory> {
    const worker = engine === "xs" ? { worker: await builtWorker() } : {};
    const world = await UpdateWorld.open({ slots: { blocks: slotBlocks }, ...worker });
    world.network.latencyMs = latencyMs;
    world.network.faults = bothWays({ bytesPerSecond });
    return new UpdateStory(world, event => onEvent?.(event));
  }

  close(): Promise<void> {
    return this.#world.close();
  }

  /** Signed by whom the device knows, and well. */
  good(version: string): Promise<UpdateFigures> {
    return this.#update({ version, behaviour: "good" }, "signed by its maker");
  }

  /** Signed by whom the device does not know. */
  wronglySigned(version: string): Promise<UpdateFigures> {
    const what = "signed by somebody else";
    return this.#update({ version, behaviour: "good" }, what, { signer: this.#other });
  }

  /** Another image under its maker's manifest. */
  changed(version: string): Promise<UpdateFigures> {
    const what = "signed by its maker, one byte changed since";
    return this.#update({ version, behaviour: "good" }, what, { changedByte: payloadBytes >> 1 });
  }

  /** Signed by whom the device knows, and ends as soon as it starts. */
  crashing(version: string): Promise<UpdateFigures> {
    return this.#update({ version, behaviour: "crashes" }, "signed by its maker, and it crashes");
  }

  async #update(
    firmware: Firmware,
    what: string,
    forgery: { readonly signer?: Signer; readonly changedByte?: number } = {},
  ): Promise<UpdateFigures> {
    const world = this.#world;
    const { version } = firmware;
    const id = `update-${++this.#updates}`;
    const image = world.image(firmware, payloadBytes);
    const signer = forgery.signer ?? world.signer;
    const manifest = world.manifest(image, { version }, [signer]);
    if (forgery.changedByte !== undefined) image[forgery.changedByte]! ^= 1;
    const sources = await world.sources(id, image);
    const before = this.#flash();
    const startsBefore = world.boots.length;
    const madeAt = world.clock.ticks();
    const elapsed = () => (world.clock.ticks() - madeAt) / 1000;
    world.createJob(id, manifestDocument(manifest, sources) as unknown as JsonObject);
    this.#tell({ type: "offered", version, what });
    const fetched = await this.#watch(id, image.length);
    const outcome = this.#outcome(id);
    const after = this.#flash();
    this.#tell({ type: "ended", seconds: elapsed(), ...outcome });
    return {
      ...outcome,
      ...fetched,
      imageBytes: image.length,
      seconds: elapsed(),
      flashWrites: after.writes - before.writes,
      flashErases: after.erases - before.erases,
      starts: world.boots.slice(startsBefore).map(boot => boot.version),
    };
  }

  /** Follows a job to its end. */
  async #watch(
    id: string,
    imageBytes: number,
  ): Promise<Pick<UpdateFigures, "fetchedBytes" | "fetchSeconds">> {
    const { clock, boots } = this.#world;
    const blocks = Math.ceil(imageBytes / blockBytes);
    const countsBefore = this.#slotErases();
    let begunAt: number | undefined;
    let fetched = 0;
    let fetchSeconds = 0;
    let seen = boots.length;
    await clock.runUntil(() => {
      if (this.#isStarted(id)) begunAt ??= clock.ticks();
      // A block's own erase goes before it, and that of the notes before all.
      const now = Math.min(blocks, Math.max(0, this.#slotErases() - countsBefore - 1));
      if (now > fetched) fetchSeconds = (clock.ticks() - begunAt!) / 1000;
      if (now > fetched && now === blocks)
        this.#tell({ type: "fetched", bytes: imageBytes, seconds: fetchSeconds });
      fetched = now;
      for (; seen < boots.length; seen++) this.#tell({ type: "restarted", ...boots[seen]! });
      return /^(SUCCEEDED|FAILED|REJECTED)/.test(this.#world.outcome(id));
    }, patienceMs);
    return { fetchedBytes: Math.min(imageBytes, fetched * blockBytes), fetchSeconds };
  }

  #isStarted(id: string): boolean {
    return this.#world.execution(id)?.status === "IN_PROGRESS";
  }

  #outcome(id: string): Outcome {
    const execution = this.#world.execution(id);
    const { reason = "" } = (execution?.statusDetails ?? {}) as { readonly reason?: string };
    return { status: execution?.status ?? "none", reason, running: this.#world.running.version };
  }

  #slotErases(): number {
    const { ota_0, ota_1 } = this.#world.slots.partitions;
    return ota_0.counts.erases + ota_1.counts.erases;
  }

  #flash(): { readonly writes: number; readonly erases: number } {
    const names = this.#world.powers.flatMap(power => power.names);
    const erases = names.filter(name => /^erase \d+$/.test(name)).length;
    return { writes: names.length - erases, erases };
  }
}

/** The XS engine's worker. */
async function builtWorker(): Promise<string> {
  const { buildEngine } = await import("../../hosts/xs/engine/build.js");
  const engine = await buildEngine();
  if (!engine.ok) throw new Error(`the XS engine cannot be built: ${engine.missing}`);
  return engine.worker;
}
