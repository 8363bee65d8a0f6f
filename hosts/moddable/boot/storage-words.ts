// What ESP-IDF's non-volatile storage refuses, in words: the SDK tells a name or a number, as ESP-IDF was configured.

import { deepFreeze } from "../../../src/util/machine.js";

/** Number and name of an `esp_err_t`, and what it means. */
const words: readonly (readonly [number, string, string])[] = deepFreeze([
  [0x101, "ESP_ERR_NO_MEM", "there is no memory for it"],
  [0x105, "ESP_ERR_NOT_FOUND", 'the partition table has no partition "nvs"'],
  [0x10d, "ESP_ERR_NOT_ALLOWED", "it can only be read"],
  [0x1101, "ESP_ERR_NVS_NOT_INITIALIZED", "it is not mounted"],
  [0x1104, "ESP_ERR_NVS_READ_ONLY", "it can only be read"],
  [0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE", "it is full; the value before is still there"],
  [0x1108, "ESP_ERR_NVS_REMOVE_FAILED", "the flash refuses to change"],
  [0x110b, "ESP_ERR_NVS_INVALID_STATE", "it is damaged; a restart may mend it"],
  [0x110d, "ESP_ERR_NVS_NO_FREE_PAGES", "it has no free page, and can only be read"],
  [0x110f, "ESP_ERR_NVS_PART_NOT_FOUND", 'the partition "nvs" is not mounted'],
  [0x1110, "ESP_ERR_NVS_NEW_VERSION_FOUND", "a later firmware has written it"],
  [0x1116, "ESP_ERR_NVS_KEYS_NOT_INITIALIZED", "its keys are missing"],
  [0x1117, "ESP_ERR_NVS_CORRUPT_KEY_PART", "its keys are damaged"],
  [0x1119, "ESP_ERR_NVS_WRONG_ENCRYPTION", "it was written with other keys, or with none"],
] as const);

/** @param message of what the SDK has thrown */
export function describeStorage(message: string): string {
  for (const [code, name, what] of words) {
    const number = new RegExp(`\\b(0x0*${code.toString(16)}|${code})\\b`, "i");
    const isIt = message.includes(name) || number.test(message);
    if (isIt) return `NVS: ${what} (${name})`;
  }
  return `NVS: ${message}`;
}

/** @param error an `esp_err_t` from before the start. @returns what has become of the storage, or undefined where it was well */
export function describeMount(error: number, isReadOnly: boolean): string | undefined {
  if (error === 0) return undefined;
  const why = describeStorage(`0x${error.toString(16)}`);
  return isReadOnly
    ? `${why}: what is kept can be read, nothing can be changed`
    : `${why}: it could not be mounted as it was, and has been erased`;
}
