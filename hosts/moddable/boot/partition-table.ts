// What Skerry needs of an ESP32's partition table, and what is wrong with the one that was found, in words.

export interface FoundPartition {
  readonly label: string;
  /** 0 is an application, 1 is data. */
  readonly type: number;
  readonly subtype: number;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

const app = 0;
const data = 1;
/** Of `esp_partition_subtype_t`. */
const subtypes = Object.freeze({ firstSlot: 0x10, secondSlot: 0x11, otadata: 0, nvs: 2 });
const blockBytes = 4096;
const leastNvsBytes = 0x6000;
const otadataBytes = 0x2000;
/** As `limits.outboxBlocks`: two for each class and for the ledger, one to spare. */
const leastOutboxBlocks = 9;
const advice = "hosts/moddable/esp32/README.md has tables for 4, 8 and 16 MB";

/** @returns one sentence for each fault, none for a table that has all that is needed */
export function faultsOf(table: readonly FoundPartition[]): readonly string[] {
  const faults = [nvsFault(table), slotsFault(table), outboxFault(table)];
  return faults.filter(fault => fault !== undefined);
}

/** Why there is no partition `label` to open. */
export function missing(label: string, table: readonly FoundPartition[]): string {
  const known = table.map(each => `${each.label} (${each.size} bytes)`).join(", ");
  const found = known === "" ? "it is empty, or cannot be read" : `there are ${known}`;
  return `the partition table has no data partition ${JSON.stringify(label)}: ${found}; ${advice}`;
}

function nvsFault(table: readonly FoundPartition[]): string | undefined {
  const nvs = table.find(({ label, type }) => label === "nvs" && type === data);
  if (!nvs) return `"nvs" is missing: identity and settings cannot be kept; ${advice}`;
  if (nvs.subtype !== subtypes.nvs) return `"nvs" has subtype ${nvs.subtype}, nvs is needed`;
  return tooSmall("nvs", nvs.size, leastNvsBytes);
}

function slotsFault(table: readonly FoundPartition[]): string | undefined {
  const slot = (subtype: number) =>
    table.find(each => each.type === app && each.subtype === subtype);
  const [first, second] = [slot(subtypes.firstSlot), slot(subtypes.secondSlot)];
  if (!first || !second) {
    return `"${first ? "ota_1" : "ota_0"}" is missing: firmware cannot be updated; ${advice}`;
  }
  if (first.size !== second.size) {
    const sizes = `"ota_0" has ${first.size} bytes, "ota_1" ${second.size}`;
    return `${sizes}: an image has to fit in the smaller, and they should be equal`;
  }
  const otadata = table.find(({ type, subtype }) => type === data && subtype === subtypes.otadata);
  if (!otadata) return `"otadata" is missing: firmware cannot be updated; ${advice}`;
  if (otadata.size === otadataBytes) return undefined;
  return `"otadata" has ${otadata.size} bytes, ${otadataBytes} are needed`;
}

function outboxFault(table: readonly FoundPartition[]): string | undefined {
  const outbox = table.find(({ label, type }) => label === "outbox" && type === data);
  if (!outbox) return `"outbox" is missing: what cannot be sent waits in memory only; ${advice}`;
  if (outbox.size % blockBytes !== 0) {
    return `"outbox" has ${outbox.size} bytes, blocks of ${blockBytes} are needed`;
  }
  return tooSmall("outbox", outbox.size, leastOutboxBlocks * blockBytes);
}

function tooSmall(label: string, size: number, least: number): string | undefined {
  return size < least ? `"${label}" has ${size} bytes, at least ${least} are needed` : undefined;
}
