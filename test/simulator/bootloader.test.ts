// The bootloader of the desktop: it starts what is due, and gives up what crashes. The firmware here is a script for Node.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type BootEvent, packFirmware, runSlots } from "../../simulator/bootloader.js";

const slots = new URL("../../hosts/emulation/slots.js", import.meta.url).href;
const flash = new URL("../../hosts/node/flash.js", import.meta.url).href;
const crypto = new URL("../../hosts/node/crypto.js", import.meta.url).href;
const newHome = () => mkdtempSync(join(tmpdir(), "skerry-boot-"));

/** The machine of a firmware: `update`, `stage(path)` and `exit`. */
const prelude = `
import { appendFileSync, readFileSync } from "node:fs";
import { EmulatedSlots } from ${JSON.stringify(slots)};
import { createFlash } from ${JSON.stringify(flash)};
import { createCrypto } from ${JSON.stringify(crypto)};
const home = process.env.HOME;
const isBooted = process.env.SKERRY_BOOTED !== undefined;
const shapes = { ota_0: { blocks: 2048 }, ota_1: { blocks: 2048 }, otadata: { blocks: 2 } };
const update = new EmulatedSlots({
  flash: createFlash(home + "/.skerry", shapes, { suffix: "" }),
  crypto: createCrypto(),
  restart: () => process.exit(82),
  isBooted,
});
const stage = path => {
  const slot = update.provider().open({ path: "nextota" });
  slot.eraseBlock(0, 8);
  slot.write(readFileSync(path), 0);
};
const say = text => appendFileSync(home + "/said", text + "\\n");
`;

/** @param body of the firmware, after the prelude */
function pack(home: string, version: string, body: string): Uint8Array {
  const path = join(home, `${version}.mjs`);
  writeFileSync(path, prelude + body);
  const image = packFirmware(path, "kettle", version);
  writeFileSync(join(home, `${version}.img`), image);
  return image;
}

async function story(home: string, image: Uint8Array): Promise<string[]> {
  const lines: string[] = [];
  const onEvent = (event: BootEvent) =>
    void lines.push(
      event.type === "ended"
        ? `ended ${event.status}`
        : `${event.slot} ${event.version}${event.isOnTrial ? " on trial" : ""}`,
    );
  // Node takes modules by their names' ends.
  const runner = fileURLToPath(new URL("firmware-runner.js", import.meta.url));
  await runSlots({ home, image, command: [process.execPath, runner], onEvent });
  return lines;
}

const install = `
if (update.hasReverted) { say("reverted"); process.exit(0); }
stage(home + "/2.0.0.img");
update.complete();
process.exit(82);
`;

test("an update is started on trial, confirmed, and stays", async t => {
  const home = newHome();
  pack(home, "2.0.0", 'say("on trial " + update.isOnTrial); update.confirm(); process.exit(0);');
  const first = pack(home, "1.0.0", install);
  t.deepEqual(await story(home, first), [
    "ota_0 1.0.0",
    "ended 82",
    "ota_1 2.0.0 on trial",
    "ended 0",
  ]);
  // The first image is no longer wanted.
  t.deepEqual(await story(home, first), ["ota_1 2.0.0", "ended 0"]);
  t.is(readFileSync(join(home, "said"), "utf8"), "on trial true\non trial false\n");
});

for (const [why, body, status] of [
  ["crashes", "process.exit(134);", "134"],
  ["is killed", 'process.kill(process.pid, "SIGKILL");', "SIGKILL"],
  ["restarts without a confirmation", "process.exit(82);", "82"],
  ["gives itself up", "update.revert();", "82"],
  [
    "is aborted by its engine, and stays",
    'console.log("XS abort: unhandled exception"); setInterval(() => {}, 1000);',
    "XS abort: unhandled exception",
  ],
] as const) {
  test(`an update that ${why} is given up`, async t => {
    const home = newHome();
    pack(home, "2.0.0", body);
    t.deepEqual(await story(home, pack(home, "1.0.0", install)), [
      "ota_0 1.0.0",
      "ended 82",
      "ota_1 2.0.0 on trial",
      `ended ${status}`,
      "ota_0 1.0.0",
      "ended 0",
    ]);
    t.is(readFileSync(join(home, "said"), "utf8"), "reverted\n");
  });
}

test("without an image there is nothing to start, which is said", async t => {
  const home = newHome();
  await t.throwsAsync(runSlots({ home, command: [process.execPath] }), {
    message: "There is no whole image in ota_0: give the first one with --image.",
  });
  await t.throwsAsync(runSlots({ home, image: new Uint8Array(9e6), command: ["x"] }), {
    message: "The image has 9000000 bytes, a slot 8388608.",
  });
});

test("who started it ends it, and the firmware with it", async t => {
  const home = newHome();
  const image = pack(home, "1.0.0", "setInterval(() => {}, 1000);");
  const abort = new AbortController();
  const runner = fileURLToPath(new URL("firmware-runner.js", import.meta.url));
  const started: string[] = [];
  await runSlots({
    home,
    image,
    command: [process.execPath, runner],
    signal: abort.signal,
    onEvent: event => {
      started.push(event.type);
      abort.abort();
    },
  });
  t.deepEqual(started, ["started"]);
});

test("a command that cannot be run is not started again and again", async t => {
  const home = newHome();
  const image = pack(home, "1.0.0", "");
  const command = ["sh", "-c", "exec no-such-simulator"] as const;
  await t.throwsAsync(runSlots({ home, image, command: [...command] }), {
    message: /^The command ended with 127: .*"sh -c exec no-such-simulator" on the PATH\?$/,
  });
});
