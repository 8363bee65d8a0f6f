// `npm run esp32` as a person types it: what is no number is refused where it stands, not taken for 0.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

const main = fileURLToPath(new URL("../../simulator/esp32/main.js", import.meta.url));

for (const [flag, text] of [
  ["--led", ""],
  ["--window", "0x10"],
] as const)
  test(`configure ${flag} "${text}" is refused`, t => {
    const args = [main, "configure", "--config", "/nowhere/firmware.json", flag, text];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    t.is(status, 1);
    t.regex(stderr, /argument '(0x10)?' is invalid\. It is not \d+ to \d+\./);
  });
