// The ESP32's partition tables: what ESP-IDF asks of one, what the host looks for, and what the other hosts give under the same label.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { simulatorBlocks } from "../../../hosts/emulation/partitions.js";
import {
  type FoundPartition,
  faultsOf,
  missing,
} from "../../../hosts/moddable/boot/partition-table.js";
import { defaultPartitions } from "../../../hosts/node/flash.js";
import { limits } from "../../../src/limits.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const folder = "hosts/moddable/esp32";
const table = `${folder}/partitions.csv`;
const manifest = "examples/sensor-node/manifest.json";

interface Line extends FoundPartition {
  readonly kind: string;
  readonly subkind: string;
  readonly flags: string;
}

/** As ESP-IDF numbers them. */
const types: Record<string, number> = { app: 0, data: 1 };
const subtypes: Record<string, number> = {
  "app ota_0": 0x10,
  "app ota_1": 0x11,
  "data ota": 0,
  "data phy": 1,
  "data nvs": 2,
  "data nvs_keys": 4,
  "data undefined": 6,
};

function read(path: string): readonly Line[] {
  return readFileSync(join(root, path), "utf8")
    .split("\n")
    .filter(line => line !== "" && !line.startsWith("#"))
    .map(line => {
      const cells = line.split(",").map(cell => cell.trim());
      const [label = "", kind = "", subkind = "", offset, size, flags = ""] = cells;
      const type = types[kind] ?? Number.NaN;
      const subtype = subtypes[`${kind} ${subkind}`] ?? Number.NaN;
      return {
        label,
        kind,
        subkind,
        type,
        subtype,
        offset: Number(offset),
        size: Number(size),
        flags,
      };
    });
}

const megabyte = 1024 * 1024;
const tables = [
  { path: table, flashBytes: 4 * megabyte, leastSlotBytes: 1.8 * megabyte },
  { path: `${folder}/partitions-8mb.csv`, flashBytes: 8 * megabyte, leastSlotBytes: 3 * megabyte },
  {
    path: `${folder}/partitions-16mb.csv`,
    flashBytes: 16 * megabyte,
    leastSlotBytes: 6 * megabyte,
  },
];
const partitions = read(table);

for (const { path, flashBytes, leastSlotBytes } of tables) {
  const name = path.split("/").at(-1);
  const lines = read(path);
  const sizes = Object.fromEntries(lines.map(({ label, size }) => [label, size]));

  test(`${name}: partitions follow each other inside the flash, on blocks, applications on 64 KB`, t => {
    // Before it are the bootloader and the table itself.
    let end = 0x9000;
    for (const { label, kind, offset, size } of lines) {
      t.true(offset >= end, `${label} begins at ${offset}, after ${end}`);
      t.is(offset % (kind === "app" ? 0x10000 : 0x1000), 0, `${label} at ${offset}`);
      t.true(size > 0 && size % (kind === "app" ? 0x10000 : 0x1000) === 0, `${label}: ${size}`);
      end = offset + size;
    }
    t.true(end <= flashBytes, `the last ends at ${end}`);
  });

  test(`${name}: labels, types and flags are what ESP-IDF takes`, t => {
    t.is(new Set(lines.map(({ label }) => label)).size, lines.length);
    for (const { label, type, subtype, flags } of lines) {
      t.regex(label, /^[a-z0-9_]{1,16}$/);
      t.true(Number.isInteger(type) && Number.isInteger(subtype), label);
      // Of what is not an application only the keys for NVS are encrypted: the outbox takes single words.
      t.is(flags, label === "nvs_keys" ? "encrypted" : "");
    }
  });

  test(`${name}: there are two slots of one size, and what an update and the host need`, t => {
    t.deepEqual(faultsOf(lines), []);
    const slots = lines.filter(({ kind }) => kind === "app");
    t.deepEqual(
      slots.map(({ subkind }) => subkind),
      ["ota_0", "ota_1"],
    );
    t.is(slots[0]!.size, slots[1]!.size);
    t.true(slots[0]!.size >= leastSlotBytes);
    t.is(sizes["otadata"], 0x2000);
    t.is(sizes["nvs_keys"], 0x1000);
    t.is(sizes["phy_init"], 0x1000);
    // A page of NVS takes 126 entries of 32 bytes, and one page stays free; twice what is kept twice, at its bounds, and some more.
    const kept = 2 * (limits.settingsBytes + 4000 + 4000 + limits.configurationBytes + 1500);
    t.true((sizes["nvs"]! / 4096 - 1) * 126 * 32 >= 1.5 * kept);
    t.true(sizes["outbox"]! >= defaultPartitions["outbox"]!.blocks * 4096);
  });
}

