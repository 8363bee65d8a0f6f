// The ESP32's partition table: what ESP-IDF asks of one, and what the other hosts give under the same label.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { simulatorBlocks } from "../../../hosts/emulation/partitions.js";
import { defaultPartitions } from "../../../hosts/node/flash.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const table = "hosts/moddable/esp32/partitions.csv";
const manifest = "examples/sensor-node/manifest.json";

const partitions = readFileSync(join(root, table), "utf8")
  .split("\n")
  .filter(line => line !== "" && !line.startsWith("#"))
  .map(line => {
    const [label, type, subtype, offset, size] = line.split(",").map(cell => cell.trim());
    return { label, type, subtype, offset: Number(offset), size: Number(size) };
  });

test("partitions follow each other inside 4 MB, on blocks, applications on 64 KB", t => {
  // Before it are the bootloader and the table itself.
  let end = 0x9000;
  for (const { label, type, offset, size } of partitions) {
    t.true(offset >= end, `${label} begins at ${offset}, after ${end}`);
    t.is(offset % (type === "app" ? 0x10000 : 0x1000), 0, `${label} at ${offset}`);
    t.true(size > 0 && size % 0x1000 === 0, `${label} has ${size} bytes`);
    end = offset + size;
  }
  t.true(end <= 4 * 1024 * 1024, `the last ends at ${end}`);
});

test("the example's firmware has ESP-IDF's rollback, the bootloader's check and both watchdogs", t => {
  const build = JSON.parse(readFileSync(join(root, manifest), "utf8")).build;
  const path = build["SDKCONFIGPATH ?="];
  t.regex(path, /^\.\//);
  t.is(join(dirname(manifest), path), "hosts/moddable/esp32");
  const lines = readFileSync(join(root, "hosts/moddable/esp32/sdkconfig.defaults"), "utf8")
    .split("\n")
    .filter(line => line !== "" && !line.startsWith("#"));
  t.deepEqual(lines, [
    "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y",
    "CONFIG_BOOTLOADER_SKIP_VALIDATE_ALWAYS=n",
    "CONFIG_ESP_TASK_WDT_EN=y",
    "CONFIG_ESP_TASK_WDT_INIT=y",
    "CONFIG_ESP_TASK_WDT_PANIC=y",
    "CONFIG_ESP_TASK_WDT_TIMEOUT_S=30",
    "CONFIG_ESP_INT_WDT=y",
  ]);
});

test("there are two slots of one size, and what an update and the host need", t => {
  const slots = partitions.filter(({ type }) => type === "app");
  t.deepEqual(
    slots.map(({ subtype }) => subtype),
    ["ota_0", "ota_1"],
  );
  t.is(slots[0]!.size, slots[1]!.size);
  const sizes = Object.fromEntries(partitions.map(({ label, size }) => [label, size]));
  t.is(sizes["otadata"], 0x2000);
  t.is(sizes["nvs"], 0x6000);
});

test("the outbox is as large as on the other hosts", t => {
  const { size } = partitions.find(({ label }) => label === "outbox")!;
  t.is(size, defaultPartitions["outbox"]!.blocks * 4096);
  t.is(size, simulatorBlocks["outbox"]! * 4096);
});

test("the example's firmware is built with it", t => {
  const { build } = JSON.parse(readFileSync(join(root, manifest), "utf8"));
  const path = build["PARTITIONS_FILE ?="];
  // Without it the SDK does not look beside the manifest.
  t.regex(path, /^\.\//);
  t.is(join(dirname(manifest), path), table);
});
