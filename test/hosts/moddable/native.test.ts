// Every native file compiles against ESP-IDF's functions as it documents them, and does what it says in a world of our own.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import anyTest, { type TestFn } from "ava";

interface NativeFunction {
  readonly arguments: readonly string[];
  readonly returns: string;
}

interface Manifest {
  readonly ffi: {
    readonly sources: readonly string[];
    readonly functions: Readonly<Record<string, NativeFunction>>;
  };
  readonly defines?: { readonly startup: Readonly<Record<string, string>> };
}

const test = anyTest as TestFn;
const root = fileURLToPath(new URL("../../../../", import.meta.url));
const world = join(root, "test/hosts/moddable/native");
const board = join(root, "hosts/moddable/esp32");
const simulator = join(root, "hosts/moddable/simulator");
const strict = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", join(world, "idf")];

const folder = mkdtempSync(join(tmpdir(), "skerry-native-"));
test.after.always(() => rmSync(folder, { recursive: true }));

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
if (!hasCompiler) {
  test("there is a C compiler, or a line says that there is none", t => {
    t.log("native files are not compiled: no cc");
    if (process.env["CI"] === "true") t.fail("no cc");
    else t.pass();
  });
}
const native = hasCompiler ? test : test.skip;

function compile(...words: readonly string[]): string {
  const { status, stderr } = spawnSync("cc", [...strict, ...words], { encoding: "utf8" });
  return status === 0 ? "" : stderr;
}

function manifestOf(platform: string): Manifest {
  return JSON.parse(readFileSync(join(platform, "manifest.json"), "utf8")) as Manifest;
}

function filesOf(platform: string): string[] {
  return readdirSync(platform).filter(name => name.endsWith(".c"));
}

for (const platform of [board, simulator]) {
  const name = platform.slice(root.length);

  test(`${name}: the manifest names every native file`, t => {
    const { sources } = manifestOf(platform).ffi;
    t.deepEqual(
      [...sources].sort(),
      filesOf(platform)
        .map(file => `./${file}`)
        .sort(),
    );
  });

  native(
    `${name}: each native file compiles, and what the manifest says of its functions is so`,
    t => {
      for (const file of filesOf(platform)) {
        t.is(compile("-fsyntax-only", join(platform, file)), "", file);
      }
      // Of ESP-IDF's own functions the declarations are ours: only the ones in our files can be wrong.
      const own = Object.entries(manifestOf(platform).ffi.functions).filter(([each]) =>
        each.startsWith("skerry_"),
      );
      t.true(own.length >= 5);
      const lines = own.map(
        ([each, { arguments: types, returns }], i) =>
          `${returns} (*const pointer${i})(${types.join(", ") || "void"}) = ${each};`,
      );
      const unit = join(folder, `${platform === board ? "board" : "simulator"}.c`);
      const parts = filesOf(platform).map(file => `#include "${join(platform, file)}"`);
      writeFileSync(unit, [...parts, ...lines, ""].join("\n"));
      t.is(compile("-fsyntax-only", unit), "");
    },
  );
}

native("the delay at the start is an expression of C, and is none", t => {
  const { startup } = manifestOf(board).defines!;
  t.deepEqual(Object.keys(startup), ["delayMS"]);
  const unit = join(folder, "delay.c");
  const lines = [
    "#include <stdint.h>",
    "extern uint32_t skerry_before_main(void);",
    "uint64_t ticks(void);",
    `#define DELAY ${startup["delayMS"]}`,
    "uint64_t ticks(void) { return ((uint64_t)(DELAY) * 1000U) / 1000U; }",
  ];
  writeFileSync(unit, `${lines.join("\n")}\n`);
  t.is(compile("-fsyntax-only", unit), "");
});

const programs = new Map<string, string>();

function built(settings: readonly string[]): string {
  const key = settings.join(" ");
  const known = programs.get(key);
  if (known !== undefined) return known;
  const program = join(folder, `world-${programs.size}`);
  const failed = compile("-I", board, ...settings, "-o", program, join(world, "world.c"));
  if (failed !== "") throw new Error(failed);
  programs.set(key, program);
  return program;
}

/** @returns what the world has printed, line by line */
function play(scenario: string, ...settings: readonly string[]): readonly string[] {
  const program = built(settings);
  const { stdout, status, signal } = spawnSync(program, [scenario], { encoding: "utf8" });
  return [...stdout.trimEnd().split("\n"), ...(status === 0 ? [] : [`ended: ${status ?? signal}`])];
}

const withTimeServer = "-DCONFIG_LWIP_DHCP_GET_NTP_SRV=1";

native(
  "a board that is well: NVS, entropy, partitions, the radio's reasons, the network's time server",
  t => {
    t.deepEqual(play("well", withTimeServer), [
      "delay 0, then 0x0",
      "error 0x0, frozen 0",
      "256 before the radio",
      "then 0",
      "off again -1",
      `released 1:${hex("nvs")}01020000${"00900000"}${"00600000"}`,
      `released 1:${hex("ota_0")}00100000${"00000100"}${"00001d00"}`,
      `released 1:${hex("sixteen_letters_")}01060000${"00003c00"}${"00000400"}`,
      "released 1",
      "watch 0x0, reason 0",
      "reason 15, then 0",
      'server 0, then "192.0.2.7"',
    ]);
    t.is(play("well").at(-1), 'server 0, then ""');
    t.is(play("no memory").at(-1), "watch 0x101, reason 0");
  },
);

function hex(label: string): string {
  return Buffer.from(label.padEnd(16, "\0")).toString("hex");
}

native("NVS without a free page is read, not erased, and the board starts", t => {
  t.deepEqual(play("no free pages"), [
    "mounted to read",
    "delay 0, then 0x0",
    "error 0x110d, frozen 1",
  ]);
});

native(
  "NVS of a later version, or that cannot even be read, is erased once, and the board starts",
  t => {
    for (const [scenario, error] of [
      ["later version", "0x1110"],
      ["frozen in vain", "0x110d"],
    ] as const) {
      t.deepEqual(play(scenario), ["erased", "delay 0, then 0x0", `error ${error}, frozen 0`]);
    }
  },
);

native("encrypted NVS is never read with other means", t => {
  t.is(play("no free pages", "-DCONFIG_NVS_ENCRYPTION=1")[0], "erased");
});

native(
  "where nothing helps it is tried again in a minute: no restart upon restart, and nothing is erased",
  t => {
    const again = "again in a minute";
    t.deepEqual(play("no partition"), [
      `skerry: NVS cannot be mounted: error 0x105, the partition table has no "nvs"; ${again}`,
      "sleeps 60 s",
    ]);
    t.deepEqual(play("flash refuses"), [
      `skerry: NVS cannot be mounted: error 0xffffffff; ${again}`,
      "sleeps 60 s",
    ]);
  },
);
