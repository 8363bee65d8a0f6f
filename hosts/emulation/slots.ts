// Two slots for firmware on a machine that has no bootloader: ESP-IDF's scheme over three partitions of raw flash, `ota_0`, `ota_1`
// and `otadata`, whose first two blocks hold a record each of what starts and how each slot stands. A record is never changed:
// the next one takes the other block, so a cut at any operation leaves the old one or the new.
import { AgentError } from "../../src/errors.js";
import type { Crypto, Flash, FlashProvider, ImageDescription, Update } from "../../src/host.js";
import { crc32 } from "../../src/util/crc32.js";
import { isWhole, readImage } from "./image.js";

/** ESP-IDF's numbers (`esp_ota_img_states_t`), in a byte. */
export const slotState = Object.freeze({
  /** `complete` was called: it starts once, on trial. */
  new: 0,
  /** On trial; found at a start it was not confirmed. */
  pending: 1,
  valid: 2,
  /** Given up, or found not to be an image. */
  invalid: 3,
  /** Ended its trial without a confirmation. */
  aborted: 4,
  undefined: 0xff,
});

type Slot = 0 | 1;

interface Selection {
  /** What starts. */
  readonly selected: Slot;
  readonly states: readonly [number, number];
}

interface BootRecord extends Selection {
  /** The highest counts. */
  readonly sequence: number;
  readonly block: number;
}

export interface EmulatedMachine {
  /** Opens `ota_0`, `ota_1` and `otadata`, the last of two blocks or more. */
  readonly flash: FlashProvider;
  readonly crypto: Pick<Crypto, "startDigest">;
  restart(): void;
  /** The program that runs is not what a slot holds: a blank `ota_0` is as good as one with an image. */
  readonly isProgramElsewhere?: boolean;
  /** A bootloader outside of this program has called `boot` for this start. */
  readonly isBooted?: boolean;
}

const recordBytes = 16;
const recordFormat = 1;
const crcOffset = 12;
const blank = 0xff;
const first: Selection = Object.freeze({
  selected: 0,
  states: Object.freeze([slotState.valid, slotState.undefined] as const),
});

/** One for each start of the machine. Touches nothing before it is asked something. */
export class EmulatedSlots implements Update {
  readonly #machine: EmulatedMachine;
  #record: BootRecord | undefined;
  #running: Slot | undefined;

  constructor(machine: EmulatedMachine) {
    this.#machine = machine;
  }

