// `skerry image`: firmware for the virtual device, as its bootloader reads it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { createFlash } from "../../hosts/node/flash.js";
import { behaviours, firmwareIn, packBehaviour, slotBlocks } from "../../simulator/fleet/images.js";

const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));

function folder(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), "skerry-image-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Into a slot of a device that has nothing in it. */
function put(directory: string, slot: string, image: Uint8Array): void {
  const flash = createFlash(directory, { [slot]: { blocks: slotBlocks } });
  const partition = flash.open({ path: slot, mode: "r+" });
  partition.write(image, 0);
  partition.close();
}

function skerry(...args: string[]) {
  return spawnSync(process.execPath, [main, "image", ...args], { encoding: "utf8" });
}

test("an image is written, and what it is is told", t => {
  const file = join(folder(t), "fw.bin");
  const { status, stdout } = skerry("--version", "1.2.0", "--behaviour", "crashes", file);
  t.is(status, 0);
  const image = readFileSync(file);
  t.is(stdout, `${file}: ${image.length} bytes, sensor-node 1.2.0, crashes\n`);
  t.deepEqual(image, Buffer.from(packBehaviour({ version: "1.2.0", behaviour: "crashes" })));
});

test("a version that no device could compare is no version, and nothing is written", t => {
  const file = join(folder(t), "fw.bin");
  for (const version of ["1.2", "v1.2.0", "1.2.0+"]) {
    const { status, stderr } = skerry("--version", version, file);
    t.is(status, 1, version);
    t.regex(stderr, /It is not a version such as 1\.1\.0/);
  }
  t.false(existsSync(file));
});

for (const behaviour of behaviours) {
  test(`what is in a slot is read back: ${behaviour}`, t => {
    const directory = folder(t);
    const firmware = { version: "2.0.0-rc.1", behaviour };
    put(directory, "ota_1", packBehaviour(firmware));
    t.deepEqual(firmwareIn(directory, "ota_1"), firmware);
    t.is(firmwareIn(directory, "ota_0"), undefined);
  });
}

test("an image with one byte changed is none", t => {
  const directory = folder(t);
  const image = packBehaviour({ version: "2.0.0", behaviour: "good" });
  image[1000]! ^= 1;
  put(directory, "ota_1", image);
  t.is(firmwareIn(directory, "ota_1"), undefined);
});
