// The slots for firmware as ESP-IDF and its bootloader keep them. @see machine.c
import FFI from "mc/ffi";
import { AgentError } from "skerry/src/errors";
import type { Crypto, FlashProvider, Host, ImageDescription, Update } from "skerry/src/host";
import { fromUtf8 } from "skerry/src/util/bytes";

interface Native {
  skerry_slot_label(slot: number, label: ArrayBufferLike): number;
  skerry_slot_state(slot: number): number;
  skerry_next_version(version: ArrayBufferLike): number;
  skerry_update_complete(): number;
  skerry_update_confirm(): number;
  skerry_update_revert(): number;
}

const running = 0;
const next = 1;
/** Bytes of a label and of a version, as ESP-IDF keeps them. */
const labelBytes = 16;
const versionBytes = 32;
/** Of `esp_ota_img_states_t`. */
const state = Object.freeze({ pendingVerify: 1, invalid: 3, aborted: 4 });
/** What a call returns for an image that cannot run; 0 is success, anything else an error of ESP-IDF. */
const notAnImage = -1;

/** @returns no `update` where the partition table has a single slot; `nextota` is a path of the SDK's flash */
export function openUpdate(flash: FlashProvider, _crypto: Crypto): Pick<Host, "flash" | "update"> {
  return label(next) === undefined ? { flash } : { flash, update: new BootloaderSlots() };
}

class BootloaderSlots implements Update {
  get running(): string {
    return label(running) ?? "";
  }

  get isOnTrial(): boolean {
    return library().skerry_slot_state(running) === state.pendingVerify;
  }

  get hasReverted(): boolean {
    const found = library().skerry_slot_state(next);
    return found === state.invalid || found === state.aborted;
  }

  describe(): ImageDescription | undefined {
    const version = textOf(versionBytes, bytes => library().skerry_next_version(bytes));
    return version === undefined ? undefined : { version };
  }

  complete(): void {
    if (this.isOnTrial) throw illegal("complete while the running image is on trial");
    check("complete", library().skerry_update_complete());
  }

  confirm(): void {
    if (this.isOnTrial) check("confirm", library().skerry_update_confirm());
  }

  revert(): void {
    if (!this.isOnTrial) throw illegal("revert without a trial");
    check("revert", library().skerry_update_revert());
  }
}

function library(): Native {
  return new FFI() as Native;
}

function label(slot: number): string | undefined {
  return textOf(labelBytes, bytes => library().skerry_slot_label(slot, bytes));
}

/** @param fill returns how many bytes it has written, 0 for none */
function textOf(most: number, fill: (bytes: ArrayBufferLike) => number): string | undefined {
  const bytes = new Uint8Array(most);
  const length = fill(bytes.buffer);
  return length === 0 ? undefined : fromUtf8(bytes, 0, length);
}

function check(what: string, status: number): void {
  if (status === 0) return;
  if (status === notAnImage) throw new AgentError("ota/image", `update: ${what}: no whole image`);
  throw new AgentError("storage/write", `update: ${what}: error ${status}`);
}

function illegal(what: string): AgentError {
  return new AgentError("agent/illegal-event", `update: ${what}`);
}
