// Slots for firmware in files. Without a bootloader the program is the one that was started, whatever is in a slot.
import { BoundedFlash } from "skerry/hosts/bounded-flash";
import { EmulatedSlots } from "skerry/hosts/emulation/slots";
import { openPartition } from "skerry/platform/flash";
import { isBooted, restart } from "skerry/platform/machine";
import type { Crypto, FlashProvider, Host } from "skerry/src/host";

/** @param flash the product's partitions. @returns `flash` with `nextota` in it, and the slots */
export function openUpdate(flash: FlashProvider, crypto: Crypto): Pick<Host, "flash" | "update"> {
  const update = new EmulatedSlots({
    flash: new BoundedFlash(openPartition, ["ota_0", "ota_1", "otadata"]),
    crypto,
    restart,
    isProgramElsewhere: true,
    isBooted: isBooted(),
  });
  return { flash: update.provider(flash), update };
}