test("what the bootloader and ESP-IDF's own tools look for lies where every table has it", t => {
  for (const { path } of tables) {
    const at = Object.fromEntries(read(path).map(({ label, offset }) => [label, offset]));
    t.deepEqual(
      ["otadata", "nvs_keys", "phy_init", "ota_0"].map(label => at[label]),
      [0x9000, 0xb000, 0xf000, 0x10000],
    );
  }
});

test("the outbox of 4 MB is as large as on the other hosts", t => {
  const { size } = partitions.find(({ label }) => label === "outbox")!;
  t.is(size, defaultPartitions["outbox"]!.blocks * 4096);
  t.is(size, simulatorBlocks["outbox"]! * 4096);
});

const without = (label: string) => partitions.filter(each => each.label !== label);
const withSize = (label: string, size: number) =>
  partitions.map(each => (each.label === label ? { ...each, size } : each));

test("a board with another table is told what is missing, what was found and what is needed", t => {
  const faults: [readonly FoundPartition[], RegExp][] = [
    [without("nvs"), /^"nvs" is missing: identity and settings/],
    [without("ota_0"), /^"ota_0" is missing: firmware cannot be updated/],
    [without("ota_1"), /^"ota_1" is missing: firmware cannot be updated/],
    [without("otadata"), /^"otadata" is missing/],
    [without("outbox"), /^"outbox" is missing: what cannot be sent waits in memory/],
    [withSize("nvs", 0x3000), /^"nvs" has 12288 bytes, at least 24576 are needed$/],
    [withSize("ota_1", 0x1c0000), /^"ota_0" has 1900544 bytes, "ota_1" 1835008:/],
    [withSize("otadata", 0x1000), /^"otadata" has 4096 bytes, 8192 are needed$/],
    [withSize("outbox", 0x8000), /^"outbox" has 32768 bytes, at least 36864 are needed$/],
    [withSize("outbox", 0x9800), /^"outbox" has 38912 bytes, blocks of 4096 are needed$/],
  ];
  for (const [found, expected] of faults) {
    const [first, ...more] = faultsOf(found);
    t.regex(first!, expected);
    t.deepEqual(more, []);
  }
  t.is(faultsOf([]).length, 3);
  const other = partitions.map(each => (each.label === "nvs" ? { ...each, subtype: 6 } : each));
  t.deepEqual(faultsOf(other), ['"nvs" has subtype 6, nvs is needed']);
});

test("the least outbox is the agent's own bound", t => {
  t.deepEqual(faultsOf(withSize("outbox", limits.outboxBlocks * 4096)), []);
  t.is(faultsOf(withSize("outbox", (limits.outboxBlocks - 1) * 4096)).length, 1);
});

test("a partition that cannot be opened is named, and what there is", t => {
  const words = missing("outbox", without("outbox"));
  t.regex(
    words,
    /no data partition "outbox": there are otadata \(8192 bytes\), nvs_keys \(4096 bytes\), /,
  );
  t.regex(missing("outbox", []), /it is empty, or cannot be read/);
});

test("the example's firmware is built with it, and with our settings", t => {
  const { build } = JSON.parse(readFileSync(join(root, manifest), "utf8"));
  const path = build["PARTITIONS_FILE ?="];
  // Without it the SDK does not look beside the manifest.
  t.regex(path, /^\.\//);
  t.is(join(dirname(manifest), path), table);
  t.regex(build["SDKCONFIGPATH ?="], /^\.\//);
  t.is(join(dirname(manifest), build["SDKCONFIGPATH ?="]), folder);
});
