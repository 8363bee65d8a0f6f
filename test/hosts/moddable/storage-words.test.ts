// What the ESP32's storage refuses, in words, however ESP-IDF was configured to tell it.
import test from "ava";
import { describeMount, describeStorage } from "../../../hosts/moddable/boot/storage-words.js";
import { BoundedStorage } from "../../../hosts/moddable/key-value.js";
import type { AgentError } from "../../../src/errors.js";

test("a full storage is told by name, by hexadecimal and by decimal number", t => {
  const full = "NVS: it is full; the value before is still there (ESP_ERR_NVS_NOT_ENOUGH_SPACE)";
  t.is(describeStorage("Error: ESP_ERR_NVS_NOT_ENOUGH_SPACE"), full);
  t.is(describeStorage("Error: UNKNOWN ERROR 0x1105(4357)"), full);
  t.is(describeStorage("Error: Unknown error 4357"), full);
});

test("a number is no part of another, and what is unknown is told as it is", t => {
  t.is(describeStorage("ERROR 0x11050"), "NVS: ERROR 0x11050");
  t.is(describeStorage("Error 14357"), "NVS: Error 14357");
  t.is(describeStorage("TypeError: mismatch"), "NVS: TypeError: mismatch");
  t.regex(describeStorage("0x101"), /no memory/);
  t.regex(describeStorage("0x10d"), /can only be read/);
});

test("what has become of the storage before the start", t => {
  t.is(describeMount(0, false), undefined);
  t.regex(
    describeMount(0x110d, true)!,
    /no free page.*what is kept can be read, nothing can be changed$/,
  );
  t.regex(describeMount(0x1110, false)!, /later firmware.*has been erased$/);
});

test("who writes to a full storage hears why, and which value it was", t => {
  const storage = new BoundedStorage(() => ({
    read: () => undefined,
    write: () => {
      throw new Error(describeStorage("0x1105"));
    },
    delete: () => undefined,
    close: () => undefined,
  }));
  const error = t.throws(() => storage.open({ path: "skerry" }).write("shadow", new Uint8Array(1)));
  t.is((error as AgentError).code, "storage/write");
  t.regex(error!.message, /^skerry\/shadow: storage refuses: NVS: it is full/);
});
