// What the agent's modules take as XS bytecode, by folder: the Moddable SDK's compiler, without debugging information. Needs that SDK.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../src/", import.meta.url));
const platforms = ["lin", "mac", "win"];

interface Sizes {
  modules: number;
  /** Bytes of instructions, texts in them included. */
  code: number;
  /** Names of properties and variables; a firmware has each of them once. */
  readonly names: Set<string>;
}

function compiler(): string | undefined {
  const { MODDABLE = "/nowhere" } = process.env;
  return platforms
    .map(platform => join(MODDABLE, "build", "bin", platform, "release", "xsc"))
    .find(path => existsSync(path));
}

/** Chunks of an XS archive: length and type, four bytes each, and what they are the length and type of. */
function chunksOf(archive: Buffer): ReadonlyMap<string, Buffer> {
  const chunks = new Map<string, Buffer>();
  const headBytes = 8;
  for (let at = headBytes; at < archive.length; at += archive.readUInt32BE(at)) {
    const end = at + archive.readUInt32BE(at);
    chunks.set(archive.toString("latin1", at + 4, at + 8), archive.subarray(at + headBytes, end));
  }
  return chunks;
}

function compile(xsc: string, path: string, folder: string): ReadonlyMap<string, Buffer> {
  const name = basename(path, ".js");
  execFileSync(xsc, [path, "-e", "-o", folder, "-r", name]);
  return chunksOf(readFileSync(join(folder, `${name}.xsb`)));
}

function add(sizes: Sizes, chunks: ReadonlyMap<string, Buffer>): void {
  sizes.modules++;
  sizes.code += chunks.get("CODE")!.length;
  // A count of two bytes, then texts that end with 0.
  const names = chunks.get("SYMB")!.toString("utf8", 2).split("\0");
  for (const name of names) if (name) sizes.names.add(name);
}

const empty = (): Sizes => ({ modules: 0, code: 0, names: new Set() });

function lineOf(name: string, { modules, code, names }: Sizes): string {
  const nameBytes = [...names].reduce((sum, each) => sum + Buffer.byteLength(each) + 1, 0);
  return `| ${name} | ${modules} | ${code} | ${nameBytes} |`;
}

export async function bytecode(): Promise<void> {
  const xsc = compiler();
  if (xsc === undefined) {
    console.log("bytecode: no xsc: MODDABLE does not lead to a built Moddable SDK");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "skerry-bytecode-"));
  try {
    const all = empty();
    const folders = new Map<string, Sizes>();
    for (const path of readdirSync(src, { recursive: true, encoding: "utf8" })) {
      if (!path.endsWith(".js")) continue;
      const name = dirname(path).split(sep)[0]!;
      if (!folders.has(name)) folders.set(name, empty());
      const chunks = compile(xsc, join(src, path), folder);
      add(folders.get(name)!, chunks);
      add(all, chunks);
    }
    console.log("| src | modules | code, bytes | names, bytes |\n|---|---:|---:|---:|");
    const bySize = [...folders].sort(([, one], [, other]) => other.code - one.code);
    for (const [name, sizes] of bySize) console.log(lineOf(name === "." ? "top" : name, sizes));
    console.log(lineOf("all", all));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
