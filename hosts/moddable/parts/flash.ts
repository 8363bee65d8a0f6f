// Raw flash, and the slots for firmware in it. A firmware without this part has a stand-in for this module.
import { BoundedFlash } from "skerry/hosts/bounded-flash";
import { openPartition } from "skerry/platform/flash";
import { openUpdate } from "skerry/platform/update";
import type { Crypto, Host } from "skerry/src/host";

/** The partitions `outbox` and `nextota`, the slot that does not run, and no others. */
export function openFlash(crypto: Crypto): Pick<Host, "flash" | "update"> {
  return openUpdate(new BoundedFlash(openPartition, ["outbox", "nextota"]), crypto);
}
