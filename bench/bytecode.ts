// What the agent takes as XS bytecode, part by part: compiled here by the SDK's compiler, without debugging information, or as
// the SDK left it in the folders of builds that are named. Needs a built Moddable SDK.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const systems = ["lin", "mac", "win"];
const rest = "the SDK and the product";
/** Of a slot on a 32-bit machine. */
const slotBytes = 16;

interface Sizes {
  modules: number;
  /** Bytes of instructions, texts in them included. */
  code: number;
  /** Names of properties and variables; a firmware has each of them once. */
  readonly names: Set<string>;
}

type Table = Map<string, Sizes>;

/** @param folders of builds, where mcconfig has written `mc.xs.c`: `…/tmp/esp32/release/sensor-node` */
export async function bytecode(folders: readonly string[]): Promise<void> {
  if (folders.length === 0) return compileAll();
  for (const folder of folders) {
    const makefile = join(folder, "makefile");
    if (!existsSync(makefile)) {
      console.log(`bytecode: there is no ${makefile}: is ${folder} where mcconfig has built?`);
      process.exitCode = 1;
      return;
    }
    const table: Table = new Map();
    const part = partOf();
    for (const path of modulesOf(readFileSync(makefile, "utf8")))
      add(table, part(path), readFileSync(join(folder, "modules", `${path}.xsb`)));
    print(basename(folder), table);
    linked(join(folder, "mc.xs.c"));
  }
}

/** What is linked: the folder may hold what an earlier build has left. */
function modulesOf(makefile: string): ReadonlySet<string> {
  const found = makefile.matchAll(/\$\(MODULES_DIR\)[/\\](\S+)\.xsb/g);
  return new Set([...found].map(([, path = ""]) => path.replaceAll("\\", "/")));
}

function compileAll(): void {
  const xsc = compiler();
  if (xsc === undefined) {
    console.log("bytecode: no xsc: MODDABLE does not lead to a built Moddable SDK");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "skerry-bytecode-"));
  try {
    const table: Table = new Map();
    const part = partOf();
    for (const path of filesIn(join(root, "dist", "src"), ".js")) {
      const name = basename(path, ".js");
      execFileSync(xsc, [join(root, "dist", "src", path), "-e", "-o", folder, "-r", name]);
      const module = `skerry/src/${path.slice(0, -3).split(sep).join("/")}`;
      add(table, part(module), readFileSync(join(folder, `${name}.xsb`)));
    }
    print("src", table);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compiler(): string | undefined {
  const { MODDABLE = "/nowhere" } = process.env;
  return systems
    .map(system => join(MODDABLE, "build", "bin", system, "release", "xsc"))
    .find(path => existsSync(path));
}

function filesIn(folder: string, ending: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter(name => name.endsWith(ending));
}

/** Which manifest a module is of. */
function partOf(): (module: string) => string {
  const parts = new Map<string, string>();
  for (const path of filesIn(join(root, "manifests"), ".json")) {
    const { preload = [] } = JSON.parse(readFileSync(join(root, "manifests", path), "utf8")) as {
      readonly preload?: readonly string[];
    };
    for (const module of preload) parts.set(module, path.slice(0, -5).split(sep).join("/"));
  }
  return module => {
    if (/^(skerry\/(hosts|platform)\/.*|skerry\/host|rng|ssl\/ciphersuites)$/.test(module))
      return "host";
    if (module === "skerry") return "core";
    // Of types alone, which no firmware links.
    return parts.get(module) ?? (module.startsWith("skerry/src/") ? "types" : rest);
  };
}

/** An XS archive: chunks of length and type, four bytes each, and what they are the length and type of. */
function chunksOf(archive: Buffer): ReadonlyMap<string, Buffer> {
  const chunks = new Map<string, Buffer>();
  const headBytes = 8;
  for (let at = headBytes; at < archive.length; at += archive.readUInt32BE(at)) {
    const end = at + archive.readUInt32BE(at);
    chunks.set(archive.toString("latin1", at + 4, at + 8), archive.subarray(at + headBytes, end));
  }
  return chunks;
}

function add(table: Table, part: string, archive: Buffer): void {
  const sizes = table.get(part) ?? { modules: 0, code: 0, names: new Set<string>() };
  table.set(part, sizes);
  const chunks = chunksOf(archive);
  sizes.modules++;
  sizes.code += chunks.get("CODE")?.length ?? 0;
  // A count of two bytes, then texts that end with 0.
  const names = chunks.get("SYMB")?.toString("utf8", 2).split("\0") ?? [];
  for (const name of names) if (name) sizes.names.add(name);
}

function print(title: string, table: Table): void {
  const own: Sizes = { modules: 0, code: 0, names: new Set() };
  for (const [part, sizes] of table) {
    if (part === "host" || part === rest) continue;
    own.modules += sizes.modules;
    own.code += sizes.code;
    for (const name of sizes.names) own.names.add(name);
  }
  const line = (name: string, { modules, code, names }: Sizes) => {
    const nameBytes = [...names].reduce((sum, each) => sum + Buffer.byteLength(each) + 1, 0);
    console.log(`| ${name} | ${modules} | ${code} | ${nameBytes} |`);
  };
  console.log(`| ${title} | modules | code, bytes | names, bytes |\n|---|---:|---:|---:|`);
  for (const [part, sizes] of [...table].sort(([, one], [, other]) => other.code - one.code))
    line(part, sizes);
  line("the agent", own);
}

/** What the linker has made of preloaded modules: their functions, and slots in flash; what ran at build time is gone. */
function linked(path: string): void {
  if (!existsSync(path)) return console.log(`no ${path}: not linked\n`);
  const text = readFileSync(path, "latin1");
  const bytes = (escaped: string) => escaped.replace(/\\x[0-9a-f]{2}|\\./gi, "x").length;
  const functions = text.matchAll(
    /XS_CODE(?:_X)?_KIND\}, \.value = \{ \.code = \{ \(txByte\*\)"((?:[^"\\]|\\.)*)"/g,
  );
  const code = [...functions].reduce((sum, [, escaped = ""]) => sum + bytes(escaped), 0);
  const count = (name: string) =>
    Number(new RegExp(`#define ${name} (\\d+)`).exec(text)?.[1] ?? Number.NaN);
  const late = [...text.matchAll(/txU1 gxCode\d+\[(\d+)\] = /g)];
  const lateBytes = late.reduce((sum, [, length]) => sum + Number(length), 0);
  const slots = count("mxHeapCount");
  console.log(`
linked: ${code} bytes of functions; ${lateBytes} of modules that run at start; ${slots} slots in flash, ${slots * slotBytes} bytes
on a 32-bit machine; ${count("mxKeysCount")} names
`);
}