  /**
   * What a bootloader does at each start, once: puts a new image on trial, gives up one that was on trial and has not been confirmed,
   * and passes over one that is not whole.
   *
   * @returns label of the slot that runs
   */
  boot(): string {
    if (this.#running === undefined) {
      this.#record = this.#read();
      const next = this.#machine.isBooted ? this.#record : this.#started(this.#record);
      if (next !== this.#record) this.#write(next);
      this.#running = this.#record.selected;
    }
    return labelOf(this.#running);
  }

  get running(): string {
    return this.boot();
  }

  get isOnTrial(): boolean {
    return this.#stateOf(this.#slot()) === slotState.pending;
  }

  get hasReverted(): boolean {
    const state = this.#stateOf(otherThan(this.#slot()));
    return state === slotState.aborted || state === slotState.invalid;
  }

  describe(): ImageDescription | undefined {
    return this.#with(otherThan(this.#slot()), readImage)?.description;
  }

  complete(): void {
    if (this.isOnTrial) throw illegal("complete while the running image is on trial");
    const next = otherThan(this.#slot());
    if (!this.#isWhole(next)) throw notWhole(next);
    this.#write(this.#withState(next, next, slotState.new));
  }

  confirm(): void {
    if (!this.isOnTrial) return;
    const running = this.#slot();
    this.#write(this.#withState(running, running, slotState.valid));
  }

  revert(): void {
    if (!this.isOnTrial) throw illegal("revert without a trial");
    const running = this.#slot();
    const next = otherThan(running);
    if (!this.#canRun(next)) throw notWhole(next);
    this.#write(this.#withState(next, running, slotState.invalid));
    this.#machine.restart();
  }

  /** @returns `flash`, which knows nothing of slots, and the partition `nextota` as well */
  provider(flash?: FlashProvider): FlashProvider {
    return {
      open: options => {
        if (options.path === "nextota") {
          return this.#machine.flash.open({
            ...options,
            path: labelOf(otherThan(this.#slot())),
          });
        }
        if (flash !== undefined) return flash.open(options);
        throw new AgentError("storage/write", `flash: there is no partition "${options.path}"`);
      },
    };
  }

  #slot(): Slot {
    this.boot();
    return this.#running!;
  }

  #stateOf(slot: Slot): number {
    return this.#record!.states[slot];
  }

  #started(record: BootRecord): Selection {
    const { selected } = record;
    const other = otherThan(selected);
    switch (record.states[selected]) {
      case slotState.new:
        if (this.#canRun(selected)) return this.#withState(selected, selected, slotState.pending);
        break;
      case slotState.pending:
        // Where there is no way back, it stays on trial.
        if (!this.#canRun(other)) return record;
        return this.#withState(other, selected, slotState.aborted);
      default:
        // Not a trial that has failed: it has proved itself, and has been damaged since, or there never was an image.
        if (this.#canRun(selected) || !this.#canRun(other)) return record;
        return this.#withState(other, other, slotState.valid);
    }
    return this.#canRun(other) ? this.#withState(other, selected, slotState.invalid) : record;
  }

  #canRun(slot: Slot): boolean {
    if (this.#isWhole(slot)) return true;
    return slot === 0 && this.#machine.isProgramElsewhere === true && this.#with(0, isBlank);
  }

  #isWhole(slot: Slot): boolean {
    return this.#with(slot, flash => isWhole(flash, this.#machine.crypto));
  }

  #withState(selected: Slot, slot: Slot, state: number): Selection {
    const states: [number, number] = [...this.#record!.states];
    // What starts has proved itself before, or there is nothing else.
    states[selected] = slotState.valid;
    states[slot] = state;
    return { selected, states };
  }

  #with<Result>(slot: Slot, work: (flash: Flash) => Result): Result {
    return withPartition(this.#machine.flash, labelOf(slot), "r", work);
  }

  #read(): BootRecord {
    return withPartition(this.#machine.flash, "otadata", "r", newestRecord);
  }

  /** @throws AgentError "storage/write" when it is not there afterwards: the record before is still the newest then */
  #write(selection: Selection): void {
    const { sequence, block } = this.#record!;
    const next = { ...selection, sequence: sequence + 1, block: 1 - block };
    this.#record = withPartition(this.#machine.flash, "otadata", "r+", flash => {
      flash.eraseBlock(next.block);
      flash.write(encode(next), next.block * flash.status().blockLength);
      const found = newestRecord(flash);
      if (found.sequence === next.sequence) return found;
      throw new AgentError("storage/write", `otadata: block ${next.block} does not keep a record`);
    });
  }
}

export function labelOf(slot: 0 | 1): string {
  return slot === 0 ? "ota_0" : "ota_1";
}

function otherThan(slot: Slot): Slot {
  return slot === 0 ? 1 : 0;
}

function withPartition<Result>(
  flash: FlashProvider,
  path: string,
  mode: "r" | "r+",
  work: (partition: Flash) => Result,
): Result {
  const partition = flash.open({ path, mode });
  try {
    return work(partition);
  } finally {
    partition.close();
  }
}

function isBlank(slot: Flash): boolean {
  return new Uint8Array(slot.read(recordBytes, 0)).every(byte => byte === blank);
}

/** Without any it is the state of a machine that has just been made: the first slot runs. */
function newestRecord(flash: Flash): BootRecord {
  let newest: BootRecord = { ...first, sequence: 0, block: 1 };
  for (const block of [0, 1]) {
    const offset = block * flash.status().blockLength;
    const found = decode(new Uint8Array(flash.read(recordBytes, offset)), block);
    if (found !== undefined && found.sequence > newest.sequence) newest = found;
  }
  return newest;
}

function encode({ sequence, selected, states }: BootRecord): Uint8Array {
  const bytes = new Uint8Array(recordBytes).fill(blank);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sequence, true);
  bytes.set([selected, states[0], states[1], recordFormat], 4);
  view.setUint32(crcOffset, crc32(bytes, 0, crcOffset), true);
  return bytes;
}

/** @returns undefined for what is blank, torn or changed */
function decode(bytes: Uint8Array, block: number): BootRecord | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [selected, state0, state1, format] = bytes.subarray(4, 8) as unknown as Four;
  if (view.getUint32(crcOffset, true) !== crc32(bytes, 0, crcOffset)) return undefined;
  if (format !== recordFormat || (selected !== 0 && selected !== 1)) return undefined;
  return { sequence: view.getUint32(0, true), selected, states: [state0, state1], block };
}

type Four = readonly [number, number, number, number];

function notWhole(slot: Slot): AgentError {
  return new AgentError("ota/image", `${labelOf(slot)}: there is no whole image`);
}

function illegal(what: string): AgentError {
  return new AgentError("agent/illegal-event", `update: ${what}`);
}
